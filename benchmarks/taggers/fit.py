"""Fit of one network, and of the forms of its scores."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.optimize import isotonic_regression, least_squares
from torch.nn import functional

from benchmarks.taggers.anchors import PROBABILITIES, groups
from flashsim.declarations.schedule import Schedule
from flashsim.learning.fitting import fit
from flashsim.learning.perceptron import Perceptron
from flashsim.learning.perceptron_module import PerceptronModule
from flashsim.reference.taggers.tagger import Score, Tagger, matrix

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from benchmarks.taggers.anchors import Anchors
    from benchmarks.taggers.definitions import Definition

    Columns = Mapping[str, NDArray[Any]]

__all__ = ["train_tagger"]

_LOW, _HIGH = 0.1587, 0.8413
_LEAST_WIDTH = 1e-3
_TINY = 1e-5
_FEW = 40
"""Objects of a group that quantiles need."""
_ENOUGH = 1200
"""Objects of a group that the fit of forms looks at."""
_MOST = 150
"""Objects of CMS's from which on a group counts no more than another."""
_SIDES, _SIDE = ("lepton", "pileup", "forward"), 0.3
"""Groups that taggers are not made for, and what they count."""
_BINS, _WEIGHTS = (8, 4), (0.1, 10.0)


def train_tagger(
    definition: Definition, table: Columns, anchors: Anchors, *, epochs: int, seed: int
) -> Tagger:
    """Train a network on a table of objects, and give its scores the forms of CMS's.

    Parameters
    ----------
    definition
        The network.
    table
        Features and truth of objects, shape (N,) each.
    anchors
        Quantiles of CMS's scores.
    epochs
        Of the training.
    seed
        Fixes everything.
    """
    inputs, targets = _examples(definition, table)
    chosen = np.isfinite(targets).all(axis=1)
    rows, goal = inputs[chosen], targets[chosen]
    centre = np.median(rows, axis=0)
    width = np.maximum(0.5 * (np.quantile(rows, _HIGH, axis=0) - np.quantile(rows, _LOW, axis=0)), 0.0)
    width = np.where(width > _LEAST_WIDTH, width, np.maximum(rows.std(axis=0), _LEAST_WIDTH))
    scores = {name: score.score() for name, score in definition.scores.items()}
    tagger = Tagger(
        collections=tuple(definition.collections),
        inputs=definition.names,
        outputs=definition.outputs,
        network=_network(definition, seed).trained(),
        centre=centre.astype(np.float32),
        width=width.astype(np.float32),
        scores=scores,
    )
    kept = {name: column[chosen] for name, column in table.items()}
    examples = tagger.scaled(kept), goal, _weights(definition, kept, goal)
    tagger = replace(tagger, network=_trained(definition, examples, epochs=epochs, seed=seed))
    tagger = _tied(tagger, table, anchors)
    tagger = replace(tagger, scores=_formed(tagger, table, anchors))
    return replace(tagger, scores=_pointed(tagger, definition, table, anchors))


def _examples(definition: Definition, table: Columns) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Give inputs, and the shares of classes or the quantities; NaN where an object is no example."""
    inputs = matrix(table, definition.names)
    if definition.quantities:
        return inputs, np.stack([table[name] for name in definition.quantities], axis=1).astype(np.float32)
    shares = np.stack(
        [
            np.sum(
                [
                    (table["label"] == label) * float(share or 1.0)
                    for label, _, share in (entry.partition(" ") for entry in labels)
                ],
                axis=0,
            )
            for labels in definition.classes.values()
        ],
        axis=1,
    )
    total = shares.sum(axis=1, keepdims=True)
    return inputs, np.where(total > 0, shares / np.maximum(total, _TINY), np.nan).astype(np.float32)


def _weights(definition: Definition, table: Columns, goal: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weights that let each class have the momenta and places of all: CMS trains its taggers so, too."""
    if not definition.classes:
        return np.ones(len(goal), dtype=np.float32)
    edges = np.quantile(table["pt"], np.linspace(0.0, 1.0, _BINS[0] + 1)[1:-1])
    cell = np.searchsorted(edges, table["pt"]) * _BINS[1]
    cell += np.searchsorted(np.linspace(0.0, 2.5, _BINS[1]), np.abs(table["eta"]), side="right") - 1
    every = np.bincount(cell, minlength=_BINS[0] * _BINS[1]) / len(cell)
    weights = np.zeros(len(goal))
    for share in goal.T:
        own = np.bincount(cell, share, minlength=len(every)) / max(share.sum(), 1.0)
        weights += share * np.clip(every / np.maximum(own, 1e-9), *_WEIGHTS)[cell]
    return weights.astype(np.float32)


def _network(definition: Definition, seed: int) -> PerceptronModule:
    torch.manual_seed(seed)
    size = len(definition.names), len(definition.outputs)
    return PerceptronModule(*size, width=definition.width, depth=definition.depth)


def _class_loss(network: torch.nn.Module, batch: tuple[torch.Tensor, ...], _: Any) -> torch.Tensor:
    loss = functional.cross_entropy(network(batch[0]), batch[1], reduction="none")
    return (loss * batch[2]).mean()


def _quantile_loss(network: torch.nn.Module, batch: tuple[torch.Tensor, ...], _: Any) -> torch.Tensor:
    """Pinball loss of the median, and of the quantiles half a width, exp(output), below and above it."""
    found, goal = network(batch[0]), batch[1]
    median, width = found[:, 0::2], found[:, 1::2].exp()
    losses = []
    for quantile, place in ((0.5, median), (_LOW, median.detach() - width), (_HIGH, median.detach() + width)):
        off = goal - place
        losses.append(torch.maximum(quantile * off, (quantile - 1.0) * off).mean())
    return torch.stack(losses).sum()


def _trained(
    definition: Definition, examples: tuple[NDArray[np.float32], ...], *, epochs: int, seed: int
) -> Perceptron:
    rows = len(examples[0])
    order = np.random.default_rng(seed).permutation(rows)
    held_out = rows // 5
    train, validation = (
        tuple(torch.from_numpy(column[part]) for column in examples)
        for part in (order[held_out:], order[:held_out])
    )
    network = _network(definition, seed)
    schedule = Schedule(
        epochs=epochs, batch=512, learning_rate=3e-3, weight_decay=1e-3, patience=max(epochs // 4, 3)
    )
    loss = _class_loss if definition.classes else _quantile_loss
    with tempfile.TemporaryDirectory() as folder:
        result = fit(
            network, loss, train, validation, schedule, folder=Path(folder), seed=seed, accelerator="cpu"
        )
    print(
        f"  {rows} examples, {result.epochs} epochs, loss {result.train_loss:.4f}, "
        f"held out {result.validation_loss:.4f}"
    )
    return network.trained()


def _tied(tagger: Tagger, table: Columns, anchors: Anchors) -> Tagger:
    """Scale and shift the outputs so that what is made of them is distributed as CMS's scores are.

    A network gives the odds among the objects that it was trained on; CMS's on other shares of them.
    """
    masks = groups(tagger.collections[0], table)
    logits = tagger.logits(table)
    raw = np.stack([logits[name] for name in tagger.outputs])
    if _is_share(tagger):
        raw -= raw.mean(axis=0)
    sets = []
    for name, score in tagger.scores.items():
        if score.link != "form" and name in anchors:
            valid = _valid(score, table)
            for group, (number, *quantiles) in anchors[name].items():
                rows = np.flatnonzero(masks[group] & valid)
                rows = rows[:_ENOUGH]
                if len(rows) >= _FEW:
                    weight = np.sqrt(min(number, _MOST)) * (_SIDE if group.startswith(_SIDES) else 1.0)
                    sets.append((score, rows, weight, _line(score, np.array(quantiles))))
    if not sets:
        return tagger
    size = len(raw)

    def off(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        scale, shift = np.exp(parameters[:size, None]), parameters[size:, None]
        parts = [parameters]
        for score, rows, weight, goal in sets:
            changed = dict(zip(tagger.outputs, raw[:, rows] * scale + shift, strict=True))
            parts.append(weight * (np.quantile(score.logarithm(changed), PROBABILITIES) - goal))
        return np.concatenate(parts)

    start = np.zeros(2 * size)
    best = least_squares(
        off, start, loss="soft_l1", f_scale=5.0, max_nfev=40, diff_step=np.full(len(start), 0.02)
    )
    before, after = (np.sqrt(np.mean(off(x) ** 2)) for x in (start, best.x))
    print(f"  distance of quantiles from CMS's: {before:.1f} before, {after:.1f} after")
    return replace(tagger, network=_rescaled(tagger, np.exp(best.x[:size]), best.x[size:]))


def _is_share(tagger: Tagger) -> bool:
    return all(score.link != "exp" for score in tagger.scores.values())


def _line(score: Score, stored: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithms of ratios that stored values are of."""
    if score.link == "exp":
        return np.log(np.maximum(stored, _TINY))
    bounded = np.clip(stored, _TINY, 1.0 - _TINY)
    return np.log(bounded / (1.0 - bounded))


def _rescaled(tagger: Tagger, scale: NDArray[np.float64], shift: NDArray[np.float64]) -> Perceptron:
    """Network whose outputs, logits less their mean, are scaled and shifted."""
    network = tagger.network
    tensors = dict(network.tensors)
    last = max((name for name in tensors if name.endswith(".weight")), key=lambda n: int(n.split(".")[0]))
    bias = last.replace("weight", "bias")
    for name in (last, bias):
        values = tensors[name] - (tensors[name].mean(axis=0) if _is_share(tagger) else 0.0)
        tensors[name] = (values.T * scale).T.astype(np.float32)
    tensors[bias] = (tensors[bias] + shift).astype(np.float32)
    return Perceptron(network.architecture, tensors)


def _valid(score: Score, table: Columns) -> NDArray[np.bool_]:
    good = np.ones(len(table["pt"]), dtype=np.bool_)
    for name, (least, most) in score.inside.items():
        good &= (table[name] >= least) & (table[name] <= most)
    return good


def _formed(tagger: Tagger, table: Columns, anchors: Anchors) -> dict[str, Score]:
    """Scores whose link is a form: the rising map that brings quantiles of all groups nearest to CMS's."""
    logits, masks = tagger.logits(table), groups(tagger.collections[0], table)
    formed = {}
    for name, score in tagger.scores.items():
        formed[name] = score
        if score.link != "form":
            continue
        if name not in anchors:
            print(f"  {name}: too few of CMS; a probability")
            formed[name] = replace(score, link="share")
            continue
        ratio, valid = score.logarithm(logits), _valid(score, table)
        knots: list[float] = []
        values: list[float] = []
        weights: list[float] = []
        for group, (number, *quantiles) in anchors[name].items():
            rows = masks[group] & valid if group in masks else np.zeros(0, dtype=np.bool_)
            if rows.sum() >= _FEW:
                knots.extend(np.quantile(ratio[rows], PROBABILITIES))
                values.extend(quantiles)
                weights.extend([number] * len(PROBABILITIES))
        if knots:
            x, y = _rising(np.array(knots), np.array(values), np.array(weights))
            formed[name] = replace(score, knots=x, values=y)
        else:
            formed[name] = replace(score, link="share")
    return formed


def _rising(
    knots: NDArray[np.float64], values: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Knots and values of a map that rises everywhere: the middles of steps of the isotonic regression."""
    order = np.argsort(knots)
    x, weight = knots[order], weights[order]
    steps = isotonic_regression(values[order], weights=weight)
    step = np.repeat(np.arange(len(steps.blocks) - 1), np.diff(steps.blocks))
    total = np.bincount(step, weight)
    middle = np.bincount(step, weight * x) / total
    height = np.bincount(step, weight * steps.x) / total
    # Beyond the outermost quantiles the map goes on to the extreme values.
    middle = np.concatenate(([x[0] - 1.0], middle, [x[-1] + 1.0]))
    height = np.concatenate(([values.min()], height, [values.max()]))
    return tuple(map(float, middle)), tuple(map(float, height))


def _pointed(tagger: Tagger, definition: Definition, table: Columns, anchors: Anchors) -> dict[str, Score]:
    """Scores whose working points pass as many objects of a group as CMS's."""
    masks, columns = groups(tagger.collections[0], table), tagger.columns(table)
    pointed = {}
    for name, score in tagger.scores.items():
        points = dict(score.points)
        for point, kind in definition.scores[name].points.items():
            if isinstance(kind, str) and point in anchors:
                chosen = np.any([mask for group, mask in masks.items() if group.startswith(kind)], axis=0)
                share = anchors[point]["share"][1]
                points[point] = float(np.quantile(columns[name][chosen], 1.0 - share))
        pointed[name] = replace(score, points=points)
    return pointed
