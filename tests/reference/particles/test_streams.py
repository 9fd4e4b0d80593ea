from __future__ import annotations

import numpy as np
import pytest

from flashsim.reference.particles.streams import Streams, gamma, poisson

KEYS = np.arange(4, dtype=np.uint64)
MANY = np.array([200_000, 0, 0, 0])


def test_normal_numbers_have_the_moments_of_the_distribution():
    numbers = Streams(1, "full").normal(KEYS, "test", MANY)
    assert numbers.mean() == pytest.approx(0.0, abs=0.01)
    assert numbers.std() == pytest.approx(1.0, abs=0.01)
    assert (np.abs(numbers) > 2.0).mean() == pytest.approx(0.0455, abs=0.002)
    assert (np.abs(numbers) > 3.5).mean() == pytest.approx(4.65e-4, abs=2e-4)


def test_uniform_numbers_are_flat_and_inside():
    numbers = Streams(1, "full").uniform(KEYS, "test", MANY)
    assert 0.0 < numbers.min() < numbers.max() < 1.0
    counts = np.histogram(numbers, bins=20, range=(0.0, 1.0))[0]
    assert np.abs(counts - 10_000).max() < 5 * 100


@pytest.mark.parametrize("mean", [0.3, 4.0, 70.0])
def test_poisson_numbers_have_mean_and_variance_alike(mean):
    state = np.array([9], dtype=np.uint64)
    numbers = np.array([poisson(state, mean) for _ in range(5000)])
    assert numbers.mean() == pytest.approx(mean, rel=0.1)
    assert numbers.var() == pytest.approx(mean, rel=0.1)


@pytest.mark.parametrize("shape", [0.2, 1.0, 6.0])
def test_gamma_numbers_have_the_mean_of_their_shape(shape):
    state = np.array([9], dtype=np.uint64)
    numbers = np.array([gamma(state, shape) for _ in range(20_000)])
    assert numbers.mean() == pytest.approx(shape, rel=0.06)
    assert numbers.var() == pytest.approx(shape, rel=0.12)


def test_numbers_depend_on_seed_detector_draw_purpose_and_key():
    streams = [Streams(1, "full"), Streams(2, "full"), Streams(1, "fast"), Streams(1, "full", draw=1)]
    states = [s.states(KEYS, purpose) for s in streams for purpose in ("tracks", "material")]
    assert len(np.unique(np.concatenate(states))) == len(states) * len(KEYS)


def test_numbers_of_an_event_do_not_depend_on_others():
    streams = Streams(1, "full")
    together = streams.uniform(KEYS, "test", np.array([2, 3, 1, 4]))
    np.testing.assert_array_equal(together[2:5], streams.uniform(KEYS[1:2], "test", np.array([3])))
