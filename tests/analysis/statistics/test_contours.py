from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flashsim.analysis.statistics.contours import Regions, plane_edges

LEVELS = [0.5, 0.9, 0.99]


def regions(x, y):
    return Regions.of(x, y, LEVELS, plane_edges(x), plane_edges(y))


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(50, 400))
def test_regions_hold_at_least_their_share_and_are_nested(seed, n):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=n), rng.exponential(size=n)
    inside = regions(x, y).inside(x, y)
    # What lies outside of all bins cannot be inside of a region.
    whole = np.mean(inside[-1])
    assert all(share >= min(level, whole) for share, level in zip(inside.mean(axis=1), LEVELS, strict=True))
    assert (inside[0] <= inside[1]).all()
    assert (inside[1] <= inside[2]).all()


def test_another_draw_has_the_same_shares():
    rng = np.random.default_rng(1)
    (x, y), (a, b) = rng.normal(size=(2, 40_000)), rng.normal(size=(2, 40_000))
    assert regions(x, y).inside(a, b).mean(axis=1) == pytest.approx(LEVELS, abs=0.02)


def test_the_half_of_a_round_peak_is_a_disc():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(2, 200_000))
    inside = regions(x, y).inside(x, y)[0]
    radius = np.hypot(x, y)
    # Half of a normal distribution in the plane is within sqrt(2 log 2).
    assert radius[inside].max() == pytest.approx(1.177, abs=0.35)
    assert radius[~inside].min() == pytest.approx(1.177, abs=0.35)


def test_a_correlation_is_seen():
    rng = np.random.default_rng(3)
    x, noise, a, b = rng.normal(size=(4, 20_000))
    assert regions(x, 0.9 * x + 0.44 * noise).inside(a, b).mean(axis=1)[0] < 0.35
