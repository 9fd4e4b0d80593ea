from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flashsim.declarations.objects import Target
from flashsim.declarations.output import Link
from flashsim.events.collection import Collection
from flashsim.nanoaod.assembly import link_collections, ordered, rounded

PI = 3.1415927410125732
LINK = Link.model_validate(
    {
        "from": "Muon",
        "to": "Jet",
        "index": "jetIdx",
        "back": ["muonIdx1", "muonIdx2"],
        "count": "nMuons",
        "cone": 0.4,
    }
)

counts = st.lists(st.integers(0, 5), min_size=1, max_size=6)


def collection(counts, seed):
    rng = np.random.default_rng(seed)
    n = sum(counts)
    return Collection(
        np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
        {
            # Few different values, so that ties and neighbours are common.
            "pt": rng.choice([15.0, 20.0, 30.0], n),
            "eta": rng.choice([-0.3, 0.0, 0.3], n),
            "phi": rng.choice([-3.1, 0.0, 3.1], n),
            "number": np.arange(n),
        },
    )


def per_event(objects, field):
    return np.split(objects[field], objects.offsets[1:-1])


@given(st.lists(st.floats(-PI, PI, width=32), min_size=1), st.integers(5, 20))
def test_rounding_stays_in_range(values, bits):
    target = Target(branch="phi", range=(-PI, PI))
    objects = Collection(np.array([0, len(values)]), {"phi": np.array(values)})
    result = rounded(objects, [target], {"phi": bits})["phi"]
    assert result.dtype == np.float32
    assert np.all(np.abs(result) <= np.float32(PI))
    assert result.astype(np.float64) == pytest.approx(np.array(values), rel=2.0**-bits, abs=1e-37)
    assert not np.any(result.view(np.uint32) & np.uint32((1 << (23 - bits)) - 1))


@pytest.mark.parametrize("bits", [5, 8, 10, 12])
def test_rounding_at_the_edges(bits):
    target = Target(branch="phi", range=(-PI, PI))
    objects = Collection(np.array([0, 2]), {"phi": np.array([PI, -PI])})
    result = rounded(objects, [target], {"phi": bits})["phi"]
    assert np.all(np.abs(result) <= np.float32(PI))


def test_special_values_outlive_the_range():
    target = Target(branch="btag", range=(0.0, 1.0), special=[-1.0, -10.0])
    objects = Collection(np.array([0, 4]), {"btag": np.array([-1.0, -10.0, 0.3, 1.0]), "index": np.arange(4)})
    result = rounded(objects, [target], {"btag": 10, "index": None})
    assert result["btag"].tolist() == [-1.0, -10.0, pytest.approx(0.3, rel=1e-3), 1.0]
    assert result["index"].dtype == np.int64


@given(counts, st.integers(0, 99))
def test_objects_fall_in_pt_and_ties_keep_their_order(counts, seed):
    before = collection(counts, seed)
    after = ordered(before)
    for pt, number, were in zip(
        per_event(after, "pt"), per_event(after, "number"), per_event(before, "number"), strict=True
    ):
        assert np.all(np.diff(pt) <= 0)
        assert sorted(number) == were.tolist()
        assert np.all(np.diff(number)[np.diff(pt) == 0] > 0)


@settings(deadline=None)  # the first call compiles
@given(counts, st.integers(0, 99))
def test_links_agree_both_ways(counts, seed):
    muons, jets = collection(counts, seed), collection(counts[::-1], seed + 1)
    linked = link_collections({"Muon": muons, "Jet": jets}, [LINK])
    events = zip(
        *(per_event(linked["Muon"], f) for f in ("jetIdx", "eta", "phi")),
        *(per_event(linked["Jet"], f) for f in ("muonIdx1", "muonIdx2", "nMuons", "eta", "phi")),
        strict=True,
    )
    for jet_index, muon_eta, muon_phi, first, second, number, jet_eta, jet_phi in events:
        for jet in range(len(number)):
            pointing = np.flatnonzero(jet_index == jet).tolist()
            assert number[jet] == len(pointing)
            assert [first[jet], second[jet]] == [*pointing, -1, -1][:2]
        for muon, index in enumerate(jet_index):
            dphi = (muon_phi[muon] - jet_phi + np.pi) % (2 * np.pi) - np.pi
            distance = np.hypot(muon_eta[muon] - jet_eta, dphi)
            if index < 0:
                assert np.all(distance >= LINK.cone)
            else:
                assert distance[index] == distance.min() < LINK.cone


def test_no_link_without_both_collections():
    muons = collection([2, 1], 1)
    assert link_collections({"Muon": muons}, [LINK]) == {"Muon": muons}


@given(counts, st.integers(0, 99))
def test_only_those_point_that_may(counts, seed):
    muons, jets = collection(counts, seed), collection(counts[::-1], seed + 1)
    may = np.random.default_rng(seed).random(len(muons)) < 0.5
    every = link_collections({"Muon": muons, "Jet": jets}, [LINK])["Muon"]["jetIdx"]
    linked = link_collections({"Muon": muons, "Jet": jets}, [LINK], lambda *_: may)
    assert linked["Muon"]["jetIdx"].tolist() == np.where(may, every, -1).tolist()
    assert linked["Jet"]["nMuons"].sum() == np.count_nonzero(linked["Muon"]["jetIdx"] >= 0)
