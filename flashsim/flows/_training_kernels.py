"""Numba kernels of the training: the spline forward, and the gradients of its outputs, feature-major.

Written like `flashsim.flows._kernels`, whose helpers they share. What the gradients need of the forward pass
is kept: the exponentials of the width and height logits where the logits were, and seven numbers a value in
`STATE` rows. With t the position in the bin, s its slope, d0 and d1 the derivatives at its ends and

    D = s (t^2 + (1 - t)^2) + (d0 + d1) t (1 - t),    Q = d1 t^2 + 2 s t (1 - t) + d0 (1 - t)^2,

the height in the bin is y = (s t^2 + d0 t (1 - t)) / D and the derivative of the spline is s^2 Q / D^2
(Durkan et al., arXiv:1906.04032); the partial derivatives below are written so that nothing cancels in y.
"""

from __future__ import annotations

import numpy as np

from flashsim.flows._kernels import (
    LANES,
    bin_edges,
    compiled,
    edge_derivatives,
    exp_of_negative,
    exponentials,
    find_bin,
)
from flashsim.flows.spline_limits import MAX_LOGIT, MIN_BIN_SHARE

__all__ = ["STATE", "apply_spline", "spline_gradients"]

STATE = 7
"""Rows of what is kept of a value: bin, its left edge, width, scale of widths, the same for heights."""

_ZERO, _HALF, _ONE, _TWO = (np.float32(value) for value in (0.0, 0.5, 1.0, 2.0))
_MIN_SHARE, _MAX_LOGIT = MIN_BIN_SHARE, MAX_LOGIT


def _apply_spline(  # noqa: PLR0917
    values: np.ndarray,
    logits: np.ndarray,
    outputs: np.ndarray,
    derivatives: np.ndarray,
    state: np.ndarray,
    bound: np.floating,
) -> None:
    """Map G variables through their splines; all arrays of one floating-point type.

    Parameters
    ----------
    values
        Positions, shape (G, T), T a multiple of LANES.
    logits
        Spline parameters, shape (G * (3K - 1), T): widths, heights, inner derivatives of the first variable,
        then of the next. Widths and heights become exponentials.
    outputs, derivatives
        Heights, and derivatives of the heights with respect to the positions, shape (G, T).
    state
        What `spline_gradients` needs, shape (G, STATE, T).
    bound
        Half width of the spline's interval.
    """
    variables, rows = values.shape[0], logits.shape[0] // values.shape[0]
    bins = (rows + 1) // 3
    free = _ONE - np.float32(bins) * values.dtype.type(_MIN_SHARE)
    index = np.empty(LANES, np.int32)
    d0, d1 = np.empty(LANES, values.dtype), np.empty(LANES, values.dtype)
    position, slope = np.empty(LANES, values.dtype), np.empty(LANES, values.dtype)
    for variable in range(variables):
        own = logits[variable * rows : (variable + 1) * rows]
        for start in range(0, values.shape[1], LANES):
            block = slice(start, start + LANES)
            x, z = values[variable, block], outputs[variable, block]
            kept = state[variable]
            left, width, low, height = kept[1, block], kept[2, block], kept[4, block], kept[5, block]
            derivative, kept_index = derivatives[variable, block], kept[0, block]
            for t in range(LANES):
                position[t] = _HALF + (x[t] if abs(x[t]) <= bound else _ZERO) / (_TWO * bound)
            exponentials(own, 0, bins, start, kept[3, block], free)
            find_bin(own, 0, bins, start, kept[3, block], position, index)
            bin_edges(own, 0, bins, start, kept[3, block], index, left, width)
            exponentials(own, bins, bins, start, kept[6, block], free)
            bin_edges(own, bins, bins, start, kept[6, block], index, low, height)
            edge_derivatives(own, bins, start, index, d0, d1)
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


def _terms_(
    t: np.floating, s: np.floating, d0: np.floating, d1: np.floating
) -> tuple[np.floating, np.floating]:
    """Denominator D of the height and numerator Q of the derivative."""
    r = _ONE - t
    return s * (t * t + r * r) + (d0 + d1) * t * r, d1 * t * t + _TWO * s * t * r + d0 * r * r


_terms = compiled(_terms_, inline=True)


def _height_(t: np.floating, s: np.floating, d0: np.floating, d1: np.floating) -> np.floating:
    """Relative height y in the bin."""
    d, _ = _terms(t, s, d0, d1)
    height: np.floating = (s * t * t + d0 * t * (_ONE - t)) / d
    return height


_height = compiled(_height_, inline=True)


# The gradients below are of gz * height * y + gl * log(s^2 Q / D^2), gz for the scaled output of a value and
# gl for its logarithm.


def _position_gradient_(  # noqa: PLR0917
    t: np.floating, s: np.floating, d0: np.floating, d1: np.floating, gy: np.floating, gl: np.floating
) -> np.floating:
    d, q = _terms(t, s, d0, d1)
    r = _ONE - t
    q_t = _TWO * (d1 * t - d0 * r + s * (r - t))
    d_t = (r - t) * (d0 + d1 - _TWO * s)
    gradient: np.floating = gy * s * q / (d * d) + gl * (q_t / q - _TWO * d_t / d)
    return gradient


def _slope_gradient_(  # noqa: PLR0917
    t: np.floating, s: np.floating, d0: np.floating, d1: np.floating, gy: np.floating, gl: np.floating
) -> np.floating:
    d, q = _terms(t, s, d0, d1)
    r = _ONE - t
    y_s = t * r * (d1 * t * t - d0 * r * r) / (d * d)
    gradient: np.floating = gy * y_s + gl * _TWO * (_ONE / s + t * r / q - (t * t + r * r) / d)
    return gradient


def _left_gradient_(  # noqa: PLR0917
    t: np.floating, s: np.floating, d0: np.floating, d1: np.floating, gy: np.floating, gl: np.floating
) -> np.floating:
    d, q = _terms(t, s, d0, d1)
    r = _ONE - t
    gradient: np.floating = gy * t * r * (s * r * r + d1 * t * r) / (d * d) + gl * (
        r * r / q - _TWO * t * r / d
    )
    return gradient


def _right_gradient_(  # noqa: PLR0917
    t: np.floating, s: np.floating, d0: np.floating, d1: np.floating, gy: np.floating, gl: np.floating
) -> np.floating:
    d, q = _terms(t, s, d0, d1)
    r = _ONE - t
    gradient: np.floating = gl * (t * t / q - _TWO * t * r / d) - gy * t * r * (s * t * t + d0 * t * r) / (
        d * d
    )
    return gradient


_position_gradient, _slope_gradient, _left_gradient, _right_gradient = (
    compiled(function, inline=True)
    for function in (_position_gradient_, _slope_gradient_, _left_gradient_, _right_gradient_)
)


def _sigmoid_(x: np.floating) -> np.floating:
    """1 / (1 + exp(-x))."""
    e = exp_of_negative(-abs(x))
    result: np.floating = (_ONE if x >= _ZERO else e) / (_ONE + e)
    return result


_sigmoid = compiled(_sigmoid_, inline=True)


def _derivative_gradients_(  # noqa: PLR0917
    logits: np.ndarray,
    gradients: np.ndarray,
    bins: int,
    start: int,
    index: np.ndarray,
    g0: np.ndarray,
    g1: np.ndarray,
) -> None:
    """Write the gradients of the derivatives' logits, given those of the derivatives at a bin's two ends."""
    most = logits.dtype.type(_MAX_LOGIT)
    for k in range(2 * bins, 3 * bins - 1):
        gradients[k, start : start + LANES] = _ZERO
    for t in range(LANES):
        knot = 2 * bins + index[t]
        if index[t] > 0 and logits[knot - 1, start + t] <= most:
            gradients[knot - 1, start + t] = g0[t] * _sigmoid(logits[knot - 1, start + t])
        if index[t] < bins - 1 and logits[knot, start + t] <= most:
            gradients[knot, start + t] = g1[t] * _sigmoid(logits[knot, start + t])


_derivative_gradients = compiled(_derivative_gradients_)


def _softmax_gradients_(  # noqa: PLR0917
    weights: np.ndarray,
    gradients: np.ndarray,
    first: int,
    bins: int,
    start: int,
    scale: np.ndarray,
    index: np.ndarray,
    low: np.ndarray,
    size: np.ndarray,
    g_low: np.ndarray,
    g_size: np.ndarray,
) -> None:
    """Write the gradients of the logits of K shares, given those of a bin's lower edge and of its size."""
    if bins == 1:
        # The only share is 1 whatever its logit, which rounding would forget.
        gradients[first, start : start + LANES] = _ZERO
        return
    mean = np.empty(LANES, weights.dtype)
    least = weights.dtype.type(_MIN_SHARE)
    free = _ONE - np.float32(bins) * least
    for t in range(LANES):
        before = (low[t] - np.float32(index[t]) * least) * g_low[t]
        mean[t] = (before + (size[t] - least) * g_size[t]) / free
    for k in range(bins):
        row = weights[first + k, start : start + LANES]
        gradient = gradients[first + k, start : start + LANES]
        bin_index = np.int32(k)
        for t in range(LANES):
            share = g_low[t] if bin_index < index[t] else (g_size[t] if bin_index == index[t] else _ZERO)
            gradient[t] = row[t] * scale[t] * (share - mean[t])


_softmax_gradients = compiled(_softmax_gradients_)


def _positions_(  # noqa: PLR0917
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


_positions = compiled(_positions_)


def _bin_gradients_(  # noqa: PLR0917
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
) -> None:
    """Find the gradients of a bin's left edge, width and height; those of its derivatives replace them."""
    block = slice(start, start + LANES)
    width, height = kept[2, block], kept[5, block]
    gs, g0 = np.empty(LANES, slope.dtype), np.empty(LANES, slope.dtype)
    gy = np.empty(LANES, slope.dtype)
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


_bin_gradients = compiled(_bin_gradients_)


def _spline_gradients(  # noqa: PLR0917
    values: np.ndarray,
    logits: np.ndarray,
    state: np.ndarray,
    output_gradients: np.ndarray,
    log_gradients: np.ndarray,
    value_gradients: np.ndarray,
    logit_gradients: np.ndarray,
    bound: np.floating,
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
        Of the spline parameters before `apply_spline`, shape (G * (3K - 1), T); written.
    bound
        Half width of the spline's interval.
    """
    variables, rows = values.shape[0], logits.shape[0] // values.shape[0]
    bins = (rows + 1) // 3
    kind = values.dtype
    index = np.empty(LANES, np.int32)
    position, slope = np.empty(LANES, kind), np.empty(LANES, kind)
    gz, gl = np.empty(LANES, kind), np.empty(LANES, kind)
    g0, g1 = np.empty(LANES, kind), np.empty(LANES, kind)
    g_width, g_height = np.empty(LANES, kind), np.empty(LANES, kind)
    g_left = np.empty(LANES, kind)
    for variable in range(variables):
        own = logits[variable * rows : (variable + 1) * rows]
        written = logit_gradients[variable * rows : (variable + 1) * rows]
        for start in range(0, values.shape[1], LANES):
            block = slice(start, start + LANES)
            x, kept = values[variable, block], state[variable]
            g_out, gx = output_gradients[variable, block], value_gradients[variable, block]
            _positions(x, kept, start, bound, index, position, slope)
            for t in range(LANES):
                gz[t] = g_out[t] * _TWO * bound if abs(x[t]) <= bound else _ZERO
            for t in range(LANES):
                gl[t] = log_gradients[start + t] if abs(x[t]) <= bound else _ZERO
            edge_derivatives(own, bins, start, index, g0, g1)
            _bin_gradients(position, slope, kept, start, gz, gl, g0, g1, g_left, g_width, g_height)
            for t in range(LANES):
                gx[t] = -g_left[t] / (_TWO * bound) if abs(x[t]) <= bound else g_out[t]
            _softmax_gradients(
                own,
                written,
                0,
                bins,
                start,
                kept[3, block],
                index,
                kept[1, block],
                kept[2, block],
                g_left,
                g_width,
            )
            _softmax_gradients(
                own,
                written,
                bins,
                bins,
                start,
                kept[6, block],
                index,
                kept[4, block],
                kept[5, block],
                gz,
                g_height,
            )
            _derivative_gradients(own, written, bins, start, index, g0, g1)


apply_spline = compiled(_apply_spline)
spline_gradients = compiled(_spline_gradients)
