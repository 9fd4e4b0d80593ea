"""Pairs in, one refiner out."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch

from flashsim.errors import TableError
from flashsim.execution.whole_files import write_whole
from flashsim.learning.fitting import FitResult, fit
from flashsim.refinement.evaluation import Agreement, evaluate, refine_rows
from flashsim.refinement.losses import RefinementObjective
from flashsim.refinement.mmd import FourierFeatures
from flashsim.refinement.model import RefinerModel, kernel_form
from flashsim.refinement.network import Refiner
from flashsim.refinement.pairs import PAIRS, PairDescription, PairRows, read_pairs
from flashsim.runs.folder import TrainingRun

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flashsim.declarations.refinement import RefinerRecipe

__all__ = ["TrainedRefiner", "train_refiner"]

_log = logging.getLogger(__name__)

_FEASIBLE = 0.01
"""A constraint that is off by less is met: means over a validation batch are not known better."""


@dataclass(frozen=True)
class TrainedRefiner:
    """What a training gave.

    Parameters
    ----------
    model
        The refiner.
    result
        Losses of all epochs, with every component and multiplier.
    agreement
        With the full simulation, on pairs that were not trained on.
    """

    model: RefinerModel
    result: FitResult
    agreement: Agreement


def train_refiner(
    folder: Path,
    recipe: RefinerRecipe,
    output: Path,
    *,
    runs: Path | None = None,
    resume: bool = False,
    force: bool = False,
    accelerator: str = "auto",
    report: Callable[[int, int, float], None] | None = None,
) -> TrainedRefiner:
    """Train a refiner and write its model file, see `flashsim.interface.refinement.train_refiner`.

    Parameters
    ----------
    folder, recipe, output, runs, resume, force
        Pairs, recipe and paths as there.
    accelerator
        ``cpu``, ``cuda``, ``cuda:1``, or what Lightning calls a device, such as ``auto``.
    report
        Called after every epoch with (epoch, largest number of epochs, best validation discrepancy).
    """
    run = TrainingRun(output, runs, resume=resume, force=force)
    description = PAIRS.read_description(folder)
    _check_alike(folder, description, recipe)
    rows = {split: read_pairs(folder, split, recipe) for split in ("train", "validation", "test")}
    _check_size(folder, rows, recipe.min_rows)
    content = {"pairs": description.content()}
    with run.log(recipe, content, {"refiner": recipe.schedule.epochs}) as log:
        tensors = {split: _tensors(pairs) for split, pairs in rows.items()}
        fast, full, gen = tensors["train"]
        with torch.random.fork_rng():
            torch.manual_seed(recipe.seed)
            network = Refiner(recipe)
        network.fit(full, gen)
        objective = RefinementObjective(recipe, network, fast, full, gen)
        result = fit(
            network,
            objective,
            tensors["train"],
            tensors["validation"],
            recipe.schedule,
            folder=run.folder,
            seed=recipe.seed,
            resume=resume,
            report=report,
            record=partial(log.epoch, "refiner"),
            accelerator=accelerator,
            evaluated_rows=recipe.validation_batch,
        )
        _warn_of_infeasible(objective, result)
        agreement = evaluate(recipe, rows["test"], refine_rows(network, rows["test"], seed=recipe.seed))
        write_whole(run.folder / "agreement.json", json.dumps(agreement.to_json(), indent=1))
        log.finish(agreement.numbers())
        kernel = (
            objective.kernel.kernel if isinstance(objective.kernel, FourierFeatures) else objective.kernel
        )
        provenance = {
            "files": [list(files) for files in description.files],
            "pairs": description.pairs,
            "unrefined": objective.unrefined,
            "loss": {"train": result.train_loss, "validation": result.validation_loss},
            "best_epoch": result.best_epoch,
            "epochs": result.epochs,
            "agreement": agreement.to_json(),
            **run.provenance(),
        }
        model = RefinerModel(recipe, network, kernel_form(kernel), provenance)
        model.save(output, force=force)
        return TrainedRefiner(model, result, agreement)


def _tensors(rows: PairRows) -> tuple[torch.Tensor, ...]:
    return tuple(torch.from_numpy(part) for part in (rows.fast, rows.full, rows.gen))


def _check_alike(folder: Path, description: PairDescription, recipe: RefinerRecipe) -> None:
    """See that the pairs were selected as the recipe says."""
    made = description.recipe
    for key in ("collection", "gen", "match", "split", "pairs"):
        if getattr(made, key) != getattr(recipe, key):
            msg = f"{folder}: was made with another '{key}' than that of the recipe; make the pairs again"
            raise TableError(msg)


def _check_size(folder: Path, rows: dict[str, PairRows], least: int) -> None:
    for split, wanted in (("train", least), ("validation", 2), ("test", 2)):
        if len(rows[split]) < wanted:
            found = len(rows[split])
            msg = f"{folder}: has {found} pairs in '{split}', expected at least {wanted}: pair more events"
            raise TableError(msg)


def _warn_of_infeasible(objective: RefinementObjective, result: FitResult) -> None:
    """Say which constraints of the kept epoch are not met, to a tenth of what was missing before."""
    objective.begin_epoch(result.best_epoch)
    kept = result.history.iloc[result.best_epoch]
    for constraint in objective.constraints:
        missing = abs(float(kept[f"validation_{constraint.loss}"]) - constraint.target)
        before = abs(objective.unrefined[constraint.loss] - constraint.target)
        if missing > max(0.1 * before, _FEASIBLE):
            _log.warning(
                "%s is %.3g off its target in the epoch that is kept (%.3g before refinement)",
                constraint.loss,
                missing,
                before,
            )
