"""Features of jets: of made-up jets whose numbers are known, and of random ones."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from flashsim.events.collection import Collection
from flashsim.reference.objects.clustering import Clustered
from flashsim.reference.taggers.constituents import jet_features, with_members

VERTICES = ("pt", "eta", "phi", "mass", "dlen", "dlenSig", "ntracks", "pAngle")


def recorded(events):
    """Events of candidates, each event a jet; a candidate is (pt, eta, phi, pdgId, dxy, dz)."""
    rows = np.array([row for event in events for row in event], dtype=np.float64).reshape(-1, 6)
    pt, eta, phi, code, dxy, dz = rows.T
    charge = np.where(np.isin(np.abs(code), (211, 11, 13)), np.sign(code), 0).astype(int)
    columns = {
        "pt": pt, "eta": eta, "phi": phi, "energy": pt * np.cosh(eta), "pdgId": code.astype(int),
        "charge": charge, "fromPV": np.full(len(pt), 3), "puppi": np.ones(len(pt)),
        "dxy": dxy, "dz": dz, "dxyErr": np.where(charge != 0, 0.002, 0.0), "dzErr": np.full(len(pt), 0.003),
        "track": np.where(charge != 0, np.arange(len(pt)), -1),
    }  # fmt: skip
    counts = np.array([len(event) for event in events])
    one = Collection.of_counts(np.ones(len(events), dtype=int), {})
    return SimpleNamespace(
        candidates=Collection.of_counts(counts, columns),
        tracks=Collection.of_counts(counts, {"pixelHits": np.full(len(pt), 4)}),
        vertices=one,
        rho={"FastjetAll": np.full(len(events), 20.0)},
    )


def features(events, vertices=(), radius=0.4):
    """Features of the jets of all events; vertices are those of the first event."""
    made = recorded(events)
    offsets = made.candidates.offsets
    pt = np.add.reduceat(made.candidates["pt"], offsets[:-1])
    objects = {"pt": pt, "eta": np.zeros(len(events)), "rawFactor": np.zeros(len(events))}
    jets = Clustered(Collection(np.arange(len(events) + 1), objects), offsets, np.arange(offsets[-1]))
    table = np.array(vertices, dtype=np.float64).reshape(-1, len(VERTICES))
    counts = np.zeros(len(events), dtype=int)
    counts[0] = len(table)
    found = Collection.of_counts(counts, dict(zip(VERTICES, table.T, strict=True)))
    return jet_features(made, jets, np.ones(offsets[-1]), found, radius=radius)


def random_jet(rng, number=12):
    code = rng.choice([211, -211, 22, 130, 13, 11], number)
    charged = np.isin(np.abs(code), (211, 11, 13))
    dxy, dz = (np.where(charged, 0.02 * rng.normal(size=number), 0.0) for _ in range(2))
    eta, phi = 0.1 * rng.normal(size=number), 1.0 + 0.1 * rng.normal(size=number)
    return np.stack([rng.exponential(5.0, number) + 0.5, eta, phi, code, dxy, dz], axis=1).tolist()


def test_every_feature_is_finite():
    rng = np.random.default_rng(1)
    found = features([random_jet(rng) for _ in range(20)], [(5, 0, 1, 2, 0.5, 20, 3, 0.1)])
    assert {"shape_ptD", "track0_sip2d", "vertex1_mass", "muon0_r", "electron0_share"} <= set(found)
    assert all(column.shape == (20,) and np.isfinite(column).all() for column in found.values())


def test_shares_of_kinds_and_rings_add_up():
    rng = np.random.default_rng(2)
    found = features([random_jet(rng) for _ in range(20)])
    kinds = sum(found[f"shape_{kind}Share"] for kind in ("charged", "photon", "neutral"))
    assert kinds == pytest.approx(np.ones(20), abs=1e-5)
    assert sum(found[f"shape_ring{k}"] for k in range(4)) == pytest.approx(np.ones(20), abs=1e-5)


def test_a_jet_does_not_depend_on_those_that_come_with_it():
    rng = np.random.default_rng(3)
    events = [random_jet(rng, number) for number in (3, 8, 1, 12)]
    together = features(events)
    for k, event in enumerate(events):
        alone = features([event])
        for name in alone:
            assert alone[name][0] == pytest.approx(together[name][k], rel=1e-5, abs=1e-5), name


def test_order_of_constituents_does_not_matter():
    rng = np.random.default_rng(4)
    event = random_jet(rng)
    one, other = features([event]), features([event[::-1]])
    for name in one:
        assert one[name] == pytest.approx(other[name], rel=1e-5, abs=1e-5), name


@pytest.mark.parametrize(("side", "sign"), [(1, 1), (-1, -1)])
def test_impact_parameters_are_positive_downstream(side, sign):
    # A track at phi = 0.2 beside an axis at phi = 0 crosses the axis downstream if its closest point is at
    # negative y: dxy = y cos(phi) - x sin(phi) is negative there.
    event = [(100.0, 0.0, 0.0, 130, 0.0, 0.0), (5.0, 0.0, 0.2, 211, -0.02 * side, 0.0)]
    found = features([event])
    assert np.sign(found["track0_sip2d"][0]) == sign
    assert np.sign(found["track0_sip3d"][0]) == sign
    assert abs(found["track0_sip2d"][0]) == pytest.approx(np.log1p(0.02 / 0.002), rel=1e-4)


def test_tracks_come_by_falling_significance_and_those_of_pileup_are_left_out():
    tracks = [(5.0, 0.0, 0.2, 211, -value, 0.0) for value in (0.001, 0.05, 0.01)]
    far = (5.0, 0.0, 0.2, 211, -0.5, 1.5)
    found = features([[(100.0, 0.0, 0.0, 130, 0.0, 0.0), *tracks, far]])
    values = [found[f"track{k}_sip2d"][0] for k in range(4)]
    assert values == pytest.approx([np.log1p(25), np.log1p(5), np.log1p(0.5), -3.0], rel=1e-3)
    assert found["track_all"] == 4


def test_vertices_are_those_within_the_jet_by_significance():
    near, nearer, far = (
        (5, 0.1, 0.0, 2, 0.5, 20, 3, 0.0),
        (4, 0.05, 0.0, 1, 0.2, 40, 2, 0.1),
        (5, 1.0, 0.0, 2, 1, 90, 5, 0.0),
    )
    found = features([[(50.0, 0.0, 0.0, 130, 0.0, 0.0)]], [near, nearer, far])
    assert found["vertex_number"] == 2
    assert found["vertex0_tracks"] == 2
    assert found["vertex1_share"] == pytest.approx(0.1)
    assert found["vertex1_corrected"] == pytest.approx(np.log1p(2.0))
    across = 4 * np.cosh(0.05) * np.sin(0.1)
    assert found["vertex0_corrected"] == pytest.approx(np.log1p(np.hypot(1, across) + across))


def test_the_hardest_lepton_is_told_apart():
    rest = [(40.0, 0.0, 0.0, 211, 0.0, 0.0), (2.0, 0.1, 0.1, 13, 0.0, 0.0)]
    found = features([[*rest, (8.0, 0.0, 0.1, -13, 0.01, 0.0)], rest[:1]])
    assert found["muon0_share"] == pytest.approx([0.16, 0.0], abs=1e-3)
    assert found["electron0_share"] == pytest.approx([0.0, 0.0])


def test_members_of_a_fat_jet_belong_to_the_nearer_subjet():
    rows = [
        (5, 0.3, 0.0, 211, 0, 0),
        (6, -0.3, 0.1, 22, 0, 0),
        (7, 0.2, 0.1, 130, 0, 0),
        (2, 0.0, 0.0, 22, 0, 0),
    ]
    made = recorded([rows, [(9, 0.0, 0.0, 22, 0, 0)]])
    subjets = Collection(np.array([0, 2, 2]), {"eta": np.array([0.25, -0.3]), "phi": np.array([0.0, 0.1])})
    objects = {"subJetIdx1": np.array([0, -1]), "subJetIdx2": np.array([1, -1])}
    fat = Clustered(Collection(np.arange(3), objects), made.candidates.offsets, np.arange(5))
    found = with_members(subjets, fat, made.candidates)
    assert [
        found.members[a:b].tolist() for a, b in zip(found.offsets[:-1], found.offsets[1:], strict=True)
    ] == [
        [0, 2, 3],
        [1],
    ]
