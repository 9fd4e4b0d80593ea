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

COUNTED = """
#include <TFile.h>
#include <TTreeReader.h>
#include <TTreeReaderValue.h>
#include <ROOT/RDataFrame.hxx>

template <class Number> unsigned long long flashsim_sum(const char* path, const char* counter) {
  TFile file(path);
  TTreeReader reader("Events", &file);
  TTreeReaderValue<Number> number(reader, counter);
  unsigned long long sum = 0;
  while (reader.Next()) sum += *number;
  return number.GetSetupStatus() == 0 ? sum : 0;
}

template <class Number> unsigned long long flashsim_lambda(const char* path, const char* counter) {
  ROOT::RDataFrame frame("Events", path);
  auto sum = frame.Define("flashsim_number", [](Number n) { return (unsigned long long)n; }, {counter})
                 .template Sum<unsigned long long>("flashsim_number");
  return *sum;
}
"""
"""How analyses in C++ read counters: by their type, which the compiler cannot check."""

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


@pytest.mark.parametrize(("version", "kind"), [("v9", "UInt_t"), ("v12", "Int_t"), ("v15", "Int_t")])
def test_compiled_code_reads_counters_by_the_type_of_the_version(
    make_generator, made_nanoaod, tmp_path, version, kind
):
    output = tmp_path / "flash.root"
    make_generator().run(made_nanoaod, output, version=version)
    if not hasattr(ROOT, "flashsim_sum"):
        assert ROOT.gInterpreter.Declare(COUNTED)
    with NanoFile(output) as file:
        lengths = {f"n{branch.collection}": branch.name for branch in file.branches.values() if branch.jagged}
        arrays = file.read(list(lengths.values()))
    assert {"nJet", "nMuon", "nGenPart", "nLHEPdfWeight"} <= lengths.keys()
    for counter, branch in lengths.items():
        expected = ak.count(arrays[branch])
        assert ROOT.flashsim_sum[kind](str(output), counter) == expected > 0, counter
        assert ROOT.flashsim_lambda[kind](str(output), counter) == expected, counter
