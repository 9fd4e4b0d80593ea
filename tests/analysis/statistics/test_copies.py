from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from flashsim.analysis.statistics.copies import copies, nearest


def normal(seed, rows=1500, columns=8):
    return np.random.default_rng(seed).normal(size=(rows, columns))


def test_nearest_rows_are_those_of_scipy():
    one, other = normal(1, 700), normal(2, 300)
    distance, row = nearest(one, other)
    expected = cdist(one, other)
    np.testing.assert_allclose(distance, expected.min(axis=1), rtol=1e-9)
    np.testing.assert_array_equal(row, expected.argmin(axis=1))
    assert len(nearest(one[:0], other)[0]) == 0


def test_errors_know_that_rows_share_their_neighbours():
    """Pulls of many independent samples, in columns so many that some rows are the nearest of most."""
    pulls = []
    for seed in range(60):
        drawn, training, others = np.random.default_rng(seed).normal(size=(3, 300, 20))
        found = copies(drawn, training, others)
        pulls.append((found.share - 0.5) / found.error)
    assert 0.7 < np.std(pulls) < 1.3


def test_rows_of_the_same_distribution_are_as_often_closer_to_either():
    found = copies(normal(1), normal(2), normal(3))
    assert abs(found.share - 0.5) < 5.0 * found.error
    assert np.median(found.ratio) == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_copies_are_found_even_with_noise(noise):
    training = normal(2)
    drawn = training + noise * normal(4)
    found = copies(drawn, training, normal(3))
    assert found.share > 0.95
    assert np.median(found.ratio) < 0.5


def test_few_copies_move_the_share():
    training = normal(2)
    drawn = np.concatenate((training[:300], normal(1, 1200)))
    found = copies(drawn, training, normal(3))
    assert found.share == pytest.approx(0.6, abs=0.05)


def test_ties_count_half():
    training = normal(2, 50)
    assert copies(training, training, training).share == 0.5


def test_unequal_numbers_are_refused():
    with pytest.raises(ValueError, match="found 50 and 40"):
        copies(normal(1, 10), normal(2, 50), normal(3, 40))
