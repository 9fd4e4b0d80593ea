"""Monotonic rational-quadratic spline with linear tails, safe in single precision.

The function is that of Durkan, Bekasov, Murray, Papamakarios, "Neural Spline Flows" (NeurIPS 2019,
arXiv:1906.04032). Inside a bin with slope s, end derivatives d0 and d1, relative position t and relative
height y, it reads

    y = (s t^2 + d0 t (1 - t)) / (s (t^2 + (1 - t)^2) + (d0 + d1) t (1 - t)),

every term of which is positive. The inverse solves a quadratic equation in t. With
u = d0 (1 - y) - d1 y its discriminant is u^2 + 4 s^2 y (1 - y): a sum of terms that cannot be negative,
so that no rounding can make the square root fail, and the root is taken from the end of the bin where
nothing cancels.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from flashsim.flows.spline_limits import MAX_LOGIT, MIN_BIN_SHARE, MIN_DERIVATIVE, identity_logit

__all__ = ["rational_quadratic"]


class _Bin(NamedTuple):
    """The bin of each input: left edge, width, bottom edge, height, derivatives at its two ends."""

    left: Tensor
    width: Tensor
    bottom: Tensor
    height: Tensor
    d0: Tensor
    d1: Tensor


def rational_quadratic(
    inputs: Tensor,
    widths: Tensor,
    heights: Tensor,
    derivatives: Tensor,
    *,
    inverse: bool = False,
    bound: float = 6.0,
    min_bin_width: float = MIN_BIN_SHARE,
    min_bin_height: float = MIN_BIN_SHARE,
    min_derivative: float = MIN_DERIVATIVE,
) -> tuple[Tensor, Tensor]:
    """Map inputs through a monotonic spline on [-bound, bound] and the identity outside.

    Parameters
    ----------
    inputs
        Values, shape (...).
    widths, heights
        Unnormalised bin widths and heights, shape (..., K); a softmax makes them sum to 2 bound.
    derivatives
        Unnormalised derivatives at the K - 1 inner knots, shape (..., K - 1); softplus makes them
        positive. The derivative is one at the two ends, where the linear tails begin.
    inverse
        Map from the spline's range back to its domain.
    bound
        Half width of the interval that the spline covers.
    min_bin_width, min_bin_height
        Smallest share of the interval that a bin takes.
    min_derivative
        Smallest derivative.

    Returns
    -------
    outputs, logabsdet : Tensor
        Mapped values and the logarithm of the absolute derivative of the map that was applied, both of
        shape (...). Finite for every finite input and parameter; non-finite inputs stay as they are.

    Raises
    ------
    ValueError
        If the parameters do not fit together, or if K bins of the smallest size do not fit the interval.

    References
    ----------
    Durkan et al., arXiv:1906.04032, section 3.1 and appendix A.
    """
    _check(widths, heights, derivatives, min_bin_width, min_bin_height)
    inside = inputs.abs() <= bound
    # Outside, the spline is evaluated at its edge and thrown away: gradients stay finite.
    values = torch.where(inside, inputs, 0.0)
    spline = _locate(
        values,
        _knots(widths, bound, min_bin_width),
        _knots(heights, bound, min_bin_height),
        functional.pad(derivatives, (1, 1), value=identity_logit(min_derivative)),
        inverse=inverse,
        min_derivative=min_derivative,
    )
    slope = spline.height / spline.width
    if inverse:
        position = _inverse_position((values - spline.bottom) / spline.height, slope, spline.d0, spline.d1)
        outputs = torch.minimum(spline.left + position * spline.width, spline.left + spline.width)
    else:
        position = (values - spline.left) / spline.width
        outputs = spline.bottom + spline.height * _forward_height(position, slope, spline.d0, spline.d1)
    logabsdet = _log_derivative(position, slope, spline.d0, spline.d1)
    if inverse:
        logabsdet = -logabsdet
    return torch.where(inside, outputs, inputs), torch.where(inside, logabsdet, 0.0)


def _check(widths: Tensor, heights: Tensor, derivatives: Tensor, min_width: float, min_height: float) -> None:
    bins = widths.shape[-1]
    if heights.shape[-1] != bins or derivatives.shape[-1] != bins - 1:
        msg = (
            f"A spline of {bins} bins takes {bins} heights and {bins - 1} inner derivatives, "
            f"found {heights.shape[-1]} and {derivatives.shape[-1]}."
        )
        raise ValueError(msg)
    if max(min_width, min_height) * bins > 1.0:
        msg = f"{bins} bins of at least {max(min_width, min_height)} of the interval each do not fit it."
        raise ValueError(msg)


def _knots(logits: Tensor, bound: float, minimum: float) -> Tensor:
    """Positions of the K + 1 knots, the outermost at exactly -bound and bound."""
    bins = logits.shape[-1]
    shares = minimum + (1.0 - minimum * bins) * torch.softmax(logits, dim=-1)
    inner = 2.0 * bound * torch.cumsum(shares[..., :-1], dim=-1) - bound
    low = torch.full_like(logits[..., :1], -bound)
    return torch.cat((low, inner, -low), dim=-1)


def _locate(
    values: Tensor,
    x_knots: Tensor,
    y_knots: Tensor,
    derivatives: Tensor,
    *,
    inverse: bool,
    min_derivative: float,
) -> _Bin:
    """Gather what the bin of each value needs; derivatives are logits at all K + 1 knots."""
    searched = (y_knots if inverse else x_knots).detach()
    index = (values[..., None] >= searched[..., 1:-1]).sum(dim=-1, keepdim=True)
    ends = torch.cat((index, index + 1), dim=-1)
    left, right = x_knots.gather(-1, ends).unbind(-1)
    bottom, top = y_knots.gather(-1, ends).unbind(-1)
    logits = derivatives.gather(-1, ends).clamp(max=MAX_LOGIT)
    d0, d1 = (min_derivative + functional.softplus(logits)).unbind(-1)
    return _Bin(left, right - left, bottom, top - bottom, d0, d1)


def _forward_height(t: Tensor, slope: Tensor, d0: Tensor, d1: Tensor) -> Tensor:
    middle = t * (1.0 - t)
    return (slope * t.square() + d0 * middle) / (
        slope * (t.square() + (1.0 - t).square()) + (d0 + d1) * middle
    )


def _inverse_position(y: Tensor, slope: Tensor, d0: Tensor, d1: Tensor) -> Tensor:
    y = y.clamp(0.0, 1.0)
    u = d0 * (1.0 - y) - d1 * y
    near_left = u >= 0.0
    # Distance from the end of the bin that the root is computed from: the left one for u >= 0.
    height = torch.where(near_left, y, 1.0 - y)
    reach = u.abs() + torch.sqrt(u.square() + 4.0 * slope.square() * y * (1.0 - y))
    distance = 2.0 * slope * height / (reach + 2.0 * slope * height)
    return torch.where(near_left, distance, 1.0 - distance)


def _log_derivative(t: Tensor, slope: Tensor, d0: Tensor, d1: Tensor) -> Tensor:
    middle = t * (1.0 - t)
    numerator = d1 * t.square() + 2.0 * slope * middle + d0 * (1.0 - t).square()
    denominator = slope * (t.square() + (1.0 - t).square()) + (d0 + d1) * middle
    return 2.0 * (torch.log(slope) - torch.log(denominator)) + torch.log(numerator)
