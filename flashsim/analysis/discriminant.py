"""The discriminant: a network trained on signal and background of one simulation, and applied to all."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from flashsim.errors import TableError
from flashsim.learning.fitting import fit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from flashsim.analysis.selection import DiscriminantRecipe

__all__ = ["Discriminant", "train_discriminant"]

TILE = 65536


def _features(recipe: DiscriminantRecipe, table: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
    """Give the inputs, shape (N, D), with the frozen mass in place of the dimuon's."""
    columns = {name: np.asarray(table[name], dtype=np.float64) for name in recipe.inputs}
    if recipe.frozen_mass is not None and "mass" in columns:
        columns["mass"] = np.full_like(columns["mass"], recipe.frozen_mass)
    if recipe.frozen_mass is not None and "mass_error" in columns:
        # With its own mass the uncertainty would give the mass away.
        columns["mass_error"] = recipe.frozen_mass * np.asarray(table["mass_error_relative"])
    return np.stack([columns[name] for name in recipe.inputs], axis=1)


@dataclass(frozen=True)
class Discriminant:
    """Trained networks, one a fold of the gen events.

    Parameters
    ----------
    recipe
        How they were trained.
    mean, scale
        Shape (D,): of the training's inputs.
    networks
        Network k has never seen the gen events whose identity is k modulo the number of folds.
    losses
        Best validation loss of each.
    """

    recipe: DiscriminantRecipe
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    networks: list[nn.Module]
    losses: list[float]

    def score(self, table: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Give the area hyperbolic tangent of the networks' output.

        Parameters
        ----------
        table
            Columns of shape (N,): ``event`` and the inputs. Simulations of one gen event are scored by the
            same network.

        Returns
        -------
        Shape (N,), from 0 on. With z the logit it is atanh(1 / (1 + exp(-z))) = log(1 + 2 exp(z)) / 2, which
        stays exact where the output is 1 to all digits. NaN where an input is not finite.
        """
        inputs = _standard(_features(self.recipe, table), self.mean, self.scale)
        fold = np.asarray(table["event"]) % np.uint64(len(self.networks))
        known = np.isfinite(inputs).all(axis=1)
        scores = np.full(len(inputs), np.nan)
        for k, network in enumerate(self.networks):
            rows = np.flatnonzero(known & (fold == k))
            scores[rows] = 0.5 * np.logaddexp(0.0, _apply(network, inputs[rows]) + np.log(2.0))
        return scores


def train_discriminant(
    signal: Sequence[Mapping[str, NDArray[Any]]],
    background: Sequence[Mapping[str, NDArray[Any]]],
    recipe: DiscriminantRecipe,
    *,
    seed: int = 1,
) -> Discriminant:
    """Train on preselected events.

    Parameters
    ----------
    signal, background
        Tables of each process, with ``event``, ``weight`` and the inputs as columns of shape (N,). Each
        process counts as its sum of weights; signal and background as much as each other.
    recipe
        Inputs, network and schedule.
    seed
        Of the first weights, of dropout and of the order of events.

    Raises
    ------
    TableError
        If there are too few events of signal or of background.
    """
    events, weights, truth, inputs = _training_events(signal, background, recipe)
    for name, which in (("signal", truth == 1), ("background", truth == 0)):
        if which.sum() < recipe.min_events:
            msg = (
                f"the discriminant needs {recipe.min_events} events of {name} in the reference, found "
                f"{which.sum()}; give more events, or lower discriminant.min_events"
            )
            raise TableError(msg)
    mean, scale = inputs.mean(axis=0), inputs.std(axis=0)
    scale = np.where(scale > 1e-12 * np.maximum(np.abs(mean), 1.0), scale, 1.0)
    standard = _standard(inputs, mean, scale)
    fold = events % np.uint64(recipe.folds)
    networks, losses = [], []
    for k in range(recipe.folds):
        validation = fold == (k + 1) % recipe.folds
        data = [
            tuple(torch.as_tensor(column[rows], dtype=torch.float32) for column in (standard, truth, weights))
            for rows in ((fold != k) & ~validation, validation)
        ]
        network, loss = _fit(data[0], data[1], recipe, seed + k)
        networks.append(network)
        losses.append(loss)
    return Discriminant(recipe, mean, scale, networks, losses)


def _training_events(
    signal: Sequence[Mapping[str, NDArray[Any]]],
    background: Sequence[Mapping[str, NDArray[Any]]],
    recipe: DiscriminantRecipe,
) -> tuple[NDArray[np.uint64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Give identities, weights, truth and inputs of all events whose inputs are finite."""
    parts = [(table, truth) for tables, truth in ((signal, 1.0), (background, 0.0)) for table in tables]
    events = np.concatenate([np.asarray(table["event"], dtype=np.uint64) for table, _ in parts])
    weights = np.concatenate([np.asarray(table["weight"], dtype=np.float64) for table, _ in parts])
    truth = np.concatenate([np.full(len(table["event"]), value) for table, value in parts])
    inputs = np.concatenate([_features(recipe, table) for table, _ in parts])
    keep = np.isfinite(inputs).all(axis=1)
    events, weights, truth, inputs = events[keep], weights[keep], truth[keep], inputs[keep]
    for value in (0.0, 1.0):
        which = truth == value
        if which.any():
            weights[which] *= 0.5 * len(weights) / weights[which].sum()
    return events, weights, truth, inputs


def _standard(
    inputs: NDArray[np.float64], mean: NDArray[np.float64], scale: NDArray[np.float64]
) -> NDArray[np.float64]:
    return (inputs - mean) / scale


def _network(inputs: int, recipe: DiscriminantRecipe) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in recipe.hidden:
        layers += [nn.Linear(inputs, width), nn.ReLU(), nn.Dropout(recipe.dropout)]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, 1), nn.Flatten(0))


def _fit(
    train: tuple[torch.Tensor, ...],
    validation: tuple[torch.Tensor, ...],
    recipe: DiscriminantRecipe,
    seed: int,
) -> tuple[nn.Module, float]:
    """Train one network until its validation loss gets no better; give the best, and its loss."""
    with torch.random.fork_rng(devices=[]), tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(seed)
        network = _network(train[0].shape[1], recipe)
        result = fit(
            network,
            _loss,
            train,
            validation,
            recipe.schedule,
            folder=Path(folder),
            seed=seed,
            accelerator="cpu",
        )
    return network, result.validation_loss


def _loss(network: nn.Module, rows: tuple[torch.Tensor, ...], _: torch.Generator | None) -> torch.Tensor:
    inputs, truth, weights = rows
    losses = nn.functional.binary_cross_entropy_with_logits(network(inputs), truth, reduction="none")
    return (losses * weights).mean()


def _apply(network: nn.Module, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
    with torch.inference_mode():
        tiles = torch.split(torch.as_tensor(inputs, dtype=torch.float32), TILE)
        logits = torch.cat([network(tile) for tile in tiles]) if len(inputs) else torch.empty(0)
    return logits.double().numpy()
