from __future__ import annotations

import pickle

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashsim.nanoaod.branch import Branch
from flashsim.nanoaod.buffer import TreeBuffer, check_entries

BRANCHES = (
    Branch("event", np.dtype("u8")),
    Branch("Jet_pt", np.dtype("f4"), "Jet"),
    Branch("Jet_jetId", np.dtype("u1"), "Jet"),
)
counts = st.lists(st.integers(0, 4), max_size=30)


def arrays(numbers):
    numbers = np.asarray(numbers, dtype=np.int64)
    pt = ak.unflatten(np.arange(numbers.sum(), dtype=np.float64), numbers)
    return {"event": np.arange(len(numbers)), "Jet_pt": pt, "Jet_jetId": ak.values_astype(pt, np.int64) % 7}


def drained(buffer, size=10**9):
    pieces = list(buffer.drain(size))
    return {b.name: ak.concatenate([piece[b.name] for piece in pieces]) for b in BRANCHES} if pieces else {}


@given(st.lists(counts, max_size=5), st.integers(1, 500))
def test_entries_come_out_as_they_went_in(chunks, size):
    """Checked in another process or here, in one piece or many."""
    here, sent = TreeBuffer(BRANCHES), TreeBuffer(BRANCHES)
    for numbers in chunks:
        checked = check_entries("Events", BRANCHES, arrays(numbers))
        here.append(checked)
        sent.append(check_entries("Events", BRANCHES, pickle.loads(pickle.dumps(checked))))
    assert here.nbytes == sent.nbytes
    expected = [arrays(numbers) for numbers in chunks if numbers]
    one, other = drained(here), drained(sent, size)
    assert bool(one) == bool(expected)
    for branch in BRANCHES if expected else ():
        wanted = ak.concatenate([part[branch.name] for part in expected]).to_list()
        assert one[branch.name].tolist() == other[branch.name].tolist() == wanted
    assert drained(here) == {}


def test_what_is_checked_is_not_checked_again():
    checked = check_entries("Events", BRANCHES, arrays([1, 2]))
    assert check_entries("Runs", (), checked) is checked


def test_counts_of_a_collection_agree():
    wrong = arrays([1, 2]) | {"Jet_jetId": ak.unflatten(np.arange(3), [2, 1])}
    with pytest.raises(ValueError, match="found 1 in 'Jet_pt' and 2 in 'Jet_jetId' at entry 0"):
        check_entries("Events", BRANCHES, wrong)
