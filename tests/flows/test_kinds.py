"""What every kind of flow promises: to learn, to map noise as its module does, each row for itself."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flashsim.declarations.flows import FLOW_RECIPES, FlowMatchingRecipe, SplineMAFRecipe
from flashsim.execution.threads import number_of_threads, set_threads
from flashsim.flows import Flow
from flashsim.flows.kinds import kind_of

RECIPES = {
    "spline_maf": SplineMAFRecipe(layers=2, width=20, bins=6, leading=9),
    "flow_matching": FlowMatchingRecipe(width=30, depth=2, steps=3),
}
FEATURES, CONTEXT, ROWS = 4, 3, 700


def test_all_kinds_are_tested():
    own = {name for name, recipe in FLOW_RECIPES.items() if recipe.__module__.startswith("flashsim.")}
    assert RECIPES.keys() == own


def rows(seed=1, count=ROWS, context=CONTEXT):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, FEATURES)), rng.normal(size=(count, context)).astype(np.float32)


def built(name, features=FEATURES, context=CONTEXT):
    kind = kind_of(name)
    architecture = kind.architecture(RECIPES[name], features, context, seed=5)
    return architecture, kind.module(architecture)


def shaken(name, context=CONTEXT):
    """A flow whose weights are far from those of the start."""
    architecture, module = built(name, context=context)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=generator))
    return Flow.of(name, architecture, module)


@pytest.fixture(scope="module", params=RECIPES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def flow(name):
    return shaken(name)


@pytest.fixture(scope="module")
def drawn(flow):
    return flow.sampler().from_noise(*rows())


def test_the_loss_falls(name):
    """Variables that are the first conditions, but for a little noise."""
    _, module = built(name)
    noise, context = rows(count=2000)
    x = torch.from_numpy(0.3 * noise.astype(np.float32))
    x[:, :CONTEXT] += torch.from_numpy(context)
    given = torch.from_numpy(context)
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-2)
    losses = []
    for step in range(60):
        loss = module.loss(x, given, torch.Generator().manual_seed(step))
        assert loss.shape == ()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.isfinite(losses).all()
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:10])


def test_the_generator_decides_on_the_noise_of_the_loss(name):
    _, module = built(name)
    noise, context = (torch.from_numpy(array.astype(np.float32)) for array in rows())
    torch.manual_seed(1)
    state = torch.get_rng_state()
    one, again = (module.loss(noise, context, torch.Generator().manual_seed(3)).item() for _ in range(2))
    assert one == again
    assert torch.equal(torch.get_rng_state(), state)


def test_the_seed_decides_on_the_start_and_nothing_else_changes(name):
    torch.manual_seed(1)
    state = torch.get_rng_state()
    (_, one), (_, again) = built(name), built(name)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), again.parameters(), strict=True))
    kind = kind_of(name)
    other = kind.module(kind.architecture(RECIPES[name], FEATURES, CONTEXT, seed=6))
    assert not all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("context", [0, CONTEXT])
@pytest.mark.parametrize(("precision", "tolerance"), [(np.float32, 1e-4), (np.float64, 1e-10)])
def test_the_sampler_gives_what_the_module_gives(name, context, precision, tolerance):
    flow = shaken(name, context)
    tensors = {n: t.astype(precision) if t.dtype == np.float32 else t for n, t in flow.tensors.items()}
    flow = Flow(name, flow.architecture, tensors)
    noise, given = (array.astype(precision) for array in rows(context=context))
    with torch.no_grad():
        expected = flow.module().from_noise(torch.from_numpy(noise), torch.from_numpy(given)).numpy()
    found = flow.sampler().from_noise(noise, given)
    assert found.dtype == precision
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)
    assert np.abs(found - noise).max() > 0.1  # it is not the identity


@given(start=st.integers(0, ROWS), count=st.integers(0, 300))
@settings(max_examples=20, deadline=None)
def test_cutting_the_rows_changes_no_bit(flow, drawn, start, count):
    noise, context = rows()
    part = flow.sampler().from_noise(noise[start : start + count], context[start : start + count])
    assert np.array_equal(part, drawn[start : start + count])


def test_order_and_company_of_the_rows_change_no_bit(flow, drawn):
    noise, context = rows()
    order = np.random.default_rng(3).permutation(ROWS)
    noise, context = noise[order], context[order]
    noise[:50], context[:50] = 1e3, np.nan
    assert np.array_equal(flow.sampler().from_noise(noise, context)[50:], drawn[order[50:]])


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_number_of_threads_changes_no_bit(flow, drawn, threads):
    noise, context = (np.tile(array, (3, 1)) for array in rows())
    before = number_of_threads()
    set_threads(threads)
    try:
        found = flow.sampler().from_noise(noise, context)
    finally:
        set_threads(before)
    assert np.array_equal(found, np.tile(drawn, (3, 1)))


def test_the_architecture_is_json_and_builds_the_flow_again(flow, drawn):
    again = Flow(flow.kind, json.loads(json.dumps(flow.architecture)), flow.tensors)
    assert (again.architecture["features"], again.architecture["context"]) == (FEATURES, CONTEXT)
    assert np.array_equal(again.sampler().from_noise(*rows()), drawn)


def test_shapes_are_those_of_the_module(name):
    architecture, module = built(name)
    state = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
    assert kind_of(name).shapes(architecture) == state


@pytest.mark.parametrize("change", [{"colour": 1}, {"features": 0}, {"width": 0}, {"width": 7}])
def test_architectures_that_do_not_fit_are_refused(flow, change):
    with pytest.raises(ValueError, match=r"unknown entry 'colour'|at least 1|its architecture needs"):
        Flow(flow.kind, flow.architecture | change, flow.tensors)


def test_shapes_that_do_not_fit_are_refused(flow):
    noise, context = rows()
    with pytest.raises(ValueError, match="context of shape"):
        flow.sampler().from_noise(noise, context[:, :1])
    with pytest.raises(ValueError, match="noise of shape"):
        flow.sampler().from_noise(noise[:, :1], context)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_gives_the_same_but_for_rounding(flow, drawn):
    np.testing.assert_allclose(flow.sampler("cuda").from_noise(*rows()), drawn, rtol=0, atol=1e-3)
