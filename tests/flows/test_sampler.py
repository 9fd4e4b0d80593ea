"""The sampler: the plain inverse to rounding, and each row for itself bit for bit."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from flow_cases import SIZES, batch, trained
from hypothesis import given, settings
from hypothesis import strategies as st

from flashsim.execution.threads import number_of_threads, set_threads
from flashsim.flows import Flow
from flashsim.flows._arrangement import arranged
from flashsim.flows._compiled_inverse import CompiledInverse
from flashsim.flows.made import MaskedConditioner
from flashsim.flows.maf import ConditionalMAF

WIDE = {"features": 9, "context": 7, "layers": 3, "width": 40, "depth": 3, "bins": 12}


def sampler_of(flow, device="cpu"):
    return Flow.of("spline_maf", flow.architecture(), flow).sampler(device)


def sampled(flow, z, context):
    return sampler_of(flow).from_noise(z.numpy(), context.numpy())


def plain(flow, z, context):
    return flow.from_noise(z, context).detach().numpy()


@pytest.mark.parametrize("sizes", [*SIZES.values(), WIDE], ids=[*SIZES, "wide"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 1e-10)])
def test_equals_the_plain_inverse(sizes, dtype, tolerance):
    flow = trained(sizes, 0.05).to(dtype)
    z, context = batch(flow, 300)  # no multiple of a block
    z[:5] *= 4.0  # into the linear tails
    x = sampled(flow, z, context)
    np.testing.assert_allclose(x, plain(flow, z, context), rtol=0, atol=tolerance)
    assert torch.from_numpy(x).dtype == dtype


@pytest.mark.parametrize("degrees", [[3, 0, 0, 4, 2, 2, 0, 3], [0] * 8, [4, 3, 2, 1, 0, 0, 1, 2]])
def test_any_assignment_of_degrees(degrees):
    flow = ConditionalMAF(5, 3, layers=2, width=8, depth=3, bins=4)
    for module in flow.modules():
        if isinstance(getattr(module, "autoregressive_net", None), MaskedConditioner):
            module.autoregressive_net = MaskedConditioner(
                5, 3, width=8, depth=3, parameters=11, degrees=torch.tensor(degrees)
            )
    z, context = batch(flow.eval())
    of_file = Flow.of("spline_maf", flow.architecture(), flow)
    layers = arranged(of_file.architecture, of_file.tensors, np.array(degrees))
    x = np.empty_like(z.numpy())
    CompiledInverse(of_file.architecture, layers)(z.numpy(), context.numpy(), x)
    np.testing.assert_allclose(x, plain(flow, z, context), rtol=0, atol=1e-4)


WIDE_FLOW = trained(WIDE, 0.1)
WIDE_SAMPLER = sampler_of(WIDE_FLOW)
WIDE_NOISE, WIDE_CONTEXT = (rows.numpy() for rows in batch(WIDE_FLOW, 500))
WIDE_RESULT = WIDE_SAMPLER.from_noise(WIDE_NOISE, WIDE_CONTEXT)


@given(st.lists(st.integers(0, 500), max_size=4).map(sorted))
@settings(max_examples=25, deadline=None)
def test_splitting_the_rows_changes_no_bit(cuts):
    edges = [0, *cuts, 500]
    parts = [
        WIDE_SAMPLER.from_noise(WIDE_NOISE[low:high], WIDE_CONTEXT[low:high])
        for low, high in itertools.pairwise(edges)
    ]
    assert np.array_equal(np.concatenate(parts), WIDE_RESULT)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_order_and_company_of_the_rows_change_no_bit(seed):
    order = np.random.default_rng(seed).permutation(500)[:400]
    noise, context = WIDE_NOISE[order], WIDE_CONTEXT[order]
    noise[:50], context[:50] = 1e3, np.nan
    found = WIDE_SAMPLER.from_noise(noise, context)
    assert np.array_equal(found[50:], WIDE_RESULT[order[50:]])


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_number_of_threads_changes_no_bit(threads):
    many = np.resize(WIDE_NOISE, (2000, 9)), np.resize(WIDE_CONTEXT, (2000, 7))
    before = number_of_threads()
    set_threads(threads)
    try:
        found = WIDE_SAMPLER.from_noise(*many)
    finally:
        set_threads(before)
    assert np.array_equal(found, np.resize(WIDE_RESULT, (2000, 9)))


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
    x = sampled(flow, z, context)
    assert np.isfinite(x).all()
    assert np.abs(x).max() <= max(flow.architecture()["bound"] * (1.0 + 1e-6), z.abs().max())


def test_sampled_noise_comes_back():
    flow = trained(WIDE, 0.1).double()
    noise, context = batch(flow, 300)
    z, _ = flow.to_noise(torch.from_numpy(sampled(flow, noise, context)), context)
    torch.testing.assert_close(z.detach(), noise, rtol=0, atol=1e-10)


def test_no_rows():
    assert WIDE_SAMPLER.from_noise(WIDE_NOISE[:0], WIDE_CONTEXT[:0]).shape == (0, 9)


def test_weights_are_a_copy_and_dropout_is_off():
    flow = ConditionalMAF(4, 3, layers=2, width=16, bins=8, dropout=0.5).train()
    sampler = sampler_of(flow)
    z, context = (rows.numpy() for rows in batch(flow))
    before = sampler.from_noise(z, context)
    with torch.no_grad():
        for weight in flow.parameters():
            weight.add_(1.0)
    assert np.array_equal(sampler.from_noise(z, context), before)


@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_shapes_that_do_not_fit(precision):
    flow = Flow.of("spline_maf", WIDE_FLOW.architecture(), WIDE_FLOW)
    sampler = Flow("spline_maf", flow.architecture, _cast(flow.tensors, precision)).sampler()
    with pytest.raises(ValueError, match="context of shape"):
        sampler.from_noise(WIDE_NOISE, WIDE_CONTEXT[:, :2])
    with pytest.raises(ValueError, match="noise of shape"):
        sampler.from_noise(WIDE_NOISE[:, :2], WIDE_CONTEXT)


def _cast(tensors, precision):
    return {n: t.astype(precision) if t.dtype == np.float32 else t for n, t in tensors.items()}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_equals_the_plain_inverse():
    x = sampler_of(WIDE_FLOW, "cuda").from_noise(WIDE_NOISE, WIDE_CONTEXT)
    np.testing.assert_allclose(x, WIDE_RESULT, rtol=0, atol=1e-3)
