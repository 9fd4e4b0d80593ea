"""Tagging: signal efficiency against mistag rate, with errors from resampled events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Scores", "efficiency_at", "roc", "roc_area"]

_REPLICAS = 60


@dataclass(frozen=True)
class Scores:
    """Scores of signal and background with the numbers of their events, shape (S,) and (B,)."""

    signal: NDArray[np.float64]
    background: NDArray[np.float64]
    signal_event: NDArray[np.int64]
    background_event: NDArray[np.int64]


def roc(scores: Scores, mistags: NDArray[np.float64]) -> NDArray[np.float64]:
    """Signal efficiency, shape (K,), at the cuts where the background's is `mistags`, shape (K,)."""
    return _efficiencies(scores, mistags, np.ones(len(scores.signal)), np.ones(len(scores.background)))


def roc_area(scores: Scores) -> float:
    """Area under the ROC curve; ties count half."""
    background = np.sort(scores.background)
    below = np.searchsorted(background, scores.signal, side="left")
    up_to = np.searchsorted(background, scores.signal, side="right")
    return float((below + up_to).mean() / (2.0 * len(background)))


def efficiency_at(
    scores: Scores, mistags: NDArray[np.float64], events: int, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Signal efficiency at mistag rates, and its error, shape (K,) each.

    Both the signal and the background, whose cut it is, are resampled by event.
    """
    rng = np.random.default_rng(seed)
    replicas = []
    for _ in range(_REPLICAS):
        weights = rng.poisson(1.0, events).astype(np.float64)
        signal, background = weights[scores.signal_event], weights[scores.background_event]
        replicas.append(_efficiencies(scores, mistags, signal, background))
    return roc(scores, mistags), np.std(replicas, axis=0)


def _efficiencies(
    scores: Scores,
    mistags: NDArray[np.float64],
    signal: NDArray[np.float64],
    background: NDArray[np.float64],
) -> NDArray[np.float64]:
    order = np.argsort(-scores.background, kind="stable")
    passed = np.cumsum(background[order])
    # The lowest cut that lets at most the wished share of the background through.
    place = np.searchsorted(passed, mistags * passed[-1], side="right")
    cut = scores.background[order][np.minimum(place, len(order) - 1)]
    ranked = np.argsort(scores.signal, kind="stable")
    above = np.concatenate((np.cumsum(signal[ranked][::-1])[::-1], [0.0]))
    # A score at the cut does not pass: otherwise a point mass there would let through more than wished.
    first = np.searchsorted(scores.signal[ranked], cut, side="right")
    efficiency: NDArray[np.float64] = above[first] / max(above[0], 1e-300)
    return efficiency
