"""Shapes that several responses are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammaincinv

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["gamma_quantile", "heavy_tailed", "interpolated"]


def heavy_tailed(normal: NDArray[np.float64], weight: float) -> NDArray[np.float64]:
    """Give standard normal numbers heavy tails without changing their core, elementwise.

    ``z exp(h z^2 / 2)``, Tukey's h distribution (Tukey, "Modern techniques in data analysis", 1977), with
    h = `weight`, from 0 for a normal distribution to below 1.
    """
    tailed: NDArray[np.float64] = normal * np.exp(0.5 * weight * np.square(normal))
    return tailed


def interpolated(
    x: NDArray[np.float64], points: Sequence[tuple[float, ...]], column: int = 1
) -> NDArray[np.float64]:
    """Interpolate a table linearly in its first column, constant outside; elementwise.

    Parameters
    ----------
    x
        Where.
    points
        Rows of the table, by rising first column.
    column
        The column whose values are wanted.
    """
    table = np.asarray(points, dtype=np.float64)
    return np.interp(x, table[:, 0], table[:, column])


def gamma_quantile(
    uniform: NDArray[np.float64], mean: NDArray[np.float64], quantum: float
) -> NDArray[np.float64]:
    """Draw sums of many small amounts: quantiles of a gamma distribution, elementwise.

    Parameters
    ----------
    uniform
        Numbers in (0, 1).
    mean
        Its mean; where that is zero so is the result.
    quantum
        Its variance over its mean, in the unit of the mean: the typical amount.
    """
    shape = np.maximum(mean / quantum, 1e-9)
    drawn: NDArray[np.float64] = quantum * gammaincinv(shape, uniform)
    return drawn
