"""Vertices, energy density and missing momentum on truth that is known."""

from __future__ import annotations

import numpy as np
import pytest

from flashsim.events.collection import Collection
from flashsim.reference.detector.density import density_branches
from flashsim.reference.detector.distributions import gamma_quantile, heavy_tailed, interpolated
from flashsim.reference.detector.met import met_branches
from flashsim.reference.detector.pileup import energy_density
from flashsim.reference.detector.truth import Noise
from flashsim.reference.detector.vertices import vertex_branches, vertex_displacement

EVENTS = 5000


def no_objects(index, events=EVENTS):
    columns = {name: np.zeros(0) for name in ("pt", "eta", "phi")}
    return Collection.of_counts(np.zeros(events, dtype=np.int64), columns | {index: np.zeros(0, np.int64)})


def met(truth, noise, recipe, jets=None, muons=None):
    rho = np.full(truth.events, 20.0)
    jets = no_objects("genJetIdx") if jets is None else jets
    muons = no_objects("genPartIdx") if muons is None else muons
    return met_branches(truth, noise, recipe.met, rho=rho, jets=jets, muons=muons)


def vector(branches):
    return branches["MET_pt"] * np.exp(1j * branches["MET_phi"])


def test_density_is_shared_by_detectors_and_not_by_draws(truth_of, full):
    truth = truth_of(EVENTS)
    one, other, draw = (
        energy_density(truth, noise, full.pileup)
        for noise in (Noise(1, "full"), Noise(1, "fast"), Noise(1, "full", 1))
    )
    assert np.array_equal(one, other)
    assert not np.isclose(one, draw).any()
    found = density_branches(truth, Noise(1, "full"), full.density, one)
    assert len(found) == 5
    for values in found.values():
        assert np.corrcoef(values, one)[0, 1] > 0.5


def test_vertices_follow_pileup(truth_of, noise, detector):
    means = []
    for pileup in (0, 20, 60):
        truth = truth_of(EVENTS, event={"Pileup_nPU": np.full(EVENTS, pileup)})
        place = vertex_displacement(truth, noise, detector.vertices)
        found = vertex_branches(truth, noise, detector.vertices, place)
        assert (found["PV_npvs"] >= found["PV_npvsGood"]).all()
        assert (found["PV_npvsGood"] >= 1).all()
        assert (found["PV_npvs"] <= 1 + pileup).all()
        means.append(found["PV_npvs"].mean())
    assert means[0] == 1.0
    # Close vertices merge: their number grows less than that of the collisions.
    assert 15 < means[1] < 21
    assert means[2] < 3 * means[1]


def test_the_vertex_is_found_better_with_more_tracks(truth_of, noise, full):
    few, many = (
        vertex_displacement(
            truth_of(EVENTS, event={"nTracks": np.full(EVENTS, tracks)}), noise, full.vertices
        ).std(axis=0)
        for tracks in (0, 100)
    )
    assert (many < few).all()
    # TRK-11-001: 10 to 12 micrometres.
    assert (many < 0.0015).all()


def test_met_is_that_of_the_generator_and_a_soft_term(truth_of, noise, detector):
    truth = truth_of(EVENTS)
    difference = vector(met(truth, noise, detector)) - 30.0 * np.exp(0.5j)
    assert abs(difference.mean()) < 1.5
    assert 12.0 < difference.real.std() < 30.0
    assert difference.real.std() == pytest.approx(difference.imag.std(), rel=0.1)


def test_a_mismeasured_jet_is_missing_momentum(truth_of, noise, full):
    truth = truth_of(EVENTS, jets=1)
    place = {"eta": np.full(EVENTS, 0.5), "phi": np.full(EVENTS, 1.0)}

    def with_jet(pt, index):
        columns = place | {"pt": np.full(EVENTS, pt), "genJetIdx": np.full(EVENTS, index)}
        return vector(met(truth, noise, full, Collection.of_counts(np.ones(EVENTS, np.int64), columns)))

    right, wrong, of_pileup = with_jet(60.0, 0), with_jet(75.0, 0), with_jet(75.0, -1)
    assert np.allclose(wrong - right, -15.0 * np.exp(1.0j))
    assert np.allclose(of_pileup, right)


def test_a_mismeasured_muon_is_missing_momentum_once(truth_of, noise, full):
    truth = truth_of(EVENTS, jets=1, jet={"phi": np.full(EVENTS, -1.0), "eta": np.full(EVENTS, 0.7)})
    ones = np.ones(EVENTS, np.int64)
    place = {"eta": np.full(EVENTS, 0.7), "phi": np.full(EVENTS, -1.0)}
    muon = Collection.of_counts(ones, place | {"pt": np.full(EVENTS, 50.0), "genPartIdx": 3 * ones})
    jet = Collection.of_counts(ones, place | {"pt": np.full(EVENTS, 70.0), "genJetIdx": 0 * ones})
    nothing = vector(met(truth, noise, full))
    assert np.allclose(vector(met(truth, noise, full, muons=muon)) - nothing, -10.0 * np.exp(-1.0j))
    # The jet that holds the muon has its mismeasurement.
    both = vector(met(truth, noise, full, jets=jet, muons=muon))
    assert np.allclose(both - nothing, -10.0 * np.exp(-1.0j))


def test_significance_and_covariance(truth_of, noise, detector):
    real = met(truth_of(EVENTS), noise, detector)
    none = met(truth_of(EVENTS, event={"GenMET_pt": np.zeros(EVENTS)}), noise, detector)
    determinant = real["MET_covXX"] * real["MET_covYY"] - real["MET_covXY"] ** 2
    assert (determinant > 0).all()
    # Without real missing momentum it is a chi2 of two degrees of freedom.
    assert np.median(none["MET_significance"]) == pytest.approx(2 * np.log(2), rel=0.25)
    assert np.median(real["MET_significance"]) > np.median(none["MET_significance"])


def test_heavy_tails_leave_the_core_alone():
    z = np.linspace(-5, 5, 101)
    assert np.array_equal(heavy_tailed(z, 0.0), z)
    tailed = heavy_tailed(z, 0.1)
    assert np.all(np.diff(tailed) > 0)
    assert tailed[50:61] == pytest.approx(z[50:61], rel=0.06)
    assert tailed[-1] > 10.0


def test_tables_are_interpolated_and_constant_outside():
    points = [(0.0, 1.0, 10.0), (2.0, 3.0, 30.0)]
    assert interpolated(np.array([-1.0, 0.0, 1.0, 5.0]), points).tolist() == [1.0, 1.0, 2.0, 3.0]
    assert interpolated(np.array([1.0]), points, 2).tolist() == [20.0]


def test_small_amounts_add_up_to_the_mean():
    u = (np.arange(20_000) + 0.5) / 20_000
    sums = gamma_quantile(u, np.full(len(u), 3.0), 0.5)
    assert sums.mean() == pytest.approx(3.0, rel=0.01)
    assert sums.var() == pytest.approx(1.5, rel=0.02)
    assert (gamma_quantile(u, np.zeros(len(u)), 0.5) < 1e-6).all()
