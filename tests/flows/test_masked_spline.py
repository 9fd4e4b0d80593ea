"""The compiled output layer with splines: the function and the gradients of the torch operations."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flashsim.flows import _masked_spline, spline
from flashsim.flows._masked_spline import is_compiled_for, masked_spline, spline_blocks
from flashsim.flows.degrees import hidden_degrees
from flashsim.flows.maf import ConditionalMAF

BOUND = 6.0


def drawn(seed, features, width, bins, rows, *, scale=0.3, dtype=torch.float64):
    """Inputs over the interval and beyond, hidden units, masked weights and biases, and the blocks."""
    generator = torch.Generator().manual_seed(seed)
    degrees = torch.from_numpy(hidden_degrees(width, features))
    of_outputs = torch.arange(features).repeat_interleave(3 * bins - 1)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=dtype)

    tensors = (
        3.0 * normal(rows, features),
        normal(rows, width),
        scale * normal(len(of_outputs), width) * (of_outputs[:, None] >= degrees),
        scale * normal(len(of_outputs)),
    )
    for tensor in tensors:
        tensor.requires_grad_()
    return *tensors, spline_blocks(degrees, features)


def by_torch(inputs, hidden, weight, bias):
    logits = (hidden @ weight.T + bias).unflatten(-1, (inputs.shape[1], -1))
    bins = (logits.shape[-1] + 1) // 3
    parameters = logits.tensor_split((bins, 2 * bins), dim=-1)
    outputs, logabsdet = spline.rational_quadratic(inputs, *parameters, bound=BOUND)
    return outputs, logabsdet.sum(dim=-1)


def with_gradients(function, tensors, seed=0):
    outputs = function(*tensors)
    generator = torch.Generator().manual_seed(seed)
    upstream = [torch.randn(one.shape, generator=generator, dtype=one.dtype) for one in outputs]
    (*gradients,) = torch.autograd.grad(outputs, tensors, upstream)
    # Absent connections have no gradient here; the mask takes it away there.
    gradients[2] = gradients[2] * (tensors[2] != 0.0)
    return *outputs, *gradients


def compiled(blocks):
    return lambda *tensors: masked_spline(*tensors, blocks, BOUND)


@given(st.integers(0, 2**32 - 1), st.integers(1, 14), st.integers(1, 20), st.integers(1, 24))
@settings(max_examples=20, deadline=None)
def test_same_as_torch_in_double_precision(seed, features, width, bins):
    *tensors, blocks = drawn(seed, features, width, bins, rows=70)
    found = with_gradients(compiled(blocks), tensors, seed)
    for one, other in zip(found, with_gradients(by_torch, tensors, seed), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-8)


@given(st.integers(0, 2**32 - 1), st.integers(1, 24), st.sampled_from([0.03, 0.3, 1.0]))
@example(1198554, 1, 0.03)
@settings(max_examples=20, deadline=None)
def test_single_precision_is_as_close_as_torch(seed, bins, scale):
    *tensors, blocks = drawn(seed, 7, 20, bins, rows=200, scale=scale)
    exact = with_gradients(by_torch, tensors, seed)
    single = [tensor.detach().float().requires_grad_() for tensor in tensors]
    found, peer = (with_gradients(function, single, seed) for function in (compiled(blocks), by_torch))
    for one, other, truth in zip(found, peer, exact, strict=True):
        error, usual = ((values.double() - truth).norm() / (1.0 + truth.norm()) for values in (one, other))
        assert error < 10.0 * usual + 1e-5


def test_the_share_of_a_single_bin_has_no_gradient():
    *tensors, blocks = drawn(3, features=4, width=6, bins=1, rows=50, dtype=torch.float32)
    gradients = with_gradients(compiled(blocks), tensors)[-2:]
    assert all((gradient == 0.0).all() for gradient in gradients)


def test_gradcheck():
    *tensors, blocks = drawn(1, features=8, width=9, bins=4, rows=5)
    mask = tensors[2].detach() != 0.0

    def masked(inputs, hidden, weight, bias):
        return masked_spline(inputs, hidden, weight * mask, bias, blocks, BOUND)

    assert torch.autograd.gradcheck(masked, tensors)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tails_and_ends(dtype):
    special = [-math.inf, -1e30, -BOUND - 1e-3, BOUND + 1e-3, 1e30, math.inf, -BOUND, BOUND]
    _, hidden, weight, bias, blocks = drawn(2, 3, 8, 6, len(special), dtype=dtype)
    inputs = torch.tensor(special, dtype=dtype)[:, None].repeat(1, 3).requires_grad_()
    outputs, logabsdet = masked_spline(inputs, hidden, weight, bias, blocks, BOUND)
    torch.testing.assert_close(outputs, inputs, rtol=1e-6, atol=0)
    assert logabsdet.abs().max() < 1e-4
    finite = slice(1, 5)
    gradients = torch.autograd.grad(outputs[finite].sum() + logabsdet[finite].sum(), (inputs, hidden, weight))
    assert (gradients[0][finite] == 1.0).all()
    assert all((gradient == 0.0).all() for gradient in gradients[1:])


def test_on_knots():
    """Equal bins: the knots are known, and the function and its logarithm have no step there."""
    bins = 8
    inputs = torch.linspace(-BOUND, BOUND, bins + 1, dtype=torch.float64)[:, None].requires_grad_()
    hidden = torch.zeros(bins + 1, 4, dtype=torch.float64, requires_grad=True)
    weight = torch.zeros(3 * bins - 1, 4, dtype=torch.float64, requires_grad=True)
    bias = torch.cat((torch.zeros(2 * bins), torch.linspace(-1.0, 1.0, bins - 1))).double().requires_grad_()
    tensors = (inputs, hidden, weight, bias)
    found = masked_spline(*tensors, spline_blocks(torch.from_numpy(hidden_degrees(4, 1)), 1), BOUND)
    for one, other in zip(found, by_torch(*tensors), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("magnitude", [1e2, 1e4, 1e36])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_finite_at_extreme_logits(dtype, magnitude):
    inputs, hidden, weight, bias, blocks = drawn(3, 5, 8, 12, 300, dtype=dtype)
    with torch.no_grad():
        bias.copy_(magnitude * bias.sign())
    outputs, logabsdet = masked_spline(inputs, hidden, weight, bias, blocks, BOUND)
    gradients = torch.autograd.grad(outputs.sum() + logabsdet.sum(), (inputs, hidden, weight, bias))
    assert all(torch.isfinite(values).all() for values in (outputs, logabsdet, *gradients))
    inside = inputs.abs() <= BOUND
    assert outputs[inside].abs().max() <= BOUND * (1.0 + 1e-6)


def test_a_network_gone_astray_is_not_hidden():
    """A loss that is not finite has to stay so: the training stops on it."""
    inputs, hidden, weight, bias, blocks = drawn(4, 3, 8, 6, 64, dtype=torch.float32)
    outputs, logabsdet = masked_spline(inputs.clamp(-5, 5), hidden * math.nan, weight, bias, blocks, BOUND)
    assert torch.isnan(outputs).all()
    assert torch.isnan(logabsdet).all()


def test_backward_twice_through_a_kept_graph():
    *tensors, blocks = drawn(5, 4, 8, 6, 100)
    outputs, logabsdet = masked_spline(*tensors, blocks, BOUND)
    loss = outputs.square().sum() + logabsdet.sum()
    once = torch.autograd.grad(loss, tensors, retain_graph=True)
    again = torch.autograd.grad(loss, tensors)
    assert all(torch.equal(one, other) for one, other in zip(once, again, strict=True))


def test_rows_do_not_depend_on_each_other_nor_on_threads(monkeypatch):
    *tensors, blocks = drawn(6, 7, 16, 8, 1000, dtype=torch.float32)
    whole = masked_spline(*tensors, blocks, BOUND)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    shared = masked_spline(*tensors, blocks, BOUND)
    for one, other in zip(whole, shared, strict=True):
        assert torch.equal(one, other)


def test_the_flow_takes_it_on_a_cpu_and_gives_what_torch_gives(monkeypatch):
    flow = ConditionalMAF(features=5, context=2, layers=2, width=16, bins=6)
    calls = []

    def counted(*arguments):
        calls.append(len(arguments[0]))
        return masked_spline(*arguments)

    monkeypatch.setattr("flashsim.flows.maf.masked_spline", counted)
    x, context = torch.randn(40, 5), torch.randn(40, 2)
    density = flow.log_prob(x, context)
    assert calls == [40, 40]
    monkeypatch.setattr("flashsim.flows.maf.is_compiled_for", lambda *_: False)
    torch.testing.assert_close(flow.log_prob(x, context), density, rtol=1e-5, atol=1e-4)
    assert calls == [40, 40]


def test_no_rows():
    *tensors, blocks = drawn(7, 3, 8, 6, 0)
    outputs, logabsdet = masked_spline(*tensors, blocks, BOUND)
    gradients = torch.autograd.grad(outputs.sum() + logabsdet.sum(), tensors)
    assert outputs.shape == (0, 3)
    assert logabsdet.shape == (0,)
    assert all((gradient == 0.0).all() for gradient in gradients)


def test_blocks_see_the_units_of_lower_degree_only():
    degrees = torch.from_numpy(hidden_degrees(32, 13))
    blocks = spline_blocks(degrees, 13)
    assert [block.start for block in blocks] == list(range(0, 13, _masked_spline._BLOCK))
    assert blocks[-1].stop == 13
    for block in blocks:
        assert (degrees[: block.units] < block.stop).all()
        assert (degrees[block.units :] >= block.stop).all()


def test_what_is_compiled_for():
    single, double = torch.zeros(1), torch.zeros(1, dtype=torch.float64)
    assert is_compiled_for(single, single)
    assert is_compiled_for(double)
    assert not is_compiled_for(single, double)
    assert not is_compiled_for(single.half())
    assert not is_compiled_for(torch.zeros(1, device="meta"))
