"""Invertible column transforms between NanoAOD values and what a network sees.

Two kinds:

- A *relation* ties a target to its gen object (difference, ratio, ...), so that a network learns a response
  instead of a spectrum. Relations have no fitted state.
- A *column transform* maps one column to one that networks like. `QuantileNormal` is for targets: its inverse
  returns only values that the branch can have. `Standard` is for conditioning: it never leaves the range that
  training has seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

__all__ = ["MAX_KNOTS", "QuantileNormal", "Relation", "Standard", "wrap_angle"]

Floats = NDArray[np.float64]

MAX_KNOTS = 1000
"""Knots of a fitted distribution function between two point masses."""

_SMALLEST_PROBABILITY = 1e-7
_ATOM_FRACTION = 0.005
_ATOM_COUNT = 10
_ROWS_PER_KNOT = 5


def wrap_angle(phi: Floats) -> Floats:
    """Bring angles in radians into [-pi, pi), elementwise."""
    return (phi + np.pi) % (2.0 * np.pi) - np.pi


@dataclass(frozen=True)
class Relation:
    """How a reconstructed value y relates to the same quantity x of its gen object.

    Parameters
    ----------
    kind
        ``none`` (y), ``difference`` (y - x), ``angle`` (y - x, wrapped), ``ratio`` (y / x), ``product`` (y x,
        for charges) or ``excess``: log((y - t + d) / s(x)) with the threshold t, which reconstruction applies
        to y. The last one can only return values above the threshold, which a plain ratio cannot promise, and
        tends to the log-response far above it.
    threshold
        t, in the unit of y.
    width
        Softness w of s(x) = w log(1 + exp((x - t) / w)): x - t far above the threshold, positive below it.
    floor
        Smallest |x| of a ratio, against gen values of zero.
    """

    kind: Literal["none", "difference", "angle", "ratio", "product", "excess"] = "none"
    threshold: float = 0.0
    width: float = 1.0
    floor: float = 1e-6

    def forward(self, reco: Floats, gen: Floats) -> Floats:
        """Relative value, shape (N,), of reconstructed and gen values of shape (N,)."""
        match self.kind:
            case "difference":
                return reco - gen
            case "angle":
                return wrap_angle(reco - gen)
            case "ratio":
                return reco / np.maximum(gen, self.floor)
            case "product":
                return reco * gen
            case "excess":
                above = np.maximum(reco - self.threshold, 0.0) + self._offset
                return np.log(above) - np.log(self._scale(gen))
            case _:
                return reco

    def inverse(self, relative: Floats, gen: Floats) -> Floats:
        """Reconstructed value, shape (N,), of relative and gen values of shape (N,)."""
        match self.kind:
            case "difference":
                return relative + gen
            case "angle":
                return wrap_angle(relative + gen)
            case "ratio":
                return relative * np.maximum(gen, self.floor)
            case "product":
                return relative * gen
            case "excess":
                above = np.exp(relative) * self._scale(gen) - self._offset
                return np.maximum(above, 0.0) + self.threshold
            case _:
                return relative

    @property
    def _offset(self) -> float:
        """d: keeps values at the threshold, where NanoAOD has some, away from log(0)."""
        return 0.02 * self.width

    def _scale(self, gen: Floats) -> Floats:
        return np.maximum(self.width * np.logaddexp(0.0, (gen - self.threshold) / self.width), 1e-9)


@dataclass(frozen=True)
class QuantileNormal:
    """Randomised probability integral transform to a standard normal, exact for point masses.

    The fitted distribution function is a polyline through `values` and `probabilities`, both non-decreasing.
    A vertical piece (one value, several probabilities) is an atom: going forward its values spread uniformly
    over the piece (Brockwell, Statistics & Probability Letters 77 (2007) 1473), and going back the whole
    piece returns the value exactly. The inverse therefore gives atoms and integers exactly, stays inside the
    fitted range, and is finite for every finite input.

    Parameters
    ----------
    values, probabilities
        Knots, shape (K,) each.

    Examples
    --------
    >>> import numpy as np
    >>> transform = QuantileNormal.fit(np.array([-1.0] * 50 + list(np.linspace(0, 1, 50))))
    >>> low, high = transform.bounds(np.array([-1.0]))
    >>> float(low[0]), float(high[0])
    (0.0, 0.5)
    >>> float(transform.inverse(np.array([-2.0]))[0])
    -1.0
    """

    values: Floats
    probabilities: Floats

    @classmethod
    def fit(cls, column: NDArray[np.floating], *, discrete: bool = False) -> QuantileNormal:
        """Fit the distribution function of a column.

        Parameters
        ----------
        column
            Finite values, shape (N,).
        discrete
            Make every distinct value an atom (integers, flags, identification levels).

        Raises
        ------
        ValueError
            If the column is empty or holds a non-finite value.
        """
        data = np.sort(np.asarray(column, dtype=np.float64))
        if len(data) == 0 or not np.isfinite(data).all():
            msg = f"expected at least one and only finite values, found {len(data)} values"
            raise ValueError(msg)
        distinct, counts = np.unique(data, return_counts=True)
        is_atom = np.ones(len(distinct), dtype=bool)
        if not discrete:
            is_atom = counts >= max(_ATOM_COUNT, _ATOM_FRACTION * len(data))
        values: list[Floats] = []
        probabilities: list[Floats] = []
        edges = np.searchsorted(data, distinct[is_atom], side="left")
        ends = np.searchsorted(data, distinct[is_atom], side="right")
        starts = np.concatenate(([0], ends))
        stops = np.concatenate((edges, [len(data)]))
        for piece in range(len(starts)):
            start, stop = int(starts[piece]), int(stops[piece])
            if stop > start:
                x, u = _continuous_piece(data[start:stop])
                values.append(x)
                probabilities.append((start + u * (stop - start)) / len(data))
            if piece < len(edges):
                values.append(np.repeat(distinct[is_atom][piece], 2))
                probabilities.append(np.array([edges[piece], ends[piece]]) / len(data))
        return cls(np.concatenate(values), np.concatenate(probabilities))

    def bounds(self, column: NDArray[np.floating]) -> tuple[Floats, Floats]:
        """Probabilities below and up to each value: equal except at atoms. Shape (N,) each."""
        x = np.asarray(column, dtype=np.float64)
        left = np.searchsorted(self.values, x, side="left")
        right = np.searchsorted(self.values, x, side="right")
        last = len(self.values) - 1
        between = np.interp(x, self.values, self.probabilities)
        hit = right > left
        low = np.where(hit, self.probabilities[np.minimum(left, last)], between)
        high = np.where(hit, self.probabilities[np.maximum(right - 1, 0)], between)
        return low, high

    def forward(self, column: NDArray[np.floating], uniform: Floats) -> Floats:
        """Standard normal values of a column, shape (N,); `uniform` in [0, 1] spreads the atoms."""
        low, high = self.bounds(column)
        return normal_quantile(low + uniform * (high - low))

    def inverse(self, normal: NDArray[np.floating]) -> Floats:
        """Values of the fitted column's kind, shape (N,), for any finite `normal`."""
        u = ndtr(np.asarray(normal, dtype=np.float64))
        right = np.searchsorted(self.probabilities, u, side="right")
        upper = np.clip(right, 1, len(self.values) - 1) if len(self.values) > 1 else np.zeros_like(right)
        lower = np.maximum(upper - 1, 0)
        x0, x1 = self.values[lower], self.values[upper]
        u0, u1 = self.probabilities[lower], self.probabilities[upper]
        width = np.where(u1 > u0, u1 - u0, 1.0)
        return x0 + np.clip((u - u0) / width, 0.0, 1.0) * (x1 - x0)

    def to_json(self) -> dict[str, list[float]]:
        """JSON form; `from_json` gives the same transform back, bit by bit."""
        return {"values": self.values.tolist(), "probabilities": self.probabilities.tolist()}

    @classmethod
    def from_json(cls, content: dict[str, list[float]]) -> QuantileNormal:
        """Transform of a JSON form."""
        return cls(np.array(content["values"]), np.array(content["probabilities"]))


def normal_quantile(u: Floats) -> Floats:
    """Quantile of the standard normal distribution, kept finite at 0 and 1."""
    return ndtri(np.clip(u, _SMALLEST_PROBABILITY, 1.0 - _SMALLEST_PROBABILITY))


def _continuous_piece(data: Floats) -> tuple[Floats, Floats]:
    """Quantile knots of sorted values between two atoms: values, and probabilities in [0, 1]."""
    knots = int(np.clip(len(data) // _ROWS_PER_KNOT, 2, MAX_KNOTS))
    u = np.linspace(0.0, 1.0, knots)
    return np.quantile(data, u), u


@dataclass(frozen=True)
class Standard:
    """Optional logarithm, then zero mean and unit variance, clipped to the fitted range.

    A network asked outside of the range of its training answers wildly; clipping makes it answer as at the
    edge. `outside` tells which values were clipped.

    Parameters
    ----------
    scale
        ``linear``, ``abs`` (the magnitude), ``log`` (clipped where the argument is not positive) or ``log1p``.
    mean, deviation, minimum, maximum
        Of the scaled column. A constant column has deviation 1.
    """

    scale: Literal["linear", "abs", "log", "log1p"]
    mean: float
    deviation: float
    minimum: float
    maximum: float

    @classmethod
    def fit(cls, column: NDArray[np.floating], scale: Literal["linear", "abs", "log", "log1p"]) -> Standard:
        """Fit to finite values of shape (N,).

        Raises
        ------
        ValueError
            If no value is finite after scaling.
        """
        scaled = _scaled(np.asarray(column, dtype=np.float64), scale)
        scaled = scaled[np.isfinite(scaled)]
        if len(scaled) == 0:
            msg = f"expected at least one finite value on a {scale} scale"
            raise ValueError(msg)
        deviation = float(np.std(scaled))
        if deviation < 1e-9 * max(1.0, float(np.max(np.abs(scaled)))):
            deviation = 1.0
        return cls(scale, float(np.mean(scaled)), deviation, float(np.min(scaled)), float(np.max(scaled)))

    def forward(self, column: NDArray[np.floating]) -> Floats:
        """Standardised values, shape (N,), inside the fitted range."""
        scaled = _scaled(np.asarray(column, dtype=np.float64), self.scale)
        return (np.clip(scaled, self.minimum, self.maximum) - self.mean) / self.deviation

    def inverse(self, standard: NDArray[np.floating]) -> Floats:
        """Values before standardisation, shape (N,); magnitudes where the scale is ``abs``."""
        scaled = np.asarray(standard, dtype=np.float64) * self.deviation + self.mean
        match self.scale:
            case "log":
                return np.exp(scaled)
            case "log1p":
                return np.expm1(scaled)
            case _:
                return scaled

    def outside(self, column: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Which values lie outside of the fitted range, shape (N,)."""
        scaled = _scaled(np.asarray(column, dtype=np.float64), self.scale)
        return (scaled < self.minimum) | (scaled > self.maximum)

    def to_json(self) -> dict[str, str | float]:
        """JSON form; `from_json` gives the same transform back."""
        return {
            "scale": self.scale,
            "mean": self.mean,
            "deviation": self.deviation,
            "minimum": self.minimum,
            "maximum": self.maximum,
        }

    @classmethod
    def from_json(cls, content: dict[str, str | float]) -> Standard:
        """Transform of a JSON form."""
        return cls(**content)  # type: ignore[arg-type]  # checked by the model file's schema version


def _scaled(column: Floats, scale: str) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        match scale:
            case "abs":
                return np.abs(column)
            case "log":
                return np.where(column > 0.0, np.log(column), -np.inf)
            case "log1p":
                return np.where(column > -1.0, np.log1p(column), -np.inf)
            case _:
                return column
