"""Noise and context as samplers take them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

__all__ = ["checked_rows"]


def checked_rows(
    z: NDArray[Any], context: NDArray[Any], features: int, context_features: int, dtype: DTypeLike
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Give noise, shape (N, D), and context, shape (N, C), contiguous and in a precision.

    Raises
    ------
    ValueError
        If a shape does not fit.
    """
    if z.ndim != 2 or z.shape[1] != features:
        msg = f"The flow expects noise of shape (N, {features}), found {z.shape}."
        raise ValueError(msg)
    if context.shape != (expected := (len(z), context_features)):
        msg = f"The flow expects context of shape {expected}, found {context.shape}."
        raise ValueError(msg)
    return np.ascontiguousarray(z, dtype=dtype), np.ascontiguousarray(context, dtype=dtype)
