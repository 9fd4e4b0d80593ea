"""Gen-level events to simulate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flashsim.execution.extras import needs_extra
from flashsim.interface.arguments import counted, names_of

if TYPE_CHECKING:
    from flashsim.gen import GenSummary
    from flashsim.interface.arguments import Names, PathLike, Progress

__all__ = ["make_gen"]


@needs_extra("reference", "making gen-level events")
def make_gen(
    source: Names,
    output: PathLike,
    *,
    settings: PathLike | None = None,
    events: int | None = None,
    seed: int = 1,
    weight: str | None = None,
    workers: int = 1,
    era: PathLike | None = None,
    run: int = 1,
    lumi: int | None = None,
    first_event: int = 1,
    force: bool = False,
    progress: Progress | None = None,
) -> GenSummary:
    """Make gen-level NanoAOD from HepMC or LHE events, or with Pythia 8 (needs the extra ``reference``).

    Parameters
    ----------
    source
        HepMC events, LHE events, or a Pythia 8 command file: a path, a glob, a folder of event files, or
        several of them. What a file is, is recognised by its content; all must be of one kind.
    output
        The gen-level NanoAOD file; it appears complete or not at all.
    settings
        Pythia 8 command file with which LHE events are showered.
    events
        How many; by default all of event files, 1000 of Pythia.
    seed
        Any integer.
    weight
        Name of the weight of HepMC events to take for `genWeight`; by default the nominal one, found by its
        name.
    workers
        Processes of Pythia; the result does not depend on it.
    era
        ``run2`` or ``run3``, or the path of a file: whose pileup, vertices and NanoAOD version events get,
        and whose energy Pythia's beams. By default those of ``run2``, with the energy that Pythia's settings
        name.
    run, lumi, first_event
        Run, first luminosity block and number of the first event; a block has 1000 events. By default the
        block is a hash of the first event, so that files of different events have different numbers.
    force
        Replace an output that exists.
    progress
        Called with the name of the source and the events done.

    Raises
    ------
    InputFileError
        If the source cannot be read.
    OutputFileError
        If the output exists without `force`, or cannot be written.
    RecipeError
        If settings or era are not valid.
    MissingDependencyError
        If the packages of the extra are not installed.
    ValueError
        If a number is out of its range.
    """
    from flashsim import gen

    names = names_of(source)
    return gen.make_gen(
        names,
        output,
        settings=settings,
        events=events,
        seed=seed,
        weight=weight,
        workers=workers,
        era=era,
        run=run,
        lumi=lumi,
        first_event=first_event,
        force=force,
        progress=counted(progress, Path(names[0]).name if len(names) == 1 else f"{len(names)} inputs"),
    )
