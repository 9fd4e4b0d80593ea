from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashsim.nanoaod.branch import Branch
from flashsim.nanoaod.casting import cast, flatten

INTEGERS = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]


@given(st.sampled_from(INTEGERS), st.sampled_from(["int64", "uint64"]), st.data())
def test_integers_are_kept_exactly_or_refused(target, source, data):
    info = np.iinfo(source)
    numbers = data.draw(st.lists(st.integers(int(info.min), int(info.max)), min_size=1, max_size=5))
    values, dtype = np.array(numbers, dtype=source), np.dtype(target)
    if all(int(np.iinfo(target).min) <= n <= int(np.iinfo(target).max) for n in numbers):
        assert cast(values, dtype, "x").tolist() == numbers
    else:
        with pytest.raises(ValueError, match="'Jet_x'"):
            cast(values, dtype, "Jet_x")


@given(st.sampled_from(INTEGERS), st.sampled_from(["float32", "float64"]), st.data())
def test_floats_become_integers_exactly_or_not_at_all(target, source, data):
    number = data.draw(st.floats(width=int(source[-2:])))
    values, info = np.array([number], dtype=source), np.iinfo(target)
    if np.isfinite(number) and number == int(number) and int(info.min) <= int(number) <= int(info.max):
        assert int(cast(values, np.dtype(target), "x")[0]) == int(number)
    else:
        with pytest.raises(ValueError, match="'x'"):
            cast(values, np.dtype(target), "x")


@pytest.mark.parametrize("bad", [2, -1, 0.5, np.nan, np.inf])
def test_only_zero_and_one_are_booleans(bad):
    assert cast(np.array([0, 1]), np.dtype(bool), "x").tolist() == [False, True]
    assert cast(np.array([0.0, 1.0]), np.dtype(bool), "x").tolist() == [False, True]
    with pytest.raises(ValueError, match="'Muon_looseId'"):
        cast(np.array([1, bad]), np.dtype(bool), "Muon_looseId")


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_floats_may_be_anything_but_too_large(special):
    np.testing.assert_array_equal(cast(np.array([special]), np.dtype("f4"), "x"), np.array([special], "f4"))
    with pytest.raises(ValueError, match="1e\\+39"):
        cast(np.array([1e39]), np.dtype("f4"), "x")


def test_booleans_count_as_numbers():
    assert cast(np.array([True, False]), np.dtype("uint8"), "x").tolist() == [1, 0]


def test_refuses_text():
    with pytest.raises(ValueError, match="'x'"):
        cast(np.array(["a"]), np.dtype("f4"), "x")


JAGGED = Branch("Jet_pt", np.dtype("f4"), "Jet")
FLAT = Branch("run", np.dtype("u4"))


def test_flatten_keeps_empty_lists():
    counts, values = flatten(ak.Array([[1.0, 2.0], [], [3.0]]), JAGGED)
    assert counts.tolist() == [2, 0, 1]
    assert values.tolist() == [1, 2, 3]
    assert values.dtype == np.float32


@pytest.mark.parametrize("array", [ak.Array([]), ak.Array([[]])[:0], np.zeros(0), np.zeros((0, 2))])
def test_flatten_takes_no_events_of_any_type(array):
    counts, values = flatten(array, JAGGED)
    assert counts.tolist() == values.tolist() == []


def test_flatten_takes_only_empty_lists():
    counts, values = flatten(ak.Array([[], []]), JAGGED)
    assert counts.tolist() == [0, 0]
    assert len(values) == 0


def test_flatten_takes_as_many_values_in_every_event():
    counts, _ = flatten(np.ones((3, 2)), JAGGED)
    assert counts.tolist() == [2, 2, 2]


@pytest.mark.parametrize("array", [ak.Array([[1.0], None]), ak.Array([[1.0], [None]])])
def test_flatten_refuses_missing_values_in_lists(array):
    with pytest.raises(ValueError, match=r"'Jet_pt'.*missing"):
        flatten(array, JAGGED)


def test_flatten_refuses_missing_values_of_events():
    with pytest.raises(ValueError, match=r"'run'.*missing"):
        flatten(ak.Array([1, None]), FLAT)
    with pytest.raises(ValueError, match=r"'run'.*missing"):
        flatten(np.ma.MaskedArray([1, 2], mask=[False, True]), FLAT)


def test_flatten_takes_optional_types_that_are_complete():
    counts, values = flatten(ak.Array([[1.0], None, [2.0]])[[0, 2]], JAGGED)
    assert counts.tolist() == [1, 1]
    assert values.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("array", "branch"), [(np.zeros(2), JAGGED), (ak.Array([[1], [2]]), FLAT), (ak.Array([[[1]]]), JAGGED)]
)
def test_flatten_refuses_the_wrong_depth(array, branch):
    with pytest.raises(ValueError, match=f"'{branch.name}' needs one"):
        flatten(array, branch)
