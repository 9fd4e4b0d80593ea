"""Forms of the responses of jets: smooth edges, tables by flavour and pseudorapidity, counts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from pydantic import Field
from scipy.special import expit

from flashsim.declarations.recipes import Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["ByFlavour", "Edge", "EtaTable", "Saturation", "counts", "flavour_class", "thinned"]


class ByFlavour(Recipe):
    """One number for each flavour of jet."""

    b: float = Field(description="jets with a b hadron")
    c: float = Field(description="jets with a c hadron and no b hadron")
    light: float = Field(description="jets of u, d and s quarks, and of none")
    gluon: float = Field(description="jets of gluons")

    def of(self, flavour: NDArray[np.int64]) -> Floats:
        """Values of jets by their `flavour_class`, shape (N,)."""
        return np.array([self.b, self.c, self.light, self.gluon])[flavour]


class Edge(Recipe):
    """A smooth step of a logistic function, from 1 below to 0 above."""

    at: float = Field(description="where the step is at half its height")
    width: float = Field(gt=0, description="width of the logistic function")

    def inside(self, values: Floats) -> Floats:
        """1 far below the edge, 0 far above, shape (N,)."""
        result: Floats = expit((self.at - values) / self.width)
        return result


class Saturation(Recipe):
    """The smaller of a variable and a limit, rounded off."""

    at: float = Field(description="the limit")
    rounding: float = Field(gt=0, description="width of the transition")

    def of(self, values: Floats) -> Floats:
        """Values far below the limit, the limit far above, shape (N,)."""
        result: Floats = values - self.rounding * np.logaddexp(0.0, (values - self.at) / self.rounding)
        return result


class EtaTable(Recipe):
    """A quantity against the magnitude of pseudorapidity, linear between points."""

    eta: tuple[float, ...] = Field(description="magnitudes of pseudorapidity, rising")
    value: tuple[float, ...] = Field(description="the quantity there")

    def at(self, abs_eta: Floats) -> Floats:
        """Interpolate; constant beyond the first and the last point, shape (N,)."""
        values: Floats = np.interp(abs_eta, self.eta, self.value)
        return values


def flavour_class(columns: Mapping[str, NDArray[Any]]) -> NDArray[np.int64]:
    """Class of flavour of gen jets: 0 b, 1 c (both from hadrons), 3 gluon (from partons), 2 all others."""
    classes = np.where(columns["partonFlavour"] == 21, 3, 2)
    classes[columns["hadronFlavour"] == 4] = 1
    classes[columns["hadronFlavour"] == 5] = 0
    return classes


@numba.njit(cache=True)
def counts(mean: NDArray[np.float64], uniform: NDArray[np.float64]) -> NDArray[np.int64]:
    """Poisson quantiles: the smallest count whose cumulated probability reaches `uniform`, shape (N,).

    By summing the probabilities from zero on; the search ends after 40 standard deviations, where what is
    left of the probability is rounding.
    """
    result = np.zeros(len(mean), dtype=np.int64)
    for i in range(len(mean)):
        last = mean[i] + 40.0 * math.sqrt(mean[i]) + 40.0
        probability = math.exp(-mean[i])
        total = probability
        count = 0
        while total < uniform[i] and count < last:
            count += 1
            probability *= mean[i] / count
            total += probability
        result[i] = count
    return result


@numba.njit(cache=True)
def thinned(
    number: NDArray[np.int64], share: NDArray[np.float64], uniform: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Binomial quantiles: how many of `number` are left, each with probability `share`, shape (N,)."""
    result = np.zeros(len(number), dtype=np.int64)
    for i in range(len(number)):
        lost = max(1.0 - share[i], 1e-12)
        if lost ** number[i] > 1e-280:
            result[i] = _binomial_quantile(number[i], share[i] / lost, lost ** number[i], uniform[i])
        else:
            # That all are lost is less probable than floats can tell: count what is lost instead.
            kept = share[i] ** number[i]
            result[i] = number[i] - _binomial_quantile(number[i], lost / share[i], kept, 1.0 - uniform[i])
    return result


@numba.njit(cache=True)
def _binomial_quantile(number: int, odds: float, none: float, uniform: float) -> int:
    """Smallest count whose cumulative probability reaches `uniform`; `none` is that of a count of zero."""
    probability = none
    total = probability
    count = 0
    while total < uniform and count < number:
        count += 1
        probability *= odds * (number - count + 1) / count
        total += probability
    return count
