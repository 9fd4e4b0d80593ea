from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from flashsim.events.collection import Collection, flat_column


@st.composite
def collections(draw):
    counts = np.array(draw(st.lists(st.integers(0, 5), max_size=12)), dtype=np.int64)
    offsets = np.concatenate(([0], np.cumsum(counts)))
    return Collection(offsets, {"x": np.arange(counts.sum()), "y": np.arange(counts.sum()) / 2.0})


def jagged(collection):
    return ak.unflatten(collection["x"], collection.counts)


@given(collections())
def test_rows_and_indices_name_every_object(collection):
    assert len(collection) == len(collection["x"])
    assert collection.events == len(collection.counts)
    assert np.array_equal(collection.offsets[collection.event_rows] + collection.local_index, collection["x"])


@given(collections(), st.data())
def test_selection_is_awkwards(collection, data):
    keep = data.draw(hnp.arrays(bool, len(collection)))
    selected = collection.select(keep)
    expected = jagged(collection)[ak.unflatten(keep, collection.counts)]
    assert jagged(selected).tolist() == expected.tolist()
    assert np.array_equal(selected["y"], selected["x"] / 2.0)


@given(collections())
def test_taking_reorders_inside_events(collection):
    order = np.lexsort((-collection["x"], collection.event_rows))
    assert jagged(collection.take(order)).tolist() == [
        sorted(e, reverse=True) for e in jagged(collection).tolist()
    ]


@pytest.mark.parametrize("events", [[], [[]], [[1, 2], [], [3]], [[], []]])
def test_jagged_branches_become_flat(events):
    offsets, values = flat_column(ak.values_astype(ak.Array([*events, [9]])[:-1], np.int16))
    assert np.diff(offsets).tolist() == [len(event) for event in events]
    assert values.tolist() == [value for event in events for value in event]
    assert values.dtype == np.int16


def test_slices_of_a_branch_become_flat():
    branch = ak.Array([[1.0, 2.0], [3.0], [], [4.0]])
    offsets, values = flat_column(branch[1:])
    assert (offsets.tolist(), values.tolist()) == ([0, 1, 1, 2], [3.0, 4.0])


def test_totals_are_those_of_each_event():
    objects = Collection.of_counts(np.array([2, 0, 1]), {})
    assert list(objects.total(np.array([1.5, 2.0, 4.0]))) == [3.5, 0.0, 4.0]
    assert list(objects.total(np.array([True, True, False]))) == [2, 0, 0]
    assert objects.total(np.ones(3, dtype=np.int64)).dtype == np.float64


def test_events_can_be_taken_several_times_in_any_order():
    objects = Collection(np.array([0, 2, 2, 3]), {"pt": np.array([1.0, 2.0, 3.0])})
    taken = objects.events_of(np.array([2, 0, 0, 1]))
    assert taken.counts.tolist() == [1, 2, 2, 0]
    assert taken["pt"].tolist() == [3.0, 1.0, 2.0, 1.0, 2.0]
