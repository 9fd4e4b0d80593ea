"""The conditioner: autoregressive, and every parameter depends on the context."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from flashsim.flows.degrees import hidden_degrees
from flashsim.flows.made import MaskedConditioner

SIZES = [(1, 8, 1), (2, 8, 2), (5, 3, 2), (5, 32, 1), (7, 16, 4), (12, 12, 3)]


def conditioner_of(features, width, depth, context=4, **options):
    torch.manual_seed(5)
    return MaskedConditioner(features, context, width=width, depth=depth, parameters=3, **options).double()


def jacobians(conditioner, features, context=4):
    """Largest |dP_d/dx_e| (D, D) and |dP_d/dc| (D, C) over some random points."""
    x = torch.randn(16, features, dtype=torch.float64)
    c = torch.randn(16, context, dtype=torch.float64)

    def one(x, c):
        return conditioner(x[None], c[None])[0].reshape(features, -1)

    by_x, by_c = torch.func.vmap(torch.func.jacrev(one, argnums=(0, 1)))(x, c)
    return by_x.abs().amax(dim=(0, 2)), by_c.abs().amax(dim=(0, 2))


@pytest.mark.parametrize(("features", "width", "depth"), SIZES)
def test_autoregressive(features, width, depth):
    by_x, _ = jacobians(conditioner_of(features, width, depth), features)
    assert (by_x.triu() == 0.0).all()


@pytest.mark.parametrize(("features", "width", "depth"), [size for size in SIZES if size[1] >= size[0]])
def test_depends_on_all_variables_before(features, width, depth):
    by_x, _ = jacobians(conditioner_of(features, width, depth), features)
    before = torch.ones(features, features, dtype=torch.bool).tril(-1)
    assert (by_x[before] > 0.0).all()


@pytest.mark.parametrize(("features", "width", "depth"), SIZES)
def test_every_parameter_depends_on_all_context(features, width, depth):
    _, by_c = jacobians(conditioner_of(features, width, depth), features)
    assert (by_c > 0.0).all()


def test_any_assignment_of_degrees_is_autoregressive():
    degrees = torch.tensor([3, 0, 0, 4, 2, 2, 0, 3])
    by_x, by_c = jacobians(conditioner_of(5, 8, 3, degrees=degrees), 5)
    assert (by_x.triu() == 0.0).all()
    assert (by_c > 0.0).all()


@pytest.mark.parametrize("width", [1, 2, 5, 9, 10, 128])
def test_degrees_are_sorted_and_start_with_the_context(width):
    degrees = hidden_degrees(width, 9)
    assert degrees[0] == 0
    assert (np.diff(degrees) >= 0).all()
    assert degrees[-1] == (0 if width == 1 else 8)
    if width >= 9:
        assert set(degrees.tolist()) == set(range(9))


def test_masks_are_not_saved():
    names = conditioner_of(5, 16, 2).state_dict().keys()
    assert not [name for name in names if "mask" in name or "degrees" in name]


def test_dropout_acts_in_training_only():
    conditioner = conditioner_of(3, 16, 2, dropout=0.5)
    x, c = torch.randn(4, 3).double(), torch.randn(4, 4).double()
    assert not torch.equal(conditioner(x, c), conditioner(x, c))
    conditioner.eval()
    assert torch.equal(conditioner(x, c), conditioner(x, c))
