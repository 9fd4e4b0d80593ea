"""Kernels of the training: the spline forward, and the gradients of its outputs, feature-major.

Written like `flashsim.flows._kernels`, whose helpers they share. What the gradients need of the forward pass
is kept: the exponentials of the width and height logits where the logits were, and seven numbers a value in
`STATE` rows. With t the position in the bin, s its slope, d0 and d1 the derivatives at its ends and

    D = s (t^2 + (1 - t)^2) + (d0 + d1) t (1 - t),    Q = d1 t^2 + 2 s t (1 - t) + d0 (1 - t)^2,

the height in the bin is y = (s t^2 + d0 t (1 - t)) / D and the derivative of the spline is s^2 Q / D^2
(Durkan et al., arXiv:1906.04032); the partial derivatives below are written so that nothing cancels in y.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.execution.machine_code import Kernel, aligned
from flashsim.flows._kernels import (
    DOUBLE,
    LANES,
    bin_edges,
    edge_derivatives,
    exp_of_negative,
    exponentials,
    find_bin,
)
from flashsim.flows.spline_limits import MAX_LOGIT, MIN_BIN_SHARE

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["STATE", "apply_spline", "spline_gradients"]

STATE = 7
"""Rows of what is kept of a value: bin, its left edge, width, scale of widths, the same for heights."""

_ZERO, _HALF, _ONE, _TWO = (np.float32(value) for value in (0.0, 0.5, 1.0, 2.0))
_MIN_SHARE, _MAX_LOGIT = MIN_BIN_SHARE, MAX_LOGIT
_ROOM = 13
"""Rows of LANES numbers that the gradients need for themselves."""


def _apply(  # noqa: PLR0917
    values: np.ndarray,
    logits: np.ndarray,
    outputs: np.ndarray,
    derivatives: np.ndarray,
    state: np.ndarray,
    bound: np.floating,
    room: np.ndarray,
    index: np.ndarray,
) -> None:
    """Map G variables through their splines; all arrays of one floating-point type.

    Parameters
    ----------
    values
        Positions, shape (G, T), T a multiple of LANES.
    logits
        Spline parameters, shape (G * (3K - 1), T), flat: widths, heights, inner derivatives of the first
        variable, then of the next. Widths and heights become exponentials.
    outputs, derivatives
        Heights, and derivatives of the heights with respect to the positions, shape (G, T).
    state
        What `spline_gradients` needs, shape (G, STATE, T).
    bound
        Half width of the spline's interval.
    room, index
        Room for intermediate results, shapes (_ROOM, LANES) and (LANES,).
    """
    variables, columns = values.shape
    rows = logits.size // (variables * columns)
    bins = (rows + 1) // 3
    free = _ONE - np.float32(bins) * values.dtype.type(_MIN_SHARE)
    widths, heights = 0 * bins, bins  # see `flashsim.flows._kernels.invert_spline`
    top, d0, d1, position, slope = room[0], room[1], room[2], room[3], room[4]
    for variable in range(variables):
        own = logits[variable * rows * columns : (variable + 1) * rows * columns]
        for start in range(0, columns, LANES):
            block = slice(start, start + LANES)
            x, z = values[variable, block], outputs[variable, block]
            kept = state[variable]
            left, width, low, height = kept[1, block], kept[2, block], kept[4, block], kept[5, block]
            derivative, kept_index = derivatives[variable, block], kept[0, block]
            for t in range(LANES):
                position[t] = _HALF + (x[t] if abs(x[t]) <= bound else _ZERO) / (_TWO * bound)
            exponentials(own, widths, bins, columns, start, top, kept[3, block], free)
            find_bin(own, widths, bins, columns, start, kept[3, block], position, top, index)
            bin_edges(own, widths, bins, columns, start, kept[3, block], index, left, width)
            exponentials(own, heights, bins, columns, start, top, kept[6, block], free)
            bin_edges(own, heights, bins, columns, start, kept[6, block], index, low, height)
            edge_derivatives(own, bins, columns, start, index, d0, d1)
            for t in range(LANES):
                kept_index[t] = index[t]
                slope[t] = height[t] / width[t]
            for t in range(LANES):
                position[t] = min(max((position[t] - left[t]) / width[t], _ZERO), _ONE)
            for t in range(LANES):
                y = _height(position[t], slope[t], d0[t], d1[t])
                result = _TWO * bound * (low[t] + height[t] * y) - bound
                z[t] = result if abs(x[t]) <= bound else x[t]
            for t in range(LANES):
                d, q = _terms(position[t], slope[t], d0[t], d1[t])
                ratio = slope[t] / d
                derivative[t] = ratio * ratio * q if abs(x[t]) <= bound else _ONE


def _terms(
    t: np.floating, s: np.floating, d0: np.floating, d1: np.floating
) -> tuple[np.floating, np.floating]:
    """Denominator D of the height and numerator Q of the derivative."""
    r = _ONE - t
    return s * (t * t + r * r) + (d0 + d1) * t * r, d1 * t * t + _TWO * s * t * r + d0 * r * r


def _height(t: np.floating, s: np.floating, d0: np.floating, d1: np.floating) -> np.floating:
    """Relative height y in the bin."""
    d, _ = _terms(t, s, d0, d1)
    height: np.floating = (s * t * t + d0 * t * (_ONE - t)) / d
    return height


# The gradients below are of gz * height * y + gl * log(s^2 Q / D^2), gz for the scaled output of a value and
# gl for its logarithm.


def _position_gradient(  # noqa: PLR0917
    t: np.floating, s: np.floating, d0: np.floating, d1: np.floating, gy: np.floating, gl: np.floating
) -> np.floating:
    d, q = _terms(t, s, d0, d1)
    r = _ONE - t
    q_t = _TWO * (d1 * t - d0 * r + s * (r - t))
    d_t = (r - t) * (d0 + d1 - _TWO * s)
    gradient: np.floating = gy * s * q / (d * d) + gl * (q_t / q - _TWO * d_t / d)
    return gradient


def _slope_gradient(  # noqa: PLR0917
    t: np.floating, s: np.floating, d0: np.floating, d1: np.floating, gy: np.floating, gl: np.floating
) -> np.floating:
    d, q = _terms(t, s, d0, d1)
    r = _ONE - t
    y_s = t * r * (d1 * t * t - d0 * r * r) / (d * d)
    gradient: np.floating = gy * y_s + gl * _TWO * (_ONE / s + t * r / q - (t * t + r * r) / d)
    return gradient


def _left_gradient(  # noqa: PLR0917
    t: np.floating, s: np.floating, d0: np.floating, d1: np.floating, gy: np.floating, gl: np.floating
) -> np.floating:
    d, q = _terms(t, s, d0, d1)
    r = _ONE - t
    gradient: np.floating = gy * t * r * (s * r * r + d1 * t * r) / (d * d) + gl * (
        r * r / q - _TWO * t * r / d
    )
    return gradient


def _right_gradient(  # noqa: PLR0917
    t: np.floating, s: np.floating, d0: np.floating, d1: np.floating, gy: np.floating, gl: np.floating
) -> np.floating:
    d, q = _terms(t, s, d0, d1)
    r = _ONE - t
    gradient: np.floating = gl * (t * t / q - _TWO * t * r / d) - gy * t * r * (s * t * t + d0 * t * r) / (
        d * d
    )
    return gradient


def _sigmoid(x: np.floating) -> np.floating:
    """1 / (1 + exp(-x))."""
    e = exp_of_negative(-abs(x))
    result: np.floating = (_ONE if x >= _ZERO else e) / (_ONE + e)
    return result


def _derivative_gradients(  # noqa: PLR0917
    logits: np.ndarray,
    gradients: np.ndarray,
    bins: int,
    distance: int,
    start: int,
    index: np.ndarray,
    g0: np.ndarray,
    g1: np.ndarray,
) -> None:
    """Write the gradients of the derivatives' logits, given those of the derivatives at a bin's two ends."""
    most = logits.dtype.type(_MAX_LOGIT)
    for k in range(2 * bins, 3 * bins - 1):
        for t in range(LANES):
            gradients[k * distance + start + t] = _ZERO
    for t in range(LANES):
        above = (2 * bins + index[t]) * distance + start + t
        below = above - distance
        if index[t] > 0 and logits[below] <= most:
            gradients[below] = g0[t] * _sigmoid(logits[below])
        if index[t] < bins - 1 and logits[above] <= most:
            gradients[above] = g1[t] * _sigmoid(logits[above])


def _softmax_gradients(  # noqa: PLR0917
    weights: np.ndarray,
    gradients: np.ndarray,
    first: int,
    bins: int,
    distance: int,
    start: int,
    scale: np.ndarray,
    index: np.ndarray,
    low: np.ndarray,
    size: np.ndarray,
    g_low: np.ndarray,
    g_size: np.ndarray,
    mean: np.ndarray,
) -> None:
    """Write gradients of the logits of K shares, given those of a bin's lower edge and size; mean is room."""
    if bins == 1:
        # The only share is 1 whatever its logit, which rounding would forget.
        for t in range(LANES):
            gradients[first * distance + start + t] = _ZERO
        return
    least = weights.dtype.type(_MIN_SHARE)
    free = _ONE - np.float32(bins) * least
    for t in range(LANES):
        before = (low[t] - np.float32(index[t]) * least) * g_low[t]
        mean[t] = (before + (size[t] - least) * g_size[t]) / free
    for k in range(bins):
        i = (first + k) * distance + start
        row, gradient = weights[i : i + LANES], gradients[i : i + LANES]
        bin_index = np.int32(k)
        for t in range(LANES):
            share = g_low[t] if bin_index < index[t] else (g_size[t] if bin_index == index[t] else _ZERO)
            gradient[t] = row[t] * scale[t] * (share - mean[t])


def _positions(  # noqa: PLR0917
    x: np.ndarray,
    kept: np.ndarray,
    start: int,
    bound: np.floating,
    index: np.ndarray,
    position: np.ndarray,
    slope: np.ndarray,
) -> None:
    """Find the bins, the positions in them and their slopes again, from the state."""
    block = slice(start, start + LANES)
    kept_index, left, width, height = kept[0, block], kept[1, block], kept[2, block], kept[5, block]
    for t in range(LANES):
        index[t] = np.int32(kept_index[t])
    for t in range(LANES):
        slope[t] = height[t] / width[t]
    for t in range(LANES):
        inside = x[t] if abs(x[t]) <= bound else _ZERO
        position[t] = min(max((_HALF + inside / (_TWO * bound) - left[t]) / width[t], _ZERO), _ONE)


def _bin_gradients(  # noqa: PLR0917
    position: np.ndarray,
    slope: np.ndarray,
    kept: np.ndarray,
    start: int,
    gz: np.ndarray,
    gl: np.ndarray,
    d0: np.ndarray,
    d1: np.ndarray,
    g_left: np.ndarray,
    g_width: np.ndarray,
    g_height: np.ndarray,
    gs: np.ndarray,
    g0: np.ndarray,
    gy: np.ndarray,
) -> None:
    """Find the gradients of a bin's left edge, width and height; those of its derivatives replace them.

    The last three are room.
    """
    block = slice(start, start + LANES)
    width, height = kept[2, block], kept[5, block]
    for t in range(LANES):
        gy[t] = gz[t] * height[t]
    for t in range(LANES):
        gs[t] = _slope_gradient(position[t], slope[t], d0[t], d1[t], gy[t], gl[t]) / width[t]
    for t in range(LANES):
        g_left[t] = -_position_gradient(position[t], slope[t], d0[t], d1[t], gy[t], gl[t]) / width[t]
    for t in range(LANES):
        g_width[t] = g_left[t] * position[t] - gs[t] * slope[t]
    for t in range(LANES):
        g_height[t] = gz[t] * _height(position[t], slope[t], d0[t], d1[t]) + gs[t]
    for t in range(LANES):
        g0[t] = _left_gradient(position[t], slope[t], d0[t], d1[t], gy[t], gl[t])
    for t in range(LANES):
        d1[t] = _right_gradient(position[t], slope[t], d0[t], d1[t], gy[t], gl[t])
    for t in range(LANES):
        d0[t] = g0[t]


def _find_gradients(  # noqa: PLR0917
    values: np.ndarray,
    logits: np.ndarray,
    state: np.ndarray,
    output_gradients: np.ndarray,
    log_gradients: np.ndarray,
    value_gradients: np.ndarray,
    logit_gradients: np.ndarray,
    bound: np.floating,
    room: np.ndarray,
    index: np.ndarray,
) -> None:
    """Find the gradients of positions and spline parameters.

    Parameters
    ----------
    values, logits, state
        As `apply_spline` took and left them.
    output_gradients
        Gradients of the heights, shape (G, T).
    log_gradients
        Gradients of the sum over variables of the logarithms of the derivatives, shape (T,).
    value_gradients
        Of the positions, shape (G, T); written.
    logit_gradients
        Of the spline parameters before `apply_spline`, shape (G * (3K - 1), T), flat; written.
    bound
        Half width of the spline's interval.
    room, index
        Room for intermediate results, shapes (_ROOM, LANES) and (LANES,).
    """
    variables, columns = values.shape
    rows = logits.size // (variables * columns)
    bins = (rows + 1) // 3
    widths, heights = 0 * bins, bins
    position, slope, gz, gl = room[0], room[1], room[2], room[3]
    g0, g1, g_left, g_width, g_height = room[4], room[5], room[6], room[7], room[8]
    gs, g_first, gy, mean = room[9], room[10], room[11], room[12]
    for variable in range(variables):
        here = slice(variable * rows * columns, (variable + 1) * rows * columns)
        own, written = logits[here], logit_gradients[here]
        for start in range(0, columns, LANES):
            block = slice(start, start + LANES)
            x, kept = values[variable, block], state[variable]
            g_out, gx = output_gradients[variable, block], value_gradients[variable, block]
            _positions(x, kept, start, bound, index, position, slope)
            for t in range(LANES):
                gz[t] = g_out[t] * _TWO * bound if abs(x[t]) <= bound else _ZERO
            for t in range(LANES):
                gl[t] = log_gradients[start + t] if abs(x[t]) <= bound else _ZERO
            edge_derivatives(own, bins, columns, start, index, g0, g1)
            _bin_gradients(
                position, slope, kept, start, gz, gl, g0, g1, g_left, g_width, g_height, gs, g_first, gy
            )
            for t in range(LANES):
                gx[t] = -g_left[t] / (_TWO * bound) if abs(x[t]) <= bound else g_out[t]
            _softmax_gradients(
                own,
                written,
                widths,
                bins,
                columns,
                start,
                kept[3, block],
                index,
                kept[1, block],
                kept[2, block],
                g_left,
                g_width,
                mean,
            )
            _softmax_gradients(
                own,
                written,
                heights,
                bins,
                columns,
                start,
                kept[6, block],
                index,
                kept[4, block],
                kept[5, block],
                gz,
                g_height,
                mean,
            )
            _derivative_gradients(own, written, bins, columns, start, index, g0, g1)


def _kernels(function: Callable[..., None], signature: str) -> dict[Any, Kernel]:
    """Give the kernel of each precision; F stands for it in the signature."""
    return {
        np.dtype(name): Kernel(function, signature.replace("F", name), contract=True, replacing=replacing)
        for name, replacing in (("float32", {}), ("float64", DOUBLE))
    }


_APPLY = _kernels(_apply, "F[:, ::1], F[::1], F[:, ::1], F[:, ::1], F[:, :, ::1], F, F[:, ::1], int32[::1]")
_GRADIENTS = _kernels(
    _find_gradients,
    "F[:, ::1], F[::1], F[:, :, ::1], F[:, ::1], F[::1], F[:, ::1], F[::1], F, F[:, ::1], int32[::1]",
)


def apply_spline(  # noqa: PLR0917
    values: np.ndarray,
    logits: np.ndarray,
    outputs: np.ndarray,
    derivatives: np.ndarray,
    state: np.ndarray,
    bound: float,
) -> None:
    """Map variables through their splines, see `_apply`; all arrays of one floating-point type."""
    arrays = (values, logits.reshape(-1), outputs, derivatives, state)
    _APPLY[values.dtype](*arrays, bound, *_room(values.dtype))


def spline_gradients(  # noqa: PLR0917
    values: np.ndarray,
    logits: np.ndarray,
    state: np.ndarray,
    output_gradients: np.ndarray,
    log_gradients: np.ndarray,
    value_gradients: np.ndarray,
    logit_gradients: np.ndarray,
    bound: float,
) -> None:
    """Find the gradients of positions and spline parameters, see `_find_gradients`."""
    given = (values, logits.reshape(-1), state, output_gradients, log_gradients)
    _GRADIENTS[values.dtype](
        *given, value_gradients, logit_gradients.reshape(-1), bound, *_room(values.dtype)
    )


def _room(dtype: np.dtype[Any]) -> tuple[Any, Any]:
    return aligned((_ROOM, LANES), dtype), aligned(LANES, np.int32)
