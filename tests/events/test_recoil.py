from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashsim.declarations.recoil import Recoil
from flashsim.events.collection import Collection
from flashsim.events.recoil import components, expected_momentum, momentum

MET = Recoil.model_validate(
    {
        "name": "MET",
        "gen": "GenMET",
        "minus": [
            {"reco": "Jet", "gen": "GenJet", "match": "genJetIdx"},
            {"reco": "Muon", "gen": "GenMuon", "match": "genPartIdx", "where": {"jetIdx": -1}},
        ],
    }
)


def collection(counts, **columns):
    return Collection.of_counts(np.array(counts), {name: np.array(c) for name, c in columns.items()})


@pytest.fixture
def collections():
    """Two events: jets 5 GeV too high in x and of no gen jet; muons of which one is in a jet."""
    return {
        "GenJet": collection([2, 0], pt=[50.0, 30.0], phi=[0.0, 2.0], index=[0, 1]),
        "GenMuon": collection([2, 1], pt=[20.0, 9.0, 7.0], phi=[np.pi / 2, 1.0, 0.0], index=[4, 7, 2]),
        "reco.Jet": collection([2, 0], pt=[55.0, 99.0], phi=[0.0, 1.0], genJetIdx=[0, -1]),
        "reco.Muon": collection(
            [2, 1], pt=[22.0, 5.0, 6.0], phi=[np.pi / 2, 1.0, 0.0], genPartIdx=[4, 7, 2], jetIdx=[-1, 0, -1]
        ),
    }


def expected(collections, pt=(10.0, 0.0), phi=(0.0, 0.0)):
    found = expected_momentum(MET, np.array(pt), np.array(phi), collections)
    assert list(found) == MET.gen_fields
    size, axis = found["MET_expected"], found["MET_axis"]
    return (size * np.exp(1j * axis)).tolist()


def test_what_is_measured_wrong_is_missing(collections):
    assert expected(collections) == pytest.approx([10.0 - 5.0 - 2.0j, 1.0])


def test_muons_count_where_nobody_says_which_are_in_jets(collections):
    collections["reco.Jet"] = collection([0, 0], pt=[], phi=[], genJetIdx=[])
    assert expected(collections) == pytest.approx([10.0 - 2.0j, 1.0])
    del collections["reco.Muon"].columns["jetIdx"]
    moved = -4.0 * np.exp(1j)
    assert expected(collections) == pytest.approx([10.0 - 2.0j - moved, 1.0])


def test_indices_beyond_the_gen_objects_are_no_match(collections):
    collections["reco.Jet"].columns["genJetIdx"][:] = [200, 7]
    collections["GenMuon"] = collection([0, 0], pt=[], phi=[], index=[])
    assert expected(collections) == pytest.approx([10.0, 0.0])


momenta = st.floats(0.01, 1e3)
angles = st.floats(-np.pi, np.pi)


@given(momenta, angles, angles)
def test_components_give_the_momentum_back(pt, phi, axis):
    arrays = (np.array([value]) for value in (pt, phi, axis))
    p, f, a = arrays
    found = momentum(MET, components(MET, (p, f), a), a)
    assert found["MET_pt"] == pytest.approx(pt)
    assert np.exp(1j * found["MET_phi"]) == pytest.approx(np.exp(1j * phi))
    assert abs(found["MET_phi"][0]) <= np.pi


def test_what_is_as_expected_has_nothing_across(collections):
    found = expected_momentum(MET, np.array([10.0, 3.0]), np.array([1.0, 2.0]), collections)
    along, across = components(MET, tuple(found.values())[:2], found["MET_axis"]).values()
    assert along == pytest.approx(found["MET_expected"])
    assert across == pytest.approx([0.0, 0.0])


def test_what_the_generator_has_is_seen_from_what_is_expected(collections):
    pt, phi = np.array([10.0, 3.0]), np.array([1.0, 2.0])
    found = expected_momentum(MET, pt, phi, collections)
    assert list(found) == MET.gen_fields
    assert np.hypot(found["MET_genAlong"], found["MET_genAcross"]) == pytest.approx(pt)
    seen = np.arctan2(found["MET_genAcross"], found["MET_genAlong"]) + found["MET_axis"]
    assert np.exp(1j * seen) == pytest.approx(np.exp(1j * phi))


@given(momenta, angles, angles)
def test_momenta_with_components_as_branches_come_back(x, y, axis):
    change = Recoil(name="Change", like="MET", x="MET_DeltaX", y="MET_DeltaY")
    values, a = (np.array([x]), np.array([y])), np.array([axis])
    targets = components(change, values, a)
    assert list(targets) == ["Change_along", "Change_across"]
    found = momentum(change, targets, a)
    assert list(found) == ["MET_DeltaX", "MET_DeltaY"]
    assert np.concatenate([*found.values()]) == pytest.approx([x, y], rel=1e-9, abs=1e-9 * (1 + abs(x)))


def test_both_kinds_of_branches_have_the_same_components():
    size, phi, axis = (np.array([value]) for value in (5.0, 0.3, -1.0))
    polar = Recoil(name="A", like="MET", pt="A_ptUp", phi="A_phiUp")
    cartesian = Recoil(name="A", like="MET", x="A_x", y="A_y")
    assert polar.branches == ["A_ptUp", "A_phiUp"]
    assert polar.gen_fields == MET.gen_fields
    assert not polar.gen_branches
    found = components(cartesian, (size * np.cos(phi), size * np.sin(phi)), axis)
    for name, value in components(polar, (size, phi), axis).items():
        assert found[name] == pytest.approx(value)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "either 'gen' with 'minus', or 'like'"),
        ({"gen": "GenMET", "like": "MET"}, "either 'gen' with 'minus', or 'like'"),
        ({"like": "MET", "x": "A_x"}, "expected 'x' and 'y', or 'pt' and 'phi'"),
        ({"like": "MET", "x": "A_x", "y": "A_y", "pt": "A_pt"}, "expected 'x' and 'y', or 'pt' and 'phi'"),
    ],
)
def test_a_recoil_that_is_not_whole_is_refused(keys, message):
    with pytest.raises(ValueError, match=message):
        Recoil.model_validate({"name": "A", **keys})
