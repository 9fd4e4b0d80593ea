"""Values that branches can have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.nanoaod.mantissa import MANTISSA_BITS, rounding_cell

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.declarations.objects import Target

    Floats = NDArray[np.float64]

__all__ = ["allowed", "allows", "stored_cell"]


def allows(target: Target, values: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell which NanoAOD values, shape (N,), the declaration of a target allows; NaN is never allowed."""
    if target.values is not None:
        return np.isin(values, target.values)
    low, high = target.range or (-np.inf, np.inf)
    if target.threshold is not None:
        low = max(low, target.threshold)
    inside: NDArray[np.bool_] = np.isfinite(values) & (values >= low) & (values <= high)
    return inside | np.isin(values, target.special)


def allowed(target: Target, values: Floats) -> Floats:
    """Bring values, shape (N,), that are out of the branch's range to the nearest that it can have."""
    if target.values is not None:
        known = np.sort(np.asarray(target.values, dtype=np.float64))
        return known[np.searchsorted((known[1:] + known[:-1]) / 2.0, values)]
    if target.range is None:
        return values
    clipped = np.clip(values, *target.range)
    return np.where(np.isin(values, target.special), values, clipped) if target.special else clipped


def stored_cell(target: Target, values: Floats, bits: int | None) -> tuple[Floats, Floats]:
    """Give the ends of what is rounded to each stored value, shape (N,) each; point masses have none."""
    if target.is_discrete:
        return values, values
    low, high = rounding_cell(values, MANTISSA_BITS if bits is None else bits)
    special = np.isin(values, target.special)
    return np.where(special, values, low), np.where(special, values, high)
