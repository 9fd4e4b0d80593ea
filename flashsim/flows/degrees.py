"""Degrees of the hidden units of an autoregressive layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["hidden_degrees"]


def hidden_degrees(width: int, features: int) -> NDArray[np.int64]:
    """Degrees of a hidden layer's units: 0 to D - 1 in equal shares, sorted.

    Parameters
    ----------
    width
        Number of units. Giving degree 0 a larger share than the others did not lower the loss.
    features
        Number of variables D. With fewer units than variables the degrees are spread from 0 to D - 1,
        so that the last parameters still see every variable before them.

    Returns
    -------
    Sorted integers, shape (width,); the first is 0.
    """
    units = np.arange(width)
    if width >= features:
        return units * features // width
    return units * (features - 1) // max(width - 1, 1)
