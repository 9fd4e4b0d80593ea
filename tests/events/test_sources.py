"""Which object of which source unmatched objects belong to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from flashsim.declarations.objects import ObjectDeclaration, load_object
from flashsim.declarations.unmatched import Unmatched
from flashsim.events.angles import wrap_angle
from flashsim.events.collection import Collection
from flashsim.events.gen_chunk import GenChunk
from flashsim.events.sources import assign_sources, rows_of_source

PT = {"kind": "field", "name": "pt", "field": "pt"}
NUMBER = {"kind": "number", "name": "nJet", "of": "reco.Jet"}
NEAR = {"kind": "closest", "name": "near", "of": "reco.Jet", "cone": 0.4, "shares": []}
SOURCES = [
    Unmatched(name="own", source="reco.Jet", cone=0.3, conditioning=[PT, NUMBER]),
    Unmatched(name="inJet", source="GenJet", cone=0.5, conditioning=[PT, NUMBER, NEAR]),
    Unmatched(name="event", source="event", conditioning=[NUMBER]),
]
EVENTS = 5


def collection(rng, largest):
    counts = rng.integers(0, largest + 1, EVENTS)
    size = counts.sum()
    columns = {
        "pt": rng.exponential(20.0, size),
        "eta": rng.uniform(-1.0, 1.0, size),
        "phi": rng.uniform(-np.pi, np.pi, size),
    }
    return Collection.of_counts(counts, columns)


def assigned(seed, sources=SOURCES):
    rng = np.random.default_rng(seed)
    gen, matched, unmatched = (collection(rng, largest) for largest in (4, 3, 6))
    chunk = GenChunk({"GenJet": gen}, {}, EVENTS)
    return unmatched, matched, gen, list(assign_sources(sources, chunk, "Jet", matched, unmatched))


def distance(first, row, second):
    """Distance of one object to all of another collection, infinite in other events."""
    apart = np.hypot(second["eta"] - first["eta"][row], wrap_angle(second["phi"] - first["phi"][row]))
    return np.where(second.event_rows == first.event_rows[row], apart, np.inf)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_an_object_belongs_to_the_closest_of_the_first_source(seed):
    unmatched, matched, gen, (own, in_jet, event) = assigned(seed)
    every = np.concatenate([found.rows for found in (own, in_jet, event)])
    assert sorted(every) == list(range(len(unmatched)))
    for row in range(len(unmatched)):
        to_own, to_gen = distance(unmatched, row, matched), distance(unmatched, row, gen)
        for found, away, cone in ((own, to_own, 0.3), (in_jet, to_gen, 0.5)):
            if away.min(initial=np.inf) < cone:
                (place,) = np.flatnonzero(found.rows == row)
                assert found.source_rows[place] == np.argmin(away)
                break
        else:
            (place,) = np.flatnonzero(event.rows == row)
            assert event.source_rows[place] == unmatched.event_rows[row]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_rows_of_a_source_are_those_that_are_assigned(seed):
    unmatched, _, _, found = assigned(seed)
    left = np.ones(len(unmatched), dtype=bool)
    for one in found:
        rows = rows_of_source(one.source, one.objects.objects, unmatched)
        assert np.array_equal(rows[one.rows], one.source_rows)
        assert not np.any(rows[left] >= 0) or set(np.flatnonzero(left & (rows >= 0))) == set(one.rows)
        left[one.rows] = False


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_later_objects_of_an_event_know_what_balances_those_before(seed):
    balance = {"kind": "field", "name": "balance", "field": "pt"}
    first = Unmatched(name="first", source="event", max_count=1, passes_on=True, conditioning=[NUMBER])
    second = Unmatched(name="event", source="event", relations={"phi": "angle"}, conditioning=[balance])
    unmatched, _, _, (hardest, others) = assigned(seed, [first, second])
    there = {field: np.zeros(EVENTS) for field in ("pt", "phi")}
    for row in hardest.rows:
        event = unmatched.event_rows[row]
        there["pt"][event] = unmatched["pt"][row]
        there["phi"][event] = wrap_angle(unmatched["phi"][row] + np.pi)
        same = unmatched.event_rows == event
        assert unmatched["pt"][row] == unmatched["pt"][same].max()
    assert hardest.counts.max(initial=0) <= 1
    assert others.objects.conditioning["balance"] == pytest.approx(there["pt"])
    assert np.cos(others.objects.objects["phi"] - there["phi"]) == pytest.approx(np.ones(EVENTS))
    assert sorted([*hardest.rows, *others.rows]) == list(range(len(unmatched)))


@pytest.mark.parametrize(
    "changes",
    [
        {"relations": {"phi": "angle"}},
        {"conditioning": [{"kind": "field", "name": "balance", "field": "pt"}]},
    ],
)
def test_the_first_of_an_event_has_nothing_to_balance(changes):
    declared = load_object("jets").model_dump(mode="json")
    declared["unmatched"] = [
        declared["unmatched"][-1] | {"conditioning": [NUMBER]} | {"relations": {}} | changes
    ]
    with pytest.raises(ValidationError, match="event: nothing is drawn of the event before it"):
        ObjectDeclaration.model_validate(declared)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_numbers_are_of_the_objects_of_the_source(seed):
    unmatched, matched, gen, found = assigned(seed)
    sizes = [len(matched), len(gen), EVENTS]
    assert [len(one.counts) for one in found] == sizes
    assert sum(one.counts.sum() for one in found) == len(unmatched)
    for one in found:
        assert np.array_equal(one.counts, np.bincount(one.source_rows, minlength=len(one.counts)))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_source_sees_what_is_drawn_before_it(seed):
    unmatched, matched, gen, (own, in_jet, event) = assigned(seed)
    before = matched.counts.astype(float)
    assert np.array_equal(own.objects.conditioning["nJet"], before[matched.event_rows])
    before += np.bincount(unmatched.event_rows[own.rows], minlength=EVENTS)
    assert np.array_equal(in_jet.objects.conditioning["nJet"], before[gen.event_rows])
    before += np.bincount(unmatched.event_rows[in_jet.rows], minlength=EVENTS)
    assert np.array_equal(event.objects.conditioning["nJet"], before)
    assert np.array_equal(in_jet.objects.conditioning["pt"], gen["pt"])


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), most=st.integers(1, 2))
def test_a_source_that_passes_on_keeps_the_hardest(seed, most):
    first = SOURCES[1].model_copy(update={"name": "first", "max_count": most, "passes_on": True})
    unmatched, _, _, (every, *_) = assigned(seed, SOURCES[1:])
    *_, (kept, others, _) = assigned(seed, [first, *SOURCES[1:]])
    assert kept.counts.tolist() == np.minimum(every.counts, most).tolist()
    assert sorted([*kept.rows, *others.rows]) == sorted(every.rows)
    owner = dict(zip(every.rows, every.source_rows, strict=True))
    pt = unmatched["pt"]
    assert [owner[row] for row in kept.rows] == kept.source_rows.tolist()
    for row in others.rows:
        assert np.all(pt[kept.rows[kept.source_rows == owner[row]]] >= pt[row])


def test_what_no_source_has_in_its_cone_is_left():
    unmatched, *_, found = assigned(3, SOURCES[:1])
    assert len(found) == 1
    assert 0 <= len(found[0].rows) < len(unmatched)


@pytest.mark.parametrize("events", [0, 3])
def test_no_objects(events):
    nothing = Collection.of_counts(
        np.zeros(events, dtype=np.int64), {field: np.zeros(0) for field in ("pt", "eta", "phi")}
    )
    chunk = GenChunk({"GenJet": nothing}, {}, events)
    found = list(assign_sources(SOURCES, chunk, "Jet", nothing, nothing))
    assert [len(one.objects.objects) for one in found] == [0, 0, events]
    assert all(len(one.rows) == 0 for one in found)
