"""The generator's half of the reference simulation: events, their particles, and interactions for pileup."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flashsim.errors import FlashSimError, OutputFileError
from flashsim.execution.whole_files import make_folder
from flashsim.interface.arguments import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flashsim.interface.arguments import Progress

__all__ = ["ReferenceEvents", "command_file", "pileup_library", "reference_events"]


@dataclass(frozen=True)
class ReferenceEvents:
    """What a detector is given.

    Parameters
    ----------
    gen
        Gen-level NanoAOD.
    particles
        All stable visible particles of the same events.
    reused
        Whether both were there before.
    """

    gen: Path
    particles: Path
    reused: bool


def reference_events(
    process: str | Path,
    output: Path,
    *,
    events: int,
    seed: int = 1,
    era: str | Path | None = None,
    workers: int = 1,
    force: bool = False,
    progress: Progress | None = None,
) -> ReferenceEvents:
    """Write ``gen.root`` and ``particles.root`` of a process, unless they are there already.

    Files of the same process, seed, era and number of events are used again, so that detectors can be run
    again. Workers change no result.

    Parameters
    ----------
    process
        A shipped process by name, such as ``ttbar``, or the path of a Pythia 8 command file.
    output
        Folder to write to; made if it is not there.
    events
        How many, at least 1.
    seed
        Any integer.
    era
        ``run2`` or ``run3``, or the path of a file; by default ``run2``, whose energy Pythia's beams get.
    workers
        Processes that generate events.
    force
        Whether to replace files of other events.
    progress
        Called with ``"gen"``, and the events done and to do.

    Raises
    ------
    RecipeError
        If there is no such process or era, or it is not valid.
    OutputFileError
        If files of other events are there (without `force`), or the folder cannot be made.
    MissingDependencyError
        If events have to be generated and pythia8mc or fastjet is not installed.
    ValueError
        If `events` or `workers` is below 1.
    """
    from flashsim.declarations.eras import DEFAULT_ERA, load_era
    from flashsim.gen.pythia_events import generate_gen

    settings, taken = command_file(process), load_era(era or DEFAULT_ERA)
    gen, particles = output / "gen.root", output / "particles.root"
    wanted = {
        "command_file": settings.name,
        "settings": settings.read_text(encoding="utf-8", errors="replace"),
        "seed": seed,
        "events": events,
        "era": taken.model_dump(mode="json"),
        "energy": taken.energy,
    }
    if _made_before(gen, particles, wanted):
        return ReferenceEvents(gen, particles, reused=True)
    _refuse_other((gen, particles), force=force)
    is_new = not output.exists()
    make_folder(output)
    try:
        generate_gen(
            settings,
            gen,
            events=events,
            seed=seed,
            workers=workers,
            particles=particles,
            era=taken,
            force=force,
            progress=counted(progress, "gen"),
        )
    except BaseException:
        if is_new:
            with contextlib.suppress(OSError):  # of a folder that is not empty
                output.rmdir()
        raise
    return ReferenceEvents(gen, particles, reused=False)


def pileup_library(
    era: str | Path | None = None, *, workers: int = 1, progress: Progress | None = None
) -> Path:
    """Give the library of minimum-bias interactions of an era's energy; it is made at the first need.

    Parameters
    ----------
    era
        As for `reference_events`.
    workers
        Processes that generate interactions.
    progress
        Called with ``"pileup"``, and the interactions done and to do.

    Raises
    ------
    RecipeError
        If there is no such era.
    OutputFileError
        If it cannot be kept in the user's cache.
    MissingDependencyError
        If it has to be made and pythia8mc is not installed.
    """
    from flashsim.declarations.eras import DEFAULT_ERA, load_era
    from flashsim.gen.minbias import MinBias, minbias_library

    library = MinBias(load_era(era or DEFAULT_ERA).energy)
    return minbias_library(library, workers=workers, progress=counted(progress, "pileup"))


def command_file(process: str | Path) -> Path:
    """Path of a process's Pythia command file: a shipped one by name, or the user's own by path.

    Raises
    ------
    RecipeError
        If there is neither.
    """
    from flashsim.declarations.recipes import recipe_path

    own = Path(process)
    return recipe_path("reference", own if own.suffix else f"{process}.cmnd")


def _made_before(gen: Path, particles: Path, wanted: Mapping[str, Any]) -> bool:
    """Whether both files are there and hold just what is asked for."""
    from flashsim.nanoaod.provenance import GEN, read_provenance
    from flashsim.nanoaod.reading import NanoFile

    if not (gen.is_file() and particles.is_file()):
        return False
    try:
        with NanoFile(gen) as one, NanoFile(particles) as other:
            complete = one.num_entries == other.num_entries == wanted["events"]
        made = read_provenance(gen, GEN)
    except (FlashSimError, ValueError):
        return False
    return complete and made is not None and wanted.items() <= made.items()


def _refuse_other(paths: tuple[Path, ...], *, force: bool) -> None:
    if there := [path for path in paths if path.exists() and not force]:
        msg = (
            f"{there[0]}: is of another process, seed, era or number of events, or not complete; choose "
            "another folder or replace it with --force"
        )
        raise OutputFileError(msg)
