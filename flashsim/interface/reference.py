"""The whole reference simulation of a process: gen-level events, and what each detector makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flashsim.declarations.eras import DEFAULT_ERA
from flashsim.errors import RecipeError
from flashsim.execution.whole_files import refuse_existing
from flashsim.interface.arguments import counted
from flashsim.interface.reference_gen import command_file, pileup_library, reference_events

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from flashsim.declarations.changes import Changes
    from flashsim.interface.arguments import Progress
    from flashsim.reference.output.detect import Detection

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
    era: str | Path = DEFAULT_ERA,
    detectors: Mapping[str, str | Path] | None = None,
    changes: Changes | None = None,
    draws: int = 1,
    workers: int = 1,
    minbias: str | Path | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Simulation:
    """Write ``gen.root``, ``particles.root`` and, for every detector, ``NAME.root`` of a process.

    Gen-level files that are there already, of the same process, seed, era and number of events, are used
    again, so that detectors can be run again. Neither chunks nor workers change any result.

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
        ``run2`` or ``run3``, or the path of a file: energy, pileup, NanoAOD version and jets.
    detectors
        Level of each detector by its name: a shipped one by name, or the path of a file of what differs. By
        default `DETECTORS`.
    changes
        Numbers that differ from the files', by name of the detector and dotted key:
        ``{"fast.recording.material.field": 2.0}``.
    draws
        Independent draws of each detector, at least 1; those after the first are ``NAME_1.root`` and so on.
    workers
        Processes that generate events and simulate detectors.
    minbias
        File of minimum-bias interactions that pileup is made of; by default one of the era's energy, which is
        made once and kept (`flashsim.gen.minbias`).
    force
        Whether to replace files that are there.
    progress
        Called with what is made (``"gen"``, ``"pileup"``, or the name of a file), and the events done.

    Raises
    ------
    RecipeError
        If there is no such process, era or detector, or it is not valid.
    InputFileError
        If `minbias` cannot be read.
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
    from flashsim.reference.output.detect import detect
    from flashsim.reference.recipe import load_detector

    differing = _by_detector(changes or {}, chosen)
    for name, parameters in chosen.items():
        load_detector(parameters, era, differing[name])
    made = reference_events(
        settings,
        output,
        events=events,
        seed=seed,
        era=era,
        workers=workers,
        force=force,
        progress=progress,
    )
    library = minbias or pileup_library(era, workers=workers, progress=progress)
    detections = [
        detect(
            made.gen,
            made.particles,
            library,
            path,
            era=era,
            detector=name,
            parameters=chosen[name],
            changes=differing[name],
            seed=seed,
            draw=draw,
            workers=workers,
            force=force,
            progress=counted(progress, path.stem),
        )
        for (name, draw), path in outputs.items()
    ]
    return Simulation(str(made.gen), made.reused, detections)


def detector_outputs(folder: Path, detectors: Iterable[str], draws: int) -> dict[tuple[str, int], Path]:
    """Files of detectors in a folder, by the detector's name and the number of the draw."""
    return {
        (name, draw): folder / (f"{name}_{draw}.root" if draw else f"{name}.root")
        for draw in range(draws)
        for name in detectors
    }


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
