"""The whole reference simulation of a process: gen-level events, and what each detector makes of them."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flashsim.errors import FlashSimError, OutputFileError, RecipeError
from flashsim.execution.whole_files import make_folder, refuse_existing
from flashsim.interface.arguments import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from flashsim.declarations.changes import Changes
    from flashsim.interface.arguments import Progress
    from flashsim.reference.detect import Detection

__all__ = ["DETECTORS", "Simulation", "detector_outputs", "simulate"]

DETECTORS = ("full", "fast")
"""The detectors that the project ships."""


@dataclass(frozen=True)
class Simulation:
    """What was made.

    Parameters
    ----------
    gen
        Path of the gen-level file.
    reused
        Whether it was there before.
    detections
        One for every detector and draw.
    """

    gen: str
    reused: bool
    detections: list[Detection]


def simulate(
    process: str | Path,
    output: Path,
    *,
    events: int,
    seed: int = 1,
    detectors: Mapping[str, str | Path] | None = None,
    changes: Changes | None = None,
    draws: int = 1,
    workers: int = 1,
    force: bool = False,
    progress: Progress | None = None,
) -> Simulation:
    """Write ``gen.root``, ``hidden.root`` and, for every detector, ``NAME.root`` of a process.

    Gen-level files that are there already, of the same process, seed and number of events, are used again, so
    that detectors can be run again. Neither chunks nor workers change any result.

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
    detectors
        Parameters of each detector by its name: a shipped file by name, or a path. By default `DETECTORS`.
    changes
        Parameters that differ from the files', by name of the detector and dotted key:
        ``{"fast.jets.efficiency": 0.9}``.
    draws
        Independent draws of each detector, at least 1; those after the first are ``NAME_1.root`` and so on.
    workers
        Processes that generate events.
    force
        Whether to replace files that are there.
    progress
        Called with what is made (``"gen"``, or the name of a file), and the events done.

    Raises
    ------
    RecipeError
        If there is no such process or detector, or it is not valid.
    OutputFileError
        If files are there that would be replaced (without `force`), or the folder cannot be made.
    MissingDependencyError
        If events have to be generated and pythia8mc or fastjet is not installed.
    ValueError
        If `events`, `draws` or `workers` is below 1.
    """
    if draws < 1:
        msg = f"draws must be at least 1, found {draws}"
        raise ValueError(msg)
    chosen = dict(detectors) if detectors is not None else {name: name for name in DETECTORS}
    outputs = detector_outputs(output, chosen, draws)
    for path in outputs.values():
        refuse_existing(path, force=force)
    settings = command_file(process)
    from flashsim.gen.pythia_events import generate_gen
    from flashsim.reference.detect import detect
    from flashsim.reference.detector.parameters import load_detector

    differing = _by_detector(changes or {}, chosen)
    for name, parameters in chosen.items():
        load_detector(parameters, differing[name])
    is_new = not output.exists()
    make_folder(output)
    gen, hidden = output / "gen.root", output / "hidden.root"
    reused = _made_before(gen, hidden, settings, seed, events)
    if not reused:
        _refuse_other(gen, hidden, force=force)
        try:
            generate_gen(
                settings,
                gen,
                events=events,
                seed=seed,
                workers=workers,
                hidden=hidden,
                force=force,
                progress=counted(progress, "gen"),
            )
        except BaseException:
            if is_new:
                with contextlib.suppress(OSError):  # of a folder that is not empty
                    output.rmdir()
            raise
    detections = [
        detect(
            gen,
            hidden,
            path,
            detector=name,
            parameters=chosen[name],
            changes=differing[name],
            seed=seed,
            draw=draw,
            force=force,
            progress=counted(progress, path.stem),
        )
        for (name, draw), path in outputs.items()
    ]
    return Simulation(str(gen), reused, detections)


def detector_outputs(folder: Path, detectors: Iterable[str], draws: int) -> dict[tuple[str, int], Path]:
    """Files of detectors in a folder, by the detector's name and the number of the draw."""
    return {
        (name, draw): folder / (f"{name}_{draw}.root" if draw else f"{name}.root")
        for draw in range(draws)
        for name in detectors
    }


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


def _by_detector(changes: Changes, detectors: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Give the changes of each detector, whose name their keys begin with."""
    found: dict[str, dict[str, Any]] = {name: {} for name in detectors}
    for key, value in changes.items():
        name, _, rest = key.partition(".")
        if name not in found or not rest:
            msg = f"{key}: names no parameter of a detector; begin with {' or '.join(f'{n}.' for n in found)}"
            raise RecipeError(msg)
        found[name][rest] = value
    return found


def _made_before(gen: Path, hidden: Path, settings: Path, seed: int, events: int) -> bool:
    """Whether both gen-level files are there and hold just what is asked for."""
    from flashsim.nanoaod.provenance import GEN, read_provenance
    from flashsim.nanoaod.reading import NanoFile

    if not (gen.is_file() and hidden.is_file()):
        return False
    try:
        with NanoFile(gen) as one, NanoFile(hidden) as other:
            complete = one.num_entries == other.num_entries == events
        made = read_provenance(gen, GEN)
    except (FlashSimError, ValueError):
        return False
    wanted = {
        "command_file": settings.name,
        "settings": settings.read_text(encoding="utf-8", errors="replace"),
        "seed": seed,
        "events": events,
    }
    return complete and made is not None and wanted.items() <= made.items()


def _refuse_other(gen: Path, hidden: Path, *, force: bool) -> None:
    if there := [path for path in (gen, hidden) if path.exists() and not force]:
        msg = (
            f"{there[0]}: is of another process, seed or number of events, or not complete; choose another "
            "folder or replace it with --force"
        )
        raise OutputFileError(msg)
