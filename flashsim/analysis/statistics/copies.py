"""Whether a generator copies its training: nearest neighbours of what it draws among training and other rows.

After Meehan, Chaudhuri and Dasgupta, arXiv:2004.05675: rows of a generator that has learnt a distribution,
and not its sample, are as often closer to a row that it has not seen as to one that it has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Copies", "copies", "nearest"]

_BLOCK = 8_000_000
"""Distances in memory at a time."""


@dataclass(frozen=True)
class Copies:
    """Where the nearest neighbours of some rows are.

    Parameters
    ----------
    share, error
        Share of the rows whose nearest row of the training is closer than the nearest other one; ties count
        half. Some known rows are the nearest of many: the error is that of giving all known rows to the
        training or to the others by chance.
    ratio
        Distance to the nearest training row over that to the nearest other one, of each row, shape (N,).
    """

    share: float
    error: float
    ratio: NDArray[np.float64]


def copies(
    rows: NDArray[np.floating], training: NDArray[np.floating], others: NDArray[np.floating]
) -> Copies:
    """Compare the distances of rows to their nearest neighbours.

    Parameters
    ----------
    rows
        What is asked about, shape (N, D), in units in which all columns are alike.
    training, others
        Rows that were trained on, and rows of the same distribution that were not; as many of both, shape
        (M, D).

    Raises
    ------
    ValueError
        If there are not as many of both: more rows have closer neighbours.
    """
    if len(training) != len(others):
        msg = f"expected as many training rows as others, found {len(training)} and {len(others)}"
        raise ValueError(msg)
    (one, row), (two, other) = nearest(rows, training), nearest(rows, others)
    closer = np.where(one == two, 0.5, one < two)
    named = np.bincount(np.where(one < two, row, len(training) + other))
    least = 1e-12
    return Copies(
        share=float(closer.mean()),
        error=float(0.5 * np.sqrt(np.sum(named.astype(np.float64) ** 2)) / len(rows)),
        ratio=(one + least) / (two + least),
    )


def nearest(
    rows: NDArray[np.floating], others: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Find the nearest of the others, shape (M, D), of each row, (N, D): distances and rows, shape (N,).

    The products are in double precision: an exact copy is at a distance of at most 1e-6.
    """
    others = np.asarray(others, dtype=np.float64)
    squares = np.einsum("md,md->m", others, others)
    distance, place = np.zeros(len(rows)), np.zeros(len(rows), dtype=np.int64)
    size = max(_BLOCK // max(len(others), 1), 1)
    for start in range(0, len(rows), size):
        block = np.asarray(rows[start : start + size], dtype=np.float64)
        gaps = squares - 2.0 * block @ others.T
        found = np.argmin(gaps, axis=1)
        least = gaps[np.arange(len(block)), found] + np.einsum("nd,nd->n", block, block)
        distance[start : start + size] = np.sqrt(np.maximum(least, 0.0))
        place[start : start + size] = found
    return distance, place
