"""Forms that the responses of jets share."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats

from flashsim.reference.detector.forms import (
    ByFlavour,
    Edge,
    Saturation,
    counts,
    flavour_class,
    thinned,
)


@given(mean=st.floats(0.0, 150.0), uniform=st.floats(1e-9, 1.0 - 1e-9))
def test_counts_are_poisson_quantiles(mean, uniform):
    count = counts(np.array([mean]), np.array([uniform]))[0]
    assert stats.poisson.cdf(count, mean) >= uniform - 1e-9
    assert count == 0 or stats.poisson.cdf(count - 1, mean) < uniform + 1e-9


@example(number=154, share=0.9921875, uniform=0.5)
@example(number=200, share=1.0, uniform=0.5)
@given(number=st.integers(0, 200), share=st.floats(0.0, 1.0), uniform=st.floats(1e-9, 1.0 - 1e-9))
def test_thinned_are_binomial_quantiles(number, share, uniform):
    left = thinned(np.array([number]), np.array([share]), np.array([uniform]))[0]
    assert 0 <= left <= number
    assert stats.binom.cdf(left, number, share) >= uniform - 1e-6
    assert left == 0 or stats.binom.cdf(left - 1, number, share) < uniform + 1e-6


@given(st.floats(-50.0, 50.0), st.floats(-5.0, 5.0), st.floats(0.01, 2.0))
def test_saturation_stays_below_both(x, limit, rounding):
    value = Saturation(at=limit, rounding=rounding).of(np.array([x]))[0]
    assert value <= min(x, limit) + 1e-9
    assert value >= min(x, limit) - 0.7 * rounding - 1e-9


def test_edge_falls_through_a_half():
    inside = Edge(at=2.5, width=0.1).inside(np.array([0.0, 2.5, 5.0]))
    np.testing.assert_allclose(inside, [1.0, 0.5, 0.0], atol=1e-9)


def test_hadrons_decide_heavy_flavour_and_partons_the_rest():
    columns = {"hadronFlavour": np.array([5, 4, 0, 0, 0]), "partonFlavour": np.array([21, 5, 21, 1, 0])}
    classes = flavour_class(columns)
    values = ByFlavour(b=1.0, c=2.0, light=3.0, gluon=4.0).of(classes)
    assert values.tolist() == [1.0, 2.0, 4.0, 3.0, 3.0]
