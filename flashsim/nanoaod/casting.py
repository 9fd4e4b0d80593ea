"""Event columns to the flat arrays that a NanoAOD branch stores, with every loss refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np

from flashsim.events.collection import flat_column

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.nanoaod.branch import Branch

__all__ = ["cast", "flatten"]


def flatten(array: ak.Array | np.ndarray, branch: Branch) -> tuple[NDArray[np.int64] | None, NDArray[Any]]:
    """Split a column of events into list lengths and values of the branch's type.

    Parameters
    ----------
    array
        One value per event, shape ``(events,)``, or one list per event for a branch in a collection.
    branch
        What the values are stored as.

    Returns
    -------
    counts : array of int64, shape (events,), or None
        Number of values of each event; ``None`` for a branch of one value per event.
    values : array, shape (events,) or (sum of counts,)
        The values in the branch's dtype.

    Raises
    ------
    ValueError
        If the array has the wrong depth, missing entries, or values that the dtype cannot hold.
    """
    column = ak.from_numpy(array) if isinstance(array, np.ndarray) else ak.Array(array)
    # An array without events often has no type from which a depth could be told.
    depth = 1 if len(column) == 0 else column.ndim
    if len(column) > 0 and depth != 1 + branch.jagged:
        wanted = "one list of values per event" if branch.jagged else "one value per event"
        msg = f"branch {branch.name!r} needs {wanted}, found an array of type {column.type}"
        raise ValueError(msg)
    try:
        if not branch.jagged or depth == 1:
            counts = np.zeros(0, dtype=np.int64) if branch.jagged else None
            values = ak.to_numpy(column, allow_missing=False)
        else:
            offsets, values = flat_column(column)
            counts = np.diff(offsets)
    except ValueError as error:
        msg = f"branch {branch.name!r} has missing values; fill them first, found type {column.type}"
        raise ValueError(msg) from error
    return counts, cast(values, branch.dtype, branch.name)


def cast(values: NDArray[Any], dtype: np.dtype[Any], name: str) -> NDArray[Any]:
    """Convert values to the dtype of a branch, or say why it cannot hold them.

    Floating point values may be rounded to a narrower floating point type. Everything else has to be
    exact: NumPy alone would wrap integers around and turn NaN into arbitrary numbers without a word.

    Parameters
    ----------
    values
        Boolean, integer or floating point values, any shape.
    dtype
        Boolean, integer or floating point dtype to store.
    name
        Branch name for the error.

    Returns
    -------
    array of ``dtype``, same shape

    Raises
    ------
    ValueError
        If a value is out of range, not finite or fractional where an integer or a boolean is stored,
        or finite but too large for a narrower floating point type.
    """
    if values.size == 0 or values.dtype == dtype:
        return values.astype(dtype, copy=False)
    if values.dtype.kind not in "biuf":
        msg = f"branch {name!r} stores {dtype}, which cannot be made from values of type {values.dtype}"
        raise ValueError(msg)
    if dtype.kind == "f":
        return _cast_to_float(values, dtype, name)
    if values.dtype.kind == "f":
        _check_whole(values, dtype, name)
    if values.dtype.kind != "b":
        _check_range(values, dtype, name)
    return values.astype(dtype)


def _cast_to_float(values: NDArray[Any], dtype: np.dtype[Any], name: str) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        narrowed = values.astype(dtype)
    overflow = np.isinf(narrowed) & np.isfinite(values)
    if overflow.any():
        msg = f"branch {name!r} stores {dtype}, which cannot hold {values[overflow][0]}"
        raise ValueError(msg)
    return narrowed


def _check_whole(values: NDArray[Any], dtype: np.dtype[Any], name: str) -> None:
    bad = ~np.isfinite(values)
    if not bad.any():
        bad = values != np.trunc(values)
    if bad.any():
        msg = f"branch {name!r} stores {dtype}, which cannot hold {values[bad][0]}"
        raise ValueError(msg)


def _check_range(values: NDArray[Any], dtype: np.dtype[Any], name: str) -> None:
    limits = (0, 1) if dtype.kind == "b" else (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
    # Python integers compare exactly, where NumPy would promote uint64 or int64 to float64.
    for extreme in (int(values.min()), int(values.max())):
        if not limits[0] <= extreme <= limits[1]:
            msg = f"branch {name!r} stores {dtype} ({limits[0]} to {limits[1]}), which cannot hold {extreme}"
            raise ValueError(msg)
