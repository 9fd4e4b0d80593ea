from __future__ import annotations

from itertools import count

import numpy as np
import pytest
import torch

from benchmarks.fidelity.competitors import COMPETITORS, Plan, flashsim_competitor
from benchmarks.fidelity.contest import EncodedRows, train_for
from flashsim.declarations.training import FlowRecipe

PLANS = (*COMPETITORS, flashsim_competitor(FlowRecipe(layers=2, width=16, bins=8)))


class Identity:
    name = "none"

    def smear(self, low, spread):
        return low + spread


@pytest.fixture
def line():
    """Give rows whose targets are twice the conditioning, with little noise."""
    generator = torch.Generator().manual_seed(1)
    context = torch.randn(4000, 2, generator=generator)
    targets = 0.8 * context + 0.3 * torch.randn(4000, 2, generator=generator)
    return EncodedRows(targets, torch.zeros_like(targets), context)


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.name)
def test_everybody_learns_what_the_conditioning_says(plan, line):
    torch.manual_seed(1)
    network = plan.make(2, 2)
    small = Plan(plan.name, plan.make, batch=64, learning_rate=5e-3)
    trained = train_for(
        network, small, Identity(), train=line, validation=line, seconds=60, clock=count().__next__
    )
    drawn = network.draw(line.conditioning)
    assert drawn.shape == (4000, 2)
    assert trained.rows == 59 * 64
    correlation = np.corrcoef(drawn[:, 0], line.conditioning[:, 0])[0, 1]
    assert correlation > 0.5
    assert np.abs(np.corrcoef(drawn[:, 0], line.conditioning[:, 1])[0, 1]) < 0.4


def test_flow_matching_has_the_size_of_the_publication():
    (plan,) = (plan for plan in COMPETITORS if plan.name == "flow-matching")
    network = plan.make(23, 45)
    assert sum(weight.numel() for weight in network.parameters()) == pytest.approx(115_440, rel=0.02)
