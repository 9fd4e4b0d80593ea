from __future__ import annotations

import numpy as np
import pytest
from recorded_events import some_events

from flashsim.events.collection import Collection
from flashsim.reference.objects.isolation import (
    Areas,
    TrackCone,
    cone_sums,
    mini_cone,
    track_sum,
    work_points,
)


@pytest.fixture(scope="module")
def recorded():
    return some_events()


def around(candidates, event, eta, phi):
    """Distance of an event's candidates, all others far away."""
    turn = (candidates["phi"] - phi + np.pi) % (2 * np.pi) - np.pi
    distance = np.hypot(candidates["eta"] - eta, turn)
    return np.where(candidates.event_rows == event, distance, 99.0)


def muon_like(recorded):
    keep = np.abs(recorded.candidates["pdgId"]) == 13
    rows = np.flatnonzero(keep)
    owner = np.full(len(keep), -1)
    owner[rows] = np.arange(len(rows))
    return recorded.candidates.select(keep), owner


def test_sums_are_those_of_the_candidates_in_the_cone(recorded):
    candidates = recorded.candidates
    objects, owner = muon_like(recorded)
    sums = cone_sums(objects.directions, candidates, owner, np.full((len(objects), 1), 1.5))
    code, primary = np.abs(candidates["pdgId"]), candidates["fromPV"] > 1
    for i in range(0, len(objects), 7):
        distance = around(candidates, objects.event_rows[i], objects["eta"][i], objects["phi"][i])
        cone, hard = (distance < 1.5) & (owner != i), candidates["pt"] > 0.5
        expected = {
            "charged": cone & (code == 211) & primary & (distance > 0.0001),
            "pileup": cone & (code == 211) & ~primary & hard & (distance > 0.01),
            "photon": cone & (code == 22) & hard & (distance > 0.01),
            "neutral": cone & (code == 130) & hard & (distance > 0.01),
        }
        for name, kept in expected.items():
            assert getattr(sums, name)[i, 0] == pytest.approx(candidates["pt"][kept].sum()), name


def test_a_larger_cone_holds_the_smaller_one(recorded):
    objects, owner = muon_like(recorded)
    radii = np.tile([0.3, 0.4, 1.0], (len(objects), 1))
    sums = cone_sums(objects.directions, recorded.candidates, owner, radii)
    for name in ("charged", "neutral", "photon", "pileup", "puppi"):
        assert np.all(np.diff(getattr(sums, name), axis=1) >= 0.0), name
    assert np.all(sums.delta_beta(2) >= sums.charged[:, 2])
    none = sums.by_area(2, np.zeros(len(objects)))
    assert np.all(sums.delta_beta(2) <= none)
    assert np.all(sums.by_area(2, np.full(len(objects), 1e6)) == sums.charged[:, 2])


def test_holes_leave_out_what_is_near(recorded):
    objects, owner = muon_like(recorded)
    radii = np.full((len(objects), 1), 1.0)
    sums = cone_sums(objects.directions, recorded.candidates, owner, radii, holes=(2.0, 2.0, 2.0, 2.0))
    assert not sums.charged.any()
    assert not sums.photon.any()
    assert not sums.neutral.any()
    assert not sums.pileup.any()


def test_tracks_count_near_the_object_along_the_beam_and_never_itself(recorded):
    tracks = recorded.tracks
    rows = np.flatnonzero(tracks["kind"] == 13)
    objects = Collection.of_event_rows(
        tracks.event_rows[rows], {n: tracks[n][rows] for n in ("eta", "phi", "z")}, tracks.events
    )
    wide = TrackCone(radius=1.5, hole=0.0, strip=0.0, least_pt=2.0, dz=0.2, d0=0.1)
    found = track_sum(objects.directions, objects["z"], rows, tracks, wide)
    for i in range(0, len(objects), 7):
        distance = around(tracks, objects.event_rows[i], objects["eta"][i], objects["phi"][i])
        kept = (
            (distance < 1.5) & (tracks["pt"] > 2.0) & tracks["quality"] & (np.arange(len(tracks)) != rows[i])
        )
        kept &= (np.abs(tracks["z"] - objects["z"][i]) < 0.2) & (np.abs(tracks["d0"]) < 0.1)
        assert found[i] == pytest.approx(tracks["pt"][kept].sum())
    assert found.any()


@pytest.mark.parametrize(("pt", "radius"), [(5.0, 0.2), (50.0, 0.2), (100.0, 0.1), (1000.0, 0.05)])
def test_mini_cone_shrinks_with_pt(pt, radius):
    assert mini_cone(np.array([pt]))[0] == pytest.approx(radius)


def test_work_points_count_the_cuts_that_a_value_is_below():
    assert work_points(np.array([0.5, 0.3, 0.01]), [0.4, 0.2, 0.05]).tolist() == [0, 1, 3]


def test_effective_areas_go_by_eta():
    areas = Areas(eta=[1.0, 2.5], area=[0.1, 0.2])
    pileup = areas.pileup(np.array([-0.5, 1.2, 3.0]), np.array([10.0, 10.0, 20.0]))
    assert pileup.tolist() == pytest.approx([1.0, 2.0, 4.0])
