"""Rank correlations between targets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import rankdata

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["cross_spearman", "difference", "spearman"]


def spearman(columns: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Spearman's correlation matrix, shape (D, D), of columns of shape (N,); 0 with a constant column."""
    matrix = cross_spearman(columns, columns)
    np.fill_diagonal(matrix, 1.0)
    return matrix


def cross_spearman(
    first: Mapping[str, NDArray[np.float64]], second: Mapping[str, NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Correlate columns of two things that form N pairs, shape (A, B), of columns of shape (N,) each."""
    one = _unit_ranks(first)
    matrix: NDArray[np.float64] = one @ (one if second is first else _unit_ranks(second)).T
    return matrix


def _unit_ranks(columns: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Ranks as vectors of mean 0 and length 1; of a constant column as zeros."""
    ranks: NDArray[np.float64] = np.stack([rankdata(column) for column in columns.values()])
    ranks -= ranks.mean(axis=1, keepdims=True)
    norm = np.sqrt((ranks**2).sum(axis=1))
    ranks /= np.where(norm > 0.0, norm, 1.0)[:, None]
    return ranks


def difference(first: NDArray[np.float64], second: NDArray[np.float64]) -> dict[str, float | list[int]]:
    """Largest and mean absolute difference of two matrices off their diagonals, and where the largest is."""
    gap = np.abs(second - first)
    upper = np.triu_indices(len(gap), k=1)
    worst = int(np.argmax(gap[upper]))
    return {
        "largest": float(gap[upper][worst]),
        "mean": float(gap[upper].mean()),
        "where": [int(upper[0][worst]), int(upper[1][worst])],
    }
