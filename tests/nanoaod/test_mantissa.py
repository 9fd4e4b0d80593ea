from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from flashsim.nanoaod.mantissa import observed_bits, round_mantissa, rounding_cell

BITS = st.integers(1, 23)
FLOATS = arrays(np.float32, st.integers(1, 50), elements=st.floats(width=32))
FINITE = arrays(
    np.float32, st.integers(1, 50), elements=st.floats(width=32, allow_nan=False, allow_infinity=False)
)


def cms(value: np.float32, bits: int) -> np.float32:
    """One value at a time, by the description of CMSSW's class and nothing else."""
    if not np.isfinite(value) or bits == 23:
        return value
    raw = int(np.float32(value).view(np.uint32))
    sign_and_exponent, mantissa = raw >> 23, raw & (2**23 - 1)
    kept, dropped = divmod(mantissa, 2 ** (23 - bits))
    if dropped >= 2 ** (22 - bits) and kept < 2**bits - 2:
        kept += 1
    return np.uint32((sign_and_exponent << 23) | (kept << (23 - bits))).view(np.float32)


@given(FLOATS, BITS)
def test_is_what_cmssw_does_bit_for_bit(values, bits):
    expected = np.array([cms(value, bits) for value in values], dtype=np.float32)
    np.testing.assert_array_equal(round_mantissa(values, bits).view(np.uint32), expected.view(np.uint32))


@given(FINITE, BITS)
def test_twice_is_once(values, bits):
    once = round_mantissa(values, bits)
    np.testing.assert_array_equal(round_mantissa(once, bits), once)


@given(FINITE, BITS)
def test_moves_normal_numbers_by_half_a_step_at_most(values, bits):
    normal = values[np.abs(values) >= np.finfo(np.float32).tiny].astype(np.float64)
    moved = np.abs(round_mantissa(normal.astype(np.float32), bits).astype(np.float64) - normal)
    assert np.all(moved <= np.abs(normal) / (2.0 ** (bits + 1) - 1))


@given(FINITE, BITS)
def test_keeps_the_order(values, bits):
    assert np.all(np.diff(round_mantissa(np.sort(values), bits)) >= 0)


@given(FINITE, st.integers(1, 14), st.floats(0.001, 0.999))
def test_all_in_a_cell_is_rounded_to_its_value_and_nothing_beyond(values, bits, share):
    normal = values[(np.abs(values) >= 2.0**-100) & (np.abs(values) < 2.0**100)]
    stored = round_mantissa(normal, bits)
    low, high = rounding_cell(stored, bits)
    inside = (low + (high - low) * share).astype(np.float32)
    np.testing.assert_array_equal(round_mantissa(inside, bits), stored)
    width = 0.01 * (high - low)
    for beyond in (low - width, high + width):
        assert (round_mantissa(beyond.astype(np.float32), bits) != stored).all()


def test_a_zero_is_nothing_but_itself():
    assert rounding_cell(np.zeros(2), 10) == pytest.approx(np.zeros((2, 2)), abs=0)


@given(FLOATS, BITS)
def test_is_symmetric_in_sign(values, bits):
    np.testing.assert_array_equal(
        round_mantissa(-values, bits).view(np.uint32), (-round_mantissa(values, bits)).view(np.uint32)
    )


@given(FINITE, BITS)
def test_finite_stays_finite_and_uses_no_more_bits(values, bits):
    rounded = round_mantissa(values, bits)
    assert np.all(np.isfinite(rounded))
    assert observed_bits(rounded) <= bits


def test_nan_with_a_small_payload_does_not_become_infinite():
    signalling = np.array([0x7F800001, 0xFF800001], dtype=np.uint32).view(np.float32)
    assert np.all(np.isnan(round_mantissa(signalling, 10)))


def test_never_carries_into_the_exponent():
    below_two = np.nextafter(np.float32(2), np.float32(0))
    assert round_mantissa(np.array([below_two], dtype=np.float32), 3)[0] == np.float32(1.875)


def test_rounds_a_half_up():
    assert round_mantissa(np.array([1.0625, -1.0625], dtype=np.float32), 3).tolist() == [1.125, -1.125]


def test_keeps_the_shape_of_strided_arrays_and_scalars():
    table = np.arange(12, dtype=np.float32).reshape(3, 4) + np.float32(0.1)
    np.testing.assert_array_equal(round_mantissa(table[:, ::2], 4), round_mantissa(table, 4)[:, ::2])
    assert round_mantissa(np.float32(3.3), 3).shape == ()


@pytest.mark.parametrize("bits", [0, 24, -1])
def test_refuses_impossible_bits(bits):
    with pytest.raises(ValueError, match="1 to 23"):
        round_mantissa(np.zeros(1, dtype=np.float32), bits)


def test_refuses_doubles():
    with pytest.raises(TypeError, match="float64"):
        round_mantissa(np.zeros(1), 10)
