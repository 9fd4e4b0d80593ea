"""Azimuths and their differences, wrapped: of columns, and of single values in compiled loops."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["delta_phi", "wrap_angle"]

Floats = NDArray[np.float64]


def wrap_angle(phi: Floats) -> Floats:
    """Bring angles in radians into [-pi, pi), elementwise."""
    return (phi + np.pi) % (2.0 * np.pi) - np.pi


def delta_phi(a: float, b: float) -> float:
    """Difference of two azimuths, in [-pi, pi)."""
    return (a - b + math.pi) % (2.0 * math.pi) - math.pi
