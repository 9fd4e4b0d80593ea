from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from flashsim.analysis.statistics.distances import (
    Drawn,
    _Pooled,
    distances,
    floor,
    mean_distance,
    separations,
    split_floor,
)


def wasserstein(one, two):
    samples = (Drawn(values, np.zeros(len(values), dtype=np.int64)) for values in (one, two))
    pooled = _Pooled.of_two(*samples, 1, -np.inf, np.inf)
    return pooled.distance(np.array([1.0, 0.0]), np.array([0.0, 1.0]))


def drawn(rng, events, shift=0.0):
    event = np.repeat(np.arange(events), 2)
    return Drawn(rng.normal(shift, 2.0, len(event)), event)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-5.0, 5.0))
def test_a_shift_is_its_own_distance(seed, shift):
    values = np.random.default_rng(seed).normal(size=50)
    assert wasserstein(values, values + shift) == pytest.approx(abs(shift), abs=1e-9)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40))
def test_agrees_with_scipy(seed, n, m):
    rng = np.random.default_rng(seed)
    one, two = rng.exponential(size=n).round(1), rng.normal(size=m).round(1)
    assert wasserstein(one, two) == pytest.approx(wasserstein_distance(one, two), abs=1e-9)


def test_a_shift_is_found_in_standard_deviations_with_its_error():
    rng = np.random.default_rng(1)
    found = distances(drawn(rng, 2000), {"it": drawn(rng, 2000, 1.0)}, 2000, discrete=False)["it"]
    assert found.value == pytest.approx(0.5, abs=0.08)
    # Two means of 4000 values of unit variance.
    assert found.error == pytest.approx(np.sqrt(2.0 / 4000.0), rel=0.5)


def test_draws_of_one_distribution_are_at_the_floor():
    rng = np.random.default_rng(2)
    one, two, three = (drawn(rng, 3000) for _ in range(3))
    least = floor(one, two, 3000, discrete=False)
    found = distances(one, {"it": three}, 3000, discrete=False)["it"]
    assert least.value < 0.04
    assert abs(found.value - least.value) < 4.0 * least.error


def test_the_floor_does_not_see_that_one_draw_is_shifted():
    """Exchanging events takes the difference away: the floor is that of two draws of the mixture."""
    rng = np.random.default_rng(3)
    one, two = drawn(rng, 3000), drawn(rng, 3000, 1.0)
    assert floor(one, two, 3000, discrete=False).value < 0.1 * wasserstein_distance(one.values, two.values)


def test_one_wild_value_does_not_decide():
    rng = np.random.default_rng(4)
    one, two = drawn(rng, 2000), drawn(rng, 2000)
    wild = Drawn(np.append(two.values[:-1], 1e9), two.event)
    calm, found = (distances(one, {"it": it}, 2000, discrete=False)["it"] for it in (two, wild))
    assert found.value == pytest.approx(calm.value, abs=0.005)


def test_tails_are_counted():
    rng = np.random.default_rng(5)
    one, two = drawn(rng, 5000), drawn(rng, 5000)
    heavy = Drawn(two.values * np.where(rng.random(10_000) < 0.02, 10.0, 1.0), two.event)
    calm, found = (distances(one, {"it": it}, 5000, discrete=False)["it"].tails for it in (two, heavy))
    assert calm == pytest.approx(1.0, abs=0.8)
    assert found > 4.0


def test_a_constant_has_no_distance_from_itself():
    same = Drawn(np.ones(10), np.arange(10))
    assert distances(same, {"it": same}, 10, discrete=True)["it"].value == 0.0
    assert floor(same, same, 10, discrete=True).value == pytest.approx(0.0, abs=1e-12)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40))
def test_the_largest_gap_is_that_of_the_shares_up_to_any_value(seed, n, m):
    rng = np.random.default_rng(seed)
    one, two = rng.normal(size=n).round(1), rng.normal(size=m).round(1)
    gaps = [abs(np.mean(one <= value) - np.mean(two <= value)) for value in (*one, *two)]
    samples = [Drawn(values, np.arange(len(values))) for values in (one, two)]
    found = separations(samples[0], {"it": samples[1]}, max(n, m), discrete=True)["it"]
    assert found.ks == pytest.approx(max(gaps), abs=1e-9)


def test_a_sample_of_the_same_events_is_compared_without_what_it_shares():
    rng = np.random.default_rng(6)
    one = drawn(rng, 2000)
    moved = Drawn(one.values + 0.2, one.event)
    elsewhere = Drawn(moved.values, one.event + 2000)
    same, apart = (
        separations(one, {"it": it}, 4000, discrete=False)["it"].wasserstein for it in (moved, elsewhere)
    )
    assert same.value == pytest.approx(apart.value)
    assert same.error < 0.2 * apart.error


@pytest.mark.parametrize("size", [6000, 1500])
def test_halves_of_the_reference_tell_what_a_draw_of_it_would_give(size):
    rng = np.random.default_rng(7)
    reference = drawn(rng, 3000)
    w1, ks = split_floor(reference, {"it": size}, 3000, discrete=False)["it"]
    draws = [
        separations(reference, {"it": drawn(rng, size // 2)}, 3000, discrete=False)["it"] for _ in range(6)
    ]
    assert w1.value == pytest.approx(np.mean([draw.wasserstein.value for draw in draws]), rel=0.6)
    assert ks.value == pytest.approx(np.mean([draw.ks for draw in draws]), rel=0.6)


def test_the_mean_of_draws_is_that_of_one_and_scatters_less():
    singles, means = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        truth, draws = ([drawn(rng, 1000) for _ in range(n)] for n in (2, 3))
        singles.append(distances(truth[0], {"it": draws[0]}, 1000, discrete=False)["it"].value)
        means.append(mean_distance(truth, draws, 1000, discrete=False).value)
    assert np.mean(means) == pytest.approx(np.mean(singles), rel=0.25)
    assert np.std(means) < 0.8 * np.std(singles)


def test_the_mean_of_one_draw_is_its_distance():
    rng = np.random.default_rng(3)
    one, other = drawn(rng, 500), drawn(rng, 500, 0.3)
    alone = distances(one, {"it": other}, 500, discrete=False)["it"]
    found = mean_distance([one], [other], 500, discrete=False)
    assert (found.value, found.error, found.tails) == pytest.approx((alone.value, alone.error, alone.tails))
