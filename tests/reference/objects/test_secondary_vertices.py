from __future__ import annotations

import numpy as np
import pytest
import yaml

from flashsim.declarations.recipes import recipe_path
from flashsim.events.collection import Collection
from flashsim.reference.flow.recorded import Recorded
from flashsim.reference.objects.clustering import Clustered
from flashsim.reference.objects.secondary_vertices import (
    SecondaryVerticesRecipe,
    common_vertices,
    secondary_vertices,
)
from flashsim.reference.particles.helix import closest_approach
from flashsim.reference.particles.streams import Streams

FIELD, D0_ERROR, Z_ERROR, PION = 3.8, 0.002, 0.003, 0.13957
PRIMARY = np.array([0.01, -0.02, 1.5])


@pytest.fixture(scope="module")
def recipe():
    path = recipe_path("reference", "detector")
    return SecondaryVerticesRecipe(**yaml.safe_load(path.read_text())["secondary_vertices"])


def event(decays, prompt=12, seed=1):
    """Candidates of an event: (flight in cm, number of tracks) of each decay, and tracks of the vertex."""
    rng = np.random.default_rng(seed)
    rows = []
    for turn, (flight, number) in enumerate(decays):
        eta, phi = 0.6, 0.4 + turn
        place = flight * np.array([np.cos(phi), np.sin(phi), np.sinh(eta)]) / np.cosh(eta)
        for k in range(number):
            side = (-1.0) ** k * (1 + 0.3 * k)
            rows.append(candidate(place, 3.0 + k, eta + 0.12 * side, phi + 0.1 * side, 1 - 2 * (k % 2), rng))
    for k in range(prompt):
        rows.append(candidate(np.zeros(3), 2.0, *rng.uniform(-2, 2, 2), 1 - 2 * (k % 2), rng))
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def candidate(place, pt, eta, phi, charge, rng):
    """Measured track of a pion that begins at a place relative to the primary vertex."""
    d0, direction, turned = closest_approach(pt, phi, charge, place[0], place[1], FIELD)
    path = turned * pt / (0.00299792458 * FIELD)
    return {
        "pt": pt,
        "eta": eta,
        "phi": direction,
        "energy": np.hypot(pt * np.cosh(eta), PION),
        "charge": charge,
        "dxy": d0 + D0_ERROR * rng.normal(),
        "dz": place[2] - path * np.sinh(eta) + Z_ERROR * rng.normal(),
    }


def recorded(*events):
    sizes = [len(one["pt"]) for one in events]
    columns = {name: np.concatenate([one[name] for one in events]) for name in events[0]}
    total = sum(sizes)
    columns |= {
        "dxyErr": np.full(total, D0_ERROR),
        "dzErr": np.full(total, Z_ERROR),
        "track": np.arange(total),
    }
    tracks = {"pt": columns["pt"], "quality": np.ones(total, dtype=np.bool_)}
    number = len(events)
    vertex = {"x": PRIMARY[0], "y": PRIMARY[1], "z": PRIMARY[2], "xErr": 0.001, "zErr": 0.001}
    empty = Collection.of_counts(np.zeros(number, dtype=np.int64), {})
    return Recorded(
        gen={},
        keys=np.arange(number, dtype=np.uint64),
        streams=Streams(1, "full"),
        particles=empty,
        tracks=Collection.of_counts(np.array(sizes), tracks),
        clusters=empty,
        vertices=Collection.of_counts(
            np.ones(number, dtype=np.int64), {n: np.full(number, v) for n, v in vertex.items()}
        ),
        candidates=Collection.of_counts(np.array(sizes), columns),
        rho={},
    )


@pytest.mark.parametrize("tracks", [2, 3, 5])
@pytest.mark.parametrize("flight", [0.2, 0.5, 1.0])
def test_a_decay_is_found_where_it_is_with_its_tracks(recipe, flight, tracks):
    found = secondary_vertices(
        recorded(*[event([(flight, tracks)], seed=seed) for seed in range(40)]), recipe
    )
    main = found.objects
    assert np.mean(main.counts == 1) > 0.9
    pulls = (main["dlen"] - flight) / (main["dlen"] / main["dlenSig"])
    assert abs(np.median(pulls)) < 0.7
    assert np.median(np.abs(pulls)) < 1.5
    assert np.mean(main["ntracks"] == tracks) > 0.75
    assert np.mean(main["pAngle"] > 3.0) > 0.95


def test_places_are_in_the_frame_of_the_detector(recipe):
    found = secondary_vertices(recorded(event([(1.0, 5)])), recipe)
    away = np.array([found.objects[name][0] for name in "xyz"]) - PRIMARY
    assert np.linalg.norm(away) == pytest.approx(found.objects["dlen"][0], rel=1e-6)
    assert np.hypot(*away[:2]) == pytest.approx(found.objects["dxy"][0], rel=1e-6)
    assert away == pytest.approx(np.array([np.cos(0.4), np.sin(0.4), np.sinh(0.6)]) / np.cosh(0.6), abs=0.03)


def test_momentum_is_that_of_the_members(recipe):
    events = recorded(*[event([(1.0, 4)], seed=seed) for seed in range(10)])
    found = secondary_vertices(events, recipe)
    columns = {name: values[found.members] for name, values in events.candidates.columns.items()}
    px, py = (found.total(columns["pt"] * turn(columns["phi"])) for turn in (np.cos, np.sin))
    pz = found.total(columns["pt"] * np.sinh(columns["eta"]))
    assert found.objects["pt"] == pytest.approx(np.hypot(px, py))
    assert found.objects["charge"] == pytest.approx(found.total(columns["charge"]))
    mass = np.sqrt(found.total(columns["energy"]) ** 2 - px**2 - py**2 - pz**2)
    assert found.objects["mass"] == pytest.approx(mass)


def test_tracks_of_the_primary_vertex_make_few(recipe):
    events = [event([], prompt=30, seed=seed) for seed in range(40)]
    assert len(secondary_vertices(recorded(*events), recipe).objects) < 4


def test_two_decays_are_two_vertices(recipe):
    events = [event([(0.5, 3), (1.2, 3)], seed=seed) for seed in range(20)]
    found = secondary_vertices(recorded(*events), recipe).objects
    assert np.mean(found.counts == 2) > 0.75


def test_events_do_not_know_of_each_other(recipe):
    events = [event([(0.5, 3), (1.2, 2)], seed=seed) for seed in range(6)]
    together = secondary_vertices(recorded(*events), recipe)
    alone = [secondary_vertices(recorded(one), recipe) for one in events]
    for name, values in together.objects.columns.items():
        assert np.all(values == np.concatenate([one.objects[name] for one in alone]))


def test_an_event_without_tracks_has_none(recipe):
    nothing = {name: values[:0] for name, values in event([(1.0, 2)]).items()}
    found = secondary_vertices(recorded(nothing, event([(1.0, 3)])), recipe)
    assert list(found.objects.counts) == [0, 1]


def test_groups_have_a_common_vertex_if_they_have_two_tracks(recipe):
    events = recorded(*[event([(0.3, 3)], prompt=1, seed=seed) for seed in range(40)])
    groups = Clustered(
        Collection.of_counts(np.full(40, 2), {}),
        np.concatenate(([0], np.cumsum(np.tile([3, 1], 40)))),
        np.arange(160),
    )
    good, places, covariances = common_vertices(events, groups, recipe)
    assert np.all(good[1::2] == 0)
    assert good[::2].mean() > 0.9
    off = np.linalg.norm(places[::2, :3], axis=1) - 0.3
    spread = np.sqrt(np.trace(covariances[::2], axis1=1, axis2=2))
    assert np.median(np.abs(off / spread)) < 1.0
