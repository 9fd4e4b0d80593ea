"""What bounds the bins and derivatives of a spline, in training and in sampling."""

from __future__ import annotations

import math

__all__ = ["MAX_LOGIT", "MIN_BIN_SHARE", "MIN_DERIVATIVE", "identity_logit"]

MIN_BIN_SHARE = 1e-3
"""Smallest share of the interval that a bin takes, in width and in height."""
MIN_DERIVATIVE = 1e-3
MAX_LOGIT = 1e4
"""Largest derivative (and its logit): its square times a squared slope still fits a float32."""


def identity_logit(min_derivative: float = MIN_DERIVATIVE) -> float:
    """Return the derivative logit that means a derivative of one.

    Parameters
    ----------
    min_derivative
        Smallest derivative of the spline.

    Returns
    -------
    float
        The x with ``min_derivative + softplus(x) == 1``.
    """
    return math.log(math.expm1(1.0 - min_derivative))
