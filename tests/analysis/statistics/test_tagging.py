from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from flashsim.analysis.statistics.tagging import Scores, efficiency_at, roc, roc_area


def scores(rng, signal=400, background=600, decimals=6):
    return Scores(
        rng.normal(1.0, 1.0, signal).round(decimals),
        rng.normal(0.0, 1.0, background).round(decimals),
        rng.integers(0, 200, signal),
        rng.integers(0, 200, background),
    )


@given(st.integers(0, 2**32 - 1), st.integers(0, 2))
def test_area_agrees_with_sklearn(seed, decimals):
    made = scores(np.random.default_rng(seed), 30, 40, decimals)
    label = np.repeat([1, 0], [30, 40])
    expected = roc_auc_score(label, np.concatenate((made.signal, made.background)))
    assert roc_area(made) == pytest.approx(expected)


@given(st.integers(0, 2**32 - 1), st.integers(0, 39))
def test_curve_agrees_with_sklearn(seed, passed):
    made = scores(np.random.default_rng(seed), 30, 40)
    label = np.repeat([1, 0], [30, 40])
    mistag, efficiency, _ = roc_curve(
        label, np.concatenate((made.signal, made.background)), drop_intermediate=False
    )
    # The largest efficiency with no more than the wished background.
    expected = efficiency[mistag <= passed / 40 + 1e-9].max()
    assert roc(made, np.array([passed / 40 + 1e-9]))[0] == pytest.approx(expected)


def test_a_point_mass_at_the_cut_lets_nothing_through():
    made = Scores(np.full(10, 0.5), np.full(20, 0.5), np.arange(10), np.arange(20))
    assert roc(made, np.array([0.1]))[0] == 0.0


def test_errors_are_those_of_resampled_events():
    rng = np.random.default_rng(1)
    made = Scores(
        rng.normal(1.0, 1.0, 4000), rng.normal(0.0, 1.0, 100_000), np.arange(4000), np.arange(100_000)
    )
    efficiency, error = efficiency_at(made, np.array([0.1]), 100_000)
    assert error[0] == pytest.approx(np.sqrt(efficiency[0] * (1 - efficiency[0]) / 4000), rel=0.4)
