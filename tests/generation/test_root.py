"""ROOT reads what is generated as uproot does; needs the extra 'root'."""

from __future__ import annotations

import warnings

import awkward as ak
import numpy as np
import pytest

from flashsim.nanoaod.reading import NanoFile

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # that the package of ROOT is an early one
    ROOT = pytest.importorskip("ROOT", reason="needs ROOT: pip install '.[root]'")

NAMES = {
    "bool": "Bool_t",
    "int8": "Char_t",
    "uint8": "UChar_t",
    "int16": "Short_t",
    "uint16": "UShort_t",
    "int32": "Int_t",
    "uint32": "UInt_t",
    "int64": "Long64_t",
    "uint64": "ULong64_t",
    "float32": "Float_t",
    "float64": "Double_t",
}
"""What ROOT calls the types of branches."""


@pytest.fixture(scope="module", params=[1, 2], ids=["once", "oversampled"])
def path(request, make_generator, made_nanoaod, tmp_path_factory):
    output = tmp_path_factory.mktemp("root") / "flash.root"
    make_generator(oversample=request.param).run(made_nanoaod, output)
    return output


@pytest.fixture(scope="module")
def frame(path):
    return ROOT.RDataFrame("Events", str(path))


def test_columns_and_types(frame, path):
    with NanoFile(path) as file:
        branches = file.branches
    counters = {f"n{branch.collection}" for branch in branches.values() if branch.jagged}
    assert {str(name) for name in frame.GetColumnNames()} == branches.keys() | counters
    for name, branch in branches.items():
        expected = NAMES[branch.dtype.name]
        kind = str(frame.GetColumnType(name))
        assert kind in {f"ROOT::VecOps::RVec<{expected}>", expected}, name
        assert kind.startswith("ROOT::VecOps::RVec") == branch.jagged, name


def test_sums(frame, path):
    with NanoFile(path) as file:
        branches = file.branches
        arrays = file.read(list(branches))
    # Doubles and whole events, so that both add the same numbers; all booked before the one loop over them.
    booked = {}
    for number, (name, branch) in enumerate(branches.items()):
        added = f"std::accumulate({name}.begin(), {name}.end(), 0.0)" if branch.jagged else f"double({name})"
        booked[name] = frame.Define(f"sum_{number}", added).Sum(f"sum_{number}")
    count = frame.Count()
    for name, total in booked.items():
        values = np.asarray(ak.flatten(arrays[name], axis=None)).astype(np.float64)
        assert total.GetValue() == pytest.approx(values.sum(), rel=1e-12, abs=1e-12 * np.abs(values).sum()), (
            name
        )
    assert count.GetValue() == len(arrays["event"])


def test_collections_have_one_length(frame, path):
    with NanoFile(path) as file:
        jagged = [branch for branch in file.branches.values() if branch.jagged]
    unequal = " || ".join(f"{b.name}.size() != n{b.collection}" for b in jagged)
    assert frame.Filter(unequal).Count().GetValue() == 0


def test_other_trees_and_provenance(path):
    file = ROOT.TFile.Open(str(path))
    assert file.Get("Runs").GetEntries() == 2
    assert '"seed": 1' in str(file.Get("flashsim").GetString())
    file.Close()
