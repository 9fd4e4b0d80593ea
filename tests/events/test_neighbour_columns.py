"""Columns of objects about one neighbour of each."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flashsim.declarations.conditioning import Earlier
from flashsim.events.collection import Collection
from flashsim.events.neighbour_columns import EarlierNeighbours, Neighbours

angles = st.floats(-1.0, 1.0, width=32)
gen_objects = st.lists(st.tuples(st.floats(1.0, 100.0), angles, angles, st.booleans()), max_size=8)
ENTRY = Earlier(kind="earlier", name="e", reach=0.7, values={"area": "linear"})


@settings(max_examples=40, deadline=None)
@given(events=st.lists(gen_objects, min_size=1, max_size=4), data=st.data())
def test_columns_of_some_objects_are_those_of_all(events, data):
    rows = np.array([row for event in events for row in event], dtype=np.float64).reshape(-1, 4)
    pt, eta, phi, kept = rows.T
    columns = {"pt": pt, "eta": eta.astype(np.float32), "phi": phi.astype(np.float32)}
    objects = Collection.of_counts(np.array([len(event) for event in events]), columns)
    drawn = {"pt": 1.1 * pt, "eta": eta + 0.1, "phi": phi - 0.1, "area": 0.5 * pt}
    counterparts = {name: np.where(kept == 1.0, column, np.nan) for name, column in drawn.items()}
    near = EarlierNeighbours.of(ENTRY, objects)
    chosen = np.array(
        data.draw(st.lists(st.sampled_from(range(len(pt))), unique=True)) if len(pt) else [], int
    )
    whole, some = near.columns(counterparts), near.columns(counterparts, chosen)
    assert list(whole) == list(some) == list(ENTRY.columns())
    assert all(np.array_equal(some[name], whole[name][chosen]) for name in whole)
    assert all(np.isfinite(column).all() for column in whole.values())


def test_what_has_no_neighbour_has_zeros():
    objects = {"pt": np.array([2.0, np.nan]), "eta": np.array([0.5, 0.5]), "phi": np.array([3.1, 3.1])}
    others = {"pt": np.array([6.0]), "eta": np.array([0.25]), "phi": np.array([-3.1])}
    near = Neighbours(objects, others, np.array([0, -1]), np.array([0.3, 0.4]))
    found = near.columns(["pt"])
    assert {name: column[1] for name, column in found.items()} == {
        "found": 0.0,
        "dr": 0.4,
        "deta": 0.0,
        "dphi": 0.0,
        "pt_share": 0.0,
    }
    assert {name: column[0] for name, column in found.items()} == {
        "found": 1.0,
        "dr": 0.3,
        "deta": 0.25,
        "pt_share": 3.0,
        "dphi": pytest.approx(6.2 - 2.0 * np.pi),
    }


def test_nobody_is_the_neighbour_where_there_are_none():
    nothing = dict.fromkeys(("pt", "eta", "phi"), np.zeros(0))
    objects = dict.fromkeys(("pt", "eta", "phi"), np.ones(3))
    near = Neighbours(objects, nothing, np.full(3, -1), np.full(3, 0.4))
    assert near.columns(["pt"])["pt_share"].tolist() == [0.0, 0.0, 0.0]
