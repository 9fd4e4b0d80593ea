"""Loops of the sampler, for compilation: feature-major, objects along the fast axis.

The loops over objects are written so that the compiler turns them into vector instructions: the exponential
is a polynomial, bins are found by comparison, and nothing branches on a value. The functions are those of
`flashsim.flows.spline` and of SiLU. Kernels (`flashsim.execution.machine_code`) are made of them.
"""

from __future__ import annotations

import math

import numpy as np

from flashsim.flows import spline_limits as limits

__all__ = [
    "DOUBLE",
    "LANES",
    "ROOM",
    "activate",
    "bin_edges",
    "edge_derivatives",
    "exp_of_negative",
    "exponentials",
    "find_bin",
    "invert_spline",
]

LANES = 64
"""Objects handled together: their logits stay in the first-level cache. Tiles are multiples of it."""

ROOM = 9
"""Rows of LANES numbers that the inverse of splines needs for itself."""

_ZERO, _HALF, _ONE, _TWO, _FOUR = (np.float32(value) for value in (0.0, 0.5, 1.0, 2.0, 4.0))
_LOG2E = np.float32(math.log2(math.e))
_LN2 = np.float32(math.log(2.0))
_LOWEST = np.float32(-87.0)
# Adding this number leaves a float32's integer part in its lowest bits.
_ROUNDING = np.float32(1.5 * 2**23)
# exp on half a binary octave either side of zero, and artanh(s) / s in powers of s^2.
_EXP = tuple(
    np.polynomial.Chebyshev.interpolate(np.exp, 5, domain=[-0.5 * math.log(2.0), 0.5 * math.log(2.0)])
    .convert(kind=np.polynomial.Polynomial)
    .coef.astype(np.float32)
)
_ATANH = tuple(np.float32(2.0 / n) for n in range(1, 16, 2))

_MIN_SHARE, _MIN_DERIVATIVE = limits.MIN_BIN_SHARE, limits.MIN_DERIVATIVE
_MAX_LOGIT, _IDENTITY_LOGIT = limits.MAX_LOGIT, limits.identity_logit()


def exp_of_negative(x: np.float32) -> np.float32:
    """exp(x) for x <= 0, to 2e-7 relative; not below exp(-87)."""
    x = max(x, _LOWEST)
    shifted = x * _LOG2E + _ROUNDING
    exponent = shifted - _ROUNDING
    r = x - exponent * _LN2
    p = _EXP[5]
    p = p * r + _EXP[4]
    p = p * r + _EXP[3]
    p = p * r + _EXP[2]
    p = p * r + _EXP[1]
    p = p * r + _EXP[0]
    power = np.int32((np.int32(exponent) + np.int32(127)) << np.int32(23))
    scale: np.float32 = power.view(np.float32)
    return p * scale


def _exp_in_double(x: float) -> float:
    return math.exp(x)


def _softplus(x: np.float32) -> np.float32:
    """log(1 + exp(x)), with log(1 + e) = 2 artanh(e / (2 + e)), e in [0, 1]."""
    e = exp_of_negative(-abs(x))
    s = e / (_TWO + e)
    q = s * s
    p = _ATANH[7]
    p = p * q + _ATANH[6]
    p = p * q + _ATANH[5]
    p = p * q + _ATANH[4]
    p = p * q + _ATANH[3]
    p = p * q + _ATANH[2]
    p = p * q + _ATANH[1]
    p = p * q + _TWO
    result: np.float32 = max(x, _ZERO) + s * p
    return result


def _softplus_in_double(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


DOUBLE = {exp_of_negative: _exp_in_double, _softplus: _softplus_in_double}
"""What kernels of double precision call in place of the polynomials."""


def activate(units: np.ndarray, activations: np.ndarray) -> None:
    """Write SiLU(units) to activations, both of shape (N,) or longer."""
    for t in range(len(units)):
        x = units[t]
        e = exp_of_negative(-abs(x))
        activations[t] = x * (_ONE if x >= _ZERO else e) / (_ONE + e)


# The functions below work on rows first to first + K of logits, flat, with a distance between rows, and on
# LANES columns from start on. They take each row as a contiguous slice: with computed offsets or strides the
# compiler does not vectorise, nor does it where a loop writes so many arrays that it cannot check whether
# they overlap.


def exponentials(  # noqa: PLR0917
    logits: np.ndarray,
    first: int,
    bins: int,
    distance: int,
    start: int,
    top: np.ndarray,
    scale: np.ndarray,
    free: np.float32,
) -> None:
    """Replace logits by exp(logit - largest); scale becomes the free share over their sum."""
    for t in range(LANES):
        top[t] = -np.inf
        scale[t] = _ZERO
    end = first + bins
    # Several rows at a time: a loop over 64 objects is so short that its beginning counts.
    for k in range(first, end - 3, 4):
        i = k * distance + start
        a = logits[i : i + LANES]
        i += distance
        b = logits[i : i + LANES]
        i += distance
        c = logits[i : i + LANES]
        i += distance
        d = logits[i : i + LANES]
        for t in range(LANES):
            top[t] = max(top[t], a[t], b[t], c[t], d[t])
    for k in range(end - bins % 4, end):
        i = k * distance + start
        a = logits[i : i + LANES]
        for t in range(LANES):
            top[t] = max(top[t], a[t])
    for k in range(first, end - 1, 2):
        i = k * distance + start
        a = logits[i : i + LANES]
        i += distance
        b = logits[i : i + LANES]
        for t in range(LANES):
            ea, eb = exp_of_negative(a[t] - top[t]), exp_of_negative(b[t] - top[t])
            a[t], b[t] = ea, eb
            scale[t] += ea + eb
    if bins % 2:
        i = (end - 1) * distance + start
        a = logits[i : i + LANES]
        for t in range(LANES):
            e = exp_of_negative(a[t] - top[t])
            a[t] = e
            scale[t] += e
    for t in range(LANES):
        scale[t] = free / scale[t]


def find_bin(  # noqa: PLR0917
    weights: np.ndarray,
    first: int,
    bins: int,
    distance: int,
    start: int,
    scale: np.ndarray,
    target: np.ndarray,
    knot: np.ndarray,
    index: np.ndarray,
) -> None:
    """Find the index of the bin that holds the target, in [0, K - 1]; knot is room."""
    least = weights.dtype.type(_MIN_SHARE)
    for t in range(LANES):
        index[t] = 0
        knot[t] = _ZERO
    for k in range(first, first + bins - 1):
        i = k * distance + start
        row = weights[i : i + LANES]
        for t in range(LANES):
            knot[t] += least + row[t] * scale[t]
            index[t] += np.int32(1) if target[t] >= knot[t] else np.int32(0)


def bin_edges(  # noqa: PLR0917
    weights: np.ndarray,
    first: int,
    bins: int,
    distance: int,
    start: int,
    scale: np.ndarray,
    index: np.ndarray,
    low: np.ndarray,
    size: np.ndarray,
) -> None:
    """Find the lower edge and the size of the bin of the given index."""
    least = weights.dtype.type(_MIN_SHARE)
    for t in range(LANES):
        low[t] = _ZERO
    for k in range(bins):
        i = (first + k) * distance + start
        row = weights[i : i + LANES]
        bin_index = np.int32(k)
        for t in range(LANES):
            share = least + row[t] * scale[t]
            low[t] += share if bin_index < index[t] else _ZERO
            size[t] = share if bin_index == index[t] else size[t]


def edge_derivatives(  # noqa: PLR0917
    logits: np.ndarray,
    bins: int,
    distance: int,
    start: int,
    index: np.ndarray,
    d0: np.ndarray,
    d1: np.ndarray,
) -> None:
    """Find the derivatives at both ends of the bin of the given index."""
    least, most = logits.dtype.type(_MIN_DERIVATIVE), logits.dtype.type(_MAX_LOGIT)
    outermost = logits.dtype.type(_IDENTITY_LOGIT)
    for t in range(LANES):
        knot = 2 * bins + index[t]
        d0[t] = logits[(knot - 1) * distance + start + t] if index[t] > 0 else outermost
        d1[t] = logits[knot * distance + start + t] if index[t] < bins - 1 else outermost
    for t in range(LANES):
        d0[t] = least + _softplus(min(d0[t], most))
        d1[t] = least + _softplus(min(d1[t], most))


def _position(y: np.float32, slope: np.float32, d0: np.float32, d1: np.float32) -> np.float32:
    """Relative position of relative height y in a bin: see `flashsim.flows.spline`."""
    u = d0 * (_ONE - y) - d1 * y
    height = y if u >= _ZERO else _ONE - y
    reach = abs(u) + np.sqrt(u * u + _FOUR * slope * slope * y * (_ONE - y))
    distance = _TWO * slope * height / (reach + _TWO * slope * height)
    position: np.float32 = distance if u >= _ZERO else _ONE - distance
    return position


def invert_spline(  # noqa: PLR0917
    values: np.ndarray,
    logits: np.ndarray,
    bins: int,
    block: int,
    outputs: np.ndarray,
    bound: np.float32,
    room: np.ndarray,
    index: np.ndarray,
) -> None:
    """Invert the splines of one variable.

    Parameters
    ----------
    values
        Heights to find the positions of, shape (B,) or longer.
    logits
        Spline parameters, shape (3K - 1, B), flat: widths, heights, inner derivatives. Overwritten.
    bins, block
        K, and B, a multiple of LANES.
    outputs
        Positions, shape (B,) or longer.
    bound
        Half width of the spline's interval.
    room, index
        Room for intermediate results, shapes (ROOM * LANES,) and (LANES,).
    """
    free = _ONE - np.float32(bins) * np.float32(_MIN_SHARE)
    # With a constant, what takes them would be compiled for it, and once more for other numbers.
    widths, heights = 0 * bins, bins
    # Constant distances again: none of these rows overlaps another.
    top, scale, target = room[0:LANES], room[LANES : 2 * LANES], room[2 * LANES : 3 * LANES]
    bottom, height = room[3 * LANES : 4 * LANES], room[4 * LANES : 5 * LANES]
    left, width = room[5 * LANES : 6 * LANES], room[6 * LANES : 7 * LANES]
    d0, d1 = room[7 * LANES : 8 * LANES], room[8 * LANES : 9 * LANES]
    for start in range(0, block, LANES):
        z, x = values[start : start + LANES], outputs[start : start + LANES]
        for t in range(LANES):
            target[t] = min(max(_HALF + z[t] / (_TWO * bound), _ZERO), _ONE)
        exponentials(logits, heights, bins, block, start, top, scale, free)
        find_bin(logits, heights, bins, block, start, scale, target, top, index)
        bin_edges(logits, heights, bins, block, start, scale, index, bottom, height)
        exponentials(logits, widths, bins, block, start, top, scale, free)
        bin_edges(logits, widths, bins, block, start, scale, index, left, width)
        edge_derivatives(logits, bins, block, start, index, d0, d1)
        for t in range(LANES):
            y = min(max((target[t] - bottom[t]) / height[t], _ZERO), _ONE)
            target[t] = _position(y, height[t] / width[t], d0[t], d1[t])
        for t in range(LANES):
            position = _TWO * bound * (left[t] + width[t] * target[t]) - bound
            x[t] = position if abs(z[t]) <= bound else z[t]
