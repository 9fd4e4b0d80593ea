"""Fit of one network: first to what objects are, then also to how CMS's scores are distributed."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from benchmarks.taggers.anchors import PROBABILITIES, logarithms
from flashsim.declarations.schedule import Schedule
from flashsim.learning.fitting import fit
from flashsim.learning.perceptron_module import PerceptronModule
from flashsim.reference.taggers.tagger import Score, Tagger, matrix

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from benchmarks.taggers.anchors import Anchors
    from benchmarks.taggers.definitions import Definition

    Columns = Mapping[str, NDArray[Any]]
    Floats = NDArray[np.float32]

__all__ = ["train_tagger"]

_LOW, _HIGH = 0.1587, 0.8413
_LEAST_WIDTH = 1e-3
_BINS, _WEIGHTS = (8, 4), (0.1, 10.0)
_FEW, _MANY = 40, 128
"""Objects of a group that quantiles need, and that a step looks at."""
_STEPS, _RATE, _BATCH = 400, 3e-3, 512
_SHARPNESS = 5.0
"""Weight of the distributions against what objects are."""
_ENOUGH = 60
"""Objects of CMS's from which on a group counts no more than another."""
_LEAST_SPREAD = {"share": 0.1, "exp": 0.01}


def train_tagger(
    definition: Definition, table: Columns, anchors: Anchors, *, epochs: int, seed: int
) -> Tagger:
    """Train a network on a table of objects so that its scores are distributed as CMS's.

    Parameters
    ----------
    definition
        The network.
    table
        Features and truth of objects, shape (N,) each.
    anchors
        Quantiles of CMS's scores.
    epochs
        Of the training on truth.
    seed
        Fixes everything.
    """
    names = definition.names(table)
    inputs = matrix(table, names)
    goals, weights = _goals(definition, table)
    chosen = np.isfinite(goals).any(axis=1)
    torch.manual_seed(seed)
    size = len(names), len(definition.outputs)
    module = PerceptronModule(*size, width=definition.width, depth=definition.depth)
    tagger = Tagger(
        collections=tuple(definition.collections),
        inputs=names,
        outputs=definition.outputs,
        network=module.trained(),
        **_scales(inputs[chosen]),
        scores={name: score.score(name) for name, score in definition.scores.items()},
    )
    scaled = tagger.scaled(table)
    examples = tuple(torch.from_numpy(column[chosen]) for column in (scaled, goals, weights))
    _fit(definition, module, examples, epochs=epochs, seed=seed)
    _tie(definition, module, examples, scaled, _targets(tagger, table, anchors), seed=seed)
    tagger = replace(tagger, network=module.trained())
    return replace(tagger, scores=_pointed(tagger, definition, table, anchors))


def _scales(rows: Floats) -> dict[str, Floats]:
    """Centre and width of inputs."""
    low, centre, high = np.quantile(rows, (_LOW, 0.5, _HIGH), axis=0)
    width = 0.5 * (high - low)
    width = np.where(width > _LEAST_WIDTH, width, np.maximum(rows.std(axis=0), _LEAST_WIDTH))
    return {"centre": centre.astype(np.float32), "width": width.astype(np.float32)}


def _goals(definition: Definition, table: Columns) -> tuple[Floats, Floats]:
    """Give what outputs should be, shape (N, outputs), NaN of no examples, and weights, shape (N,)."""
    classes = {name: np.isin(table["label"], labels) for name, labels in definition.classes.items()}
    columns = [
        np.where(np.any(list(classes.values()), axis=0), classes[k], np.nan) for k in definition.of_classes
    ]
    for name in definition.own:
        over, under = (np.any([classes[k] for k in side], axis=0) for side in definition.scores[name].sides)
        columns.append(np.where(over | under, over, np.nan))
    columns.extend(table[quantity] for quantity in definition.quantities.values() for _ in range(2))
    weights = _weights(table, list(classes.values())) if classes else np.ones(len(table["pt"]))
    return np.stack(columns, axis=1).astype(np.float32), weights.astype(np.float32)


def _weights(table: Columns, classes: list[NDArray[np.bool_]]) -> NDArray[np.float64]:
    """Weights that let each class have the momenta and places of all: CMS trains its taggers so, too."""
    edges = np.quantile(table["pt"], np.linspace(0.0, 1.0, _BINS[0] + 1)[1:-1])
    cell = np.searchsorted(edges, table["pt"]) * _BINS[1]
    cell += np.searchsorted(np.linspace(0.0, 2.5, _BINS[1]), np.abs(table["eta"]), side="right") - 1
    every = np.bincount(cell, minlength=_BINS[0] * _BINS[1]) / len(cell)
    weights = np.zeros(len(cell))
    for member in classes:
        own = np.bincount(cell, member, minlength=len(every)) / max(member.sum(), 1)
        weights += member * np.clip(every / np.maximum(own, 1e-9), *_WEIGHTS)[cell]
    return weights


def _loss(
    definition: Definition, found: torch.Tensor, goal: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """Cross entropies of classes and of scores, and pinball losses of medians and half widths."""
    known = torch.isfinite(goal)
    goal = torch.nan_to_num(goal)
    classes, own = len(definition.of_classes), len(definition.own)
    loss = found.new_zeros(())
    if classes:
        each = -(goal[:, :classes] * functional.log_softmax(found[:, :classes], dim=1)).sum(dim=1)
        loss += (each * weight * known[:, 0]).mean()
    if own:
        part = slice(classes, classes + own)
        each = functional.binary_cross_entropy_with_logits(found[:, part], goal[:, part], reduction="none")
        loss += (each * weight[:, None] * known[:, part]).mean()
    median, width = found[:, classes + own :: 2], found[:, classes + own + 1 :: 2].exp()
    off, known = goal[:, classes + own :: 2] - median, known[:, classes + own :: 2]
    for quantile, below in ((0.5, off), (_LOW, off.detach() + width), (_HIGH, off.detach() - width)):
        loss += (torch.maximum(quantile * below, (quantile - 1.0) * below) * known).sum() / len(found)
    return loss


def _fit(
    definition: Definition,
    module: PerceptronModule,
    examples: tuple[torch.Tensor, ...],
    *,
    epochs: int,
    seed: int,
) -> None:
    rows = len(examples[0])
    order = torch.from_numpy(np.random.default_rng(seed).permutation(rows))
    train, held_out = (
        tuple(column[part] for column in examples) for part in (order[rows // 10 :], order[: rows // 10])
    )
    schedule = Schedule(
        epochs=epochs, batch=512, learning_rate=3e-3, weight_decay=1e-3, patience=max(epochs // 4, 3)
    )
    with tempfile.TemporaryDirectory() as folder:
        result = fit(
            module,
            lambda network, batch, _: _loss(definition, network(batch[0]), *batch[1:]),
            train,
            held_out,
            schedule,
            folder=Path(folder),
            seed=seed,
            accelerator="cpu",
        )
    print(
        f"  {rows} examples, {result.epochs} epochs, loss {result.train_loss:.4f}, "
        f"held out {result.validation_loss:.4f}"
    )


@dataclass(frozen=True)
class _Target:
    """Quantiles that the logarithms of a score's ratio should have for a group of objects."""

    score: Score
    objects: str
    rows: NDArray[np.int64]
    quantiles: NDArray[np.float64]
    weight: float

    def distance(self, logits: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Mean distance of ordered values from where they should be, in spreads of these."""
        values = _log_sum(logits, self.score.over)
        if self.score.under:
            values = values - _log_sum(logits, self.score.under)
        values = torch.sort(values).values
        ranks = (np.arange(len(values)) + 0.5) / len(values)
        wanted = torch.from_numpy(np.interp(ranks, PROBABILITIES, self.quantiles).astype(np.float32))
        low, high = np.interp((_LOW, _HIGH), PROBABILITIES, self.quantiles)
        off = (values - wanted) / max(high - low, _LEAST_SPREAD[self.score.link])
        return self.weight * functional.smooth_l1_loss(off, torch.zeros_like(off), beta=0.1)


def _log_sum(logits: Mapping[str, torch.Tensor], names: Sequence[str]) -> torch.Tensor:
    return torch.logsumexp(torch.stack([logits[name] for name in names]), dim=0)


def _targets(tagger: Tagger, table: Columns, anchors: Anchors) -> list[_Target]:
    targets = []
    for name, score in tagger.scores.items():
        for group, (number, *quantiles) in anchors.get(name, {}).items():
            rows = np.flatnonzero((table["group"] == group) & score.has_one(table))
            if len(rows) >= _FEW:
                weight = min(1.0, float(np.sqrt(number / _ENOUGH)))
                wanted = logarithms(score, np.array(quantiles))
                targets.append(_Target(score, f"{group} {score.inside}", rows, wanted, weight))
    return targets


def _tie(
    definition: Definition,
    module: PerceptronModule,
    examples: tuple[torch.Tensor, ...],
    scaled: Floats,
    targets: list[_Target],
    *,
    seed: int,
) -> None:
    """Train on until each group's scores are distributed as CMS's, and objects are told apart as before.

    CMS trains on other objects in other proportions, so that its logits are shifted and scaled: the loss on
    truth leaves that free, but for regressed quantities.
    """
    if not targets:
        return
    rng = np.random.default_rng(seed)
    outputs = definition.outputs
    free = torch.arange(len(outputs)) < len(outputs) - 2 * len(definition.quantities)
    scale, shift = (torch.zeros(len(outputs), requires_grad=True) for _ in range(2))
    optimiser = torch.optim.Adam([*module.parameters(), scale, shift], lr=_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, _STEPS)
    every = {target.objects: target.rows for target in targets}
    distances = []
    for _ in range(_STEPS):
        chosen = torch.from_numpy(rng.integers(len(examples[0]), size=_BATCH))
        rows, *truth = (column[chosen] for column in examples)
        found = module(rows)
        loss = _loss(definition, found * (scale * free).exp() + shift * free, *truth)
        drawn = [rng.permutation(rows)[:_MANY] for rows in every.values()]
        values = torch.split(
            module(torch.from_numpy(scaled[np.concatenate(drawn)])), [len(rows) for rows in drawn]
        )
        logits = {of: dict(zip(outputs, part.T, strict=True)) for of, part in zip(every, values, strict=True)}
        distance = torch.stack([target.distance(logits[target.objects]) for target in targets]).mean()
        optimiser.zero_grad()
        torch.autograd.backward(loss + _SHARPNESS * distance)
        optimiser.step()
        schedule.step()
        distances.append(distance.item())
    print(f"  distance from CMS's scores: {distances[0]:.3f} before, {np.mean(distances[-20:]):.3f} after")


def _pointed(tagger: Tagger, definition: Definition, table: Columns, anchors: Anchors) -> dict[str, Score]:
    """Scores whose working points pass as many objects of a group as CMS's."""
    columns, pointed = tagger.columns(table), {}
    for name, score in tagger.scores.items():
        points = dict(score.points)
        for point, group in definition.scores[name].points.items():
            if isinstance(group, str) and point in anchors:
                chosen, (_, share) = table["group"] == group, anchors[point][group]
                points[point] = float(np.quantile(columns[name][chosen], 1.0 - share))
        pointed[name] = replace(score, points=points)
    return pointed
