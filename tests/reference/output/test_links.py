"""Cross references of objects that share candidates."""

from __future__ import annotations

import numpy as np
import pytest

from flashsim.events.collection import Collection
from flashsim.reference.objects.clustering import Clustered
from flashsim.reference.output.links import (
    clean_marks,
    lepton_jets,
    link_clusters,
    link_jets,
    link_radiated,
    link_taus,
    link_vertices,
)

CANDIDATES = 8


def collection(counts, **columns):
    return Collection.of_counts(
        np.array(counts),
        {name: np.array(c, dtype=None if len(c) else np.int64) for name, c in columns.items()},
    )


def jets(*members, **columns):
    """Jets of one event with their candidates."""
    number = len(members)
    columns = {"pt": [100.0 - 10 * k for k in range(number)], "_l1": [1.0] * number} | columns
    offsets = np.cumsum([0, *(len(m) for m in members)])
    rows = np.array([row for m in members for row in m], dtype=np.int64)
    return Clustered(collection([number], **columns), offsets, rows)


def event(found, **collections):
    """Jets of one event and other objects; there are none of the kinds that are left out."""
    none = {name: collection([0], _candidate=[]) for name in ("Muon", "Electron", "Photon", "Tau")}
    return none | {"Jet": found.objects} | collections


@pytest.fixture
def candidates():
    """Charged ones with good tracks at rising distances from the first; the last is neutral."""
    number = np.arange(CANDIDATES)
    return collection(
        [CANDIDATES],
        pt=np.full(CANDIDATES, 5.0),
        eta=0.09 * number,
        phi=np.zeros(CANDIDATES),
        charge=np.where(number < 7, 1, 0),
        fromPV=np.full(CANDIDATES, 3),
        dxy=np.zeros(CANDIDATES),
        dz=np.zeros(CANDIDATES),
        track=np.where(number < 7, number, -1),
    )


@pytest.fixture
def tracks():
    return collection([7], layers=np.full(7, 12), pixelHits=np.full(7, 3), chi2=np.ones(7))


def test_leptons_and_jets_point_at_each_other(candidates):
    found = jets([0, 1, 2], [3, 4], [5])
    muons = collection([4], pt=[9.0, 8.0, 7.0, 6.0], _candidate=[1, 4, -1, 2])
    electrons = collection([1], pt=[9.0], _candidate=[3])
    linked = event(found, Muon=muons, Electron=electrons)
    link_jets(linked, found, len(candidates))
    assert linked["Muon"]["jetIdx"].tolist() == [0, 1, -1, 0]
    assert linked["Electron"]["jetIdx"].tolist() == [1]
    assert linked["Jet"]["muonIdx1"].tolist() == [0, 1, -1]
    assert linked["Jet"]["muonIdx2"].tolist() == [3, -1, -1]
    assert linked["Jet"]["nMuons"].tolist() == [2, 1, 0]
    assert linked["Jet"]["electronIdx1"].tolist() == [-1, 0, -1]
    assert linked["Jet"]["nElectrons"].tolist() == [0, 1, 0]


def test_a_candidate_of_two_jets_is_in_the_harder_one(candidates):
    found = jets([0, 1], [1, 2])
    muons = collection([1], pt=[9.0], _candidate=[1])
    linked = event(found, Muon=muons)
    link_jets(linked, found, len(candidates))
    assert linked["Muon"]["jetIdx"].tolist() == [0]


def test_secondary_vertices(candidates):
    found = jets([0, 1, 2, 3], [5])
    vertices = jets([0, 1], [3, 7], [2, 6], _stored=[True, False, True])
    muons = collection([2], pt=[9.0, 8.0], _candidate=[3, 5])
    linked = event(found, Muon=muons)
    taus = jets([5], [6, 4])
    link_vertices(linked | {"Tau": taus.objects}, vertices, {"Jet": found, "Tau": taus}, len(candidates))
    assert taus.objects["svIdx1"].tolist() == [-1, 1]
    assert taus.objects["nSVs"].tolist() == [0, 1]
    assert linked["Muon"]["svIdx"].tolist() == [-1, -1]
    assert linked["Jet"]["svIdx1"].tolist() == [0, -1]
    assert linked["Jet"]["svIdx2"].tolist() == [1, -1]
    assert linked["Jet"]["nSVs"].tolist() == [3, 0]


def test_taus_point_at_leptons_among_their_candidates(candidates):
    taus = jets([0, 1], [2, 3], [4])
    muons = collection([3], pt=[9.0, 8.0, 7.0], _candidate=[6, 3, 2])
    electrons = collection([1], pt=[9.0], _candidate=[-1])
    linked = event(jets([]), Muon=muons, Electron=electrons, Tau=taus.objects)
    link_taus(linked, taus, len(candidates))
    assert linked["Tau"]["muIdx"].tolist() == [-1, 1, -1]
    assert linked["Tau"]["eleIdx"].tolist() == [-1, -1, -1]


def jet_of(pt, members, raw_factor=0.0, **columns):
    return jets(members, pt=[pt], eta=[0.0], phi=[0.0], mass=[0.0], rawFactor=[raw_factor], **columns)


def lepton(pt, eta=0.0):
    return collection([1], pt=[pt], eta=[eta], phi=[0.0], mass=[0.0], _candidate=[0])


def test_a_lepton_that_is_its_jet(candidates, tracks):
    found = lepton_jets(lepton(30.0), jet_of(30.0, [0]), candidates, tracks, np.array([0.7]))
    assert (found["jetRelIso"][0], found["jetPtRelv2"][0], found["jetNDauCharged"][0]) == (0.0, 0.0, 1)


def test_relations_follow_from_momenta(candidates, tracks):
    # 50 GeV of raw jet, corrected by 1.25: 20 GeV of lepton leave 30 GeV that become 37.5 GeV.
    found = lepton_jets(
        lepton(20.0), jet_of(62.5, [0], 0.2, btagDeepFlavB=[0.4]), candidates, tracks, np.array([0.7])
    )
    assert found["jetRelIso"][0] == pytest.approx(57.5 / 20.0 - 1.0)
    assert found["jetPtRelv2"][0] == pytest.approx(0.0, abs=1e-6)
    assert found["jetDF"][0] == pytest.approx(0.4)
    # Pileup of 20 %: of the lepton the correction would take a fifth, too.
    found = lepton_jets(lepton(20.0), jet_of(62.5, [0], 0.2, _l1=[0.8]), candidates, tracks, np.array([0.7]))
    assert found["jetRelIso"][0] == pytest.approx((25.0 * 1.25 + 20.0) / 20.0 - 1.0)
    aside = lepton_jets(lepton(20.0, 0.2), jet_of(62.5, [0]), candidates, tracks, np.array([0.7]))
    assert 0.0 < aside["jetPtRelv2"][0] < 20.0


def test_tracks_near_the_lepton_are_counted(candidates, tracks):
    everything = list(range(CANDIDATES))
    count = lepton_jets(lepton(20.0), jet_of(60.0, everything), candidates, tracks, np.array([0.7]))
    assert count["jetNDauCharged"][0] == 5  # within 0.4
    for field, value in (("pt", 0.9), ("fromPV", 1), ("charge", 0), ("dxy", 0.3)):
        worse = candidates.columns | {field: np.r_[candidates[field][0], value, candidates[field][2:]]}
        changed = Collection(candidates.offsets, worse)
        count = lepton_jets(lepton(20.0), jet_of(60.0, everything), changed, tracks, np.array([0.7]))
        assert count["jetNDauCharged"][0] == 4, field


def test_a_lepton_without_jet(candidates, tracks):
    found = lepton_jets(lepton(20.0), jet_of(60.0, [3]), candidates, tracks, np.array([0.7]))
    assert {name: column[0] for name, column in found.items()} == {
        "jetRelIso": 0.7,
        "jetPtRelv2": 0.0,
        "jetNDauCharged": 0,
        "jetDF": 0.0,
    }


def test_clean_marks_prefer_leptons():
    found = {
        "Jet": collection([4], pt=[50.0, 40.0, 30.0, 20.0]),
        "Muon": collection([2], pt=[9.0, 8.0], mediumId=[True, False], jetIdx=[0, 1]),
        "Electron": collection([1], pt=[9.0], jetIdx=[2]),
        "Photon": collection([1], pt=[9.0]),
        "Tau": collection([0]),
    }
    clean_marks(found)
    marks = {"Jet": [0, 1, 0, 1], "Muon": [1, 0], "Electron": [1], "Photon": [1], "Tau": []}
    assert {name: objects["cleanmask"].tolist() for name, objects in found.items()} == marks


def test_electrons_and_photons_of_one_supercluster():
    found = {
        "Electron": collection([3], pt=[9.0, 8.0, 7.0], _cluster=[5, -1, 2]),
        "Photon": collection([3], pt=[9.0, 8.0, 7.0], _cluster=[2, 4, 5]),
    }
    link_clusters(found)
    assert found["Electron"]["photonIdx"].tolist() == [2, -1, 0]
    assert found["Photon"]["electronIdx"].tolist() == [2, -1, 0]


def test_leptons_point_at_the_nearest_photon_that_they_radiated():
    radiated = collection([3], dROverEt2=[0.3, 0.1, 0.2], _muon=[1, 1, -1], _electron=[-1, -1, 0])
    found = {
        "Muon": collection([2], pt=[9.0, 8.0]),
        "Electron": collection([1], pt=[9.0]),
        "FsrPhoton": radiated,
    }
    link_radiated(found)
    assert found["Muon"]["fsrPhotonIdx"].tolist() == [-1, 1]
    assert found["Electron"]["fsrPhotonIdx"].tolist() == [2]
    assert found["FsrPhoton"]["muonIdx"].tolist() == [1, 1, -1]
