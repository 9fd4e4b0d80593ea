from __future__ import annotations

import numpy as np
import pytest

from benchmarks.fidelity.counting import binned_efficiency, closure, pull


def test_pulls_of_equal_simulations_have_unit_width():
    rng = np.random.default_rng(1)
    probability = rng.random(500)
    pulls = [pull(*(rng.random((2, 500)) < probability)) for _ in range(400)]
    assert np.mean(pulls) == pytest.approx(0.0, abs=0.2)
    assert np.std(pulls) == pytest.approx(1.0, abs=0.12)


def test_pull_grows_with_what_is_gained():
    first = np.zeros(100, dtype=bool)
    second = first.copy()
    second[:25] = True
    assert pull(first, second) == pytest.approx(5.0)
    assert pull(second, first) == pytest.approx(-5.0)
    assert pull(first, first) == 0.0


def test_closure_of_equal_simulations_follows_a_chi_square():
    rng = np.random.default_rng(2)
    mean = rng.gamma(2.0, 1.0, 3000)
    found = [closure(*rng.poisson(mean, (2, 3000))) for _ in range(150)]
    assert np.mean([c.p_value for c in found]) == pytest.approx(0.5, abs=0.1)
    assert all(sum(c.first) == sum(c.second) == 3000 for c in found)


def test_closure_sees_more_objects():
    rng = np.random.default_rng(3)
    found = closure(rng.poisson(2.0, 4000), rng.poisson(2.3, 4000))
    assert found.p_value < 1e-4
    assert found.mean_second - found.mean_first > 3.0 * found.difference_error


def test_same_numbers_close():
    numbers = np.array([0, 1, 2, 2])
    found = closure(numbers, numbers)
    assert (found.chi2, found.ndf, found.p_value) == (0.0, 0, 1.0)


def test_efficiencies_are_shares_of_their_bins():
    values = np.array([0.5, 0.5, 1.5, 7.0])
    found = {"full": np.array([1, 0, 1, 1], bool), "flash": np.array([1, 1, 0, 1], bool)}
    first, second = binned_efficiency(values, [0.0, 1.0, 2.0, 5.0], found, "full")
    assert (first["objects"], first["full"], first["flash"], first["flash_pull"]) == (2, 0.5, 1.0, 1.0)
    assert (second["objects"], second["full"], second["flash"], second["flash_pull"]) == (1, 1.0, 0.0, -1.0)
