"""The whole benchmark: samples, judgement, contest, goals."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pandas as pd
from threadpoolctl import threadpool_limits

from benchmarks.fidelity.contest import COMPARED_ROWS, Arena
from benchmarks.fidelity.goals import goals
from benchmarks.fidelity.judge import REFERENCE, Judge, generalisation_gap
from benchmarks.fidelity.memorisation import memorisation
from benchmarks.fidelity.observables import load_observables
from benchmarks.fidelity.samples import FLASH, Columns, Workplace, read_unmatched
from benchmarks.machine import processor
from flashsim.declarations.training import load_training
from flashsim.learning.devices import prepare_device
from flashsim.learning.tables import SPLITS, TRAINING_TABLES
from flashsim.models.object_model import ObjectModel
from flashsim.models.shipped import model_files

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.fidelity.observables import Observables


__all__ = ["SCHEMA_VERSION", "Options", "assess"]

SCHEMA_VERSION = 1
_PACKAGES = ("flashsim", "torch", "nflows", "zuko", "scikit-learn", "numpy")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """What is judged, on what, and for how long.

    Parameters
    ----------
    train, test, left_out
        Folders of processes: what the models were trained on, held-out samples, and a process that is not in
        the training. A test process that is also a train process gives its test split.
    output
        Folder of tables, generated files and results.
    models
        Model file by object, which are then all that is judged; the shipped ones where none is named.
    recipes
        Training recipe by object, for FlashSim's flow in the contest; the shipped ones for all others.
    objects
        Held-out gen objects of each object.
    minutes
        Training of each competitor, shared evenly by the objects.
    preprocessings
        What competitors stand behind: ``own``, ``flashsim`` or both; none: no contest.
    threads
        Of torch, samplers and trees.
    """

    train: Sequence[Path]
    test: Sequence[Path]
    output: Path
    left_out: Path | None = None
    models: dict[str, Path] = field(default_factory=dict)
    recipes: dict[str, str] = field(default_factory=dict)
    objects: int = 100_000
    minutes: float = 6.0
    preprocessings: Sequence[str] = ("own", "flashsim")
    threads: int = 2


def assess(options: Options, command: str = "") -> dict[str, Any]:
    """Judge all models.

    Raises
    ------
    FlashSimError
        If a sample, a table or a model cannot be used.
    """
    started = time.monotonic()
    prepare_device("cpu", options.threads)
    shipped = [] if options.models else model_files()
    models = [ObjectModel.load(path) for path in [*shipped, *options.models.values()]]
    found: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "command": command,
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{processor()}, {os.cpu_count()} cores, threads: {options.threads}",
        "packages": {name: version(name) for name in _PACKAGES},
        "train": [path.name for path in options.train],
        "test": [path.name for path in options.test],
        "left_out": None if options.left_out is None else options.left_out.name,
        "minutes": options.minutes,
        "objects": {},
    }
    with threadpool_limits(options.threads):
        place = Workplace(options.output, models)
        # Whole events are judged by `benchmarks.events`: what is expected of them depends on their objects.
        for model in (model for model in models if model.declaration.per == "object"):
            name = model.declaration.name
            _log.info("judging %s", name)
            found["objects"][name] = _object(
                model, place, options, seconds=60 * options.minutes / len(models)
            )
    found["seconds"] = round(time.monotonic() - started, 1)
    return found


def _object(model: ObjectModel, place: Workplace, options: Options, *, seconds: float) -> dict[str, Any]:
    observables, declaration = load_observables(), model.declaration
    judge = _judge(model, place, options.test, options, observables)
    found = judge.everything()
    folders = [place.tables(process, "flash", declaration) for process in options.test]
    found["violations"] = judge.violations(_generated(folders))
    found["generalisation_gap"] = generalisation_gap(model)
    found["model"] = {
        "parameters": model.parameters(),
        "digest": model.digest[:16],
        "files": model.provenance.get("files"),
    }
    if options.left_out is not None:
        found["left_out"] = _judge(model, place, [options.left_out], options, observables).agreement()
    if options.train:
        train = place.training(options.train, declaration)["train"]
        full, flash = (judge.samples[name] for name in (REFERENCE, "flash"))
        found["memorisation"] = memorisation(model, train, full, flash)
    if options.preprocessings and options.train:
        arena = _arena(judge, place, options)
        recipe = load_training(options.recipes.get(declaration.name, declaration.name)).flow
        found["competitors"] = list(arena.contest(recipe, seconds, options.preprocessings))
        found["competitors_rows"] = int(arena.held_out.reconstructed.sum())
        found["competitors_train_rows"] = int(arena.train.reconstructed.sum())
        found["competitors_seconds"] = seconds
    found["goals"] = goals(declaration.name, found)
    return found


def _judge(
    model: ObjectModel, place: Workplace, test: Sequence[Path], options: Options, observables: Observables
) -> Judge:
    samples = place.samples(test, model.declaration, options.train, options.objects)
    repeats = [samples.pop(name) for name in FLASH[1:]]
    return Judge(model, samples, observables, repeats)


def _arena(judge: Judge, place: Workplace, options: Options) -> Arena:
    """Fewer held-out objects than the judge has, the same for everybody."""
    share = COMPARED_ROWS / max(int(judge.full.reconstructed.sum()), 1)
    events = judge.full.events_of(int(share * len(judge.full)) or 1)
    few = Judge(judge.model, {n: s.first(events) for n, s in judge.samples.items()}, judge.observables)
    training = place.training(options.train, judge.model.declaration)
    return Arena(
        model=judge.model,
        targets=judge.targets(),
        train=training["train"],
        validation=training["validation"],
        held_out=few.samples[REFERENCE],
        floors=few.floors(),
        by_hand=judge.observables.of(judge.model.declaration.name).by_hand,
    )


def _generated(folders: Sequence[Path]) -> Columns:
    """Every generated object, matched to gen or not: all rows, none set aside."""
    tables = []
    for folder in folders:
        for split in SPLITS:
            objects = TRAINING_TABLES.read(folder, split, "objects")
            tables += [objects[objects["reconstructed"]], read_unmatched(folder, split)]
    whole = pd.concat([table.filter(like="target.") for table in tables], ignore_index=True)
    return {name.removeprefix("target."): whole[name].to_numpy("float64") for name in whole.columns}
