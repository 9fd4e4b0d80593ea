from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import uproot

from flashsim.gen import generate_gen
from flashsim.gen.gen_jets import gen_met
from flashsim.gen.stable import MAX_ETA, stable_particles
from flashsim.nanoaod.stable import STABLE_BRANCHES

IDS = ("run", "luminosityBlock", "event")


def test_what_a_detector_is_hit_by(record_of, line):
    event = [
        line(6, 62, px=90, mass=172.5),
        line(-13, 1, (0,), px=30.0, mass=0.105658),
        line(14, 1, (0,), px=40.0),
        line(22, 1, px=0.1, pz=0.1 * np.sinh(MAX_ETA + 0.01)),
        line(22, 1, px=0.0, py=-2.0, pz=2.0 * np.sinh(MAX_ETA - 0.01)),
    ]
    found = stable_particles(record_of(event, []))
    assert ak.num(found["GenStable_pt"]).to_list() == [2, 0]
    assert found["GenStable_pdgId"].to_list() == [[-13, 22], []]
    assert found["GenStable_pt"][0].to_list() == [30.0, 2.0]
    assert found["GenStable_eta"][0].to_list() == pytest.approx([0.0, MAX_ETA - 0.01], abs=3e-4)
    assert found["GenStable_phi"][0].to_list() == pytest.approx([0.0, -np.pi / 2], abs=1e-4)
    assert found["GenStable_mass"][0].to_list() == pytest.approx([0.105658, 0.0], rel=1e-5)


def test_vertices_are_in_cm_and_those_too_near_to_tell_are_the_primary_one(record_of, line):
    event = [line(211, 1, x=5.0, y=-0.3, z=7e-5), line(211, 1, x=-2e-5, z=120.0)]
    found = stable_particles(record_of(event))
    assert found["GenStable_vx"][0].to_list() == pytest.approx([0.5, 0.0], rel=2e-4)
    assert found["GenStable_vy"][0].to_list() == pytest.approx([-0.03, 0.0], rel=2e-4)
    assert found["GenStable_vz"][0].to_list() == pytest.approx([0.0, 12.0], rel=2e-4)


def test_precision_is_finer_than_a_detectors(record_of, line):
    rng = np.random.default_rng(1)
    px, py, pz = rng.normal(0, 20, (3, 500))
    record = record_of([line(211, 1, px=x, py=y, pz=z) for x, y, z in zip(px, py, pz, strict=True)])
    found = {name: ak.to_numpy(values[0]) for name, values in stable_particles(record).items()}
    np.testing.assert_allclose(found["GenStable_pt"], np.hypot(px, py), rtol=1.3e-4)
    np.testing.assert_allclose(found["GenStable_phi"], np.arctan2(py, px), atol=1.3e-4)


@pytest.fixture(scope="module")
def ttbar(command_file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stable")
    paths = {name: folder / f"{name}.root" for name in ("gen", "particles")}
    generate_gen(command_file("ttbar"), paths["gen"], events=25, seed=3, particles=paths["particles"])
    arrays = {}
    for name, path in paths.items():
        with uproot.open(path) as file:
            arrays[name] = file["Events"].arrays()
    return arrays


def test_file_beside_has_the_same_events_and_nothing_else(ttbar):
    for name in IDS:
        assert ttbar["gen"][name].to_list() == ttbar["particles"][name].to_list()
    names = {branch.name for branch in STABLE_BRANCHES}
    assert set(ttbar["particles"].fields) == names | {*IDS, "nGenStable"}
    assert not names & set(ttbar["gen"].fields)


def test_particles_balance_the_missing_momentum(ttbar):
    particles, gen = ttbar["particles"], ttbar["gen"]
    px = ak.sum(particles.GenStable_pt * np.cos(particles.GenStable_phi), axis=1)
    # What is lost beyond the calorimeters is soft.
    np.testing.assert_allclose(px, -gen.GenMET_pt * np.cos(gen.GenMET_phi), atol=8.0)


def test_missing_momentum_is_that_of_all_particles(record_of, line):
    record = record_of([line(211, 1, px=20, py=5), line(12, 1, px=-12)])
    found = stable_particles(record)
    assert gen_met(record)["GenMET_pt"][0] == pytest.approx(ak.sum(found["GenStable_pt"]), rel=1e-3)


def test_charm_and_beauty_fly(ttbar):
    distance = np.hypot(ttbar["particles"].GenStable_vx, ttbar["particles"].GenStable_vy)
    assert ak.max(distance) > 0.1
    assert 0.02 < ak.mean(distance > 0) < 0.4
