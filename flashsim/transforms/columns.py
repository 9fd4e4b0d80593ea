"""Invertible column transforms between NanoAOD values and what a network sees, fitted to a training.

`QuantileNormal` is for targets, or for their response to gen objects (`flashsim.transforms.response`): its
inverse returns only values that the branch can have. `Standard` is for conditioning: it never leaves the
range that training has seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypedDict

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flashsim.declarations.conditioning import Scale

__all__ = [
    "MAX_KNOTS",
    "SMALLEST_PROBABILITY",
    "QuantileForm",
    "QuantileNormal",
    "Standard",
    "StandardForm",
    "is_frequent",
]

Floats = NDArray[np.float64]

MAX_KNOTS = 250
"""Equally spaced knots of a fitted distribution function, shared by the pieces between point masses.

Tails get some more. More would smooth what a flow smooths anyway, and make models larger: the inverse
undoes exactly what the transform does, however many knots it has.
"""

SMALLEST_PROBABILITY = 1e-6
"""Probabilities are kept so far from 0 and 1 that their normal quantiles are finite."""

_ATOM_FRACTION = 0.005
_ATOM_COUNT = 10
_ROWS_PER_KNOT = 5
_LEAST_KNOTS = 4
_TAIL_RATIO = 0.8
_INTERVALS = 2048  # of probabilities, a power of two: multiplying by it does not round
_SCALES = ("linear", "abs", "log", "log1p")
_DIGITS = 9  # of values between atoms: what 32 bits hold
_DECIMALS = 9  # of probabilities: far below what any sample can tell, and half of the digits in a model file


class QuantileForm(TypedDict):
    """JSON form of `QuantileNormal`."""

    values: list[float]
    probabilities: list[float]


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

    def __post_init__(self) -> None:
        shape = self.values.shape
        if self.probabilities.shape != shape or len(shape) != 1 or shape[0] < 2:
            msg = (
                f"expected two equally long lists of knots, found shapes {shape}, {self.probabilities.shape}"
            )
            raise ValueError(msg)
        for name, knots in (("values", self.values), ("probabilities", self.probabilities)):
            if not (np.isfinite(knots).all() and (np.diff(knots) >= 0.0).all()):
                msg = f"expected finite {name} that never fall"
                raise ValueError(msg)
        if self.probabilities[0] != 0.0 or self.probabilities[-1] != 1.0:
            msg = f"expected probabilities from 0 to 1, found {self.probabilities[[0, -1]].tolist()}"
            raise ValueError(msg)

    @classmethod
    def fit(
        cls, column: NDArray[np.floating], *, discrete: bool = False, atoms: Sequence[float] = ()
    ) -> QuantileNormal:
        """Fit the distribution function of a column.

        Parameters
        ----------
        column
            Finite values, shape (N,).
        discrete
            Make every distinct value an atom (integers, flags, identification levels).
        atoms
            Values that are atoms however rare they are; others are where they are frequent.

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
            is_atom = _are_many(counts, len(data)) | np.isin(distinct, atoms)
        values: list[Floats] = []
        probabilities: list[Floats] = []
        edges = np.searchsorted(data, distinct[is_atom], side="left")
        ends = np.searchsorted(data, distinct[is_atom], side="right")
        starts = np.concatenate(([0], ends))
        stops = np.concatenate((edges, [len(data)]))
        for piece in range(len(starts)):
            start, stop = int(starts[piece]), int(stops[piece])
            if stop > start:
                most = max(_LEAST_KNOTS, MAX_KNOTS * (stop - start) // len(data))
                x, u = _continuous_piece(data[start:stop], most, start == 0, stop == len(data))
                values.append(x)
                probabilities.append((start + u * (stop - start)) / len(data))
            if piece < len(edges):
                values.append(np.repeat(distinct[is_atom][piece], 2))
                probabilities.append(np.array([edges[piece], ends[piece]]) / len(data))
        rounded = np.round(np.concatenate(probabilities), _DECIMALS).astype(np.float64)
        return cls(_short(np.concatenate(values)), rounded)

    def calibrated(self, normal: NDArray[np.floating]) -> QuantileNormal:
        """Give the transform whose inverse takes `normal`, shape (N,), to the distribution that was fitted.

        For values that should be standard normal and are not quite: knots keep their values, and move to the
        probabilities below which the share of the given ones is what it was before. Shares that no value of
        `normal` tells apart stay together.

        Raises
        ------
        ValueError
            If there are no values.
        """
        if len(normal) == 0:
            msg = "expected at least one value to calibrate by, found none"
            raise ValueError(msg)
        inside = (self.probabilities > 0.0) & (self.probabilities < 1.0)
        moved = self.probabilities.copy()
        found = np.quantile(ndtr(np.asarray(normal, dtype=np.float64)), self.probabilities[inside])
        moved[inside] = np.round(found, _DECIMALS)
        return QuantileNormal(self.values, moved)

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

    def inverse(self, normal: NDArray[np.floating]) -> Floats:
        """Values of the fitted column's kind, shape (N,), for any finite `normal`."""
        u = ndtr(np.asarray(normal, dtype=np.float64))
        right = self._up_to(u)
        # At u = 1 there is no knot above: the last piece that is not level holds its end.
        last = int(np.searchsorted(self.probabilities, 1.0, side="left"))
        upper = np.minimum(right, last)
        lower = upper - 1
        x0, x1 = self.values[lower], self.values[upper]
        u0, u1 = self.probabilities[lower], self.probabilities[upper]
        inside: Floats = x0 + (u - u0) / (u1 - u0) * (x1 - x0)
        return np.minimum(inside, x1)  # rounding must not carry a value beyond its piece

    def _up_to(self, u: Floats) -> NDArray[np.intp]:
        """Count the knots whose probability is at most u, shape (N,).

        Where no knot is in the interval that u is in, all of the interval has the same answer; only the
        others are searched for.
        """
        found = self._of_intervals.take((u * _INTERVALS).astype(np.intp), mode="clip")
        open_ones = np.flatnonzero(found < 0)
        found[open_ones] = np.searchsorted(self.probabilities, u[open_ones], side="right")
        return found

    @cached_property
    def _of_intervals(self) -> NDArray[np.intp]:
        """Number of knots up to any point of an interval, -1 where points differ; the last interval is 1."""
        edges = np.arange(_INTERVALS + 2) / _INTERVALS
        first = np.searchsorted(self.probabilities, edges[:-1], side="right")
        last = np.searchsorted(self.probabilities, edges[1:], side="left")
        return np.where(first == last, first, -1)

    def to_json(self) -> QuantileForm:
        """JSON form; `from_json` gives the same transform back, bit by bit."""
        return {"values": self.values.tolist(), "probabilities": self.probabilities.tolist()}

    @classmethod
    def from_json(cls, content: QuantileForm) -> QuantileNormal:
        """Make the transform of a JSON form.

        Raises
        ------
        ValueError
            If the knots are not those of a distribution function.
        """
        return cls(
            np.array(content["values"], dtype=np.float64),
            np.array(content["probabilities"], dtype=np.float64),
        )


def is_frequent(column: Floats) -> NDArray[np.bool_]:
    """Tell which values of a column are so frequent that they are point masses, shape (N,)."""
    _, where, counts = np.unique(column, return_inverse=True, return_counts=True)
    return _are_many(counts, len(column))[where]


def _are_many(counts: NDArray[np.int64], rows: int) -> NDArray[np.bool_]:
    return counts >= max(_ATOM_COUNT, _ATOM_FRACTION * rows)


def _continuous_piece(data: Floats, most: int, first: bool, last: bool) -> tuple[Floats, Floats]:
    """Quantile knots of sorted values between two atoms: values, and probabilities in [0, 1].

    At the ends of the distribution, in its first and last piece, each knot leaves four fifths beyond it of
    what the one before leaves, as long as there are rows for it: between two of them values spread evenly,
    which a tail that falls steeply does not.
    """
    knots = int(np.clip(len(data) // _ROWS_PER_KNOT, 2, most))
    even = np.linspace(0.0, 1.0, knots)[1:-1]
    tail = _tail(1.0 / (knots - 1), _ROWS_PER_KNOT / len(data))
    low, high = (tail if wanted else tail[:0] for wanted in (first, last))
    near = 0.5 / (knots - 1)  # of a knot of a tail
    inner = even[(even > low.max(initial=-1.0) + near) & (even < 1.0 - high.max(initial=-1.0) - near)]
    u = np.concatenate(([0.0], low[::-1], inner, 1.0 - high, [1.0]))
    return np.quantile(data, u), u


def _short(values: Floats) -> Floats:
    """Knots without digits that no stored value has; atoms and the two ends stay exact."""
    atom = np.zeros(len(values), dtype=bool)
    atom[1:] |= values[1:] == values[:-1]
    atom[:-1] |= atom[1:]
    atom[[0, -1]] = True
    short = np.array([float(f"{value:.{_DIGITS}g}") for value in values])
    rounded = np.where(atom, values, short)
    after = np.minimum.accumulate(np.where(atom, values, np.inf)[::-1])[::-1]
    return np.maximum.accumulate(np.minimum(rounded, after))


def _tail(even: float, least: float) -> Floats:
    """Shares that knots leave beyond them, falling, from where even ones are not near enough."""
    shares = [even / (1.0 - _TAIL_RATIO)]
    if shares[0] >= 0.5:
        return np.zeros(0)
    while (share := shares[-1]) >= 2.0 * least:
        shares.append(share - max((1.0 - _TAIL_RATIO) * share, least))
    return np.array(shares)


class StandardForm(TypedDict):
    """JSON form of `Standard`."""

    scale: Scale
    mean: float
    deviation: float
    minimum: float
    maximum: float


@dataclass(frozen=True)
class Standard:
    """Optional logarithm, then zero mean and unit variance, clipped to the fitted range.

    A network asked outside of the range of its training answers wildly; clipping makes it answer as at the
    edge. `outside` tells which values were clipped.

    Parameters
    ----------
    scale
        ``linear``, ``abs`` (the magnitude), ``log`` or ``log1p``; what has no logarithm counts as smallest.
    mean, deviation, minimum, maximum
        Of the scaled column. A constant column has deviation 1.
    """

    scale: Scale
    mean: float
    deviation: float
    minimum: float
    maximum: float

    def __post_init__(self) -> None:
        if self.scale not in _SCALES:
            msg = f"expected a scale of {', '.join(_SCALES)}, found {self.scale!r}"
            raise ValueError(msg)
        numbers = (self.mean, self.deviation, self.minimum, self.maximum)
        if not (np.isfinite(numbers).all() and self.deviation > 0.0 and self.minimum <= self.maximum):
            msg = f"expected finite mean, positive deviation, minimum and maximum in order, found {numbers}"
            raise ValueError(msg)

    @classmethod
    def fit(cls, column: NDArray[np.floating], scale: Scale) -> Standard:
        """Fit to values of shape (N,); those that are not finite after scaling are left out.

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
        """Standardised values, shape (N,), inside the fitted range; NaN stays NaN."""
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

    def to_json(self) -> StandardForm:
        """JSON form; `from_json` gives the same transform back."""
        return StandardForm(
            scale=self.scale,
            mean=self.mean,
            deviation=self.deviation,
            minimum=self.minimum,
            maximum=self.maximum,
        )

    @classmethod
    def from_json(cls, content: StandardForm) -> Standard:
        """Transform of a JSON form."""
        return cls(**content)


def _scaled(column: Floats, scale: Scale) -> Floats:
    with np.errstate(divide="ignore"):
        match scale:
            case "abs":
                return np.abs(column)
            case "log":
                return np.log(np.maximum(column, 0.0))
            case "log1p":
                return np.log1p(np.maximum(column, -1.0))
            case _:
                return column
