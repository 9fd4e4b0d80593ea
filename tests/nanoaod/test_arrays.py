from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

from flashsim.errors import InputFileError
from flashsim.nanoaod.arrays import EventArrays, records
from flashsim.nanoaod.branch import Branch
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.requirements import require_branches

PT = ak.values_astype(ak.Array([[3.0, 2.0], [], [1.0]]), np.float32)
FLAG = PT > 1.5


def test_a_field_a_branch_is_read_as_the_file_is(made_nanoaod):
    with NanoFile(made_nanoaod) as file:
        arrays = file.read(list(file.branches))
        counters = {
            f"n{b.collection}": ak.num(arrays[b.name]) for b in file.branches.values() if b.collection
        }
        events = EventArrays(ak.Array(arrays | counters))
        kinds = {name: (b.dtype, b.collection) for name, b in file.branches.items()}
    assert {name: (b.dtype, b.collection) for name, b in events.branches.items()} == kinds
    assert events.num_entries == 240
    for start, stop, found in events.chunks(["GenJet_pt", "event"], 100):
        assert found["GenJet_pt"].tolist() == arrays["GenJet_pt"][start:stop].tolist()
        assert found["event"].tolist() == arrays["event"][start:stop].tolist()
    assert stop == 240


def test_a_field_a_collection():
    jets = ak.zip({"pt": PT, "good": FLAG, "genJetIdxG": PT, "muonIdx1": PT})
    met = ak.zip({"pt": np.ones(3), "phi": np.zeros(3)})
    events = EventArrays(ak.zip({"Jet": jets, "MET": met, "Weight": PT, "run": [1, 2, 3]}, depth_limit=1))
    assert list(events.branches.values()) == [
        Branch("Jet_pt", np.dtype("f4"), "Jet"),
        Branch("Jet_good", np.dtype("bool"), "Jet"),
        Branch("Jet_muonIdx1", np.dtype("f4"), "Jet"),
        Branch("MET_pt", np.dtype("f8")),
        Branch("MET_phi", np.dtype("f8")),
        Branch("Weight", np.dtype("f4"), "Weight"),
        Branch("run", np.dtype("i8")),
    ]
    assert events.column("Jet_good").tolist() == FLAG.tolist()


def test_collections_without_a_counter_are_those_of_the_names():
    events = EventArrays(ak.zip({"Jet_pt": PT, "My_Jet_pt": PT, "nMy_Jet": [2, 0, 1]}, depth_limit=1))
    assert {name: b.collection for name, b in events.branches.items()} == {
        "Jet_pt": "Jet",
        "My_Jet_pt": "My_Jet",
    }


@pytest.mark.parametrize("values", [ak.mask(PT, FLAG), PT[:, np.newaxis], ak.Array(["a", "b", "c"])])
def test_what_no_branch_can_be(values):
    events = EventArrays(ak.zip({"Jet_pt": values, "run": [1, 2, 3]}, depth_limit=1), "here")
    assert events.has("run")
    assert not events.has("Jet_eta")
    with pytest.raises(
        InputFileError, match=r"^here: Jet_pt is of type .*, expected float32, a list for each"
    ):
        require_branches(events, ["Jet_pt"], "to test")


def test_nothing_is_read_before_it_is_asked_for():
    def read():
        raise AssertionError

    form = ak.forms.NumpyForm("float32", form_key="x")
    layout = ak.from_buffers(form, 3, {"x-data": read}, highlevel=False)
    events = EventArrays(ak.Array(ak.contents.RecordArray([layout], ["genWeight"])))
    assert events.branches["genWeight"].dtype == np.dtype("f4")
    with pytest.raises(AssertionError):
        list(events.chunks(["genWeight"], 2))


def test_records():
    jet = [Branch("Jet_pt", np.dtype("f4"), "Jet"), Branch("Jet_good", np.dtype("bool"), "Jet")]
    whole = [
        Branch("MET_pt", np.dtype("f8")),
        Branch("Weight", np.dtype("f4"), "Weight"),
        Branch("run", np.dtype("i8")),
    ]
    columns = {"Jet_pt": PT, "Jet_good": FLAG, "MET_pt": np.ones(3), "Weight": PT, "run": np.arange(3)}
    made = records([*jet, *whole], columns)
    assert made.fields == ["Jet", "MET", "Weight", "run"]
    assert made.Jet.to_list() == ak.zip({"pt": PT, "good": FLAG}).to_list()
    assert (made.MET.pt.tolist(), made.Weight.tolist(), made.run.tolist()) == (
        [1] * 3,
        PT.tolist(),
        [0, 1, 2],
    )
    again = EventArrays(made)
    assert set(again.branches) == columns.keys()
