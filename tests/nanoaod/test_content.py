from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import uproot
from hypothesis import given
from hypothesis import strategies as st

from flashsim.errors import InputFileError
from flashsim.nanoaod.arrays import EventArrays
from flashsim.nanoaod.reading import NanoFile

COUNTS = np.array([3, 0, 2, 4])
IDS = {"run": np.full(4, 7, "u4"), "luminosityBlock": np.arange(4, dtype="u4"), "event": np.arange(10, 14)}
MOTHER = "GenPart_genPartIdxMother"


def lists(values, counts=COUNTS):
    return ak.unflatten(values, counts)


def gen():
    """Branches of four events, all right."""
    n = COUNTS.sum()
    index = ak.local_index(lists(np.zeros(n)))
    return IDS | {
        "GenMET_pt": np.ones(4, "f4"),
        "GenPart_pt": lists(np.arange(n, dtype="f4")),
        "GenPart_eta": lists(np.zeros(n, "f4")),
        "GenPart_pdgId": lists(np.full(n, -13, "i4")),
        MOTHER: ak.values_astype(index - 1, "i2"),
        "GenJet_pt": lists(np.ones(4, "f4"), [0, 2, 1, 1]),
    }


def without_last(name, event):
    values = gen()[name].tolist()
    values[event] = values[event][:-1]
    return ak.values_astype(ak.Array(values), gen()[name].type.content.content.primitive)


def with_value(name, event, index, value, dtype=None):
    values = gen()[name]
    flat = ak.to_numpy(ak.flatten(values, axis=None)).astype(dtype or values.type.content.content.primitive)
    flat[COUNTS[:event].sum() + index] = value
    return lists(flat)


def tree(path, columns):
    """Write a TTree whose branches have a counter each."""
    with uproot.recreate(path) as file:
        file.mktree("Events", {n: ak.type(ak.Array(c)).content for n, c in columns.items()}).extend(columns)
    return path


def ntuple(path, columns):
    with uproot.recreate(path) as file:
        file["Events"] = columns
    return path


def read(path, size=2):
    with NanoFile(path) as file:
        for _ in file.chunks(list(file.branches), size, needed=list(file.branches)):
            pass


def in_memory(columns, size=2):
    events = EventArrays(ak.zip(columns, depth_limit=1), "memory.root")
    for _ in events.chunks(list(events.branches), size, needed=list(events.branches)):
        pass


@pytest.fixture(params=["TTree", "RNTuple", "memory"])
def check(request, tmp_path):
    """Read branches that are held in one of the ways in which events can be."""
    if request.param == "memory":
        return in_memory
    write = tree if request.param == "TTree" else ntuple
    return lambda columns, size=2: read(write(tmp_path / "x.root", columns), size)


CASES = {
    "short": ("GenPart_pdgId", without_last("GenPart_pdgId", 2), r"has 1 values in entry 2 .* expected 2 as"),
    "mothers short": (MOTHER, without_last(MOTHER, 3), r"has 3 values in entry 3 .* expected 4 as GenPart_"),
    "long": (
        "GenPart_eta",
        lists(np.zeros(10, "f4"), [3, 1, 2, 4]),
        r"has 1 values in entry 1 .* expected 0 as GenPart_",
    ),
    "nan": (
        "GenPart_pt",
        with_value("GenPart_pt", 2, 1, np.nan),
        r"is NaN or infinite in 1 of 9 values, first in entry 2 \(run 7, luminosityBlock 2, event 12\)",
    ),
    "infinity": (
        "GenPart_eta",
        with_value("GenPart_eta", 0, 0, -np.inf),
        r"is NaN or infinite in 1 of 9 .*entry 0",
    ),
    "nan, one for each event": (
        "GenMET_pt",
        np.array([1, np.nan, 1, np.nan], "f4"),
        r"is NaN or infinite in 2 of 4 values, first in entry 1 \(run 7",
    ),
    "sign lost": (
        "GenPart_pdgId",
        ak.values_astype(with_value("GenPart_pdgId", 3, 2, 13), "u4"),
        r"is above 2147483647, as negative numbers are in uint32, in 8 of 9 values, first in entry 0",
    ),
    "no such mother": (
        MOTHER,
        with_value(MOTHER, 2, 0, 2),
        r"is 2 in entry 2 .*, expected -1 or .* its 2 particles",
    ),
    "negative mother": (MOTHER, with_value(MOTHER, 3, 1, -2), r"is -2 in entry 3 .*, expected -1 or"),
    "own mother": (MOTHER, with_value(MOTHER, 3, 1, 1), r"leads in a circle from particle 1 of entry 3"),
    "circle": (MOTHER, with_value(MOTHER, 3, 0, 3), r"leads in a circle from particle 0 of entry 3"),
}


def test_right_content_is_taken(check):
    for size in (1, 3, 100):
        check(gen(), size)


@pytest.mark.parametrize("size", [1, 2, 100])
@pytest.mark.parametrize("case", CASES)
def test_wrong_content_is_refused_whatever_the_chunks(check, case, size):
    name, values, sentence = CASES[case]
    with pytest.raises(InputFileError, match=rf"^\S*\.root: {name} {sentence}") as error:
        check(gen() | {name: values}, size)
    assert "\n" not in str(error.value)


def test_what_is_not_computed_with_may_be_anything(tmp_path):
    path = tree(tmp_path / "x.root", gen() | {"GenJet_pt": lists(np.full(4, np.nan, "f4"), [0, 2, 1, 1])})
    with NanoFile(path) as file:
        names = list(file.branches)
        assert [stop for _, stop, _ in file.chunks(names, 3, needed=["GenPart_pt"])] == [3, 4]
        assert np.isnan(ak.to_numpy(ak.flatten(file.read(names)["GenJet_pt"]))).all()
        with pytest.raises(InputFileError, match="GenJet_pt is NaN or infinite in 4 of 4 values"):
            file.read(names, needed=["GenJet_pt"])


def test_a_counter_that_says_something_else_is_refused(tmp_path):
    path = tmp_path / "x.root"
    with uproot.recreate(path, compression=None) as file:
        columns = {
            "event": np.arange(4),
            "GenPart": ak.zip({"pt": gen()["GenPart_pt"], "eta": gen()["GenPart_eta"]}),
        }
        file.mktree("Events", {"event": "u8", "GenPart": columns["GenPart"].type.content}).extend(columns)
    said, other = COUNTS.astype(">i4").tobytes(), np.array([3, 0, 5, 1], ">i4").tobytes()
    assert path.read_bytes().count(said) == 1
    path.write_bytes(path.read_bytes().replace(said, other))
    with pytest.raises(
        InputFileError, match=r"GenPart_pt has 2 values in entry 2 .*expected 5 as its counter nGenPart"
    ):
        read(path)


def test_a_number_beside_vectors_counts_them(tmp_path):
    path = ntuple(tmp_path / "x.root", gen() | {"nGenJet": np.array([0, 2, 1, 2], "i4")})
    with pytest.raises(
        InputFileError, match=r"GenJet_pt has 1 values in entry 3 .*expected 2 as its counter nGenJet"
    ):
        read(path)


@given(st.lists(st.integers(-1, 5), min_size=6, max_size=6), st.integers(1, 5))
def test_circles_are_those_that_a_walk_does_not_leave(mothers, events):
    def ends(particle):
        for _ in range(len(mothers) + 1):
            if particle < 0:
                return True
            particle = mothers[particle]
        return False

    columns = {MOTHER: ak.Array([[-1, 0]] * (events - 1) + [mothers]), "event": np.arange(events)}
    if all(map(ends, range(len(mothers)))):
        in_memory(columns, 3)
    else:
        with pytest.raises(InputFileError, match=f"in a circle from particle . of entry {events - 1}"):
            in_memory(columns, 3)
