"""One gen event has one key wherever it stands; unrelated events never share one."""

from __future__ import annotations

from itertools import pairwise

import awkward as ak
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flashsim.events.identity import (
    CONTENTS,
    content_branches,
    content_hash,
    event_keys,
    identity_branches,
)
from flashsim.events.noise import EVENT_IDS, Stream, hash_events

JOBS, EVENTS = 100, 40


def job(seed, events=EVENTS, most=12):
    """Give gen events of a job that counts them from run 1, block 1, event 1, as all others do."""
    rng = np.random.default_rng(seed)
    arrays = {
        "run": np.ones(events, dtype=np.uint32),
        "luminosityBlock": np.ones(events, dtype=np.uint32),
        "event": np.arange(1, events + 1, dtype=np.uint64),
    }
    for collection, integer in (("GenPart", "pdgId"), ("GenJet", "mass")):
        counts = rng.integers(1, most, events)
        total = int(counts.sum())
        fields = {
            "pt": rng.exponential(30.0, total).astype(np.float32),
            "eta": rng.normal(0.0, 2.0, total).astype(np.float32),
            "phi": rng.uniform(-np.pi, np.pi, total).astype(np.float32),
            integer: rng.choice([-13, 13, 21, 511], total).astype(np.int32),
        }
        arrays |= {f"{collection}_{name}": ak.unflatten(values, counts) for name, values in fields.items()}
    arrays["GenJet_mass"] = ak.values_astype(arrays["GenJet_mass"], np.float32)
    return arrays


def without(arrays, start):
    return {name: values for name, values in arrays.items() if not name.startswith(start)}


@settings(max_examples=30)
@given(cuts=st.lists(st.integers(0, EVENTS), max_size=6), order=st.permutations(range(EVENTS)))
def test_keys_do_not_depend_on_cuts_and_order(cuts, order):
    arrays = job(1)
    whole = event_keys(arrays)
    edges = [0, *sorted(cuts), EVENTS]
    parts = [event_keys({n: v[a:b] for n, v in arrays.items()}) for a, b in pairwise(edges)]
    assert np.array_equal(np.concatenate(parts), whole)
    assert np.array_equal(event_keys({n: v[list(order)] for n, v in arrays.items()}), whole[list(order)])


@pytest.mark.parametrize("of_integers", [np.int16, np.int32, np.int64])
@pytest.mark.parametrize("of_numbers", [np.float32, np.float64])
def test_keys_do_not_depend_on_the_types_of_branches(of_integers, of_numbers):
    """Versions differ in the types of whole numbers; arrays in memory have what they have."""
    arrays = job(1)
    other = {
        name: ak.values_astype(values, of_integers if name.endswith(("pdgId", "event")) else of_numbers)
        for name, values in arrays.items()
        if name.startswith("Gen")
    }
    ids = {name: arrays[name].astype(np.int64) for name in EVENT_IDS}
    assert np.array_equal(event_keys(ids | other), event_keys(arrays))


@pytest.mark.parametrize("name", [*EVENT_IDS, *CONTENTS[0]])
def test_every_branch_counts(name):
    arrays = job(1)
    other = arrays | {
        name: arrays[name] + np.ones(1, dtype=arrays[name].type.content.content.primitive)[0]
        if name.startswith("Gen")
        else arrays[name] + arrays[name].dtype.type(1)
    }
    assert not np.any(event_keys(other) == event_keys(arrays))


def test_every_value_counts_and_no_other_event():
    arrays = job(1)
    counts = ak.num(arrays["GenPart_pt"]).to_numpy()
    flat = ak.to_numpy(ak.flatten(arrays["GenPart_pt"]))
    before = event_keys(arrays)
    owners = np.repeat(np.arange(EVENTS), counts)
    for row, owner in enumerate(owners):
        values = flat.copy()
        values[row] = np.nextafter(values[row], np.float32(1e9))
        changed = event_keys(arrays | {"GenPart_pt": ak.unflatten(values, counts)}) != before
        assert np.flatnonzero(changed).tolist() == [owner]


def test_order_of_particles_and_their_number_count():
    """A zero at the end, or two particles that change places, make another event."""
    arrays = job(1) | {
        name: ak.Array(values)
        for name, values in {
            "GenPart_pt": [[1.0, 2.0], [2.0, 1.0], [1.0, 2.0, 0.0], [], [0.0]],
            "GenPart_eta": [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0, 0.0], [], [0.0]],
            "GenPart_phi": [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0, 0.0], [], [0.0]],
            "GenPart_pdgId": [[0, 0], [0, 0], [0, 0, 0], [], [0]],
        }.items()
    }
    assert len(np.unique(content_hash({name: arrays[name] for name in CONTENTS[0]}))) == 5


def test_jets_stand_for_the_content_where_there_are_no_particles():
    arrays = job(1)
    jets = without(arrays, "GenPart_")
    assert content_branches(arrays) == CONTENTS[0]
    assert content_branches(jets) == CONTENTS[1]
    assert identity_branches(jets) == [*EVENT_IDS, *CONTENTS[1]]
    moved = jets | {"GenJet_phi": jets["GenJet_phi"] + np.float32(0.5)}
    assert not np.any(event_keys(moved) == event_keys(jets))
    # All of a group or none of it: what stands for an event must not hang on what else was read.
    assert content_branches(without(arrays, "GenPart_pdgId")) == CONTENTS[1]
    assert np.array_equal(event_keys(without(arrays, "GenPart_pdgId")), event_keys(jets))


def test_numbers_tell_events_apart_where_there_is_no_content():
    arrays = without(job(1), "Gen")
    assert content_branches(arrays) == ()
    assert len(np.unique(event_keys(arrays))) == EVENTS


def test_branches_of_different_lengths_are_read_within_their_own():
    """A damaged file is refused elsewhere; here nothing may be read from beyond the end."""
    arrays = job(1)
    event_keys(arrays | {"GenPart_pdgId": arrays["GenPart_pdgId"][:, :1]})


def test_events_of_many_jobs_have_keys_of_their_own():
    keys = np.concatenate([event_keys(job(seed, 500)) for seed in range(200)])
    assert len(np.unique(keys)) == len(keys)
    # As random numbers: each of the 64 bits is set in half of all keys, within 5 sigma.
    bits = np.unpackbits(keys.view(np.uint8).reshape(-1, 8), axis=1)
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 5 * 0.5 / np.sqrt(len(keys))


def shared_part(values):
    """Correlation of numbers at equal places of different jobs, and its error without any; shape (J, N)."""
    z = (values - values.mean()) / values.std()
    jobs, places = z.shape
    products = (z.sum(axis=0) ** 2 - (z**2).sum(axis=0)).sum()
    return products / (jobs * (jobs - 1) * places), (0.5 * jobs * (jobs - 1) * places) ** -0.5


@pytest.mark.parametrize(
    ("keys", "shared"), [(event_keys, False), (hash_events, True)], ids=["keys", "numbers"]
)
def test_a_hundred_jobs_share_no_noise(keys, shared):
    """All of them count their events alike; by their numbers alone, all of them have one noise."""
    stream = Stream(1, "Jet", "flow")
    draws = [stream.normal(keys(job(seed)), np.zeros(EVENTS, np.int64), 1)[:, 0] for seed in range(JOBS)]
    correlation, error = shared_part(np.array(draws))
    assert error < 0.003
    if shared:
        assert correlation > 0.99
    else:
        assert abs(correlation) < 4 * error
