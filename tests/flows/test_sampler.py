"""The sampler: the plain inverse to rounding, and each row for itself bit for bit."""

from __future__ import annotations

import itertools

import pytest
import torch
from flow_cases import SIZES, batch, trained
from hypothesis import given, settings
from hypothesis import strategies as st

from flashsim.flows import ConditionalMAF, Sampler
from flashsim.flows.made import MaskedConditioner

WIDE = {"features": 9, "context": 7, "layers": 3, "width": 40, "depth": 3, "bins": 12}


@pytest.mark.parametrize("sizes", [*SIZES.values(), WIDE], ids=[*SIZES, "wide"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 1e-10)])
def test_equals_the_plain_inverse(sizes, dtype, tolerance):
    flow = trained(sizes, 0.05).to(dtype)
    z, context = batch(flow, 300)  # no multiple of a block
    z[:5] *= 4.0  # into the linear tails
    x = Sampler(flow).from_noise(z, context)
    torch.testing.assert_close(x, flow.from_noise(z, context).detach(), rtol=0, atol=tolerance)
    assert x.dtype == dtype


@pytest.mark.parametrize("degrees", [[3, 0, 0, 4, 2, 2, 0, 3], [0] * 8, [4, 3, 2, 1, 0, 0, 1, 2]])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 1e-10)])
def test_any_assignment_of_degrees(degrees, dtype, tolerance):
    flow = ConditionalMAF(5, 3, layers=2, width=8, depth=3, bins=4)
    for module in flow.modules():
        if isinstance(getattr(module, "autoregressive_net", None), MaskedConditioner):
            module.autoregressive_net = MaskedConditioner(
                5, 3, width=8, depth=3, parameters=11, degrees=torch.tensor(degrees)
            )
    flow = flow.eval().to(dtype)
    z, context = batch(flow)
    x = Sampler(flow).from_noise(z, context)
    torch.testing.assert_close(x, flow.from_noise(z, context).detach(), rtol=0, atol=tolerance)


WIDE_FLOW = trained(WIDE, 0.1)
WIDE_SAMPLER = Sampler(WIDE_FLOW)
WIDE_NOISE, WIDE_CONTEXT = batch(WIDE_FLOW, 500)
WIDE_RESULT = WIDE_SAMPLER.from_noise(WIDE_NOISE, WIDE_CONTEXT)


@given(st.lists(st.integers(0, 500), max_size=4).map(sorted))
@settings(max_examples=25, deadline=None)
def test_splitting_the_rows_changes_no_bit(cuts):
    edges = [0, *cuts, 500]
    parts = [
        WIDE_SAMPLER.from_noise(WIDE_NOISE[low:high], WIDE_CONTEXT[low:high])
        for low, high in itertools.pairwise(edges)
    ]
    assert torch.equal(torch.cat(parts), WIDE_RESULT)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_order_and_company_of_the_rows_change_no_bit(seed):
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(500, generator=generator)[:400]
    noise, context = WIDE_NOISE[order], WIDE_CONTEXT[order]
    noise[:50], context[:50] = 1e3, torch.nan
    found = WIDE_SAMPLER.from_noise(noise, context)
    assert torch.equal(found[50:], WIDE_RESULT[order[50:]])


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_number_of_threads_changes_no_bit(threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert torch.equal(WIDE_SAMPLER.from_noise(WIDE_NOISE, WIDE_CONTEXT), WIDE_RESULT)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


@given(st.integers(0, 2**32 - 1), st.sampled_from([1.0, 1e2, 1e4, 1e6]))
@settings(max_examples=10, deadline=None)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_finite_for_extreme_weights(dtype, seed, scale):
    flow = ConditionalMAF(4, 2, layers=2, width=8, bins=6)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in flow.parameters():
            weight.copy_(scale * torch.randn(weight.shape, generator=generator))
    z, context = batch(flow.to(dtype), 200)
    x = Sampler(flow).from_noise(z, context)
    assert torch.isfinite(x).all()
    assert x.abs().max() <= max(flow.architecture()["bound"] * (1.0 + 1e-6), z.abs().max())


def test_sampled_noise_comes_back():
    flow = trained(WIDE, 0.1).double()
    noise, context = batch(flow, 300)
    z, _ = flow.to_noise(Sampler(flow).from_noise(noise, context), context)
    torch.testing.assert_close(z.detach(), noise, rtol=0, atol=1e-10)


def test_no_rows():
    assert WIDE_SAMPLER.from_noise(WIDE_NOISE[:0], WIDE_CONTEXT[:0]).shape == (0, 9)


def test_weights_are_a_copy_and_dropout_is_off():
    flow = ConditionalMAF(4, 3, layers=2, width=16, bins=8, dropout=0.5).train()
    sampler = Sampler(flow)
    z, context = batch(flow)
    before = sampler.from_noise(z, context)
    with torch.no_grad():
        for weight in flow.parameters():
            weight.add_(1.0)
    assert torch.equal(sampler.from_noise(z, context), before)


def test_result_is_an_ordinary_tensor():
    x = WIDE_SAMPLER.from_noise(WIDE_NOISE, WIDE_CONTEXT)
    weight = torch.ones(9, requires_grad=True)
    (x * weight).sum().backward()
    assert torch.equal(weight.grad, x.sum(dim=0))


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match="context of shape"):
        WIDE_SAMPLER.from_noise(WIDE_NOISE, WIDE_CONTEXT[:, :2])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_equals_the_plain_inverse():
    flow = trained(WIDE, 0.1).cuda()
    x = Sampler(flow).from_noise(WIDE_NOISE.cuda(), WIDE_CONTEXT.cuda())
    torch.testing.assert_close(x.cpu(), WIDE_RESULT, rtol=0, atol=1e-3)
