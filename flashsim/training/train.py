"""Tables in, one model file out: efficiency, flow and unmatched objects of one object."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from flashsim.declarations.output import load_output
from flashsim.declarations.training import TrainingRecipe
from flashsim.errors import TableError
from flashsim.flows import Flow
from flashsim.flows.kinds import kind_of
from flashsim.learning.fitting import FitResult, Loss, fit
from flashsim.learning.perceptron_module import PerceptronModule
from flashsim.learning.tables import TableDescription
from flashsim.models.object_model import ObjectModel
from flashsim.models.unmatched_model import PlacedModel, UnmatchedModel
from flashsim.runs.folder import TrainingRun
from flashsim.training.calibration import calibrated
from flashsim.training.rows import Tables
from flashsim.transforms.codec import Columns, ConditioningCodec, TargetCodec, stored_bits
from flashsim.transforms.columns import SMALLEST_PROBABILITY
from flashsim.transforms.phase_space import PhaseSpace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from flashsim.declarations.flows import FlowRecipe
    from flashsim.declarations.objects import ObjectDeclaration, Target
    from flashsim.declarations.relations import ExactRelation
    from flashsim.declarations.schedule import Schedule
    from flashsim.declarations.training import EfficiencyRecipe, SourceRecipe
    from flashsim.declarations.unmatched import Unmatched
    from flashsim.flows.module import FlowModule
    from flashsim.learning.perceptron import Perceptron
    from flashsim.runs.log import RunLog
    from flashsim.training.rows import Rows

__all__ = ["train"]

_log = logging.getLogger(__name__)

_ONE = np.ones(1)

Report = Callable[[str, int, int, float], None]
"""Called after every epoch with (network, epoch, largest number of epochs, best validation loss)."""


def train(
    folder: Path,
    recipe: TrainingRecipe,
    output: Path,
    *,
    runs: Path | None = None,
    resume: bool = False,
    force: bool = False,
    accelerator: str = "auto",
    report: Report | None = None,
) -> tuple[ObjectModel, dict[str, FitResult]]:
    """Train the networks of one object and write its model file, see `flashsim.interface.training.train`.

    Parameters
    ----------
    folder, recipe, output, runs, resume, force
        Tables, recipe and paths as there.
    accelerator
        ``cpu``, ``cuda``, ``cuda:1``, or what Lightning calls a device, such as ``auto``.
    report
        Called after every epoch.
    """
    run = TrainingRun(output, runs, resume=resume, force=force)
    tables = Tables(folder)
    declaration = tables.description.declaration
    if recipe.object != declaration.name:
        msg = f"{tables.folder}: holds tables of '{declaration.name}', the recipe is for '{recipe.object}'"
        raise TableError(msg)
    load_output().refuse_clash(declaration)
    _check_size(tables, recipe.min_rows)
    tables.check()
    content = {"tables": tables.description.content()}
    with run.log(recipe, content, _planned(recipe, declaration), upgrade=_of_present_format) as log:
        trainer = _Trainer(tables, recipe, run.folder, resume, accelerator, report, log)
        conditioning = trainer.conditioning()
        efficiency = trainer.efficiency(conditioning) if declaration.per == "object" else None
        targets, flow = trainer.flow(conditioning)
        unmatched = {source.name: trainer.unmatched(source) for source in declaration.unmatched}
        log.finish({f"{name}_validation": r.validation_loss for name, r in trainer.results.items()})
        model = ObjectModel(
            declaration=declaration,
            nanoaod_version=tables.description.nanoaod_version,
            conditioning=conditioning,
            efficiency=efficiency,
            targets=targets,
            flow=flow,
            unmatched=unmatched,
            placed=trainer.placed() if any(model.flow is not None for model in unmatched.values()) else None,
            phase_space=trainer.phase_space(),
            provenance=_provenance(tables, recipe, trainer.results) | run.provenance(),
        )
        model.save(output, force=force)
        return model, trainer.results


def _planned(recipe: TrainingRecipe, declaration: ObjectDeclaration) -> dict[str, int]:
    """Largest number of epochs of each network, in the order of their training."""
    networks: dict[str, EfficiencyRecipe | FlowRecipe] = {}
    if declaration.per == "object":
        networks["efficiency"] = recipe.efficiency
    networks["flow"] = recipe.flow
    for source in declaration.unmatched:
        of_source = recipe.unmatched.of(source.name)
        count, flow = _names(source)
        networks |= {count: of_source.count, flow: of_source.flow}
    if declaration.placed is not None:
        networks["placed_flow"] = recipe.placed.flow
    return {name: network.schedule.epochs for name, network in networks.items()}


def _names(source: Unmatched) -> tuple[str, str]:
    """Names of the networks of a source: how many, and what they are."""
    return f"unmatched_{source.name}_count", f"unmatched_{source.name}_flow"


def _check_size(tables: Tables, least: int) -> None:
    """See that there is enough for all networks, before any of them is trained for long."""
    for what, rows, wanted in (
        ("gen objects", tables.objects, 1),
        ("reconstructed objects", tables.matched, least),
    ):
        train, validation = len(rows("train")), len(rows("validation"))
        if train < wanted or validation < 1:
            msg = (
                f"{tables.folder}: has {train} {what} to train on and {validation} to validate, expected at "
                f"least {wanted} and 1: preprocess more events"
            )
            raise TableError(msg)


def _of_present_format(begun: dict[str, Any]) -> dict[str, Any]:
    """Give a note of what was trained in the present format: what is new since then has its default."""
    tables = TableDescription.model_validate({**begun.get("tables", {}), "files": []})
    recipe = TrainingRecipe.model_validate(begun.get("recipe", {}))
    return begun | {
        "tables": tables.content(),
        "recipe": recipe.model_dump(mode="json"),
    }


@dataclass
class _Trainer:
    """Trains one network after the other, each in a folder of its own."""

    tables: Tables
    recipe: TrainingRecipe
    runs: Path
    resume: bool
    accelerator: str
    report: Report | None
    log: RunLog

    def __post_init__(self) -> None:
        self.results: dict[str, FitResult] = {}

    def conditioning(self) -> ConditioningCodec:
        declaration = self.tables.description.declaration
        return ConditioningCodec.fit(declaration.conditioning, self.tables.objects("train").conditioning)

    def efficiency(self, codec: ConditioningCodec) -> Perceptron:
        objects = {split: self.tables.objects(split) for split in ("train", "validation")}
        tensors = {
            split: (torch.from_numpy(codec.encode(t.conditioning)), torch.from_numpy(t.reconstructed).float())
            for split, t in objects.items()
        }
        network = self._perceptron(self.recipe.efficiency, len(codec.transforms), 1)
        share = float(np.clip(objects["train"].reconstructed.mean(), 1e-3, 1.0 - 1e-3))
        network.start_at(torch.tensor([np.log(share / (1.0 - share))]))
        self._fit("efficiency", network, _binary_loss, tensors, self.recipe.efficiency.schedule)
        return network.trained()

    def flow(self, conditioning: ConditioningCodec) -> tuple[TargetCodec, Flow]:
        declaration = self.tables.description.declaration
        objects = {split: self.tables.matched(split) for split in ("train", "validation")}
        targets, relations = declaration.targets, declaration.relations
        return self._drawn("flow", self.recipe.flow, conditioning, targets, relations, objects)

    def phase_space(self) -> PhaseSpace:
        conditioning = self.tables.description.declaration.conditioning
        return PhaseSpace.fit(conditioning, self.tables.objects("train").conditioning)

    def unmatched(self, source: Unmatched) -> UnmatchedModel:
        declaration, recipe = self.tables.description.declaration, self.recipe.unmatched.of(source.name)
        count_name, flow_name = _names(source)
        sources = {split: self.tables.sources(split, source.name) for split in ("train", "validation")}
        objects = {split: self.tables.unmatched(split, source.name) for split in ("train", "validation")}
        # A source that the training never had scales with nothing; all of its objects are outside then.
        known = (
            sources["train"].conditioning if len(sources["train"]) else dict.fromkeys(source.columns, _ONE)
        )
        codec = ConditioningCodec.fit(source.conditioning, known)
        phase_space = PhaseSpace.fit(source.conditioning, known)
        if len(objects["train"]) < self.recipe.min_rows or len(objects["validation"]) == 0:
            _log.warning(
                "only %d unmatched %s of the source '%s' to learn from: the model makes none of it",
                len(objects["train"]),
                declaration.name,
                source.name,
            )
            return UnmatchedModel(codec, self._none(recipe, codec, source.max_count), None, None, phase_space)
        count = self._count(count_name, recipe, codec, sources, source.max_count)
        related = source.related(declaration.source_targets())
        exact = source.exact(declaration.source_relations())
        targets, flow = self._drawn(flow_name, recipe.flow, codec, related, exact, objects)
        return UnmatchedModel(codec, count, targets, flow, phase_space)

    def placed(self) -> PlacedModel | None:
        """Train what unmatched objects are, given their places; none where nothing is declared of it."""
        declaration = self.tables.description.declaration
        if (placed := declaration.placed) is None:
            return None
        objects = {split: self.tables.placed(split) for split in ("train", "validation")}
        codec = ConditioningCodec.fit(placed.conditioning, objects["train"].conditioning)
        related, exact = placed.related(declaration.targets), placed.exact(declaration.relations)
        targets, flow = self._drawn("placed_flow", self.recipe.placed.flow, codec, related, exact, objects)
        phase_space = PhaseSpace.fit(placed.conditioning, objects["train"].conditioning)
        return PlacedModel(codec, targets, flow, phase_space)

    def _drawn(  # noqa: PLR0917
        self,
        name: str,
        recipe: FlowRecipe,
        conditioning: ConditioningCodec,
        targets: list[Target],
        relations: list[ExactRelation],
        objects: dict[str, Rows],
    ) -> tuple[TargetCodec, Flow]:
        """Train a flow, with the codec of what it draws."""
        train = objects["train"]
        codec = TargetCodec.fit(targets, train.targets, train.reference, self._bits(targets), relations)
        tensors = {
            split: _flow_tensors(codec, t.targets, t.reference, conditioning.encode(t.conditioning))
            for split, t in objects.items()
        }
        flow = self._flow(name, recipe, tensors)
        return self._calibrated(codec, flow, tensors["train"], recipe), flow

    def _calibrated(
        self, codec: TargetCodec, flow: Flow, rows: tuple[Tensor, ...], recipe: FlowRecipe
    ) -> TargetCodec:
        if not recipe.calibration:
            return codec
        return calibrated(codec, flow, rows[-1].numpy(), draws=recipe.calibration, seed=self.recipe.seed)

    def _bits(self, targets: Sequence[Target]) -> list[int | None]:
        description = self.tables.description
        return stored_bits(targets, description.declaration.collection, description.nanoaod_version)

    def _none(self, recipe: SourceRecipe, codec: ConditioningCodec, largest: int) -> Perceptron:
        network = self._perceptron(recipe.count, len(codec.transforms), largest + 1)
        network.start_at(torch.tensor([0.0] + [-100.0] * largest))
        return network.trained()

    def _count(
        self,
        name: str,
        recipe: SourceRecipe,
        codec: ConditioningCodec,
        sources: dict[str, Rows],
        largest: int,
    ) -> Perceptron:
        counted = {split: np.minimum(t.number, largest) for split, t in sources.items()}
        tensors = {
            split: (torch.from_numpy(codec.encode(t.conditioning)), torch.from_numpy(counted[split]))
            for split, t in sources.items()
        }
        network = self._perceptron(recipe.count, len(codec.transforms), largest + 1)
        frequency = np.bincount(counted["train"], minlength=largest + 1) + 0.01
        network.start_at(torch.from_numpy(np.log(frequency / frequency.sum())))
        self._fit(name, network, _category_loss, tensors, recipe.count.schedule)
        return network.trained()

    def _perceptron(self, recipe: EfficiencyRecipe, inputs: int, outputs: int) -> PerceptronModule:
        with torch.random.fork_rng():
            torch.manual_seed(self.recipe.seed)
            return PerceptronModule(
                inputs, outputs, width=recipe.width, depth=recipe.depth, dropout=recipe.dropout
            )

    def _flow(self, name: str, recipe: FlowRecipe, tensors: dict[str, tuple[Tensor, ...]]) -> Flow:
        low, _, conditioning = tensors["train"]
        features, context = low.shape[1], conditioning.shape[1]
        kind = kind_of(recipe.kind)
        architecture = kind.architecture(recipe, features, context, self.recipe.seed)
        module = kind.module(architecture)
        self._fit(name, module, _flow_loss, tensors, recipe.schedule)
        return Flow.of(recipe.kind, architecture, module)

    def _fit(
        self,
        name: str,
        network: nn.Module,
        loss: Loss,
        tensors: Mapping[str, tuple[Tensor, ...]],
        schedule: Schedule,
    ) -> None:
        report = self.report
        self.results[name] = fit(
            network,
            loss,
            tensors["train"],
            tensors["validation"],
            schedule,
            folder=self.runs / name,
            seed=self.recipe.seed,
            resume=self.resume,
            accelerator=self.accelerator,
            report=None if report is None else lambda epoch, most, best: report(name, epoch, most, best),
            record=partial(self.log.epoch, name),
        )


def _flow_tensors(
    codec: TargetCodec, targets: Columns, reference: Columns, conditioning: NDArray[np.float32]
) -> tuple[Tensor, ...]:
    low, high = codec.bounds(targets, reference)
    return (
        torch.from_numpy(low.astype(np.float32)),
        torch.from_numpy((high - low).astype(np.float32)),
        torch.from_numpy(conditioning),
    )


def _flow_loss(network: nn.Module, rows: tuple[Tensor, ...], generator: torch.Generator | None) -> Tensor:
    """Loss of a flow, with the point masses spread again at every call."""
    low, spread, conditioning = rows
    uniform = torch.rand(low.shape, generator=generator, device=low.device)
    least = SMALLEST_PROBABILITY
    normal = torch.special.ndtri((low + uniform * spread).clamp(least, 1.0 - least))
    return cast("FlowModule", network).loss(normal, conditioning, generator)


def _binary_loss(network: nn.Module, rows: tuple[Tensor, ...], _: torch.Generator | None) -> Tensor:
    conditioning, label = rows
    return nn.functional.binary_cross_entropy_with_logits(network(conditioning)[:, 0], label)


def _category_loss(network: nn.Module, rows: tuple[Tensor, ...], _: torch.Generator | None) -> Tensor:
    conditioning, label = rows
    return nn.functional.cross_entropy(network(conditioning), label)


def _short_names(paths: Sequence[str]) -> list[str]:
    """Names of files, with their folders where the names alone are not distinct."""
    names = [Path(path).name for path in paths]
    if len(set(names)) == len(names):
        return names
    return ["/".join(Path(path).parts[-2:]) for path in paths]


def _provenance(tables: Tables, recipe: TrainingRecipe, results: dict[str, FitResult]) -> dict[str, Any]:
    description = tables.description
    return {
        "files": _short_names(description.files),
        "reference": description.reference,
        "events": description.events,
        "gen_objects": description.gen_objects,
        "reconstructed": description.reconstructed,
        "unmatched": description.unmatched,
        "sources": description.sources,
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
    }
