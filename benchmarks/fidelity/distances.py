"""Wasserstein-1 distances of one-dimensional distributions, beside what two draws of the truth give.

All distances of a target are in units of its standard deviation in the reference. Heavy tails: for targets
that are not discrete, values beyond the reference's 0.1 % and 99.9 % quantiles count as those quantiles, in
both samples and in the standard deviation; the share of values beyond is given by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["REPLICAS", "Distance", "Drawn", "Floor", "distances", "floor", "summary", "wasserstein"]

REPLICAS = 60
"""Bootstrap replicas, and swaps of the floor."""

TAIL = 0.001
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Drawn:
    """Values of one target with the numbers of their events, shape (N,) each."""

    values: Floats
    event: NDArray[np.int64]


@dataclass(frozen=True)
class Distance:
    """Distance of a sample from the reference, with its error from resampled events, and its tails.

    Parameters
    ----------
    value, error
        In standard deviations of the reference.
    tails
        Share of the sample beyond the reference's 0.1 % and 99.9 % quantiles, over that of the reference.
    """

    value: float
    error: float
    tails: float


@dataclass(frozen=True)
class Floor:
    """Distance of two draws of the reference: expectation and spread, in its standard deviations."""

    value: float
    error: float


class _Merged:
    """Two samples sorted together; distances for many sets of weights then cost a cumulative sum each."""

    def __init__(self, first: Floats, second: Floats) -> None:
        values = np.concatenate((first, second))
        self.order = np.argsort(values, kind="stable")
        self.steps = np.diff(values[self.order])

    def distance(self, weights: Floats) -> float:
        """Distance for signed weights, shape (N + M,): those of one sample sum to 1, of the other to -1."""
        return float(np.abs(np.cumsum(weights[self.order])[:-1]) @ self.steps)


def wasserstein(first: Floats, second: Floats) -> float:
    """Wasserstein-1 distance of two samples, in the unit of their values."""
    weights = np.concatenate((np.full(len(first), 1 / len(first)), np.full(len(second), -1 / len(second))))
    return _Merged(first, second).distance(weights)


def distances(
    reference: Drawn, others: Mapping[str, Drawn], events: int, *, discrete: bool, seed: int = 0
) -> dict[str, Distance]:
    """Distances of samples from the reference, all of draws for the same E events.

    Parameters
    ----------
    reference
        The truth.
    others
        Samples by name.
    events
        E; the error comes from resampling events, the same ones in reference and sample.
    discrete
        Whether values are few, and the tails are left as they are.
    seed
        Of the resampling.
    """
    low, high, unit = _scale(reference.values, discrete=discrete)
    weights = np.random.default_rng(seed).poisson(1.0, (REPLICAS, events)).astype(np.float64)
    expected = max(float(np.mean(_beyond(reference.values, low, high))), 1.0 / len(reference.values))
    found = {}
    for name, other in others.items():
        merged = _Merged(np.clip(reference.values, low, high), np.clip(other.values, low, high))
        ones = np.ones(events)
        replicas = [merged.distance(_signed(reference, other, w)) for w in weights]
        found[name] = Distance(
            value=merged.distance(_signed(reference, other, ones)) / unit,
            error=float(np.std(replicas)) / unit,
            tails=float(np.mean(_beyond(other.values, low, high)) / expected),
        )
    return found


def floor(reference: Drawn, second: Drawn, events: int, *, discrete: bool, seed: int = 0) -> Floor:
    """Distance that two draws of the reference have, by exchanging them in events chosen at random."""
    low, high, unit = _scale(reference.values, discrete=discrete)
    merged = _Merged(np.clip(reference.values, low, high), np.clip(second.values, low, high))
    rng = np.random.default_rng(seed)
    event = np.concatenate((reference.event, second.event))
    is_first = np.arange(len(event)) < len(reference.event)
    found = []
    for _ in range(REPLICAS):
        chosen = is_first ^ (rng.random(events) < 0.5)[event]
        ones = int(np.count_nonzero(chosen))
        weights = np.where(chosen, 1.0 / max(ones, 1), -1.0 / max(len(event) - ones, 1))
        found.append(merged.distance(weights))
    return Floor(value=float(np.mean(found)) / unit, error=float(np.std(found)) / unit)


def summary(table: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean and worst ratio of a table of distances with ``ratio``."""
    ratios = [row["ratio"] for row in table]
    return {"mean_ratio": float(np.mean(ratios)), "worst_ratio": float(np.max(ratios))}


def _signed(reference: Drawn, other: Drawn, weights: Floats) -> Floats:
    ours, theirs = weights[reference.event], weights[other.event]
    # A replica of a few events may hold none of them.
    return np.concatenate((ours / max(float(ours.sum()), 1.0), -theirs / max(float(theirs.sum()), 1.0)))


def _scale(values: Floats, *, discrete: bool) -> tuple[float, float, float]:
    """Limits between which values count, and the standard deviation there; 1 for a constant."""
    low, high = (-np.inf, np.inf) if discrete else np.quantile(values, [TAIL, 1.0 - TAIL])
    unit = float(np.std(np.clip(values, low, high)))
    return float(low), float(high), unit if unit > 1e-9 * max(1.0, abs(float(np.mean(values)))) else 1.0


def _beyond(values: Floats, low: float, high: float) -> NDArray[np.bool_]:
    return (values < low) | (values > high)
