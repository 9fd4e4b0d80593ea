from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from flashsim.events.collection import Collection
from flashsim.events.matching import match


def collection(events):
    """Collection of lists of (index, eta, phi)."""
    rows = [row for event in events for row in event]
    offsets = np.concatenate(([0], np.cumsum([len(event) for event in events], dtype=np.int64)))
    index = np.array([row[0] for row in rows], dtype=np.int32)
    eta, phi = (np.array([row[k] for row in rows], dtype=np.float32) for k in (1, 2))
    return Collection(offsets, {"index": index, "idx": index, "eta": eta, "phi": phi})


def matched(gen, reco):
    return match(collection(gen), collection(reco), "idx").tolist()


def test_an_index_names_the_gen_object_of_its_event():
    gen = [[(0, 0.0, 0.0), (1, 1.0, 0.0)], [], [(0, 2.0, 0.0)]]
    reco = [[(1, 1.0, 0.0)], [(0, 0.0, 0.0)], [(-1, 0.0, 0.0), (0, 2.0, 0.0)]]
    assert matched(gen, reco) == [-1, 0, 3]


def test_indices_of_unselected_gen_objects_match_nothing():
    assert matched([[(0, 0.0, 0.0), (5, 1.0, 0.0)]], [[(3, 0.0, 0.0), (5, 0.0, 0.0)]]) == [-1, 1]


def test_indices_beyond_the_collection_match_nothing():
    gen = [[(0, 0.0, 0.0)], [(0, 0.0, 0.0), (1, 0.0, 0.0)]]
    for wild in (1, 1 << 20, (1 << 20) + 1, 2**31 - 1, -(2**31), -2):
        assert matched(gen, [[(wild, 0.0, 0.0)], []]) == [-1, -1, -1]


def test_the_closest_of_several_keeps_the_gen_object():
    gen = [[(0, 0.0, 3.1)]]
    assert matched(gen, [[(0, 0.5, 3.1), (0, 0.0, -3.1), (0, 0.2, 3.1)]]) == [1]


def test_of_equally_close_ones_the_first_keeps_it():
    assert matched([[(0, 0.0, 0.0)]], [[(0, 0.1, 0.0), (0, 0.1, 0.0)]]) == [0]


def test_nothing_matches_nothing():
    assert matched([[], []], [[(0, 0.0, 0.0)], []]) == []
    assert matched([[(0, 0.0, 0.0)], []], [[], []]) == [-1]


triples = st.tuples(st.integers(-2, 6), st.floats(-3, 3), st.floats(-3, 3))


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.sets(st.integers(0, 5)), st.lists(triples, max_size=6)), min_size=1, max_size=4))
def test_matches_are_one_to_one_and_of_the_same_event(sample):
    gen = collection([[(i, 0.1 * i, 0.0) for i in sorted(indices)] for indices, _ in sample])
    reco = collection([rows for _, rows in sample])
    rows = match(gen, reco, "idx")
    found = rows >= 0
    assert len(set(rows[found])) == np.count_nonzero(found)
    assert np.array_equal(reco.event_rows[rows[found]], gen.event_rows[found])
    assert np.array_equal(reco["idx"][rows[found]], gen["index"][found])
    named = set(zip(reco.event_rows, reco["idx"], strict=True))
    is_named = [pair in named for pair in zip(gen.event_rows, gen["index"], strict=True)]
    assert found.tolist() == is_named
