"""Muons of the parametrised detectors on truth that is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flashsim.declarations.objects import load_object
from flashsim.reference.detector.muons import muons
from flashsim.reference.detector.truth import Noise
from flashsim.transforms.codec import allows

EVENTS = 4000
BEAM = 6500.0
"""Energy of a proton in GeV: no muon has more."""
TARGETS = [target for target in load_object("muons").targets if target.exists_in("v9")]


def found(truth, noise, recipe, jets, draw=None):
    rho = np.full(truth.events, 20.0)
    vertex = np.zeros((truth.events, 3))
    return muons(truth, draw or noise, recipe.muons, rho=rho, vertex=vertex, jets=jets)


def matched(truth, noise, recipe, jets):
    made = found(truth, noise, recipe, jets)
    return made.select(made["genPartIdx"] >= 0)


@pytest.fixture(scope="module")
def prompt(truth_of, noise, full, reco_jets):
    return matched(truth_of(EVENTS), noise, full, reco_jets(EVENTS))


def test_every_target_is_there_and_allowed(truth_of, noise, detector, reco_jets):
    truth = truth_of(EVENTS, leptons=2, jets=2)
    made = found(truth, noise, detector, reco_jets(EVENTS, 2))
    assert made.events == EVENTS
    for target in TARGETS:
        assert allows(target, made[target.branch]).all(), target.branch
    assert np.isfinite(np.concatenate(list(made.columns.values()))).all()


def test_muons_of_another_origin_keep_it(truth_of, noise, full, reco_jets):
    origin = np.resize([1, 15, 5, 4, 3], EVENTS)
    truth = truth_of(EVENTS, lepton={"origin": origin})
    made = matched(truth, noise, full, reco_jets(EVENTS))
    assert (made["genPartIdx"] == 3).all()
    assert np.array_equal(made["genPartFlav"], origin[made.event_rows])


def test_momentum_of_a_central_muon(prompt):
    """1 to 2 % in the barrel at 40 GeV (MUO-16-001), with tails."""
    response = prompt["pt"] / 40.0
    low, middle, high = np.quantile(response, [0.16, 0.5, 0.84])
    assert abs(middle - 1.0) < 0.001
    assert 0.008 < (high - low) / 2 < 0.02
    pulls = (prompt["pt"] - 40.0) / prompt["ptErr"]
    assert np.mean(np.abs(pulls) > 3) > 0.0027


def test_impact_parameters_have_the_width_that_they_claim(prompt):
    for name in ("dxy", "dz"):
        assert 0.8 < np.std(prompt[name] / prompt[f"{name}Err"]) < 1.2


def test_a_displaced_muon_is_seen_as_one(truth_of, noise, full, reco_jets, prompt):
    truth = truth_of(EVENTS, lepton={"dxy": np.full(EVENTS, 0.05), "dz": np.full(EVENTS, 0.1)})
    far = matched(truth, noise, full, reco_jets(EVENTS))
    assert np.median(far["dxy"]) == pytest.approx(0.05, abs=1e-4)
    assert np.median(far["ip3d"]) == pytest.approx(np.hypot(0.05, 0.1 / np.cosh(0.7)), rel=0.02)
    assert np.quantile(far["sip3d"], 0.05) > np.quantile(prompt["sip3d"], 0.95)


def test_a_displaced_vertex_moves_impact_parameters(truth_of, noise, full, reco_jets):
    truth, jets = truth_of(EVENTS), reco_jets(EVENTS)
    shift = np.tile([0.01, 0.02, 0.03], (EVENTS, 1))
    rho = np.full(EVENTS, 20.0)
    here = muons(truth, noise, full.muons, rho=rho, vertex=0 * shift, jets=jets)
    there = muons(truth, noise, full.muons, rho=rho, vertex=shift, jets=jets)
    real = here["genPartIdx"] >= 0
    moved = (there["dxy"] - here["dxy"])[real]
    # The impact parameter of a straight line: (v - p) x direction.
    assert moved == pytest.approx(0.01 * np.sin(-1.0) - 0.02 * np.cos(-1.0))


def test_efficiency_turns_on(truth_of, noise, detector, reco_jets):
    def share(pt, eta):
        lepton = {"pt": np.full(EVENTS, pt), "eta": np.full(EVENTS, eta)}
        return len(matched(truth_of(EVENTS, lepton=lepton), noise, detector, reco_jets(EVENTS))) / EVENTS

    assert share(50.0, 0.8) > 0.98
    assert share(3.5, 0.8) < share(5.0, 0.8) < share(20.0, 0.8)
    assert share(3.5, 1.8) > share(3.5, 0.8)
    assert share(2.5, 1.8) < 0.05
    assert share(50.0, 2.5) == 0.0


def test_activity_makes_a_muon_less_isolated_and_zeros_rare(truth_of, noise, full, reco_jets, prompt):
    busy = {"charged03": 20.0, "charged04": 25.0, "neutral03": 5.0, "neutral04": 6.0, "photon04": 8.0}
    busy = {name: np.full(EVENTS, value) for name, value in (busy | {"photon03": 7.0}).items()}
    inside = matched(truth_of(EVENTS, lepton=busy), noise, full, reco_jets(EVENTS))
    for name in ("pfRelIso03_chg", "pfRelIso03_all", "pfRelIso04_all"):
        assert np.mean(inside[name] == 0.0) < 0.01
        assert 0.2 < np.mean(prompt[name] == 0.0) < 0.95
        assert np.median(inside[name]) > 0.3
    assert inside["looseId"].mean() < prompt["looseId"].mean()


def test_isolation_of_all_particles_holds_the_charged_one(truth_of, noise, detector, reco_jets):
    lepton = {name: np.full(EVENTS, 3.0) for name in ("charged03", "charged04", "photon03", "photon04")}
    made = found(truth_of(EVENTS, jets=1, lepton=lepton), noise, detector, reco_jets(EVENTS))
    assert (made["pfRelIso03_all"] >= made["pfRelIso03_chg"]).all()


def test_identifications_are_nested(truth_of, noise, detector, reco_jets):
    made = found(truth_of(EVENTS, jets=1), noise, detector, reco_jets(EVENTS))
    for wide, narrow in (
        ("looseId", "mediumId"),
        ("mediumId", "tightId"),
        ("isGlobal", "tightId"),
        ("isPFcand", "looseId"),
        ("isTracker", "softId"),
        ("isGlobal", "softMvaId"),
    ):
        assert (made[wide] >= made[narrow]).all()
    assert (made["isGlobal"] + made["isTracker"] > 0).all()
    assert (made["softMva"][made["isGlobal"] == 0] == -1.0).all()


def test_unmatched_muons_are_worse(truth_of, noise, full, reco_jets, prompt):
    truth = truth_of(EVENTS, leptons=0, jets=3)
    fakes = found(truth, noise, full, reco_jets(EVENTS))
    assert 0.1 < len(fakes) / EVENTS < 0.6
    assert (fakes["genPartIdx"] == -1).all()
    assert (fakes["genPartFlav"] == 0).all()
    for name in ("isGlobal", "looseId", "mediumId", "tightId", "softId"):
        assert fakes[name].mean() < prompt[name].mean()
    assert np.median(fakes["pt"]) < 6.0
    assert np.mean(np.abs(fakes["dz"]) > 0.5) > 0.1


def test_jet_around_a_muon(truth_of, noise, full, reco_jets):
    """A jet of 80 GeV, calibrated by 1 / 0.9, around a muon of 40 GeV in the same direction."""
    at = {"eta": np.full(EVENTS, 0.7), "phi": np.full(EVENTS, -1.0), "pt": np.full(EVENTS, 80.0)}
    made = matched(truth_of(EVENTS), noise, full, reco_jets(EVENTS, 1, **at))
    assert np.median(made["jetRelIso"]) == pytest.approx((72.0 - 40.0) / 0.9 / 40.0, rel=0.02)
    assert np.median(made["jetPtRelv2"]) < 1.0
    at["phi"] = np.full(EVENTS, -0.8)
    aside = matched(truth_of(EVENTS), noise, full, reco_jets(EVENTS, 1, **at))
    assert np.median(aside["jetPtRelv2"]) > 5.0
    alone = matched(truth_of(EVENTS), noise, full, reco_jets(EVENTS))
    assert (alone["jetPtRelv2"] == 0.0).all()


def test_draws_and_detectors_differ(truth_of, full, reco_jets):
    truth, jets = truth_of(50), reco_jets(50)
    made = [
        matched(truth, noise, full, jets)["ptErr"]
        for noise in (Noise(7, "full"), Noise(7, "full", 1), Noise(7, "fast"), Noise(8, "full"))
    ]
    again = matched(truth, Noise(7, "full"), full, jets)["ptErr"]
    assert np.array_equal(made[0], again)
    values = np.concatenate(made)
    assert len(np.unique(values)) == len(values)


def test_a_very_stiff_muon_may_bend_the_other_way(truth_of, noise, full, reco_jets):
    truth = truth_of(EVENTS, lepton={"pt": np.full(EVENTS, 5000.0)})
    made = matched(truth, noise, full, reco_jets(EVENTS))
    flipped = made["charge"] == 1
    assert 0 < flipped.sum() < 0.3 * len(made)
    assert np.array_equal(made["pdgId"], -13 * made["charge"])


@settings(max_examples=10, deadline=None)
@given(muon=st.tuples(st.floats(0.01, BEAM), st.floats(-6.0, 6.0)), pileup=st.integers(0, 120))
def test_whatever_the_muon_values_are_allowed(truth_of, detector, reco_jets, muon, pileup):
    pt, eta = muon
    truth = truth_of(
        20,
        jets=1,
        lepton={"pt": np.full(20, pt), "eta": np.full(20, eta)},
        event={"Pileup_nPU": np.full(20, pileup)},
    )
    made = found(truth, Noise(1, "full"), detector, reco_jets(20, 1, eta=np.full(20, eta)))
    for target in TARGETS:
        assert allows(target, made[target.branch]).all(), target.branch
