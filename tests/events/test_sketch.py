from __future__ import annotations

from itertools import pairwise

import awkward as ak
import numpy as np
import pytest

from flashsim.events.sketch import EventSketch, same_numbers

from .test_identity import job, without


def sketch(arrays, *cuts):
    """Sketch events in chunks."""
    total = EventSketch()
    for start, stop in pairwise([0, *cuts, len(arrays["event"])]):
        total += EventSketch.of({name: values[start:stop] for name, values in arrays.items()})
    return total


def test_chunks_change_nothing():
    arrays = job(1, 2000)
    whole, cut = sketch(arrays), sketch(arrays, 0, 7, 900, 1999)
    assert np.array_equal(whole.events, cut.events)
    assert 128 < len(whole.events) <= 256
    order = np.random.default_rng(1).permutation(2000)
    assert np.array_equal(sketch({n: v[order] for n, v in arrays.items()}).events, whole.events)


@pytest.mark.parametrize("lengths", [(40, 40), (3000, 40), (40, 3000), (3000, 5000), (100, 200_000)])
def test_other_events_of_the_same_numbers_are_named(lengths):
    sketches = {f"{seed}.root": sketch(job(seed, events)) for seed, events in enumerate(lengths)}
    assert same_numbers(sketches).startswith("1.root: its events and those of 0.root carry the same run,")


def test_many_inputs_are_one_sentence():
    text = same_numbers({f"{seed}.root": sketch(job(seed)) for seed in range(30)})
    assert "(and 28 more inputs)" in text
    assert "\n" not in text
    assert len(text) < 300


def test_a_file_of_several_jobs_is_named():
    one, other = job(1, 30), job(2, 30)
    both = {name: np.concatenate([one[name], other[name]]) for name in ("run", "luminosityBlock", "event")}
    both |= {name: ak.concatenate([one[name], other[name]]) for name in one if name.startswith("Gen")}
    assert same_numbers({"both.root": sketch(both, 20)}).startswith(
        "both.root: its own events carry the same"
    )


@pytest.mark.parametrize(
    "other",
    [
        job(1),
        job(2) | {"luminosityBlock": np.full(40, 2)},
        None,
    ],
    ids=["the same events", "other numbers", "no events"],
)
def test_what_is_the_same_or_numbered_apart_is_not(other):
    second = sketch(other) if other else EventSketch()
    assert same_numbers({"a.root": sketch(job(1)), "b.root": second}) == ""


def test_files_with_other_gen_branches_cannot_be_compared():
    assert same_numbers({"a.root": sketch(job(1)), "b.root": sketch(without(job(1), "GenPart_"))}) == ""
    bare = {f"{seed}.root": sketch(without(job(seed), "Gen")) for seed in (1, 2)}
    assert same_numbers(bare) == ""
