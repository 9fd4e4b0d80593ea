"""Objects that are drawn apart from each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flashsim.events.angles import wrap_angle
from flashsim.events.collection import Collection
from flashsim.events.noise import Stream
from flashsim.generation import exclusive
from flashsim.generation.exclusive import ATTEMPTS, drawn_apart

RADIUS = 0.4


def places(keys, numbers, attempts):
    drawn = np.zeros((len(keys), 2))
    for attempt in np.unique(attempts):
        rows = attempts == attempt
        drawn[rows] = Stream(1, "Jet", f"attempt {attempt}").uniform(keys[rows], numbers[rows], 2)
    return {"eta": 4.0 * drawn[:, 0] - 2.0, "phi": 2.0 * np.pi * drawn[:, 1] - np.pi, "pt": drawn[:, 0]}


def drawn(events, present, counts, radius=RADIUS):
    """Draw so many objects in each event, beside those present."""
    event_rows = np.repeat(np.arange(len(events)), counts)
    numbers = np.arange(len(event_rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    keys = np.asarray(events, dtype=np.uint64)[event_rows]
    others = Collection.of_counts(np.full(len(events), present), {})
    of_others = np.repeat(np.asarray(events, np.uint64), present)
    columns = places(of_others, others.local_index, np.full(len(of_others), -1))
    others = others.with_columns(columns)
    columns, kept = drawn_apart(
        lambda rows, attempts: places(keys[rows], numbers[rows], attempts), event_rows, others, radius
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


@pytest.mark.parametrize("at_once", [1, 7])
def test_attempts_are_the_same_however_many_are_drawn_at_once(monkeypatch, at_once):
    counts = np.full(20, 75)  # so many that some find no place
    _, columns, kept, _ = drawn(range(20), 4, counts)
    monkeypatch.setattr(exclusive, "_AT_ONCE", at_once)
    _, others, others_kept, _ = drawn(range(20), 4, counts)
    assert 0.9 < kept.mean() < 1.0
    assert np.array_equal(kept, others_kept)
    assert all(np.array_equal(columns[name], others[name]) for name in columns)


def test_what_finds_no_place_is_left_out():
    others = Collection.of_counts(np.array([1]), {"eta": np.zeros(1), "phi": np.zeros(1)})
    calls, sizes = [], []

    def draw(rows, attempts):
        calls.extend(zip(attempts.tolist(), rows.tolist(), strict=True))
        sizes.append(len(rows))
        return {"eta": np.full(len(rows), 0.1), "phi": np.zeros(len(rows))}

    _, kept = drawn_apart(draw, np.zeros(2, dtype=np.int64), others, RADIUS)
    assert calls == [(attempt, row) for attempt in range(ATTEMPTS + 1) for row in (0, 1)]
    assert sizes == [2, 2 * ATTEMPTS]  # few at once, as each call has its price
    assert not kept.any()


@pytest.mark.parametrize("radius", [None, RADIUS])
def test_no_objects(radius):
    _, columns, kept, _ = drawn(range(3), 2, [0, 0, 0], radius)
    assert len(kept) == len(columns["eta"]) == 0
