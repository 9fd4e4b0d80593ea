from __future__ import annotations

import numpy as np
import pytest
from toy_events import detector, generated, library

from flashsim.reference.flow.tracks import TRACK
from flashsim.reference.flow.vertices import vertices
from flashsim.reference.particles.overlay import choose
from flashsim.reference.particles.particle import PARTICLE, Rows
from flashsim.reference.particles.streams import Streams

KEYS = np.array([5], dtype=np.uint64)


def found(places, per_vertex=20, hard=0, **changes):
    """Vertices of tracks from some z; those of `hard` have five times the momentum."""
    rng = np.random.default_rng(1)
    number = np.repeat(np.arange(len(places)), per_vertex)
    hits = np.zeros(len(number), dtype=PARTICLE)
    hits["z"], hits["interaction"], hits["end"] = np.array(places)[number], number, np.inf
    tracks = np.zeros(len(number), dtype=TRACK)
    tracks["zErr"], tracks["d0Err"], tracks["pixelHits"], tracks["quality"] = 0.006, 0.005, 4, True
    tracks["z"] = hits["z"] + 0.006 * rng.normal(size=len(number))
    tracks["d0"] = 0.005 * rng.normal(size=len(number))
    tracks["pt"] = np.where(number == hard, 5.0, 1.0) * (1.0 + rng.exponential(1.0, len(number)))
    tracks["eta"], tracks["phi"] = rng.uniform(-2, 2, len(number)), rng.uniform(-3, 3, len(number))
    tracks["hit"] = np.arange(len(number))
    for name, value in changes.items():
        tracks[name] = value
    recipe = detector()
    interactions = choose(generated(1, len(places)), KEYS, Streams(1, ""), library(), recipe.pileup)
    offsets = np.array([0, len(number)])
    rows = Rows(offsets, tracks)
    made = vertices(rows, Rows(offsets, hits), interactions, KEYS, recipe.vertices.numbers())
    return made.rows, rows.rows, number


@pytest.mark.parametrize("hard", [0, 1, 2])
def test_vertices_apart_are_found_and_the_hard_one_is_first(hard):
    places = [-3.0, 0.4, 2.0]
    made, tracks, number = found(places, hard=hard)
    assert len(made) == 3
    assert made[0]["interaction"] == hard
    order = [places.index(z) for z in np.array(places)[made["interaction"]]]
    np.testing.assert_allclose(made["z"], np.array(places)[order], atol=0.006)
    np.testing.assert_array_equal(made["interaction"][tracks["vertex"]], number)
    assert (np.diff(made["score"]) <= 0).all()


def test_vertices_within_the_resolution_merge():
    made, _, _ = found([0.0, 0.001])
    assert len(made) == 1
    assert made[0]["tracks"] > 20


def test_errors_are_those_of_the_weighted_mean():
    pulls = []
    for place in np.linspace(-2.0, 2.0, 30):
        made, _, _ = found([place])
        pulls.append((made[0]["z"] - place) / made[0]["zErr"])
        assert made[0]["zErr"] == pytest.approx(0.006 / np.sqrt(18), rel=0.4)
    assert np.abs(pulls).max() < 4.0


def test_displaced_tracks_are_not_used_but_have_a_vertex():
    displaced = np.arange(20) < 5
    made, tracks, _ = found([0.0], d0=np.where(displaced, 0.5, 0.0))
    assert (tracks["vertexWeight"][displaced] == 0.0).all()
    assert (tracks["vertexWeight"][~displaced] > 0.5).mean() > 0.6
    assert (tracks["vertex"] == 0).all()
    assert made[0]["tracks"] == 15


def test_event_without_tracks_has_a_vertex_at_the_beam_line():
    made, _, _ = found([0.0], per_vertex=0)
    assert len(made) == 1
    assert (made[0]["ndof"], made[0]["tracks"], made[0]["z"]) == (0.0, 0, 0.0)
