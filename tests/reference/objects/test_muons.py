from __future__ import annotations

import numpy as np
import pytest
import yaml
from recorded_events import one_event, some_events

from flashsim.declarations.recipes import recipe_path
from flashsim.events.collection import Collection
from flashsim.reference.objects.muons import MuonRecipe, multi_isolation, muons


@pytest.fixture(scope="module")
def recipe():
    return MuonRecipe(**yaml.safe_load(recipe_path("reference", "detector").read_text())["muons"])


@pytest.fixture(scope="module")
def recorded():
    return some_events(events=200)


@pytest.fixture(scope="module")
def found(recorded, recipe):
    return muons(recorded, recipe)


def test_selections_are_nested(found):
    assert np.all(found["looseId"] >= found["mediumId"])
    assert np.all(found["mediumId"] >= found["mediumPromptId"])
    assert np.all(found["looseId"] >= found["tightId"])
    assert np.all(found["isGlobal"] >= found["tightId"])
    assert np.all(found["isTracker"] >= found["softId"])
    assert np.all(found["isPFcand"] >= found["looseId"])
    assert 0.0 < found["tightId"].mean() < found["looseId"].mean() < 1.0
    assert set(np.unique(found["highPtId"])) == {0, 1, 2}


def test_particle_flow_muons_are_their_candidates(found, recorded):
    candidates, rows = recorded.candidates, found["_candidate"]
    assert np.all((np.abs(candidates["pdgId"])[rows] == 13) == found["isPFcand"])
    assert np.all(candidates["track"][rows] == found["_track"])
    for name in ("pt", "eta", "phi", "charge"):
        assert np.all(candidates[name][rows] == found[name])
    assert np.all(found["pdgId"] == -13 * found["charge"])


def test_muons_are_above_threshold_selected_and_ordered(found, recipe):
    assert np.all(found["pt"] > recipe.least_pt)
    selected = found["looseId"] | found["softId"] | (found["highPtId"] > 0)
    assert np.all(selected | (found["pt"] > recipe.every_pt))
    for first, last in zip(found.offsets[:-1], found.offsets[1:], strict=True):
        assert np.all(np.diff(found["pt"][first:last]) <= 0.0)


def test_isolation_sums_and_working_points_agree(found):
    assert np.all(found["pfRelIso03_all"] >= found["pfRelIso03_chg"])
    assert np.all(found["miniPFRelIso_all"] >= found["miniPFRelIso_chg"])
    assert np.all(found["miniPFRelIso_chg"] <= found["pfRelIso03_chg"])
    assert np.all((found["pfIsoId"] >= 4) == (found["pfRelIso04_all"] < 0.15))
    assert np.all((found["miniIsoId"] == 4) == (found["miniPFRelIso_all"] < 0.05))


def test_impact_parameters_are_those_of_the_track(found, recorded):
    tracks, rows = recorded.tracks, found["_track"]
    sine, cosine = np.sin(found["phi"]), np.cos(found["phi"])
    assert found["dxy"] == pytest.approx(tracks["d0"][rows] + 0.0005 * sine + 0.0005 * cosine)
    assert found["dxybs"] == pytest.approx(tracks["d0"][rows])
    assert np.all(found["ip3d"] >= np.abs(found["dxy"]) - 1e-12)
    length = np.sqrt(sum(found[f"IP{axis}"] ** 2 for axis in "xyz"))
    assert length == pytest.approx(np.where(found["pt"] > 15.0, found["ip3d"], 0.0))
    along = found["IPx"] * cosine + found["IPy"] * sine + found["IPz"] * np.sinh(found["eta"])
    assert along == pytest.approx(0.0, abs=1e-9)  # the shortest way is at right angles to the track


@pytest.mark.parametrize("event", [0, 57, 199])
def test_other_events_of_a_chunk_change_nothing(found, recorded, recipe, event):
    alone = muons(one_event(recorded, event), recipe)
    kept = slice(found.offsets[event], found.offsets[event + 1])
    for name, column in alone.columns.items():
        if not name.startswith("_") or name == "_puppiRelIso":
            assert column == pytest.approx(found[name][kept]), name


def test_without_segments_there_is_no_muon(recorded, recipe):
    none = some_events(events=3)
    none.tracks["chambers"][:] = 0
    assert len(muons(none, recipe)) == 0


def test_muons_without_their_segments_are_stored_where_they_are_hard(recipe):
    lost = some_events(events=20)
    lost.tracks["chambers"][:] = -1
    found = muons(lost, recipe)
    assert len(found) > 0
    assert found["pt"].min() > recipe.every_pt
    for name in ("isGlobal", "isTracker", "isStandalone", "nStations", "segmentComp", "looseId", "softId"):
        assert not found[name].any(), name


def test_isolated_muons_are_those_alone_in_their_jets_or_across_them():
    columns = {
        "jetRelIso": [0.1, 0.1, 2.0, 2.0, 0.1, 0.1], "jetPtRelv2": [0.0, 0.0, 3.0, 9.0, 0.0, 0.0],
        "miniPFRelIso_all": [0.05, 0.2, 0.05, 0.05, 0.05, 0.05], "pt": [30.0, 30.0, 30.0, 30.0, 4.0, 30.0],
        "looseId": [True, True, True, True, True, False],
    }  # fmt: skip
    one = Collection.of_counts(np.array([6]), {name: np.array(column) for name, column in columns.items()})
    assert multi_isolation(one).tolist() == [2, 0, 0, 2, 0, 0]
