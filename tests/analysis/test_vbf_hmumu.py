"""The processor against a plain loop over events, and what it reads."""

from __future__ import annotations

import warnings

import awkward as ak
import numpy as np
import pytest
import vector
from coffea import processor
from coffea.nanoevents import NanoEventsFactory

from flashsim.analysis.concepts import gen_branches
from flashsim.analysis.vbf_hmumu import BASE_STEPS, OBSERVABLES, AnalysisSchema, VbfHmumu, in_windows
from flashsim.declarations.objects import load_object
from flashsim.declarations.output import load_output
from flashsim.nanoaod.reading import NanoFile

from .conftest import write_dimuon_nanoaod


def process(path, resolved, view="reco"):
    """Run the processor on one file at once."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        events = NanoEventsFactory.from_root(
            {str(path): "Events"}, schemaclass=AnalysisSchema, metadata={"dataset": "made", "view": view}
        ).events()
        instance = VbfHmumu(resolved)
        return instance.postprocess(instance.process(events))["made"]


def loop(path, *, pu_id=True, hem=False, two_muons=False):
    """Select events one by one; give for each how many steps it passes, and its mass."""
    with NanoFile(path) as file:
        columns = file.read([n for n in file.branches if n.startswith(("Muon_", "Jet_"))])
    rows = ak.to_list(ak.Array(dict(columns)))
    return [selected(row, pu_id=pu_id, hem=hem, two_muons=two_muons) for row in rows]


def objects(row, collection):
    names = [name for name in row if name.startswith(f"{collection}_")]
    return [
        {name.split("_", 1)[1]: value for name, value in zip(names, values, strict=True)}
        for values in zip(*(row[name] for name in names), strict=True)
    ]


def selected(row, *, pu_id, hem, two_muons):
    muons = [
        m
        for m in objects(row, "Muon")
        if m["pt"] > 20 and abs(m["eta"]) < 2.4 and m["mediumId"] and m["pfRelIso04_all"] < 0.25
    ]
    if len(muons) < 2:
        return 0, np.nan
    muons.sort(key=lambda m: -m["pt"])
    others = [m for m in muons if m["charge"] != muons[0]["charge"]]
    if not others:
        return 1, np.nan
    jets = [
        j
        for j in objects(row, "Jet")
        if j["pt"] > 25
        and abs(j["eta"]) < 4.7
        and j["jetId"] >= 2
        and (j["pt"] >= 50 or j["puId"] >= 4 or not pu_id)
        and not (hem and -3.0 <= j["eta"] <= -1.3 and -1.57 <= j["phi"] <= -0.87)
        and all(p4(j).deltaR(p4(m)) > 0.4 for m in muons)
    ]
    jets.sort(key=lambda j: -j["pt"])
    mass = (p4(muons[0]) + p4(others[0])).mass
    if len(jets) < 2 or jets[0]["pt"] <= 35:
        return 2, mass
    if (p4(jets[0]) + p4(jets[1])).mass <= 400:
        return 3, mass
    if abs(jets[0]["eta"] - jets[1]["eta"]) <= 2.5:
        return 4, mass
    return (5 + (len(muons) == 2) if two_muons else 5), mass


def p4(o):
    return vector.obj(pt=o["pt"], eta=o["eta"], phi=o["phi"], mass=o["mass"])


def assert_as_the_loop(found, expected, steps):
    reached = np.array([number for number, _ in expected])
    counts = [len(reached), *(int(np.sum(reached > k)) for k in range(steps))]
    assert list(found["cutflow"].values()) == counts
    assert found["reached"]["reached"].tolist() == reached[reached > 0].tolist()
    masses = np.array([mass for number, mass in expected if number == steps])
    assert found["preselected"]["mass"] == pytest.approx(masses, rel=1e-5)
    assert counts[-1] > 10


def test_default_selection_is_that_of_a_loop(dimuon_nanoaod, resolved):
    found = process(dimuon_nanoaod, resolved(dimuon_nanoaod))
    assert list(found["cutflow"]) == ["all", *BASE_STEPS]
    assert_as_the_loop(found, loop(dimuon_nanoaod), 5)


def test_without_a_concept(dimuon_nanoaod, resolved):
    found = process(dimuon_nanoaod, resolved(dimuon_nanoaod, without=["puId", "quarkGluon"]))
    assert_as_the_loop(found, loop(dimuon_nanoaod, pu_id=False), 5)
    assert set(found["preselected"]["jet1_qg"]) == {0.0}


def test_optional_steps(dimuon_nanoaod, resolved):
    found = process(dimuon_nanoaod, resolved(dimuon_nanoaod, steps=["hemVeto", "twoMuons"]))
    assert list(found["cutflow"]) == ["all", *BASE_STEPS, "twoMuons"]
    assert_as_the_loop(found, loop(dimuon_nanoaod, hem=True, two_muons=True), 6)


def test_steps_of_flags_and_of_jets(dimuon_nanoaod, resolved):
    every = process(dimuon_nanoaod, resolved(dimuon_nanoaod))["cutflow"]["deltaEta"]
    flow = process(dimuon_nanoaod, resolved(dimuon_nanoaod, steps=["trigger", "leadingMuon", "bVeto"]))[
        "cutflow"
    ]
    assert every > flow["trigger"] >= flow["leadingMuon"] > flow["bVeto"] > 0
    assert flow["trigger"] == pytest.approx(0.8 * every, abs=4 * np.sqrt(0.16 * every))


def test_observables(dimuon_nanoaod, resolved):
    found = process(dimuon_nanoaod, resolved(dimuon_nanoaod))
    table = found["preselected"]
    assert set(OBSERVABLES) <= set(table)
    assert {len(column) for column in table.values()} == {found["cutflow"]["deltaEta"]}
    for name in OBSERVABLES:
        assert np.isfinite(table[name]).all(), name
    assert (table["muon1_pt"] >= table["muon2_pt"]).all()
    assert (table["jet1_pt"] >= table["jet2_pt"]).all()
    assert table["mjj"].min() > 400
    assert table["delta_eta_jj"].min() > 2.5
    assert table["r_pt"].max() <= 1
    assert set(table["year"]) == {2018.0}
    relative = table["mass_error"] / table["mass"]
    assert relative == pytest.approx(table["mass_error_relative"])
    assert (relative > 0.5 * 0.01 * np.sqrt(2)).all()
    assert (relative < 0.5 * 0.03 * np.sqrt(2)).all()


def test_generator_level(dimuon_nanoaod, resolved):
    """It has neither cuts nor values of a detector."""
    found = process(dimuon_nanoaod, resolved(dimuon_nanoaod, steps=["trigger"]), "gen")
    assert list(found["cutflow"]) == ["all", *BASE_STEPS]
    table = found["preselected"]
    assert len(table["mass"]) > 10
    assert np.isnan(table["muon1_iso"]).all()
    assert np.isnan(table["jet1_qg"]).all()
    assert np.isfinite(table["r_pt"]).all()
    with NanoFile(dimuon_nanoaod) as file:
        gen = file.read(["GenPart_pt", "GenPart_eta"])
    inside = (gen["GenPart_pt"] > 20) & (abs(gen["GenPart_eta"]) < 2.4)
    assert found["cutflow"]["muons"] == ak.sum(ak.sum(inside, axis=1) == 2)


def test_histograms_hold_the_regions(dimuon_nanoaod, resolved, selection):
    found = process(dimuon_nanoaod, resolved(dimuon_nanoaod))
    table = found["preselected"]
    for declared in selection.histograms:
        if declared.observable == "score":
            continue
        inside = in_windows(table["mass"], selection.regions[declared.region])
        filled = found["histograms"][declared.name]
        assert filled.sum(flow=True).value == pytest.approx(table["weight"][inside].sum()), declared.name
        assert filled.sum(flow=True).variance == pytest.approx((table["weight"][inside] ** 2).sum())


def test_windows():
    mass = np.array([109.0, 110.0, 112.0, 120.0, 140.0])
    assert in_windows(mass, [(110, 115), (135, 150)]).tolist() == [False, False, True, False, True]
    assert in_windows(mass, []).all()


def test_variations_are_taken_where_the_file_has_them(dimuon_nanoaod, resolved, tmp_path):
    found = process(dimuon_nanoaod, resolved(dimuon_nanoaod))["preselected"]
    assert {name for name in found if name.startswith("variation_")} == {
        "variation_scalesUp",
        "variation_scalesDown",
    }
    assert np.std(found["variation_scalesUp"]) > 0.05
    bare = write_dimuon_nanoaod(tmp_path / "bare.root", 100, drop=("LHEScaleWeight",))
    assert not any("variation" in name for name in process(bare, resolved(bare))["preselected"])


def test_folds_are_counted_as_one_gen_event(tmp_path, resolved):
    paths = [write_dimuon_nanoaod(tmp_path / f"{n}.root", 120, folds=n) for n in (1, 3)]
    once, thrice = (process(path, resolved(path))["totals"] for path in paths)
    assert thrice["events"] == 3 * once["events"]
    assert list(thrice["files"].values()) == list(once["files"].values())
    assert thrice["sumw2"] == pytest.approx(once["sumw2"], rel=1e-6)
    assert (once["folds"], thrice["folds"]) == ({1}, {3})


def test_chunks_change_nothing(dimuon_nanoaod, resolved, monkeypatch):
    whole = process(dimuon_nanoaod, resolved(dimuon_nanoaod))
    executor = processor.IterativeExecutor(status=False)
    run = processor.Runner(executor=executor, schema=AnalysisSchema, chunksize=130, savemetrics=True)
    fileset = {"made": {"files": {str(dimuon_nanoaod): "Events"}, "metadata": {"view": "reco"}}}
    found, metrics = run(fileset, VbfHmumu(resolved(dimuon_nanoaod)))
    assert metrics["chunks"] > 2
    assert found["made"]["cutflow"] == whole["cutflow"]
    for name, column in whole["preselected"].items():
        assert np.array_equal(found["made"]["preselected"][name], column), name
    assert found["made"]["totals"]["files"] == {str(dimuon_nanoaod): sum(whole["totals"]["files"].values())}


@pytest.mark.parametrize("view", ["reco", "gen"])
def test_reads_what_flashsim_writes_and_nothing_else(dimuon_nanoaod, resolved, view):
    """As the Runner reports it."""
    executor = processor.IterativeExecutor(status=False)
    run = processor.Runner(executor=executor, schema=AnalysisSchema, savemetrics=True, metadata_cache={})
    fileset = {"made": {"files": {str(dimuon_nanoaod): "Events"}, "metadata": {"view": view}}}
    selection = resolved(dimuon_nanoaod)
    read = run(fileset, VbfHmumu(selection))[1]["columns"]
    data = {name.removesuffix("-data") for name in read if name.endswith("-data")}
    allowed = (selection.branches if view == "reco" else gen_branches()) | {"LHEScaleWeight"}
    assert {"genWeight", "event"} < data <= allowed
    written = {
        f"{declared.collection}_{entry.branch}"
        for declared in (load_object("jets"), load_object("muons"))
        for entry in (*declared.targets, *declared.derived)
    }
    output = load_output("output")
    copied = [name for name in data if any(ak_match(name, p) for p in output.copied)]
    assert data - written - set(copied) == set()


def ak_match(name, pattern):
    from fnmatch import fnmatchcase

    return fnmatchcase(name, pattern)
