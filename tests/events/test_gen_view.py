from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
from pydantic import ValidationError

from flashsim.declarations.gen_collections import GenView, StatusFlag
from flashsim.declarations.objects import load_object
from flashsim.events.gen_view import build_gen_view, gen_view_branches
from flashsim.nanoaod.reading import NanoFile

FLAG = {flag.name: int(flag) for flag in StatusFlag}


def view(**collections):
    return GenView.model_validate({"schema_version": 1, "collections": collections})


def particles(**extra):
    return {"branch": "GenPart", "fields": ["pt", "eta", "phi"], **extra}


@pytest.fixture
def arrays():
    columns = {
        "GenPart_pt": [[50.0, 30.0, 5.0, 1.0], [], [20.0]],
        "GenPart_eta": [[0.0, 1.0, 2.0, 3.0], [], [0.5]],
        "GenPart_phi": [[0.0, 1.0, 2.0, 3.0], [], [-0.5]],
        "GenPart_pdgId": [[13, -13, 11, 511], [], [-11]],
        "GenPart_status": [[1, 1, 23, 2], [], [1]],
        "GenPart_statusFlags": [
            [FLAG["isPrompt"] | FLAG["isLastCopy"], FLAG["isLastCopy"], FLAG["isPrompt"], 0],
            [],
            [FLAG["isLastCopy"] | FLAG["isPromptTauDecayProduct"]],
        ],
        "GenPart_genPartIdxMother": [[-1, 3, -1, -1], [], [-1]],
        "GenJet_pt": [[60.0, 20.0], [], [25.0]],
        "GenJet_eta": [[0.1, -2.0], [], [0.5]],
        "GenJet_phi": [[0.0, 0.0], [], [-0.5]],
    }
    return {name: ak.Array(values) for name, values in columns.items()}


@pytest.mark.parametrize(
    ("cuts", "expected"),
    [
        ({}, [0, 1, 2, 3, 0]),
        ({"abs_pdg_id": [13]}, [0, 1]),
        ({"abs_pdg_id": [11, 13], "min_pt": 10.0}, [0, 1, 0]),
        ({"status": [1]}, [0, 1, 0]),
        ({"status": [2, 23]}, [2, 3]),
        ({"abs_pdg_id": [11], "status": [1]}, [0]),
        ({"max_abs_eta": 1.0}, [0, 0]),
        ({"max_abs_eta": 2.5, "min_pt": 10.0}, [0, 1, 0]),
        ({"all_flags": ["isPrompt", "isLastCopy"]}, [0]),
        ({"any_flags": ["isPrompt", "isPromptTauDecayProduct"]}, [0, 2, 0]),
        ({"any_flags": ["isPrompt", "isPromptTauDecayProduct"], "all_flags": ["isLastCopy"]}, [0, 0]),
    ],
)
def test_cuts_select(arrays, cuts, expected):
    declared = view(X=particles(**cuts) | {"fields": ["pt", "eta", "phi", "index"]})
    assert build_gen_view(declared, arrays)["X"]["index"].tolist() == expected


def test_the_index_is_the_one_before_the_selection(arrays):
    declared = view(X={"branch": "GenJet", "fields": ["pt", "eta", "phi", "index"], "min_pt": 22.0})
    built = build_gen_view(declared, arrays)["X"]
    assert built["index"].tolist() == [0, 0]
    assert built.counts.tolist() == [1, 0, 1]


def test_charge_and_origin_are_computed(arrays):
    declared = view(X=particles(fields=["pt", "eta", "phi", "charge", "origin"], abs_pdg_id=[11, 13]))
    built = build_gen_view(declared, arrays)["X"]
    assert built["charge"].tolist() == [-1, 1, -1, 1]
    assert built["origin"].tolist() == [1, 5, 1, 15]
    assert list(built.columns) == ["pt", "eta", "phi", "charge", "origin"]


def test_jets_that_are_leptons_are_removed(arrays):
    declared = view(
        Clean={
            "branch": "GenJet",
            "fields": ["pt", "eta", "phi"],
            "clean": {"of": "L", "cone": 0.4, "min_share": 0.5},
        },
        L=particles(abs_pdg_id=[11, 13]),
    )
    assert build_gen_view(declared, arrays)["Clean"]["pt"].tolist() == [20.0]


def test_only_needed_branches_are_read():
    declared = view(X=particles(fields=["pt", "eta", "phi", "origin", "index"], all_flags=["isPrompt"]))
    fields = ["eta", "genPartIdxMother", "pdgId", "phi", "pt", "statusFlags"]
    assert gen_view_branches(declared) == [f"GenPart_{field}" for field in fields]


def test_columns_are_double_or_long(arrays):
    arrays["GenPart_pt"] = ak.values_astype(arrays["GenPart_pt"], np.float32)
    arrays["GenPart_pdgId"] = ak.values_astype(arrays["GenPart_pdgId"], np.int16)
    built = build_gen_view(view(X=particles(fields=["pt", "eta", "phi", "pdgId"])), arrays)["X"]
    assert (built["pt"].dtype, built["pdgId"].dtype) == (np.float64, np.int64)


@pytest.mark.parametrize(
    "sample",
    ["tt_2018_v5", "tt_2022_v12", pytest.param("tt_2024_v15", marks=pytest.mark.slow), "dy_2018_v6_rntuple"],
)
def test_the_shipped_view_is_built_from_real_files(nanoaod_dir, sample):
    declared = load_object("jets").gen_view
    with NanoFile(nanoaod_dir / f"{sample}.root") as file:
        arrays = file.read([*gen_view_branches(declared), "GenPart_pdgId", "GenPart_statusFlags"])
    built = build_gen_view(declared, arrays)
    last_copy = (arrays["GenPart_statusFlags"] & FLAG["isLastCopy"]) > 0
    muons = arrays["GenPart_pt"][(abs(arrays["GenPart_pdgId"]) == 13) & last_copy]
    assert np.array_equal(built["GenMuon"]["pt"], ak.to_numpy(ak.flatten(muons)))
    assert np.array_equal(built["GenJet"].counts, ak.num(arrays["GenJet_pt"]))
    assert np.all(built["HadronicGenJet"].counts <= built["GenJet"].counts)
    assert set(np.unique(built["GenMuon"]["origin"])) <= {1, 3, 4, 5, 15}


@pytest.mark.parametrize(
    "cut", [{"min_pt": 1.0}, {"max_abs_eta": 2.0}, {"clean": {"of": "X", "cone": 0.4, "min_share": 0.5}}]
)
def test_events_are_not_selected_like_objects(cut):
    with pytest.raises(ValidationError, match="select objects, not events"):
        view(Event={"branch": "Event", "fields": ["GenMET_pt"], **cut}, X=particles())
