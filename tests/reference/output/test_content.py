"""Collections as a NanoAOD version stores them."""

from __future__ import annotations

import numpy as np
import pytest

from flashsim.events.collection import Collection
from flashsim.nanoaod.mantissa import observed_bits
from flashsim.nanoaod.schema import load_schema
from flashsim.nanoaod.writing import NanoWriter
from flashsim.reference.output.content import nano_branches


def collection(counts, **columns):
    return Collection.of_counts(np.array(counts), {name: np.array(c) for name, c in columns.items()})


def lists(entries, name):
    """Values of a branch by event."""
    counts = entries.counts[name.split("_")[0]]
    return [part.tolist() for part in np.split(entries.values[name], np.cumsum(counts)[:-1])]


def test_indices_count_from_the_event():
    jets = collection([1, 2], pt=[20.0, 60.0, 30.0], muonIdx1=[-1, 2, 0])
    muons = collection([0, 3], pt=[9.0, 7.0, 5.0], jetIdx=[2, -1, 1], _track=[4, 5, 6])
    branches = nano_branches({"Jet": jets, "Muon": muons}, {}, {}, "v9")
    assert lists(branches, "Jet_muonIdx1") == [[-1], [2, 0]]
    assert lists(branches, "Muon_jetIdx") == [[], [1, -1, 0]]


def test_only_branches_of_the_version():
    extra = {"PFMET_pt": np.ones(2), "MET_pt": np.ones(2), "nothing": np.ones(2)}
    jets = collection([1, 1], pt=[20.0, 30.0], jetId=[6, 2], btagPNetB=[0.1, 0.2], _members=[1, 2])
    old, new = (nano_branches({"Jet": jets}, extra, {}, version) for version in ("v9", "v15"))
    assert set(old.values) == {"Jet_pt", "Jet_jetId", "MET_pt"}
    assert set(new.values) == {"Jet_pt", "Jet_btagPNetB", "PFMET_pt"}


def test_gen_partners_and_taus_that_have_two_kinds_of_them():
    gen = {"GenJet": collection([2, 2], pt=[1.0, 2.0, 3.0, 4.0])}
    jets = collection([1, 2], pt=[20.0, 30.0, 25.0], genJetIdx=[1, 3, -1])
    taus = collection([0, 2], pt=[20.0, 30.0], genPartIdx=[7, -1])
    branches = nano_branches({"Jet": jets, "Tau": taus}, {}, gen, "v9")
    assert lists(branches, "Jet_genJetIdx") == [[1], [1, -1]]
    assert lists(branches, "Tau_genPartIdx") == [[], [7, -1]]


def test_precision_types_and_capacity(tmp_path):
    rng = np.random.default_rng(1)
    numbers = rng.uniform(15.0, 100.0, 50)
    phi = np.r_[np.pi, -np.pi, rng.uniform(-np.pi, np.pi, 48)]
    fat = collection([50], pt=numbers, phi=phi, nConstituents=np.arange(50) * 10)
    branches = nano_branches({"FatJet": fat}, {"PuppiMET_phi": np.array([np.pi])}, {}, "v15")
    flat = branches.values
    assert observed_bits(flat["FatJet_pt"]) == 10
    np.testing.assert_allclose(flat["FatJet_pt"], numbers, rtol=1e-3)
    assert np.abs(flat["FatJet_phi"]).max() <= np.pi
    assert flat["PuppiMET_phi"].dtype == np.float32
    assert flat["FatJet_nConstituents"].tolist() == [min(10 * k, 255) for k in range(50)]
    schema = load_schema("v15")
    with NanoWriter(tmp_path / "x.root", version="v15") as writer:
        writer.tree("Events", [schema[name] for name in branches.values])
        writer.extend("Events", branches)


def test_events_without_objects():
    empty = collection([0, 0], pt=np.zeros(0), muonIdx1=np.zeros(0, np.int64))
    muons = collection([0, 0], pt=np.zeros(0))
    branches = nano_branches({"Jet": empty, "Muon": muons}, {}, {}, "v9")
    assert lists(branches, "Jet_muonIdx1") == [[], []]


def test_values_that_a_branch_cannot_hold():
    jets = collection([1], pt=[20.0], jetId=[2.5])
    with pytest.raises(ValueError, match=r"branch 'Jet_jetId' stores int32, which cannot hold 2\.5"):
        nano_branches({"Jet": jets}, {}, {}, "v9")
