from __future__ import annotations

import numpy as np
import pytest
import torch
from flow_cases import SIZES, trained

from flashsim.flows import Flow
from flashsim.flows.flow_matching import KIND as MATCHING
from flashsim.flows.made import DegreeLinear
from flashsim.flows.maf import ConditionalMAF
from flashsim.flows.spline_maf import KIND

SMALL = SIZES["leading"]


@pytest.fixture(params=SIZES.values(), ids=SIZES.keys())
def module(request):
    return trained(request.param)


def flow_of(module):
    return Flow.of("spline_maf", module.architecture(), module)


def test_what_is_left_out_is_what_the_masks_cut(module):
    masks = {
        f"{n}.weight": m.mask.bool().numpy() for n, m in module.named_modules() if isinstance(m, DegreeLinear)
    }
    connected = KIND.connected(module.architecture())
    assert connected.keys() == masks.keys()
    for name, mask in masks.items():
        assert np.array_equal(np.arange(mask.shape[1]) < connected[name][:, None], mask)


def test_a_packed_flow_is_the_same_flow(module):
    flow = flow_of(module)
    again = Flow.of_packed(flow.kind, flow.architecture, flow.packed())
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(40, flow.features)), rng.normal(size=(40, flow.architecture["context"]))
    assert np.array_equal(again.sampler().from_noise(*rows), flow.sampler().from_noise(*rows))
    x, context = (torch.from_numpy(values.astype(np.float32)) for values in rows)
    with torch.no_grad():
        before, after = (f.module().log_prob(x, context) for f in (flow, again))
    assert torch.equal(before, after)
    assert {n: t.shape for n, t in again.tensors.items()} == {n: t.shape for n, t in flow.tensors.items()}
    packed = again.packed()
    assert all(np.array_equal(packed[name], tensor) for name, tensor in flow.packed().items())


def test_packing_saves_almost_half_of_masked_weights():
    flow = flow_of(ConditionalMAF(20, 0, layers=2, width=64))
    size, packed = (sum(t.nbytes for t in tensors.values()) for tensors in (flow.tensors, flow.packed()))
    assert packed < 0.56 * size


def test_a_kind_without_masks_is_kept_as_it_is():
    architecture = MATCHING.architecture(MATCHING.recipe(width=8), 3, 2, seed=1)
    flow = Flow.of("flow_matching", architecture, MATCHING.module(architecture))
    assert flow.packed() == flow.tensors
    assert Flow.of_packed(flow.kind, architecture, flow.packed()).tensors == flow.tensors


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda a, t: t.update({n: x[:-1] for n, x in t.items() if "output.w" in n}), r"has shape \(\d+,\)"),
        (lambda a, t: t.pop(max(t)), "is missing"),
        (lambda a, t: t.update(other=np.zeros(2)), "other belongs to no such architecture"),
        (lambda a, t: a.update(width=10**9), "width 1000000000, for which the"),
        (lambda a, t: a.update(features=500, bins=500), "needs more rows of the tensor .* than the file has"),
        (lambda a, t: a.update(bins=0), "needs bins of at least 1"),
        (lambda a, t: a.update(width=14), "has shape"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(change, fault):
    flow = flow_of(ConditionalMAF(**SMALL))
    architecture, packed = dict(flow.architecture), dict(flow.packed())
    change(architecture, packed)
    with pytest.raises(ValueError, match=fault):
        Flow.of_packed(flow.kind, architecture, packed)


def test_a_flow_that_is_not_packed_is_refused():
    flow = flow_of(ConditionalMAF(**SMALL))
    with pytest.raises(ValueError, match=r"has shape \(15, 5\), its architecture needs \(\d+,\)"):
        Flow.of_packed(flow.kind, flow.architecture, flow.tensors)
