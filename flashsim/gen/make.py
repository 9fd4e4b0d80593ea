"""Gen-level NanoAOD from whatever a user has: HepMC events, or settings of Pythia 8."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flashsim.gen.hepmc import convert_hepmc, is_hepmc
from flashsim.gen.pythia_events import generate_gen

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flashsim.gen.gen_file import GenSummary

__all__ = ["DEFAULT_EVENTS", "make_gen"]

DEFAULT_EVENTS = 1000
"""Events that Pythia makes where no number is given."""


def make_gen(
    source: str | Path,
    output: str | Path,
    *,
    events: int | None = None,
    seed: int = 1,
    workers: int = 1,
    force: bool = False,
    progress: Callable[[int, int | None], None] | None = None,
) -> GenSummary:
    """Write gen-level NanoAOD from HepMC events (`convert_hepmc`) or with Pythia 8 (`generate_gen`).

    Parameters
    ----------
    source
        A file of HepMC events by its name (`is_hepmc`), else a Pythia 8 command file.
    output
        NanoAOD file to write; it appears when it is complete.
    events
        How many; default: all of a HepMC file, `DEFAULT_EVENTS` of Pythia.
    seed
        Any integer.
    workers
        Processes of Pythia; HepMC text is read by one.
    force
        Whether to replace an existing output.
    progress
        Called with the number of events done and to do (None if that is not known).

    Raises
    ------
    FlashSimError
        As the two functions do.
    """
    if is_hepmc(source):
        return convert_hepmc(source, output, events=events, seed=seed, force=force, progress=progress)
    return generate_gen(
        source,
        output,
        events=DEFAULT_EVENTS if events is None else events,
        seed=seed,
        workers=workers,
        force=force,
        progress=progress,
    )
