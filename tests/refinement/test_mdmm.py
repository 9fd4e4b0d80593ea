from __future__ import annotations

import pytest
import torch

from flashsim.refinement.mdmm import Constraint, Multipliers


def solve(constraint, steps=500):
    """Minimise (x0 - 3)^2 + x1^2 on the unit circle."""
    x = torch.tensor([0.5, 0.8], requires_grad=True)
    multipliers = Multipliers([constraint], learning_rate=0.05)
    descent = torch.optim.SGD([x], lr=0.05)
    for _ in range(steps):
        descent.zero_grad()
        losses = {"norm": x.square().sum()}
        multipliers((x[0] - 3.0).square() + x[1].square(), losses).backward()
        multipliers.ascend()
        descent.step()
    return x, multipliers, {"norm": x.square().sum()}


@pytest.mark.parametrize("damping", [1.0, 2.0])
def test_finds_the_optimum_on_the_circle_and_its_multiplier(damping):
    x, multipliers, losses = solve(Constraint("norm", 1.0, damping=damping))
    assert x.tolist() == pytest.approx([1.0, 0.0], abs=1e-3)
    assert float(multipliers.values.detach()[0]) == pytest.approx(-2.0, abs=1e-2)
    state = multipliers.state(losses)
    assert state.keys() == {"multiplier_norm", "infeasibility_norm"}
    assert float(state["infeasibility_norm"]) == pytest.approx(0.0, abs=1e-3)


def test_the_lagrangian_is_that_of_the_formula():
    constraint = Constraint("norm", 2.0, scale=3.0, damping=5.0)
    multipliers = Multipliers([constraint])
    multipliers.values.data[0] = 0.7
    found = multipliers(torch.tensor(11.0), {"norm": torch.tensor(1.5)})
    assert float(found.detach()) == pytest.approx(11.0 + 3.0 * (0.7 * 0.5 + 5.0 * 0.5**2 / 2.0))


@pytest.mark.parametrize("loss", [0.5, 3.0])
def test_a_step_pulls_the_loss_towards_its_target(loss):
    """A multiplier rises by rate times scale times what is missing, and so pulls the loss there."""
    multipliers = Multipliers([Constraint("norm", 2.0, scale=3.0)], learning_rate=0.1)
    norm = torch.tensor(loss, requires_grad=True)
    slopes = []
    for _ in range(2):
        norm.grad = None
        multipliers(torch.tensor(0.0), {"norm": norm}).backward()
        multipliers.ascend()
        slopes.append(float(norm.grad))
    assert float(multipliers.values.detach()[0]) == pytest.approx(2 * 0.1 * 3.0 * (2.0 - loss))
    assert slopes[1] - slopes[0] == pytest.approx(-3.0 * 0.1 * 3.0 * (2.0 - loss))


def test_a_scale_divides_the_multiplier():
    _, multipliers, _ = solve(Constraint("norm", 1.0, scale=2.0))
    assert float(multipliers.values.detach()[0]) == pytest.approx(-1.0, abs=1e-2)


def test_a_constraint_that_cannot_be_met_is_bounded_and_shown():
    multipliers = Multipliers([Constraint("constant", 1.0)], learning_rate=1.0, bound=3.0)
    losses = {"constant": torch.tensor(0.0)}
    for _ in range(10):
        multipliers(torch.tensor(0.0), losses).backward()
        multipliers.ascend()
    state = multipliers.state(losses)
    assert float(state["multiplier_constant"]) == 3.0
    assert float(state["infeasibility_constant"]) == -1.0


def test_the_multipliers_are_part_of_a_checkpoint():
    _, multipliers, _ = solve(Constraint("norm", 1.0), steps=50)
    again = Multipliers(multipliers.constraints)
    again.load_state_dict(multipliers.state_dict())
    assert torch.equal(again.values, multipliers.values)


def test_without_constraints_the_lagrangian_is_the_loss():
    multipliers = Multipliers([])
    assert float(multipliers(torch.tensor(2.5), {})) == 2.5
    multipliers.ascend()
    assert multipliers.state({}) == {}
