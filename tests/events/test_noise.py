from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest, norm

from flashsim.events.noise import Stream, _philox, event_hash


def events(count, first=0):
    return event_hash(np.ones(count, int), np.full(count, 3), first + np.arange(count))


# Known answers of the Random123 distribution, kat_vectors, philox4x32-10.
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((0,) * 6, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 6, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_gives_the_known_answers(words, expected):
    assert tuple(int(word) for word in _philox(*(np.uint64(word) for word in words))) == expected


@settings(max_examples=30)
@given(
    cuts=st.lists(st.integers(0, 50), max_size=6),
    columns=st.integers(1, 9),
    order=st.permutations(range(50)),
    normal=st.booleans(),
)
def test_draws_do_not_depend_on_cuts_and_order(cuts, columns, order, normal):
    stream = Stream(seed=7, collection="Jet", purpose="flow")
    draw = stream.normal if normal else stream.uniform
    keys, index = np.repeat(events(10), 5), np.tile(np.arange(5), 10)
    whole = draw(keys, index, columns)
    edges = [0, *sorted(cuts), 50]
    pieces = [draw(keys[a:b], index[a:b], columns) for a, b in pairwise(edges)]
    assert np.array_equal(np.concatenate(pieces), whole)
    assert np.array_equal(draw(keys[order], index[order], columns), whole[list(order)])


def test_more_numbers_do_not_change_the_first():
    stream = Stream(1, "Jet", "flow")
    keys, index = events(20), np.arange(20)
    assert np.array_equal(stream.uniform(keys, index, 9)[:, :5], stream.uniform(keys, index, 5))


def test_uniform_numbers_are_uniform():
    u = Stream(1, "Jet", "efficiency").uniform(events(20_000), np.zeros(20_000, int), 5)
    assert u.min() > 0.0
    assert u.max() < 1.0
    assert kstest(u.ravel(), "uniform").statistic < 0.01
    assert np.abs(np.corrcoef(u.T) - np.eye(5)).max() < 0.04


def test_normal_numbers_are_normal():
    z = Stream(1, "Jet", "flow").normal(events(20_000), np.zeros(20_000, int), 5)
    assert kstest(z.ravel(), norm.cdf).statistic < 0.01
    assert np.mean(z**4) == pytest.approx(3.0, abs=0.15)
    # Box and Muller make pairs: neither they nor their squares may be correlated.
    assert np.abs(np.corrcoef(z.T) - np.eye(5)).max() < 0.04
    assert np.abs(np.corrcoef((z**2).T) - np.eye(5)).max() < 0.04


@pytest.mark.parametrize(
    "other",
    [
        Stream(2, "Jet", "flow"),
        Stream(1, "Muon", "flow"),
        Stream(1, "Jet", "efficiency"),
        Stream(1, "Jet", "flow", fold=1),
    ],
    ids=["seed", "collection", "purpose", "fold"],
)
def test_streams_are_independent(other):
    keys, index = events(20_000), np.zeros(20_000, int)
    one, two = Stream(1, "Jet", "flow").normal(keys, index, 1), other.normal(keys, index, 1)
    assert not np.any(one == two)
    assert abs(np.corrcoef(one[:, 0], two[:, 0])[0, 1]) < 0.04


def test_objects_of_an_event_and_events_are_independent():
    stream = Stream(1, "Jet", "flow")
    first, second = (stream.normal(events(20_000), np.full(20_000, i), 1)[:, 0] for i in (0, 1))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.04
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 0.04


@pytest.mark.parametrize("bit", [*range(0, 64, 7), 31, 32, 33])
def test_every_bit_of_the_hash_of_an_event_counts(bit):
    stream, keys = Stream(1, "Jet", "flow"), events(200)
    one, other = (stream.uniform(k, np.zeros(200, int), 4) for k in (keys, keys ^ np.uint64(1 << bit)))
    assert not np.any(one == other)


def test_no_objects_need_no_numbers():
    assert Stream(1, "Jet", "flow").normal(events(0), np.zeros(0, int), 3).shape == (0, 3)


def test_an_event_is_hashed_whatever_the_integer_type():
    numbers = (np.array([1, 362104]), np.array([5, 7]), np.array([3, 2**31 - 1]))
    hashes = [event_hash(*(n.astype(t) for n in numbers)) for t in (np.int64, np.uint32, np.uint64)]
    assert np.array_equal(hashes[0], hashes[1])
    assert np.array_equal(hashes[0], hashes[2])


def test_events_have_hashes_of_their_own():
    run, block, event = (x.ravel() for x in np.meshgrid(np.arange(20), np.arange(50), np.arange(200)))
    assert len(np.unique(event_hash(run, block, event))) == len(run)
