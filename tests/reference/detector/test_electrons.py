"""Electrons of the parametrised detectors on truth that is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flashsim.declarations.objects import load_object
from flashsim.reference.detector.electron_showers import radiated
from flashsim.reference.detector.electrons import electrons
from flashsim.reference.detector.truth import Noise
from flashsim.transforms.codec import allows

EVENTS = 3000
BEAM = 6500.0
"""Energy of a proton in GeV: no electron has more."""
TARGETS = [target for target in load_object("electrons").targets if target.exists_in("v9")]
POINTS = ("WPL", "WP90", "WP80")


@pytest.fixture(scope="module")
def electrons_of(truth_of):
    """Make a truth of events with one electron of 40 GeV each; its columns may be given."""

    def make(events=EVENTS, *, leptons=1, jets=0, jet=None, event=None, **lepton):
        columns = {"pdgId": np.full(events * leptons, 11)}
        columns |= {name: np.broadcast_to(value, events * leptons) for name, value in lepton.items()}
        return truth_of(events, leptons=leptons, jets=jets, jet=jet, lepton=columns, event=event)

    return make


def found(truth, recipe, draw=None, rho=20.0):
    return electrons(
        truth,
        draw or Noise(7, "full"),
        recipe.electrons,
        rho=np.full(truth.events, rho),
        vertex=np.zeros((truth.events, 3)),
    )


def matched(truth, recipe, **options):
    made = found(truth, recipe, **options)
    return made.select(made["genPartIdx"] >= 0)


@pytest.fixture(scope="module")
def prompt(electrons_of, full):
    return matched(electrons_of(), full)


def test_every_target_is_there_and_allowed(electrons_of, detector):
    made = found(electrons_of(leptons=2, jets=2), detector)
    assert made.events == EVENTS
    for target in TARGETS:
        assert allows(target, made[target.branch]).all(), target.branch
    assert np.isfinite(np.concatenate(list(made.columns.values()))).all()
    assert made["pt"].min() > 0.9 * detector.electrons.threshold


def test_muons_are_no_electrons(truth_of, full):
    assert len(matched(truth_of(EVENTS), full)) == 0


def test_electrons_of_another_origin_keep_it(electrons_of, full):
    origin = np.resize([1, 15, 5, 4, 3], EVENTS)
    made = matched(electrons_of(origin=origin), full)
    assert (made["genPartIdx"] == 3).all()
    assert np.array_equal(made["genPartFlav"], origin[made.event_rows])


def test_energy_of_a_central_electron(prompt):
    """2 to 5 % in the barrel at 40 GeV with bremsstrahlung (EGM-17-001), with a tail to low energies."""
    low, first, middle, last, high = np.quantile(prompt["pt"] / 40.0, [0.02, 0.16, 0.5, 0.84, 0.98])
    assert middle == pytest.approx(1.0, abs=0.01)
    assert 0.015 < (last - first) / 2 < 0.05
    assert middle - low > 1.1 * (high - middle)


def test_material_makes_energy_and_charge_worse(electrons_of, full, prompt):
    thick = matched(electrons_of(eta=1.9), full)

    def worse(made, gen_eta):
        error = np.median(made["energyErr"] / (made["pt"] * np.cosh(gen_eta)))
        return error, np.median(made["r9"]), np.mean(made["charge"] == 1)

    (error, r9, wrong), (thick_error, thick_r9, thick_wrong) = worse(prompt, 0.7), worse(thick, 1.9)
    assert thick_error > error
    assert thick_r9 < r9
    assert wrong < 0.01 < thick_wrong < 0.1
    assert np.array_equal(thick["pdgId"], -11 * thick["charge"])


def test_radiation_follows_bethe_and_heitler(full):
    """The mean share that is kept after x radiation lengths is exp(-x)."""
    uniform = (np.arange(100_000) + 0.5) / 100_000
    response = full.electrons.shower
    for eta in (0.0, 1.0, -1.4, 2.5):
        lost = radiated(np.full(len(uniform), eta), uniform, response)
        thickness = response.material.at(np.abs(np.array([eta])))[0]
        assert np.mean(1.0 - lost) == pytest.approx(np.exp(-thickness), rel=0.01)


def test_supercluster_is_seen_from_the_centre(electrons_of, full):
    """An electron at eta = 0 from 10 cm along the beam reaches the barrel 10 cm further."""
    for place, eta in ((10.0, 0.0), (-10.0, 0.0), (10.0, 2.0), (10.0, -2.0)):
        made = matched(electrons_of(eta=eta, event={"GenVtx_z": np.full(EVENTS, place)}), full)
        slope = np.sinh(eta)
        seen = np.arcsinh(place / 129.0)
        if eta:
            end = np.sign(eta) * 317.0
            seen = np.sign(eta) * np.arcsinh(317.0 * abs(slope / (end - place)))
        assert np.median(made["deltaEtaSC"]) == pytest.approx(seen - eta, abs=5e-4)


def test_efficiency_turns_on_and_falls_in_the_gap(electrons_of, detector):
    def share(pt, eta, **lepton):
        return len(matched(electrons_of(pt=pt, eta=eta, **lepton), detector)) / EVENTS

    assert share(50.0, 0.8) > 0.93
    assert share(4.0, 0.8) < share(6.0, 0.8) < share(30.0, 0.8)
    assert share(30.0, 1.505) < share(30.0, 1.8) < share(30.0, 0.8)
    assert share(30.0, 0.8, charged03=60.0) < share(30.0, 0.8)
    assert share(2.0, 0.8) == share(50.0, 2.6) == 0.0


def test_activity_makes_an_electron_less_isolated_and_zeros_rare(electrons_of, full, prompt):
    inside = matched(electrons_of(charged03=20.0, neutral03=5.0, photon03=7.0), full)
    for name in ("pfRelIso03_chg", "pfRelIso03_all", "miniPFRelIso_all"):
        assert np.mean(inside[name] == 0.0) < 0.01
        assert 0.2 < np.mean(prompt[name] == 0.0) < 0.95
        assert np.median(inside[name]) > 0.3
    for name in ("mvaFall17V2Iso_WP90", "mvaFall17V2noIso_WP90", "cutBased"):
        assert inside[name].mean() < prompt[name].mean()
    assert np.median(inside["sieie"]) > np.median(prompt["sieie"])
    # Isolation costs the score with isolation more.
    assert np.median(inside["mvaFall17V2Iso"]) < np.median(inside["mvaFall17V2noIso"])


def test_isolation_of_all_particles_holds_the_charged_one(electrons_of, detector):
    made = found(electrons_of(jets=1, charged03=3.0, photon03=3.0), detector)
    assert (made["pfRelIso03_all"] >= made["pfRelIso03_chg"]).all()


def test_selections_are_nested_and_share_a_cause(electrons_of, detector):
    made = matched(electrons_of(pt=15.0, charged03=1.0), detector)
    for score in ("mvaFall17V2Iso", "mvaFall17V2noIso"):
        flags = [made[f"{score}_{point}"] for point in POINTS]
        assert (flags[0] >= flags[1]).all()
        assert (flags[1] >= flags[2]).all()
        assert 0.3 < flags[2].mean() < flags[0].mean()
        # What passes has a higher score.
        assert np.median(made[score][flags[2] == 1]) > np.median(made[score][flags[2] == 0])
    assert (made["cutBased"][made["convVeto"] == 0] == 0).all()
    tight = made["cutBased"] == 4
    assert made["mvaFall17V2noIso_WP80"][tight].mean() > made["mvaFall17V2noIso_WP80"][~tight].mean()


def test_a_displaced_electron_is_seen_as_one(electrons_of, full, prompt):
    far = matched(electrons_of(dxy=0.05, dz=0.1), full)
    assert np.median(far["dxy"]) == pytest.approx(0.05, abs=2e-4)
    assert np.quantile(far["sip3d"], 0.05) > np.quantile(prompt["sip3d"], 0.95)


def test_unmatched_electrons_are_worse(electrons_of, full, prompt):
    truth = electrons_of(leptons=0, jets=3)
    fakes = found(truth, full)
    assert 0.2 < len(fakes) / EVENTS < 1.2
    assert (fakes["genPartIdx"] == -1).all()
    assert (fakes["genPartFlav"] == 0).all()
    for name in ("mvaFall17V2Iso_WPL", "mvaFall17V2noIso_WP90", "cutBased", "convVeto"):
        assert fakes[name].mean() < prompt[name].mean()
    assert fakes["lostHits"].mean() > prompt["lostHits"].mean()
    assert np.median(fakes["hoe"]) > np.median(prompt["hoe"])


def test_what_is_made_of_a_jet_has_less_than_it(electrons_of, full):
    at = {"eta": np.full(EVENTS, 0.5), "pt": np.full(EVENTS, 20.0)}
    fakes = found(electrons_of(leptons=0, jets=1, jet=at), full)
    along = np.abs(fakes["eta"] - 0.5) < 0.3
    assert along.mean() > 0.7
    assert np.quantile(fakes["pt"][along], 0.9) < 20.0


def test_a_jet_that_is_an_electron_makes_no_other(electrons_of, full):
    kinds = {
        "eta": np.tile([0.5, -1.5], EVENTS),
        "chEmEF": np.tile([1.0, 0.0], EVENTS),
        "chHEF": np.tile([0.0, 0.6], EVENTS),
        "neEmEF": np.tile([0.0, 0.4], EVENTS),
    }
    fakes = found(electrons_of(leptons=0, jets=2, jet=kinds), full)
    near = [np.mean(np.abs(fakes["eta"] - eta) < 0.25) for eta in (0.5, -1.5)]
    assert near[1] > 5 * near[0]


def test_draws_and_detectors_differ(electrons_of, full):
    truth = electrons_of(50)
    draws = (Noise(7, "full"), Noise(7, "full", 1), Noise(7, "fast"), Noise(8, "full"))
    made = [matched(truth, full, draw=draw)["energyErr"] for draw in draws]
    assert np.array_equal(made[0], matched(truth, full)["energyErr"])
    values = np.concatenate(made)
    assert len(np.unique(values)) == len(values)


@settings(max_examples=10, deadline=None)
@given(electron=st.tuples(st.floats(0.01, BEAM), st.floats(-6.0, 6.0)), rho=st.floats(0.0, 80.0))
def test_whatever_the_electron_values_are_allowed(electrons_of, detector, electron, rho):
    pt, eta = electron
    made = found(electrons_of(20, jets=1, pt=pt, eta=eta), detector, rho=rho)
    for target in TARGETS:
        assert allows(target, made[target.branch]).all(), target.branch
