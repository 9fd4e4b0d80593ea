"""Response: reconstructed over gen pT in slices of the gen objects."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LEAST", "responses", "slices"]

LEAST = 100
"""Fewest objects of a slice that is looked at."""

Floats = NDArray[np.float64]
Slice = tuple[str, float, float]
"""Name of a column, and the smallest and (excluded) largest value."""


def slices(edges: Mapping[str, list[float]], categories: list[str]) -> list[Slice]:
    """Slices in bins of columns, and of objects with a category column at 1."""
    binned = [(c, lo, hi) for c, e in edges.items() for lo, hi in pairwise(e)]
    return binned + [(name, 0.5, np.inf) for name in categories]


def responses(
    samples: Mapping[str, tuple[Floats, Mapping[str, Floats]]], wanted: list[Slice], against: str
) -> list[dict[str, Any]]:
    """Median and half 68 % width of the response, and its Kolmogorov-Smirnov distance from one sample.

    Parameters
    ----------
    samples
        Responses, shape (M,), and gen columns, shape (M,) each, by sample.
    wanted
        Slices, see `slices`; those with too few objects in a sample are left out.
    against
        The sample that the others are compared with. P-values take the samples for independent; they share
        the gen objects, so small ones are smaller still.
    """
    rows = []
    for column, low, high in wanted:
        found = {n: r[(g[column] >= low) & (g[column] < high)] for n, (r, g) in samples.items()}
        if min(len(values) for values in found.values()) < LEAST:
            continue
        row: dict[str, Any] = {"column": column, "low": low, "high": high if np.isfinite(high) else None}
        row |= {name: _moments(values) for name, values in found.items()}
        for name, values in found.items():
            if name != against:
                test = ks_2samp(values, found[against], method="asymp")
                row[name] |= {"ks": float(test.statistic), "p_value": float(test.pvalue)}
        rows.append(row)
    return rows


def _moments(values: NDArray[np.float64]) -> dict[str, float]:
    """Quantiles with the errors that they have for a normal distribution."""
    low, median, high = (float(q) for q in np.quantile(values, [0.16, 0.5, 0.84]))
    width, root = (high - low) / 2.0, np.sqrt(len(values))
    return {
        "objects": len(values),
        "median": median,
        "median_error": float(1.253 * width / root),
        "width": width,
        "width_error": float(0.964 * width / root),
    }
