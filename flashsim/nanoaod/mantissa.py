"""Reduced float precision, as NanoAOD stores it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MANTISSA_BITS", "observed_bits", "round_mantissa", "rounding_cell"]

MANTISSA_BITS = 23
"""Explicit mantissa bits of a float32."""

_EXPONENT = np.uint32(0x7F800000)


def round_mantissa(values: NDArray[np.float32], bits: int) -> NDArray[np.float32]:
    """Round float32 values to a number of mantissa bits.

    Bit for bit what ``MiniFloatConverter::reduceMantissaToNbitsRounding`` of CMSSW (DataFormats/Math)
    does to finite values: halves are rounded away from zero, and the mantissa never carries into the
    exponent. In the last two steps below a power of two values are cut off instead, so that a float
    never grows into the next binade (and the largest ones not into infinity). Infinities and NaN are
    returned as they are.

    Parameters
    ----------
    values
        Values of dtype float32, any shape.
    bits
        Mantissa bits to keep, 1 to 23; 23 changes nothing. NanoAOD has 10 for most momenta and taggers,
        12 for most angles.

    Returns
    -------
    array of float32, same shape
        Relative to the value, a normal number moves by at most ``1 / (2 ** (bits + 1) - 1)``.

    Raises
    ------
    ValueError
        If `bits` is out of range.
    TypeError
        If the values are not float32.
    """
    if not 1 <= bits <= MANTISSA_BITS:
        msg = f"mantissa bits must be 1 to {MANTISSA_BITS}, found {bits}"
        raise ValueError(msg)
    values = np.asarray(values)
    if values.dtype != np.float32:
        msg = f"only float32 values have mantissas to reduce, found {values.dtype}"
        raise TypeError(msg)
    shift = MANTISSA_BITS - bits
    if shift == 0:
        return values.copy()
    raw = np.ascontiguousarray(values).view(np.uint32).reshape(values.shape)
    step = np.uint32(1 << shift)
    kept = raw & ~np.uint32(step - 1)
    last_rounded_up = np.uint32(((1 << bits) - 2) << shift)
    half_or_more = (raw & np.uint32(step >> 1)) != 0
    rounds_up = half_or_more & ((kept & np.uint32(0x007FFFFF)) < last_rounded_up)
    rounded = np.where(rounds_up, kept + step, kept)
    finite = (raw & _EXPONENT) != _EXPONENT
    return np.where(finite, rounded, raw).astype(np.uint32, copy=False).view(np.float32)


def rounding_cell(values: NDArray[np.floating], bits: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find what `round_mantissa` rounds to each stored value.

    Parameters
    ----------
    values
        Finite values with so many mantissa bits, any shape; zeros or normal numbers.
    bits
        Mantissa bits that are kept.

    Returns
    -------
    low, high
        Ends of the interval, same shape: all between them is rounded to the value. A power of two has nothing
        on the side of zero, the last two values below it have a whole step on the other. A zero stands for
        itself only.
    """
    exact = np.asarray(values, dtype=np.float64)
    fraction, exponent = np.frexp(np.abs(exact))
    step = np.where(exact == 0.0, 0.0, np.ldexp(1.0, exponent - 1 - bits))
    kept = np.rint(np.ldexp(2.0 * fraction - 1.0, bits))
    last = 2.0**bits - 2.0
    inner = np.where((kept == 0.0) | (kept > last), 0.0, 0.5) * step
    outer = np.where(kept >= last, 1.0, 0.5) * step
    below, above = np.where(exact < 0.0, (outer, inner), (inner, outer))
    return exact - below, exact + above


def observed_bits(values: NDArray[np.float32]) -> int:
    """Count the mantissa bits that values make use of.

    Parameters
    ----------
    values
        Values of dtype float32, any shape; those not finite are left out.

    Returns
    -------
    int
        Smallest number of bits, 0 to 23, that `round_mantissa` could keep without changing any value.
    """
    raw = values[np.isfinite(values)].astype(np.float32, copy=False).ravel().view(np.uint32)
    used = int(np.bitwise_or.reduce(raw & np.uint32(0x007FFFFF), initial=0))
    lowest = (used & -used).bit_length() - 1
    return MANTISSA_BITS - lowest if used else 0
