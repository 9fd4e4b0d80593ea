"""The spline: invertible, monotone, exact derivative, the function of nflows, and safe at the extremes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flashsim.flows.spline import rational_quadratic
from flashsim.flows.spline_limits import identity_logit

BOUND = 6.0
BINS = st.integers(1, 32)
SEEDS = st.integers(0, 2**32 - 1)


def drawn(seed, bins, scale=1.0, rows=200, dtype=torch.float32):
    """Inputs over the interval and beyond, and logits of the given size."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.empty(rows, dtype=dtype).uniform_(-1.3 * BOUND, 1.3 * BOUND, generator=generator)
    logits = [scale * torch.randn(rows, n, generator=generator, dtype=dtype) for n in (bins, bins, bins - 1)]
    return inputs, logits


@given(SEEDS, BINS, st.floats(0.0, 3.0))
@settings(max_examples=25, deadline=None)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_inverse_undoes_forward(dtype, seed, bins, scale):
    inputs, logits = drawn(seed, bins, scale, dtype=dtype)
    outputs, logabsdet = rational_quadratic(inputs, *logits, bound=BOUND)
    back, inverse_logabsdet = rational_quadratic(outputs, *logits, inverse=True, bound=BOUND)
    # Rounding of the outputs, a few units in the last place of the bound, grows by 1 / derivative.
    rounding = 4.0 * BOUND * torch.finfo(dtype).eps * (1.0 + torch.exp(-logabsdet))
    assert ((back - inputs).abs() <= rounding).all()
    if dtype == torch.float64:
        torch.testing.assert_close(inverse_logabsdet, -logabsdet, rtol=0, atol=1e-8)


@given(SEEDS, BINS)
@settings(max_examples=25, deadline=None)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 1e-10)])
def test_inverse_at_ordinary_logits(dtype, tolerance, seed, bins):
    inputs, logits = drawn(seed, bins, 0.5, dtype=dtype)
    outputs, _ = rational_quadratic(inputs, *logits, bound=BOUND)
    back, _ = rational_quadratic(outputs, *logits, inverse=True, bound=BOUND)
    torch.testing.assert_close(back, inputs, rtol=0, atol=tolerance)


@given(SEEDS, BINS, st.booleans())
@settings(max_examples=20, deadline=None)
def test_logabsdet_is_the_derivative(seed, bins, inverse):
    inputs, logits = drawn(seed, bins, dtype=torch.float64)
    inputs.requires_grad_()
    outputs, logabsdet = rational_quadratic(inputs, *logits, inverse=inverse, bound=BOUND)
    (derivative,) = torch.autograd.grad(outputs.sum(), inputs)
    torch.testing.assert_close(logabsdet, derivative.log(), rtol=1e-7, atol=1e-7)


@given(SEEDS, BINS, st.floats(0.0, 30.0), st.booleans())
@settings(max_examples=30, deadline=None)
def test_monotone(seed, bins, scale, inverse):
    _, logits = drawn(seed, bins, scale, rows=1)
    inputs = torch.linspace(-1.1 * BOUND, 1.1 * BOUND, 3001)
    outputs, _ = rational_quadratic(
        inputs, *(rows.expand(len(inputs), -1) for rows in logits), inverse=inverse, bound=BOUND
    )
    # Rounding may turn neighbours by a few units in the last place of the bound.
    assert outputs.diff().min() > -4.0 * BOUND * torch.finfo(torch.float32).eps


@given(SEEDS, st.integers(1, 24))
@settings(max_examples=30, deadline=None)
@pytest.mark.parametrize("magnitude", [1e2, 1e4, 1e38])
@pytest.mark.parametrize("inverse", [False, True])
def test_finite_at_extreme_logits(inverse, magnitude, seed, bins):
    inputs, logits = drawn(seed, bins)
    signs = [magnitude * torch.sign(values) for values in logits]
    scaled = [magnitude / 4.0 * values.clamp(-4.0, 4.0) for values in logits]
    for extreme in (signs, scaled):
        for values in extreme:
            values.requires_grad_()
        outputs, logabsdet = rational_quadratic(inputs, *extreme, inverse=inverse, bound=BOUND)
        assert torch.isfinite(outputs).all()
        assert torch.isfinite(logabsdet).all()
        inside = inputs.abs() <= BOUND
        assert outputs[inside].abs().max() <= BOUND * (1.0 + 1e-6)
        gradients = torch.autograd.grad((outputs + logabsdet).sum(), extreme)
        assert all(torch.isfinite(gradient).all() for gradient in gradients)


@given(SEEDS, st.integers(2, 24), st.booleans())
@settings(max_examples=20, deadline=None)
def test_same_function_as_nflows(seed, bins, inverse):
    from nflows.transforms.splines.rational_quadratic import unconstrained_rational_quadratic_spline

    inputs, logits = drawn(seed, bins, dtype=torch.float64)
    expected = unconstrained_rational_quadratic_spline(
        inputs, *(values.clone() for values in logits), inverse=inverse, tails="linear", tail_bound=BOUND
    )
    found = rational_quadratic(inputs, *logits, inverse=inverse, bound=BOUND)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-8)


def test_tails_and_knots():
    inputs = torch.tensor([-math.inf, -1e30, -BOUND, BOUND, BOUND + 1e-5, 1e30, math.inf, math.nan])
    _, logits = drawn(3, 8, rows=len(inputs))
    for inverse in (False, True):
        outputs, logabsdet = rational_quadratic(inputs, *logits, inverse=inverse, bound=BOUND)
        torch.testing.assert_close(outputs, inputs, rtol=1e-6, atol=0, equal_nan=True)
        assert (logabsdet.abs() < 1e-5).all()


def test_identity_at_its_logits():
    inputs = torch.linspace(-8, 8, 101, dtype=torch.float64)
    zeros = torch.zeros(101, 5, dtype=torch.float64)
    inner = torch.full((101, 4), identity_logit(), dtype=torch.float64)
    outputs, logabsdet = rational_quadratic(inputs, zeros, zeros, inner, bound=BOUND)
    np.testing.assert_allclose(outputs, inputs, atol=1e-12)
    np.testing.assert_allclose(logabsdet, 0.0, atol=1e-12)


@pytest.mark.parametrize(
    ("shapes", "options", "match"),
    [
        ((4, 5, 3), {}, "takes 4 heights"),
        ((4, 4, 4), {}, "3 inner derivatives"),
        ((4, 4, 3), {"min_bin_width": 0.3}, "do not fit"),
    ],
)
def test_parameters_that_do_not_fit(shapes, options, match):
    with pytest.raises(ValueError, match=match):
        rational_quadratic(torch.zeros(2), *(torch.zeros(2, n) for n in shapes), **options)
