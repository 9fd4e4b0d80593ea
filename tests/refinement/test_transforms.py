from __future__ import annotations

import pytest
import torch

from flashsim.declarations.refinement import Variable
from flashsim.refinement.transforms import ColumnTransform

EXCESS = Variable(branch="pt", transform="excess", threshold=15.0, width=10.0)


def responses(rows, seed=0):
    """Momenta above 15 GeV that are 10 % low and the narrower the higher, with their gen momenta."""
    torch.manual_seed(seed)
    gen = 10.0 + 40.0 * torch.empty(rows, 1).exponential_()
    width = (0.02 + (0.8 / gen.sqrt()) ** 2).sqrt()
    pt = 0.9 * gen * torch.exp(width * torch.randn(rows, 1))
    above = pt[:, 0] > 15.0
    return pt[above, 0], gen[above]


@pytest.fixture(scope="module")
def fitted():
    transform = ColumnTransform(EXCESS, 0)
    transform.fit(*responses(20_000))
    return transform


@pytest.mark.parametrize("edges", [(10.0, 15.0), (25.0, 30.0), (60.0, 70.0), (150.0, 200.0)])
def test_an_excess_is_in_units_of_its_spread_at_every_gen_value(fitted, edges):
    pt, gen = responses(100_000, seed=1)
    level = fitted(pt, gen, torch.zeros_like(pt))
    low, middle, high = level[(gen[:, 0] > edges[0]) & (gen[:, 0] < edges[1])].quantile(
        torch.tensor([0.16, 0.5, 0.84])
    )
    assert abs(middle) < 0.15
    assert 0.5 * (high - low) == pytest.approx(1.0, abs=0.15)


def test_an_excess_comes_back(fitted):
    pt, gen = responses(5_000, seed=2)
    assert torch.allclose(fitted.inverse(fitted(pt, gen, torch.zeros_like(pt)), gen), pt, rtol=1e-4)


def test_an_excess_beyond_all_training_is_finite_and_above_the_threshold(fitted):
    gen = torch.tensor([[0.0], [1.0], [1e4], [1e6]])
    for latent in (-1e4, 0.0, 50.0):
        values = fitted.inverse(torch.full((4,), latent), gen)
        assert torch.isfinite(values).all()
        assert (values >= 15.0).all()
    assert torch.isfinite(fitted(torch.full((4,), 15.0), gen, torch.zeros(4))).all()


def test_few_rows_tell_nothing_of_the_spread():
    transform = ColumnTransform(EXCESS, 0)
    transform.fit(*responses(200))
    assert (transform.median == 0.0).all()
    assert (transform.spread == 1.0).all()


def test_a_value_that_is_rounding_does_not_stretch_the_scale():
    """Differences of sums leave isolations of 1e-30, which are zero to a detector."""
    variable = Variable(branch="pfRelIso03_all", transform="log", width=0.1, atom=0.0)
    generator = torch.Generator().manual_seed(1)
    values = torch.cat(
        (torch.zeros(500), torch.rand(1500, generator=generator) + 1e-3, torch.tensor([1e-30]))
    )
    gen, found = torch.zeros(len(values), 1), []
    for rows in (len(values) - 1, len(values)):
        transform = ColumnTransform(variable, None)
        transform.fit(values[:rows], gen[:rows])
        latent = transform(values, gen, torch.rand(len(values), generator=generator))
        found.append(float(latent.std()))
        back = transform.inverse(latent, gen)
        assert (back[values == 0.0] == 0.0).all()
        assert back[-1] < 0.02
    assert found[1] == pytest.approx(found[0], rel=0.05)
