"""Pairs of objects of one collection, and rows that may not be there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.events.collection import Collection

__all__ = ["all_pairs", "at_rows"]


def all_pairs(objects: Collection) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of both objects of all pairs inside events."""
    counts, local = objects.counts[objects.event_rows], objects.local_index
    later = counts - 1 - local
    first = np.repeat(np.arange(len(objects)), later)
    starts = np.repeat(np.cumsum(later) - later, later)
    return first, first + 1 + np.arange(later.sum()) - starts


def at_rows(values: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Look up values by row, shape (M,); NaN where the row is negative."""
    found = np.full(len(rows), np.nan)
    there = rows >= 0
    found[there] = values[rows[there]]
    return found
