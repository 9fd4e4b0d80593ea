from __future__ import annotations

import numpy as np
import pytest
from toy_events import detector

from flashsim.reference.flow.calorimeters import CLUSTER, clear, cluster, deposit, grids
from flashsim.reference.particles.particle import PARTICLE


def measured(eta, phi, energy, pdg=22, **changes):
    """Clusters in ECAL and HCAL, and the energy in HF, of particles that come straight from the origin."""
    eta, phi, energy = (np.atleast_1d(np.asarray(x, dtype=float)) for x in (eta, phi, energy))
    hits = np.zeros(len(eta), dtype=PARTICLE)
    hits["eta"], hits["phi"], hits["energy"], hits["pt"] = eta, phi, energy, energy / np.cosh(eta)
    hits["pdg"], hits["end"] = pdg, np.inf
    changes = {"noise": 0.0, "em": [0.0, 0.0, 0.0], "response": [1.0], **changes}
    changes["response"] *= len(detector().calorimeters.eta)
    recipe = detector().calorimeters.model_copy(update=changes)
    cells = grids(recipe)
    state = np.array([3], dtype=np.uint64)
    deposit(cells, 0, len(hits), hits, np.zeros((len(hits), 2)), state, recipe.numbers(), 3.8)
    made = []
    for grid in cells[:2]:
        out = np.zeros(4000, dtype=CLUSTER)
        made.append(out[: cluster(grid, 0, out)])
    forward = [grid.cells["energy"].sum() for grid in cells[2:]]
    for grid in cells:
        clear(grid)
        assert not grid.cells["energy"].any()
        assert (grid.cells["label"] == -1).all()
    return *made, forward


@pytest.mark.parametrize("eta", [-2.2, -0.5, 0.0, 1.1])
def test_photon_is_a_cluster_of_its_energy_at_its_place(eta):
    ecal, hcal, _ = measured(eta, 3.1, 40.0)
    assert (len(ecal), len(hcal)) == (1, 0)
    assert ecal["energy"][0] == pytest.approx(40.0, rel=0.03)
    assert (ecal["eta"][0], ecal["phi"][0]) == pytest.approx((eta, 3.1), abs=0.006)
    assert 1 <= ecal["cells"][0] <= 4
    assert 0.0 < ecal["width"][0] < 0.02


@pytest.mark.parametrize(("distance", "number"), [(0.004, 1), (0.08, 2)])
def test_photons_are_told_apart_by_their_distance(distance, number):
    ecal, _, _ = measured([0.3, 0.3 + distance], [1.0, 1.0], [10.0, 8.0])
    assert len(ecal) == number
    assert ecal["energy"].sum() == pytest.approx(18.0, rel=0.05)


@pytest.mark.parametrize(("energy", "found"), [(0.15, 0), (2.0, 1)])
def test_clusters_need_a_seed(energy, found):
    assert len(measured(0.2, 0.1, energy)[0]) == found


def test_seam_of_azimuth_is_none():
    ecal, _, _ = measured(0.2, np.pi - 1e-4, 30.0)
    assert len(ecal) == 1
    assert abs(abs(ecal["phi"][0]) - np.pi) < 0.004


def test_mean_energy_of_hadrons_is_that_of_the_response():
    rng = np.random.default_rng(5)
    eta, phi = rng.uniform(-1.2, 1.2, 60), rng.uniform(-np.pi, np.pi, 60)
    ecal, hcal, _ = measured(eta, phi, np.full(60, 80.0), pdg=130, response=[0.9])
    total = ecal["energy"].sum() + hcal["energy"].sum()
    assert total == pytest.approx(0.9 * 60 * 80.0, rel=0.08)
    assert hcal["energy"].sum() > ecal["energy"].sum()


def test_hf_takes_what_is_beyond_the_endcaps():
    ecal, hcal, (forward, short) = measured([3.6, -4.2], [0.0, 1.0], [200.0, 300.0], forward=[0.0, 0.0])
    assert (len(ecal), len(hcal)) == (0, 0)
    assert forward == pytest.approx(500.0, rel=1e-6)
    assert short == 0.0


def test_short_fibres_of_hf_see_a_part_of_hadrons():
    _, _, (forward, short) = measured(
        [3.6, -4.2], [0.0, 1.0], [100.0, 100.0], pdg=211, forward_hadronic=[0.0, 0.0], short=[0.3, 0.3]
    )
    assert forward == pytest.approx(200.0, rel=1e-6)
    assert short == pytest.approx(60.0, rel=1e-6)


@pytest.mark.parametrize(("eta", "coarse"), [(2.0, False), (-2.8, True)])
def test_cells_of_hcal_are_coarser_at_the_end(eta, coarse):
    centre = (np.floor(eta / 0.1764706) + 0.5) * 0.1764706  # of the coarse cell, if there is one
    changes = {"hadron_position": 1e-6, "minimum_ionizing": 1.0, "satellites": 0.0}
    _, hcal, _ = measured([centre] * 2, [0.04, 0.13], [150.0, 100.0], pdg=130, **changes)
    assert bool(hcal["cells"].sum() == 1) is coarse
