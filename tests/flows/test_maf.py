"""The flow's contract, over sizes: density, inverse, gradients, architecture, learning."""

from __future__ import annotations

import json
import math

import pytest
import torch
from flow_cases import SIZES, batch, trained

from flashsim.flows.maf import ConditionalMAF


@pytest.fixture(params=SIZES.values(), ids=SIZES.keys())
def sizes(request):
    return request.param


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 1e-10)])
def test_from_noise_inverts_to_noise(sizes, dtype, tolerance):
    flow = trained(sizes, 0.1).to(dtype)
    x, context = batch(flow)
    z, _ = flow.to_noise(x, context)
    torch.testing.assert_close(flow.from_noise(z, context), x, rtol=0, atol=tolerance)


def test_logabsdet_is_that_of_the_jacobian(sizes):
    flow = trained(sizes).double()
    x, context = batch(flow, 5)
    _, logabsdet = flow.to_noise(x, context)
    for row in range(len(x)):
        jacobian = torch.autograd.functional.jacobian(
            lambda value, row=row: flow.to_noise(value[None], context[row : row + 1])[0][0], x[row]
        )
        torch.testing.assert_close(logabsdet[row], torch.linalg.slogdet(jacobian).logabsdet)


def test_every_weight_learns(sizes):
    flow = ConditionalMAF(**sizes)
    x, context = batch(flow)
    (-flow.log_prob(x, context).mean()).backward()
    for name, weight in flow.named_parameters():
        assert weight.grad is not None, name
        assert torch.isfinite(weight.grad).all(), name


def test_starts_near_the_base(sizes):
    flow = ConditionalMAF(**sizes)
    x, context = batch(flow)
    base = torch.distributions.Normal(0.0, 1.0).log_prob(x).sum(dim=-1)
    torch.testing.assert_close(flow.log_prob(x, context), base, rtol=0, atol=0.05)


def test_architecture_and_state_rebuild_the_flow(sizes):
    flow = trained(sizes, seed=3)
    architecture = json.loads(json.dumps(flow.architecture()))
    # Another seed: the permutations come with the state.
    copy = ConditionalMAF(**architecture | {"seed": 4}).eval()
    copy.load_state_dict(flow.state_dict())
    x, context = batch(flow)
    assert torch.equal(copy.log_prob(x, context), flow.log_prob(x, context))
    assert ConditionalMAF(**architecture).architecture() == flow.architecture()


def test_seed_fixes_the_start_and_leaves_the_global_state_alone(sizes):
    before = torch.get_rng_state()
    one, same, other = (ConditionalMAF(**sizes, seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_noise_depends_on_context_in_every_variable():
    flow = trained({"features": 5, "context": 3, "layers": 1, "width": 16, "bins": 6})
    x, context = batch(flow, 1)
    jacobian = torch.autograd.functional.jacobian(lambda value: flow.to_noise(x, value)[0][0], context)
    assert (jacobian[:, 0].abs().amax(dim=-1) > 0.0).all()


@pytest.mark.parametrize("leading", [0, 1, 3, 5])
def test_leading_variables_depend_on_those_before_them_only(leading):
    flow = trained({"features": 5, "context": 3, "layers": 3, "width": 20, "bins": 6, "leading": leading})
    x, context = batch(flow, 1)
    jacobian = torch.autograd.functional.jacobian(lambda value: flow.to_noise(value, context)[0][0], x)[:, 0]
    later = jacobian[:leading].triu(diagonal=1)
    assert torch.equal(later, torch.zeros_like(later))
    assert leading == flow.features or (jacobian.triu(diagonal=1) != 0.0).any()


@pytest.mark.parametrize("context", [0, 2])
def test_density_integrates_to_one(context):
    flow = trained({"features": 1, "context": context, "layers": 2, "width": 16, "bins": 8}, 0.2).double()
    x = torch.linspace(-9.0, 9.0, 40_001, dtype=torch.float64)[:, None]
    for value in (-1.0, 0.5):
        density = flow.log_prob(x, torch.full((len(x), context), value, dtype=torch.float64)).exp()
        assert torch.trapezoid(density, x[:, 0]).item() == pytest.approx(1.0, abs=1e-4)


def test_sample_is_reproducible_and_follows_the_density():
    flow = trained({"features": 2, "context": 1, "layers": 2, "width": 8, "bins": 6})
    context = torch.zeros(4000, 1)
    one, same = (flow.sample(context, torch.Generator().manual_seed(2)) for _ in range(2))
    assert torch.equal(one, same)
    z, _ = flow.to_noise(one, context)
    torch.testing.assert_close(z.mean(dim=0), torch.zeros(2), rtol=0, atol=0.07)
    torch.testing.assert_close(z.T.cov(), torch.eye(2), rtol=0, atol=0.1)


def test_context_may_be_left_out_where_there_is_none():
    flow = trained(SIZES["no context"])
    x, context = batch(flow)
    assert torch.equal(flow.log_prob(x), flow.log_prob(x, context))
    assert flow.sample(context).shape == x.shape


@pytest.mark.parametrize(
    ("x", "context", "match"),
    [
        ((5, 3), (5, 2), r"variables of shape \(N, 4\), found \(5, 3\)"),
        ((4,), (5, 2), r"variables of shape \(N, 4\), found \(4,\)"),
        ((5, 4), (5, 3), r"context of shape \(5, 2\), found \(5, 3\)"),
        ((5, 4), (6, 2), r"context of shape \(5, 2\), found \(6, 2\)"),
        ((5, 4), None, r"context of shape \(5, 2\), found None"),
    ],
)
def test_shapes_that_do_not_fit(x, context, match):
    flow = ConditionalMAF(4, 2, layers=1, width=8, bins=4)
    context = None if context is None else torch.zeros(context)
    for method in (flow.log_prob, flow.to_noise, flow.from_noise):
        with pytest.raises(ValueError, match=match):
            method(torch.zeros(x), context)


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"features": 0}, "features of at least 1, found 0"),
        ({"context": -1}, "context of at least 0"),
        ({"layers": 0}, "layers"),
        ({"depth": 0}, "depth"),
        ({"bins": 0}, "bins"),
        ({"bound": 0.0}, "positive bound"),
        ({"dropout": 1.0}, "dropout"),
        ({"leading": -1}, "leading of 0 to its 2 features, found -1"),
        ({"leading": 3}, "leading of 0 to its 2 features, found 3"),
    ],
)
def test_sizes_out_of_range(changed, match):
    with pytest.raises(ValueError, match=match):
        ConditionalMAF(**{"features": 2, "context": 1} | changed)


def test_learns_a_correlated_conditional_density():
    """x1 ~ N(c, 0.5), x2 ~ N(sin 2 x1, 0.3): the entropy is known, and the first variable needs c."""
    torch.manual_seed(0)
    spreads = torch.tensor([0.5, 0.3])

    def data(rows):
        c = torch.randn(rows, 1)
        x1 = c + spreads[0] * torch.randn(rows, 1)
        x2 = torch.sin(2.0 * x1) + spreads[1] * torch.randn(rows, 1)
        return torch.cat((x1, x2), dim=1), c

    flow = ConditionalMAF(2, 1, layers=2, width=32, bins=8)
    optimizer = torch.optim.Adam(flow.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=300)
    for _ in range(300):
        optimizer.zero_grad()
        (-flow.log_prob(*data(512)).mean()).backward()
        optimizer.step()
        schedule.step()
    entropy = (0.5 * math.log(2.0 * math.pi * math.e) + spreads.log()).sum().item()
    with torch.no_grad():
        loss = -flow.log_prob(*data(20_000)).mean().item()
    assert loss == pytest.approx(entropy, abs=0.06)
