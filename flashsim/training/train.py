"""Tables in, one model file out: efficiency, flow and fakes of one object."""

from __future__ import annotations

import logging
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from flashsim.codec import Columns, ConditioningCodec, TargetCodec
from flashsim.errors import OutputFileError, TableError
from flashsim.flows import ConditionalMAF
from flashsim.modelfile import FakeModel, ObjectModel, unrelated
from flashsim.networks import Perceptron
from flashsim.training.fit import FitResult, Loss, fit
from flashsim.training.recipe import EfficiencyRecipe, FlowRecipe, Schedule, TrainingRecipe
from flashsim.training.tables import Tables

__all__ = ["train"]

_log = logging.getLogger(__name__)

Report = Callable[[str, int, int, float], None]
"""Called after every epoch with (network, epoch, largest number of epochs, best validation loss)."""


def train(
    tables: Tables,
    recipe: TrainingRecipe,
    output: Path,
    *,
    runs: Path | None = None,
    resume: bool = False,
    force: bool = False,
    accelerator: str = "auto",
    report: Report | None = None,
) -> tuple[ObjectModel, dict[str, FitResult]]:
    """Train the networks of one object and write its model file.

    Parameters
    ----------
    tables
        Tables of the object, see `flashsim preprocess`.
    recipe
        How to train.
    output
        The model file.
    runs
        Folder of checkpoints and logs; the output's name with ``.run`` by default.
    resume
        Go on from the checkpoints in `runs`.
    force
        Replace an existing model file.
    accelerator
        Lightning's name of the device.
    report
        Called after every epoch.

    Raises
    ------
    TableError
        If the tables are of another object than the recipe, or too small.
    OutputFileError
        If the output exists and `force` is not set.
    """
    if output.exists() and not force:
        msg = f"{output}: exists already; name another output or add --force"
        raise OutputFileError(msg)
    declaration = tables.description.declaration
    if recipe.object != declaration.name:
        msg = f"{tables.folder}: holds tables of '{declaration.name}', the recipe is for '{recipe.object}'"
        raise TableError(msg)
    started = time.monotonic()
    trainer = _Trainer(
        tables, recipe, runs or output.with_name(f"{output.name}.run"), resume, accelerator, report
    )
    conditioning, efficiency = trainer.efficiency()
    targets, flow = trainer.flow(conditioning)
    fakes = trainer.fakes()
    model = ObjectModel(
        declaration=declaration,
        nanoaod_version=tables.description.nanoaod_version,
        conditioning=conditioning,
        efficiency=efficiency,
        targets=targets,
        flow=flow,
        fakes=fakes,
        provenance=_provenance(tables, recipe, trainer.results, time.monotonic() - started),
    )
    model.save(output, force=force)
    return model, trainer.results


@dataclass
class _Trainer:
    """Trains one network after the other, each in a folder of its own."""

    tables: Tables
    recipe: TrainingRecipe
    runs: Path
    resume: bool
    accelerator: str
    report: Report | None

    def __post_init__(self) -> None:
        self.results: dict[str, FitResult] = {}

    def efficiency(self) -> tuple[ConditioningCodec, Perceptron]:
        declaration = self.tables.description.declaration
        objects = {split: self.tables.objects(split) for split in ("train", "validation")}
        codec = ConditioningCodec.fit(declaration.conditioning, objects["train"].conditioning)
        tensors = {
            split: (torch.from_numpy(codec.encode(t.conditioning)), torch.from_numpy(t.reconstructed).float())
            for split, t in objects.items()
        }
        network = self._perceptron(self.recipe.efficiency, len(codec.transforms), 1)
        share = float(np.clip(objects["train"].reconstructed.mean(), 1e-3, 1.0 - 1e-3))
        network.start_at(torch.tensor([np.log(share / (1.0 - share))]))
        self._fit("efficiency", network, _binary_loss, tensors, self.recipe.efficiency.schedule)
        return codec, network

    def flow(self, conditioning: ConditioningCodec) -> tuple[TargetCodec, ConditionalMAF]:
        declaration = self.tables.description.declaration
        objects = {split: self.tables.objects(split).matched() for split in ("train", "validation")}
        rows = len(objects["train"])
        if rows < self.recipe.min_rows or len(objects["validation"]) == 0:
            msg = (
                f"{self.tables.folder}: has {rows} reconstructed {declaration.name} to train on and "
                f"{len(objects['validation'])} to validate, expected at least {self.recipe.min_rows} and 1: "
                "preprocess more events"
            )
            raise TableError(msg)
        codec = TargetCodec.fit(declaration.targets, objects["train"].targets, objects["train"].gen)
        tensors = {
            split: _flow_tensors(codec, t.targets, t.gen, conditioning.encode(t.conditioning))
            for split, t in objects.items()
        }
        flow = self._maf(self.recipe.flow, len(codec.targets), len(conditioning.transforms))
        self._fit("flow", flow, _flow_loss, tensors, self.recipe.flow.schedule)
        return codec, flow

    def fakes(self) -> FakeModel:
        declaration = self.tables.description.declaration
        events = {split: self.tables.events(split) for split in ("train", "validation")}
        fakes = {split: self.tables.fakes(split) for split in ("train", "validation")}
        codec = ConditioningCodec.fit(declaration.fakes.conditioning, events["train"].conditioning)
        largest = declaration.fakes.max_count
        size, enough = len(codec.transforms), len(fakes["train"]) >= self.recipe.min_rows
        count = self._perceptron(self.recipe.fake_count, size, largest + 1)
        if not (enough and len(fakes["validation"])):
            _log.warning(
                "only %d unmatched %s to learn from: the model will make none",
                len(fakes["train"]),
                declaration.name,
            )
            none_at_all = torch.full((largest + 1,), -100.0)
            none_at_all[0] = 0.0
            count.start_at(none_at_all)
            return FakeModel(codec, count.eval(), None, None)
        counted = {split: np.minimum(t.fakes, largest) for split, t in events.items()}
        tensors = {
            split: (torch.from_numpy(codec.encode(t.conditioning)), torch.from_numpy(counted[split]))
            for split, t in events.items()
        }
        frequency = np.bincount(counted["train"], minlength=largest + 1) + 0.01
        count.start_at(torch.from_numpy(np.log(frequency / frequency.sum())))
        self._fit("fake_count", count, _category_loss, tensors, self.recipe.fake_count.schedule)
        targets = TargetCodec.fit(unrelated(declaration), fakes["train"].targets, {})
        tensors = {
            split: _flow_tensors(targets, t.targets, {}, codec.encode(t.conditioning))
            for split, t in fakes.items()
        }
        flow = self._maf(self.recipe.fake_flow, len(targets.targets), size)
        self._fit("fake_flow", flow, _flow_loss, tensors, self.recipe.fake_flow.schedule)
        return FakeModel(codec, count, targets, flow)

    def _perceptron(self, recipe: EfficiencyRecipe, inputs: int, outputs: int) -> Perceptron:
        with torch.random.fork_rng():
            torch.manual_seed(self.recipe.seed)
            return Perceptron(inputs, outputs, width=recipe.width, depth=recipe.depth, dropout=recipe.dropout)

    def _maf(self, recipe: FlowRecipe, features: int, context: int) -> ConditionalMAF:
        return ConditionalMAF(
            features,
            context,
            layers=recipe.layers,
            width=recipe.width,
            depth=recipe.depth,
            bins=recipe.bins,
            bound=recipe.bound,
            dropout=recipe.dropout,
            seed=self.recipe.seed,
        )

    def _fit(
        self,
        name: str,
        network: nn.Module,
        loss: Loss,
        tensors: dict[str, tuple[Tensor, ...]],
        schedule: Schedule,
    ) -> None:
        report = self.report
        self.results[name] = fit(
            network,
            loss,
            tensors["train"],
            tensors["validation"],
            schedule,
            self.runs / name,
            seed=self.recipe.seed,
            resume=self.resume,
            accelerator=self.accelerator,
            report=None if report is None else lambda epoch, most, best: report(name, epoch, most, best),
        )


def _flow_tensors(
    codec: TargetCodec, targets: Columns, gen: Columns, conditioning: NDArray[np.float32]
) -> tuple[Tensor, ...]:
    low, high = codec.bounds(targets, gen)
    return (
        torch.from_numpy(low.astype(np.float32)),
        torch.from_numpy((high - low).astype(np.float32)),
        torch.from_numpy(conditioning),
    )


def _flow_loss(network: nn.Module, rows: tuple[Tensor, ...], generator: torch.Generator | None) -> Tensor:
    """Negative log-likelihood, with the point masses spread anew at every call."""
    low, spread, conditioning = rows
    uniform = torch.rand(low.shape, generator=generator, device=low.device)
    normal = torch.special.ndtri((low + uniform * spread).clamp(1e-6, 1.0 - 1e-6))
    return -network.log_prob(normal, conditioning).mean()  # type: ignore[operator]  # a ConditionalMAF


def _binary_loss(network: nn.Module, rows: tuple[Tensor, ...], _: torch.Generator | None) -> Tensor:
    conditioning, label = rows
    return nn.functional.binary_cross_entropy_with_logits(network(conditioning)[:, 0], label)


def _category_loss(network: nn.Module, rows: tuple[Tensor, ...], _: torch.Generator | None) -> Tensor:
    conditioning, label = rows
    return nn.functional.cross_entropy(network(conditioning), label)


def _provenance(
    tables: Tables, recipe: TrainingRecipe, results: dict[str, FitResult], seconds: float
) -> dict[str, Any]:
    description = tables.description
    packages = ("flashsim", "torch", "nflows", "lightning", "numpy", "uproot")
    return {
        "files": [Path(path).name for path in description.files],
        "events": description.events,
        "gen_objects": description.gen_objects,
        "reconstructed": description.reconstructed,
        "fakes": description.fakes,
        "non_finite": description.non_finite,
        "recipe": recipe.model_dump(mode="json"),
        "losses": {
            name: {
                "train": round(result.train_loss, 4),
                "validation": round(result.validation_loss, 4),
                "best_epoch": result.best_epoch,
                "epochs": result.epochs,
            }
            for name, result in results.items()
        },
        "wall_time_s": round(seconds, 1),
        "date": str(pd.Timestamp.now(tz="UTC").date()),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
        "packages": {name: version(name) for name in packages},
    }
