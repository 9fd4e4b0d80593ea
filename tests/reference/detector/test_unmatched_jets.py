"""Jets without gen jet."""

from __future__ import annotations

import numpy as np
import pytest

from flashsim.reference.detector.jets import jets

EVENTS = 4000


def unmatched(truth_of, noise, recipe, rho=21.0):
    return jets(truth_of(EVENTS), noise, recipe.jets, np.full(EVENTS, rho))


def test_their_number_is_poisson_in_the_density(truth_of, noise, full):
    recipe = full.jets.unmatched
    for rho in (10.5, 21.0):
        counts = unmatched(truth_of, noise, full, rho).counts
        mean = recipe.mean * (rho / 21.0) ** recipe.power
        assert counts.mean() == pytest.approx(mean, abs=5.0 * np.sqrt(mean / EVENTS))
        assert counts.var() == pytest.approx(mean, rel=0.15)


def test_they_point_at_nothing_and_are_soft_and_forward(truth_of, noise, full):
    made = unmatched(truth_of, noise, full)
    assert (made["genJetIdx"] == -1).all()
    assert made["pt"].min() > 15.0
    assert np.median(made["pt"]) < 20.0
    assert np.mean(np.abs(made["eta"]) > 2.4) > 0.5
    assert np.mean(made["eta"] > 0) == pytest.approx(0.5, abs=0.03)


def test_pileup_identification_knows_them(truth_of, noise, full):
    fakes = unmatched(truth_of, noise, full)
    truth = truth_of(EVENTS, jets=1)
    made = jets(truth, noise, full.jets, np.full(EVENTS, 21.0))
    genuine = made.select(made["genJetIdx"] >= 0)
    assert np.mean(fakes["puId"] == 0) > 0.3
    assert np.mean(genuine["puId"] == 7) > 0.8
