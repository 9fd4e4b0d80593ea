"""Positions and copies that are found along the graph, at a cost that grows with its size."""

from __future__ import annotations

import numpy as np
import pytest

from flashsim.gen.hepmc.event import SingleEvent, completed
from flashsim.gen.hepmc.graph import continued


def event_of(production, end, position, **more):
    particles = len(production)
    return SingleEvent(
        label=0,
        pdg_id=np.full(particles, 23, dtype=np.int64),
        status=np.full(particles, 2, dtype=np.int64),
        momentum=np.tile([0.0, 0.0, 1.0, 1.0, 0.0], (particles, 1)),
        production_vertex=np.array(production, dtype=np.int64),
        end_vertex=np.array(end, dtype=np.int64),
        position=np.array(position, dtype=np.float64),
        **more,
    )


@pytest.mark.parametrize("backwards", [False, True])
def test_positions_are_inherited_along_a_long_chain(backwards):
    vertices = 300_000  # a walk to the root from each would take minutes
    order = np.arange(vertices)[::-1] if backwards else np.arange(vertices)
    position = np.zeros((vertices, 3))
    position[order[vertices // 2]] = 1.0, 2.0, 3.0
    event = event_of([-1, *order[:-1]], order, position, start=(7.0, 0.0, 0.0))
    found = completed(event, mev=False, cm=False).position[order] + (7.0, 0.0, 0.0)
    assert np.all(found[: vertices // 2] == (7.0, 0.0, 0.0))
    assert np.all(found[vertices // 2 :] == (1.0, 2.0, 3.0))


def test_each_position_is_that_of_the_nearest_ancestor():
    rng = np.random.default_rng(4)
    vertices = 200
    for _ in range(20):
        # Vertex k is where particle k ends, which a vertex before it, in a random order, makes.
        name = rng.permutation(vertices)
        above = [-1, *(name[rng.integers(0, k)] for k in range(1, vertices))]
        position = np.where(rng.uniform(size=(vertices, 1)) < 0.2, rng.uniform(size=(vertices, 3)), 0.0)
        event = event_of(above, name, position, start=(0.5, 0.5, 0.5))
        mother = dict(zip(name.tolist(), above, strict=True))
        expected = np.empty((vertices, 3))
        for vertex in range(vertices):
            up = vertex
            while up >= 0 and not position[up].any():
                up = mother[up]
            expected[vertex] = position[up] if up >= 0 else 0.5
        found = completed(event, mev=False, cm=False).position
        np.testing.assert_allclose(found, expected - expected[name[0]])


def test_a_particle_goes_on_as_the_first_of_its_copies():
    """Of two photons, none from a hadron or a photon: the one that is nearer."""
    lines = {  # PDG number, status, production vertex, end vertex, momentum
        "beam": (2212, 4, -1, 0, 0.0),
        "leaf": (22, 3, 0, -1, 10.0),
        "shower": (21, 2, -1, 1, 0.0),
        "far": (22, 1, 1, -1, 30.0),
        "near": (22, 2, 1, 2, 11.0),
        "copy": (22, 1, 2, -1, 10.0),
        "pion": (111, 2, 1, 3, 5.0),
        "of the pion": (22, 1, 3, -1, 10.0),
    }
    code, status, production, end, pz = map(np.array, zip(*lines.values(), strict=True))
    momentum = np.stack([0 * pz, 0 * pz, pz], axis=1)
    names = list(lines)
    found = continued(code, status, momentum, production, end, 0)
    assert [(names[leaf], names[other]) for leaf, other in found] == [("leaf", "near")]
