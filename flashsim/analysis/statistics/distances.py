"""Distances of one-dimensional distributions, beside what two draws of the truth give.

Wasserstein-1 distances of a target are in units of its standard deviation in the reference;
Kolmogorov-Smirnov distances are the largest difference of the cumulative distributions. Heavy tails: for
targets that are not discrete, values beyond the reference's 0.1 % and 99.9 % quantiles count as those
quantiles, in both samples and in the standard deviation; the share of values beyond is given by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "REPLICAS",
    "Distance",
    "Drawn",
    "Floor",
    "Separation",
    "distances",
    "floor",
    "mean_distance",
    "separations",
    "split_floor",
    "summary",
]

REPLICAS = 60
"""Bootstrap replicas, and swaps of the floor."""

SPLITS = 20
"""Times that the reference is cut into halves."""

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
    """Distance of two draws of the reference: expectation and spread."""

    value: float
    error: float


@dataclass(frozen=True)
class Separation:
    """Both distances of a sample from the reference.

    Parameters
    ----------
    wasserstein
        In standard deviations of the reference.
    ks, ks_error
        Kolmogorov-Smirnov distance, and its error from resampled events.
    """

    wasserstein: Distance
    ks: float
    ks_error: float


class _Pooled:
    """Values of one or two samples sorted together; a set of weights of their events then costs few passes.

    Replicas by scipy's function, which sorts again for each, take 2.6 times as long, and need another for KS.
    Events of the second sample have keys of their own, so that weights of shape (K,) tell both the event and
    the sample.
    """

    def __init__(self, values: Floats, keys: NDArray[np.int64], size: int) -> None:
        order = np.argsort(values, kind="stable")
        self.steps = np.diff(values[order])
        self.keys = keys[order]
        self.counts = np.bincount(keys, minlength=size)

    @classmethod
    def of_two(cls, first: Drawn, second: Drawn, events: int, low: float, high: float) -> _Pooled:
        values = np.concatenate((np.clip(first.values, low, high), np.clip(second.values, low, high)))
        return cls(values, np.concatenate((first.event, second.event + events)), 2 * events)

    def gaps(self, one: Floats, other: Floats) -> Floats:
        """Differences of the cumulative distributions for weights of both, shape (K,), between the values."""
        # A replica of a few events may hold none of them.
        total, total_other = (max(float(w @ self.counts), 1.0) for w in (one, other))
        weights = one / total - other / total_other
        gaps: Floats = np.abs(np.cumsum(weights[self.keys])[:-1])
        return gaps

    def distance(self, one: Floats, other: Floats) -> float:
        """Wasserstein distance, in the unit of the values."""
        return float(self.gaps(one, other) @ self.steps)

    def both(self, one: Floats, other: Floats) -> tuple[float, float]:
        """Wasserstein and Kolmogorov-Smirnov distance; only between different values is there a gap."""
        gaps = self.gaps(one, other)
        return float(gaps @ self.steps), float(np.max(gaps, where=self.steps > 0.0, initial=0.0))


def separations(
    reference: Drawn, others: Mapping[str, Drawn], events: int, *, discrete: bool, seed: int = 0
) -> dict[str, Separation]:
    """Distances of samples from the reference.

    Parameters
    ----------
    reference
        The truth.
    others
        Samples by name.
    events
        Events that there are numbers of, E. Errors come from resampling events, the same ones in reference
        and sample where both hold an event of that number.
    discrete
        Whether values are few, and the tails are left as they are.
    seed
        Of the resampling.
    """
    low, high, unit = _scale(reference.values, discrete=discrete)
    expected = max(float(np.mean(_beyond(reference.values, low, high))), 1.0 / len(reference.values))
    none, found = np.zeros(events), {}
    for name, other in others.items():
        pooled, rng = _Pooled.of_two(reference, other, events, low, high), np.random.default_rng(seed)

        def measured(weights: Floats, pooled: _Pooled = pooled) -> tuple[float, float]:
            return pooled.both(np.concatenate((weights, none)), np.concatenate((none, weights)))

        replicas = [measured(rng.poisson(1.0, events).astype(np.float64)) for _ in range(REPLICAS)]
        errors = np.std(replicas, axis=0)
        distance, largest = measured(np.ones(events))
        tails = float(np.mean(_beyond(other.values, low, high)) / expected)
        found[name] = Separation(
            Distance(distance / unit, float(errors[0]) / unit, tails), largest, float(errors[1])
        )
    return found


def distances(
    reference: Drawn, others: Mapping[str, Drawn], events: int, *, discrete: bool, seed: int = 0
) -> dict[str, Distance]:
    """Wasserstein distances of samples from the reference, see `separations`."""
    found = separations(reference, others, events, discrete=discrete, seed=seed)
    return {name: separation.wasserstein for name, separation in found.items()}


def mean_distance(
    references: Sequence[Drawn], draws: Sequence[Drawn], events: int, *, discrete: bool, seed: int = 0
) -> Distance:
    """Mean Wasserstein distance of independent draws of a sample from independent draws of the truth.

    Its expectation is that of one distance, and it scatters less: of many targets of a perfect model one pair
    of draws puts some at twice the floor. Error from resampling events, the same ones in all draws; unit and
    limits of the tails are those of the first reference.
    """
    low, high, unit = _scale(references[0].values, discrete=discrete)
    expected = max(float(np.mean(_beyond(references[0].values, low, high))), 1.0 / len(references[0].values))
    pairs = [_Pooled.of_two(r, d, events, low, high) for r in references for d in draws]
    none, rng = np.zeros(events), np.random.default_rng(seed)

    def measured(weights: Floats) -> float:
        one, other = np.concatenate((weights, none)), np.concatenate((none, weights))
        return float(np.mean([pooled.distance(one, other) for pooled in pairs]))

    replicas = [measured(rng.poisson(1.0, events).astype(np.float64)) for _ in range(REPLICAS)]
    beyond = float(np.mean([np.mean(_beyond(draw.values, low, high)) for draw in draws]))
    return Distance(measured(np.ones(events)) / unit, float(np.std(replicas)) / unit, beyond / expected)


def floor(reference: Drawn, second: Drawn, events: int, *, discrete: bool, seed: int = 0) -> Floor:
    """Wasserstein distance of two draws of the reference, by exchanging them in events chosen at random."""
    low, high, unit = _scale(reference.values, discrete=discrete)
    pooled = _Pooled.of_two(reference, second, events, low, high)
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(REPLICAS):
        swapped = rng.random(events) < 0.5
        chosen = np.concatenate((~swapped, swapped)).astype(np.float64)
        found.append(pooled.distance(chosen, 1.0 - chosen))
    return Floor(value=float(np.mean(found)) / unit, error=float(np.std(found)) / unit)


def split_floor(
    reference: Drawn, sizes: Mapping[str, int], events: int, *, discrete: bool, seed: int = 0
) -> dict[str, tuple[Floor, Floor]]:
    """Distances that samples drawn like the reference have from it, by cutting the reference into halves.

    Parameters
    ----------
    reference
        The truth, N values.
    sizes
        Numbers of values of the samples by name. Distances of halves are scaled by the square root of
        1 / n + 1 / m, on which their expectation depends.
    events
        Events that there are numbers of.
    discrete
        As in `separations`.
    seed
        Of the halves.

    Returns
    -------
    Floors of the Wasserstein distance, in standard deviations of the reference, and of Kolmogorov-Smirnov's.
    """
    low, high, unit = _scale(reference.values, discrete=discrete)
    pooled = _Pooled(np.clip(reference.values, low, high), reference.event, events)
    rng, total, found = np.random.default_rng(seed), len(reference.values), []
    for _ in range(SPLITS):
        half = (rng.random(events) < 0.5).astype(np.float64)
        there = float(half @ pooled.counts)
        spread = np.sqrt(1.0 / max(there, 1.0) + 1.0 / max(total - there, 1.0))
        found.append(np.array(pooled.both(half, 1.0 - half)) / spread)
    mean, error = np.mean(found, axis=0), np.std(found, axis=0)
    floors = {}
    for name, size in sizes.items():
        spread = np.sqrt(1.0 / total + 1.0 / max(size, 1))
        w1, ks = (Floor(float(m * spread), float(e * spread)) for m, e in zip(mean, error, strict=True))
        floors[name] = Floor(w1.value / unit, w1.error / unit), ks
    return floors


def summary(table: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean and worst ratio of a table of distances with ``ratio``."""
    ratios = [row["ratio"] for row in table]
    return {"mean_ratio": float(np.mean(ratios)), "worst_ratio": float(np.max(ratios))}


def _scale(values: Floats, *, discrete: bool) -> tuple[float, float, float]:
    """Limits between which values count, and the standard deviation there; 1 for a constant."""
    low, high = (-np.inf, np.inf) if discrete else np.quantile(values, [TAIL, 1.0 - TAIL])
    unit = float(np.std(np.clip(values, low, high)))
    return float(low), float(high), unit if unit > 1e-9 * max(1.0, abs(float(np.mean(values)))) else 1.0


def _beyond(values: Floats, low: float, high: float) -> NDArray[np.bool_]:
    return (values < low) | (values > high)
