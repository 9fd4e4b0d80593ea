"""The compiled loops: same functions as torch's, in single precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flashsim.execution.machine_code import Kernel, aligned
from flashsim.flows import _kernels
from flashsim.flows.spline import rational_quadratic

BOUND = 6.0
INVERT = Kernel(
    _kernels.invert_spline,
    "float32[::1], float32[::1], int64, int64, float32[::1], float32, float32[::1], int32[::1]",
    contract=True,
)
ACTIVATE = Kernel(_kernels.activate, "float32[::1], float32[::1]", contract=True)


def inverse(values, logits):
    """Positions, shape (T,), of heights for spline parameters (3K - 1, T)."""
    found = np.empty(len(values), np.float32)
    bins, room = (len(logits) + 1) // 3, aligned(_kernels.ROOM * _kernels.LANES)
    INVERT(values, logits.flatten(), bins, len(values), found, BOUND, room, aligned(_kernels.LANES, np.int32))
    return found


@given(st.integers(0, 2**32 - 1), st.integers(1, 32), st.sampled_from([0.1, 1.0, 10.0]))
@settings(max_examples=40, deadline=None)
def test_spline_inverse(seed, bins, scale):
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(3 * bins - 1, 2 * _kernels.LANES, generator=generator)
    values = 2.5 * torch.randn(logits.shape[1], generator=generator)
    parameters = logits.double().T.tensor_split((bins, 2 * bins), dim=-1)
    expected, _ = rational_quadratic(values.double(), *parameters, inverse=True, bound=BOUND)
    found = inverse(values.numpy(), logits.numpy())
    # The image of the found positions: where the spline is flat, the position itself is not determined.
    heights, _ = rational_quadratic(torch.from_numpy(found).double(), *parameters, bound=BOUND)
    close = np.isclose(found, expected, rtol=0, atol=1e-4) | np.isclose(heights, values, rtol=0, atol=1e-4)
    assert close.all()
    if scale < 1.0:  # slopes near one: rounding is not carried further
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("magnitude", [1e4, 1e38])
def test_spline_inverse_at_extreme_logits(magnitude):
    generator = torch.Generator().manual_seed(1)
    logits = (magnitude * torch.randn(23, 256, generator=generator).sign()).numpy()
    values = torch.linspace(-7.0, 7.0, 256).numpy()
    found = inverse(values, logits)
    assert np.isfinite(found).all()
    inside = np.abs(values) <= BOUND
    assert (np.abs(found[inside]) <= BOUND * (1.0 + 1e-6)).all()
    np.testing.assert_array_equal(found[~inside], values[~inside])


def test_activations():
    units = np.concatenate((np.linspace(-100.0, 100.0, 4001), [-1e30, -0.0, 1e30])).astype(np.float32)
    expected = torch.nn.functional.silu(torch.from_numpy(units).double())
    found = np.empty_like(units)
    ACTIVATE(units, found)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)
