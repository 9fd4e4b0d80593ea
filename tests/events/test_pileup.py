from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import poisson

from flashsim.events.noise import Stream, event_hash
from flashsim.events.pileup import gen_vertex, interactions, pileup_of

N = 20_000
KEYS = event_hash(np.ones(N, int), np.ones(N, int), np.arange(N))


@pytest.mark.parametrize("mean", [1e-3, 0.5, 3.0, 35.0, 150.0])
def test_interactions_are_those_of_poisson_distributions(mean):
    true = np.full(N, mean)
    uniform = Stream(5, "Pileup", "interactions").uniform(KEYS, np.zeros(N, int), 3)
    found = interactions(5, KEYS, true)
    assert np.array_equal(found, poisson.ppf(uniform, np.array([mean, 12 * mean, 3 * mean])))


def test_without_pileup_there_is_none():
    made = pileup_of(1, KEYS, np.zeros(N), np.zeros(N))
    assert all(np.all(column == 0) for column in made.values())


def test_densities_follow_from_the_numbers_that_are_given():
    numbers = np.arange(N) % 80
    own = gen_vertex(1, KEYS)["GenVtx_z"]
    made = pileup_of(1, KEYS, np.full(N, 30.0), own, numbers)
    assert np.array_equal(made["Pileup_nPU"], numbers)
    assert np.all(made["Pileup_pudensity"] <= numbers)
    # At the centre of a normal distribution of width 35 mm.
    central = np.abs(own) < 1.7
    per_interaction = made["Pileup_gpudensity"][central].sum() / numbers[central].sum()
    assert per_interaction == pytest.approx(0.3728 / 34, rel=0.03)
