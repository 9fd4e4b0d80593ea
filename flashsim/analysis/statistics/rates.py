"""Rates: sums over sums, bin by bin, with errors from resampled events.

Efficiencies, shares of objects without a gen object and mean numbers per event are all rates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["EventSums", "Rate", "rates"]

REPLICAS = 60

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class EventSums:
    """Numerators and denominators of B rates by event, sparse matrices of shape (E, B)."""

    above: Any
    below: Any

    @classmethod
    def of_trials(
        cls, event: Ints, bins: Ints, passed: NDArray[np.bool_], shape: tuple[int, int]
    ) -> EventSums:
        """Shares of trials that passed; event, bin (-1: in none) and outcome of each, shape (N,)."""
        inside = bins >= 0
        return cls(
            _sums(event[inside & passed], bins[inside & passed], shape),
            _sums(event[inside], bins[inside], shape),
        )

    @classmethod
    def per_event(cls, event: Ints, bins: Ints, present: Ints, shape: tuple[int, int]) -> EventSums:
        """Mean numbers of things per event.

        Parameters
        ----------
        event, bins
            Of each thing, shape (N,).
        present
            Shape (E,): how often each event is in the sample.
        shape
            (E, B).
        """
        everywhere = np.broadcast_to(present[:, None], shape)
        return cls(_sums(event, bins, shape), sparse.csr_array(everywhere.astype(np.float64)))


@dataclass(frozen=True)
class Rate:
    """Rates of one sample, shape (B,) each; NaN where the denominator is zero.

    Parameters
    ----------
    value, error
        The rates.
    trials
        Their denominators.
    difference, difference_error
        From those of the reference; what fluctuates in both alike is not in the error.
    """

    value: Floats
    error: Floats
    trials: Floats
    difference: Floats
    difference_error: Floats


def rates(samples: Mapping[str, EventSums], against: str, seed: int = 0) -> dict[str, Rate]:
    """Rates of samples, and their differences from those of one of them.

    Parameters
    ----------
    samples
        By name; events with the same number are resampled together.
    against
        The sample that all are compared with.
    seed
        Of the resampling.
    """
    events = samples[against].below.shape[0]
    weights = np.random.default_rng(seed).poisson(1.0, (REPLICAS, events)).astype(np.float64)
    values = {name: _rate(sums, np.ones((1, events)))[0] for name, sums in samples.items()}
    replicas = {name: _rate(sums, weights) for name, sums in samples.items()}
    return {
        name: Rate(
            value=values[name],
            error=_spread(replicas[name]),
            trials=np.asarray(sums.below.sum(axis=0), dtype=np.float64).ravel(),
            difference=values[name] - values[against],
            difference_error=_spread(replicas[name] - replicas[against]),
        )
        for name, sums in samples.items()
    }


def _rate(sums: EventSums, weights: Floats) -> Floats:
    """Rates for sets of weights of events, shape (R, E), as (R, B)."""
    above, below = (np.asarray((part.T @ weights.T).T) for part in (sums.above, sums.below))
    rate: Floats = np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0.0)
    return rate


def _spread(replicas: Floats) -> Floats:
    """Take the standard deviation over replicas, NaN if there is none with a rate."""
    there = np.isfinite(replicas)
    count = np.maximum(there.sum(axis=0), 1)
    mean = np.where(there, replicas, 0.0).sum(axis=0) / count
    square = np.where(there, (replicas - mean) ** 2, 0.0).sum(axis=0) / count
    return np.where(there.any(axis=0), np.sqrt(square), np.nan)


def _sums(rows: Ints, columns: Ints, shape: tuple[int, int]) -> Any:
    return sparse.coo_array((np.ones(len(rows)), (rows, columns)), shape=shape).tocsr()
