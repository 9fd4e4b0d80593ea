from __future__ import annotations

import numpy as np
import pytest

from flashsim.reference.flow.density import densities, grid_median


def particles(size=4000, seed=2):
    rng = np.random.default_rng(seed)
    return rng.exponential(0.8, size), rng.uniform(-5.0, 5.0, size), rng.uniform(-np.pi, np.pi, size)


def test_flat_particles_give_their_density():
    pt, eta, phi = particles()
    rho = grid_median(np.array([0, len(pt)]), pt, eta, phi, np.ones(len(pt), dtype=bool), 5.0)
    assert rho[0] == pytest.approx(pt.sum() / (10.0 * 2.0 * np.pi), rel=0.05)


def test_a_hard_jet_does_not_change_the_median():
    pt, eta, phi = particles()
    chosen, offsets = np.ones(len(pt), dtype=bool), np.array([0, len(pt)])
    before = grid_median(offsets, pt, eta, phi, chosen, 5.0)
    pt[0] = 500.0
    assert grid_median(offsets, pt, eta, phi, chosen, 5.0) == pytest.approx(before, rel=0.02)


@pytest.mark.parametrize("most", [2.5, 5.0])
def test_density_is_that_of_fastjet(most):
    fastjet = pytest.importorskip("fastjet", reason="fastjet is not installed")
    if not hasattr(fastjet, "GridMedianBackgroundEstimator"):
        pytest.skip("this build of fastjet has no GridMedianBackgroundEstimator")
    pt, eta, phi = particles(1500)
    estimator = fastjet.GridMedianBackgroundEstimator(most, 0.55)
    momenta = zip(pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), pt * np.cosh(eta), strict=True)
    estimator.set_particles([fastjet.PseudoJet(*map(float, p)) for p in momenta])
    rho = grid_median(np.array([0, len(pt)]), pt, eta, phi, np.ones(len(pt), dtype=bool), most)
    assert rho[0] == pytest.approx(estimator.rho(), rel=0.05)  # its tiles begin at another azimuth


def test_variants_take_their_candidates():
    pt, eta, phi = particles()
    charge, vertex = np.ones(len(pt)), np.zeros(len(pt), dtype=int)
    charge[: len(pt) // 2] = 0
    vertex[len(pt) // 4 * 3 :] = 1
    columns = {"pt": pt, "eta": eta, "phi": phi, "charge": charge, "vertex": vertex}
    rho = densities(np.array([0, len(pt)]), columns, np.array([0]))
    assert rho["FastjetCentralNeutral"] == pytest.approx(0.5 * rho["FastjetCentral"], rel=0.15)
    assert rho["FastjetCentralChargedPileUp"] == pytest.approx(0.25 * rho["FastjetCentral"], rel=0.25)
    assert rho["All"] == pytest.approx(rho["FastjetAll"], rel=0.15)
