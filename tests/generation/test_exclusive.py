"""Objects that are drawn apart from each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flashsim.events.angles import wrap_angle
from flashsim.events.collection import Collection
from flashsim.events.noise import Stream
from flashsim.generation.exclusive import ATTEMPTS, drawn_apart

RADIUS = 0.4


def places(keys, numbers, attempt):
    drawn = Stream(1, "Jet", f"attempt {attempt}").uniform(keys, numbers, 2)
    return {"eta": 4.0 * drawn[:, 0] - 2.0, "phi": 2.0 * np.pi * drawn[:, 1] - np.pi, "pt": drawn[:, 0]}


def drawn(events, present, counts, radius=RADIUS):
    """Draw so many objects in each event, beside those present."""
    event_rows = np.repeat(np.arange(len(events)), counts)
    numbers = np.arange(len(event_rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    keys = np.asarray(events, dtype=np.uint64)[event_rows]
    others = Collection.of_counts(np.full(len(events), present), {})
    columns = places(np.repeat(np.asarray(events, np.uint64), present), others.local_index, "others")
    others = others.with_columns(columns)
    columns, kept = drawn_apart(
        lambda rows, attempt: places(keys[rows], numbers[rows], attempt), event_rows, others, radius
    )
    return event_rows, columns, kept, others


def closest_pair(event_rows, eta, phi):
    """Smallest distance of two objects of one event."""
    first, second = np.triu_indices(len(event_rows), 1)
    same = event_rows[first] == event_rows[second]
    distance = np.hypot(eta[first] - eta[second], wrap_angle(phi[first] - phi[second]))
    return distance[same].min(initial=np.inf)


@settings(max_examples=30, deadline=None)
@given(counts=st.lists(st.integers(0, 12), min_size=1, max_size=6))
def test_none_is_closer_than_the_radius(counts):
    event_rows, columns, kept, others = drawn(range(len(counts)), 0, counts)
    apart = {name: column[kept] for name, column in columns.items()}
    assert closest_pair(event_rows[kept], apart["eta"], apart["phi"]) >= RADIUS
    event_rows, columns, kept, others = drawn(range(len(counts)), 1, counts)
    eta = np.concatenate((columns["eta"][kept], others["eta"]))
    phi = np.concatenate((columns["phi"][kept], others["phi"]))
    rows = np.concatenate((event_rows[kept], others.event_rows))
    assert closest_pair(rows, eta, phi) >= RADIUS


def test_what_is_apart_stays_where_it_was_drawn():
    event_rows, free, all_kept, _ = drawn(range(300), 2, np.full(300, 4), radius=None)
    _, apart, kept, _ = drawn(range(300), 2, np.full(300, 4))
    assert all_kept.all()
    same = free["eta"] == apart["eta"]
    assert 0.5 < same.mean() < 0.95
    # The first of an event moves for those that are there only.
    first = np.append(True, np.diff(event_rows) > 0)
    assert same[first].mean() > same[~first].mean()
    assert kept.all()


def test_an_event_is_the_same_among_others():
    alone = drawn([7], 3, [6])
    among = drawn([5, 7, 9], 3, [4, 6, 2])
    inside = among[0] == 1
    for name, column in alone[1].items():
        assert np.array_equal(among[1][name][inside], column)
    assert np.array_equal(among[2][inside], alone[2])


def test_what_finds_no_place_is_left_out():
    others = Collection.of_counts(np.array([1]), {"eta": np.zeros(1), "phi": np.zeros(1)})
    calls = []

    def draw(rows, attempt):
        calls.append(attempt)
        return {"eta": np.full(len(rows), 0.1), "phi": np.zeros(len(rows))}

    _, kept = drawn_apart(draw, np.zeros(2, dtype=np.int64), others, RADIUS)
    assert calls == list(range(ATTEMPTS + 1))
    assert not kept.any()


@pytest.mark.parametrize("radius", [None, RADIUS])
def test_no_objects(radius):
    _, columns, kept, _ = drawn(range(3), 2, [0, 0, 0], radius)
    assert len(kept) == len(columns["eta"]) == 0
