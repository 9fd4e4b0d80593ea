from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from flow_cases import SIZES, batch, trained

from flashsim.flows import Flow


@pytest.fixture(params=SIZES.values(), ids=SIZES)
def module(request):
    return trained(request.param)


def test_a_module_comes_back(module):
    flow = Flow.of("spline_maf", module.architecture(), module)
    again = Flow(flow.kind, json.loads(json.dumps(flow.architecture)), flow.tensors).module()
    z, context = batch(module)
    assert torch.equal(again.from_noise(z, context), module.from_noise(z, context))
    assert not again.training


def test_sizes(module):
    flow = Flow.of("spline_maf", module.architecture(), module)
    assert flow.features == module.features
    assert flow.parameters == sum(weight.numel() for weight in module.parameters())


def test_tensors_are_a_copy(module):
    flow = Flow.of("spline_maf", module.architecture(), module)
    before = {name: array.copy() for name, array in flow.tensors.items()}
    with torch.no_grad():
        for weight in (*module.parameters(), *flow.module().parameters()):
            weight.add_(1.0)
    assert all(np.array_equal(flow.tensors[name], before[name]) for name in before)


def changed(change):
    module = trained(SIZES["leading"])
    flow = Flow.of("spline_maf", module.architecture(), module)
    kind, architecture, tensors = flow.kind, dict(flow.architecture), dict(flow.tensors)
    kind = change(architecture, tensors) or kind
    return kind, architecture, tensors


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a, t: a.update(width=16), r"has shape \(.*\), its architecture needs \(.*\)"),
        (lambda a, t: a.update(layers=2), "belongs to no such architecture"),
        (lambda a, t: a.update(layers=4), "is missing"),
        (lambda a, t: a.update(colour=1), "the unknown entry 'colour'"),
        (lambda a, t: a.pop("bins") and None, "lacks the entry 'bins'"),
        (lambda a, t: a.update(width=0), "width of at least 1"),
        (
            lambda a, t: "mixture",
            r"no kind of flow 'mixture', only (\w+, )*flow_matching, \w+",
        ),
    ],
)
def test_tensors_that_do_not_belong(change, message):
    with pytest.raises(ValueError, match=message):
        Flow(*changed(change))
