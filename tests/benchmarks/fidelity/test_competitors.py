from __future__ import annotations

from itertools import count

import numpy as np
import pytest
import torch

from benchmarks.fidelity.competitors import COMPETITORS, own_kinds
from benchmarks.fidelity.contest import EncodedRows, train_for
from flashsim.declarations.flows import SplineMAFRecipe
from flashsim.declarations.schedule import Schedule
from flashsim.flows import Flow
from flashsim.flows.kinds import kind_of

RECIPES = (*COMPETITORS, SplineMAFRecipe(layers=2, width=16, bins=8))


class Identity:
    name = "none"

    def smear(self, low, spread):
        return low + spread


@pytest.fixture
def line():
    """Give rows whose targets are 0.8 times the conditioning, with little noise."""
    generator = torch.Generator().manual_seed(1)
    context = torch.randn(4000, 2, generator=generator)
    targets = 0.8 * context + 0.3 * torch.randn(4000, 2, generator=generator)
    return EncodedRows(targets, torch.zeros_like(targets), context)


def made(recipe, features, context):
    """Give the architecture of a recipe, and its untrained module."""
    kind = kind_of(recipe.kind)
    architecture = kind.architecture(recipe, features, context, seed=1)
    return architecture, kind.module(architecture)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.kind)
def test_everybody_learns_what_the_conditioning_says(recipe, line):
    torch.manual_seed(1)
    architecture, network = made(recipe, 2, 2)
    small = Schedule(batch=64, learning_rate=5e-3, weight_decay=0.0)
    trained = train_for(
        network, small, Identity(), train=line, validation=line, seconds=60, clock=count().__next__
    )
    assert trained.rows == 59 * 64
    context = line.conditioning.numpy()
    noise = np.random.default_rng(1).normal(size=(4000, 2)).astype(np.float32)
    drawn = Flow.of(recipe.kind, architecture, network).sampler().from_noise(noise, context)
    assert drawn.shape == (4000, 2)
    assert np.corrcoef(drawn[:, 0], context[:, 0])[0, 1] > 0.5
    assert np.abs(np.corrcoef(drawn[:, 0], context[:, 1])[0, 1]) < 0.4


def test_flow_matching_has_the_size_of_the_publication():
    (recipe,) = (recipe for recipe in COMPETITORS if recipe.kind == "flow_matching")
    _, network = made(recipe, 26, 39)
    assert sum(weight.numel() for weight in network.parameters()) == pytest.approx(115_440, rel=0.02)


@pytest.mark.parametrize(
    "recipe", [SplineMAFRecipe(layers=2), COMPETITORS[-1]], ids=lambda recipe: recipe.kind
)
def test_the_flow_of_the_recipe_comes_before_the_other_kinds(recipe):
    kinds = own_kinds(recipe)
    assert kinds[0] is recipe
    assert sorted(one.kind for one in kinds) == ["flow_matching", "spline_maf"]
