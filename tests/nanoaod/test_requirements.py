from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import uproot

from flashsim.errors import InputFileError
from flashsim.nanoaod.arrays import EventArrays
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.requirements import require_branches
from flashsim.nanoaod.schema import VERSIONS, load_schema

LISTS = ak.Array([[1.0, 2.0], [], [3.0]])
FLAT = np.arange(3)


def require(name, values):
    events = EventArrays(ak.zip({"run": FLAT, name: values}, depth_limit=1), "here")
    require_branches(events, [name], "to test")


@pytest.mark.parametrize("version", VERSIONS)
def test_what_versions_have_is_right(version):
    class File:
        path, branches, unsupported = version, load_schema(version), {}

        def has(self, name):
            return name in self.branches

    require_branches(File(), sorted(File.branches), "to test")


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("GenJet_pt", "f8"),
        ("GenPart_pdgId", "i8"),
        ("GenPart_statusFlags", "u4"),
        ("Pileup_nTrueInt", "i4"),
        ("event", "i8"),
        ("Muon_mediumId", "u1"),
    ],
)
def test_what_holds_the_same_numbers_is_taken(name, dtype):
    jagged = name.startswith(("GenJet", "GenPart", "Muon"))
    require(name, ak.values_astype(LISTS, dtype) if jagged else FLAT.astype(dtype))


@pytest.mark.parametrize(
    ("name", "values", "found", "expected"),
    [
        ("GenJet_eta", FLAT.astype("f4"), "float32, one for each event", "float32, a list for each event"),
        ("GenMET_pt", LISTS, "float64, a list for each event", "float32, one for each event"),
        ("GenPart_pdgId", LISTS, "float64, a list", "int32, a list"),
        ("event", FLAT.astype("f8"), "float64, one", "uint64, one"),
        ("GenJet_pt", LISTS > 1, "bool, a list", "float32, a list"),
        ("GenPart_pdgId", LISTS > 1, "bool, a list", "int32, a list"),
        ("Muon_mediumId", LISTS, "float64, a list", "bool, a list"),
        ("GenPart_genPartIdxMother", LISTS, "float64, a list", "int16 or int32, a list"),
        ("GenJet_pt", LISTS[:, np.newaxis], "of type ", "float32, a list"),
        ("GenJet_pt", ak.Array(["a", "b", "c"]), "of type string", "float32, a list"),
        ("GenJet_pt", ak.mask(LISTS, [True, False, True]), r"of type option\[", "float32, a list"),
        ("myOwn", ak.Array(["a", "b", "c"]), "of type string", "numbers, one or a list"),
    ],
)
def test_other_kinds_are_refused(name, values, found, expected):
    with pytest.raises(
        InputFileError, match=rf"^here: {name} is {found}.*expected {expected}.*\(to test\)"
    ) as e:
        require(name, values)
    assert "\n" not in str(e.value)


def test_fixed_arrays_and_texts_in_files_are_refused(tmp_path):
    path = tmp_path / "x.root"
    with uproot.recreate(path) as file:
        tree = file.mktree("Events", {"event": "u8", "GenMET_pt": np.dtype(("f4", (3,))), "run": "string"})
        tree.extend({"event": np.arange(2), "GenMET_pt": np.ones((2, 3)), "run": ak.Array(["a", "b"])})
    with NanoFile(path) as file:
        for name, found in {"GenMET_pt": r"float\[3\]", "run": r"char\*"}.items():
            with pytest.raises(InputFileError, match=rf"x\.root: {name} is of type {found}, expected"):
                require_branches(file, ["event", name], "to test")


def test_two_branches_of_one_name_are_refused(tmp_path):
    path = tmp_path / "x.root"
    with uproot.recreate(path, compression=None) as file:
        tree = file.mktree("Events", {"event": "u8", "GenMET_pt": "f4", "GenMET_pT": "f4"})
        tree.extend({"event": np.arange(2), "GenMET_pt": [1.0, 2.0], "GenMET_pT": [3.0, 4.0]})
    path.write_bytes(path.read_bytes().replace(b"GenMET_pT", b"GenMET_pt"))
    with NanoFile(path) as file:
        require_branches(file, ["event"], "to test")
        with pytest.raises(
            InputFileError, match=r"x\.root: GenMET_pt is there 2 times, expected float32, one"
        ):
            require_branches(file, ["event", "GenMET_pt"], "to test")
        with pytest.raises(InputFileError, match=r"x\.root: branch 'GenMET_pt' is there 2 times"):
            file.read(["GenMET_pt"])
