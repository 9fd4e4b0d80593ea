from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from flashsim.analysis.statistics.correlations import cross_spearman
from flashsim.analysis.whole_events.correlations import compared, correlations_between


def test_cross_correlations_are_those_of_scipy():
    rng = np.random.default_rng(1)
    one = {name: rng.normal(size=300) for name in "ab"}
    other = {"c": one["a"] + rng.normal(size=300), "d": rng.integers(0, 3, 300).astype(float)}
    matrix = cross_spearman(one, other)
    for i, x in enumerate(one.values()):
        for j, y in enumerate(other.values()):
            assert matrix[i, j] == pytest.approx(spearmanr(x, y).statistic)


def test_two_draws_differ_by_their_errors(make_events, fields):
    blocks = [correlations_between(make_events(seed), fields) for seed in (1, 2)]
    rows = compared(*blocks)
    assert {row["pairs"] for row in rows} == {"Muon and its jet", "whole events"}
    for row in rows:
        assert row["largest"] < 5.0 * row["error"]
        assert 0.5 < row["rms"] < 1.5


def test_what_objects_share_is_found_and_named(make_events, fields):
    """Muons know the jet that they stand in by its energy fraction: taken away, the correlation is gone."""
    events, other = make_events(1), make_events(2)
    other["Jet"].columns["muEF"] = np.random.default_rng(1).permutation(other["Jet"]["muEF"])
    row = next(
        r
        for r in compared(correlations_between(events, fields), correlations_between(other, fields))
        if r["pairs"] == "Muon and its jet"
    )
    assert row["largest"] > 5.0 * row["error"]
    assert row["where"][1] in {"muEF", "chHEF"}


def test_a_scale_that_all_jets_of_an_event_share_is_seen_in_the_event(make_events, fields):
    one, other = (correlations_between(make_events(1, shared=s), fields) for s in (0.0, 0.3))
    rows = {row["pairs"]: row for row in compared(one, other)}
    assert "jet pT - gen pT" in rows["whole events"]["where"]
