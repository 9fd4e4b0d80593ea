"""`flashsim analyze` end to end: what it finds, what it writes, what it refuses."""

from __future__ import annotations

import csv
import json
import warnings

import numpy as np
import pytest
import yaml

from flashsim.analysis.analyze import analyze, check_output, cutflow_text, write
from flashsim.analysis.analyze import process as run_processor
from flashsim.analysis.concepts import resolve
from flashsim.analysis.drawing import draw_histogram, draw_oversampling
from flashsim.analysis.results import Results
from flashsim.analysis.samples import load_samples, open_datasets
from flashsim.analysis.selection import load_selection
from flashsim.declarations.recipes import recipe_path
from flashsim.errors import InputFileError, OutputFileError
from flashsim.nanoaod.reading import NanoFile

from .conftest import write_dimuon_nanoaod


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """Give a selection with a short training and few histograms."""
    content = yaml.safe_load(recipe_path("analysis", "vbf_hmumu").read_text(encoding="utf-8"))
    keep = {("mass", "PreSel"), ("r_pt", "PreSel"), ("score", "PreSel"), ("jet1_qg", "PreSel")}
    content["histograms"] = [h for h in content["histograms"] if (h["observable"], h["region"]) in keep]
    content["discriminant"] |= {"hidden": [16], "folds": 3, "min_events": 20}
    content["discriminant"]["schedule"] |= {"batch": 32, "epochs": 8}
    path = tmp_path_factory.mktemp("selection") / "quick.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def done(made_samples, quick):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return analyze(str(made_samples / "samples.yaml"), selection=quick)


@pytest.fixture(scope="module")
def written(done, tmp_path_factory):
    return write(done, tmp_path_factory.mktemp("out") / "vbf")


@pytest.fixture(scope="module")
def content(written):
    return json.loads((written / "analysis.json").read_text(encoding="utf-8"))


def cell(content, **which):
    (row,) = (row for row in content["cutflow"] if all(row[key] == value for key, value in which.items()))
    return row


def test_simulations_of_the_same_gen_events_are_told_from_others(content):
    shared = {"full": True, "flash": True, "over": True, "gen": True, "other": False}
    assert content["shares_gen_events"] == {"higgs": shared, "dy": shared}


@pytest.mark.parametrize("process", ["higgs", "dy"])
@pytest.mark.parametrize("simulation", ["flash", "over", "other"])
def test_the_same_detector_has_ratios_of_one(content, process, simulation):
    """The other detectors are other draws of the same one."""
    for step in ("muons", "oppositeCharge", "jets", "mjj", "deltaEta"):
        row = cell(content, process=process, simulation=simulation, step=step)
        assert abs(row["ratio"] - 1.0) < 4 * row["ratio_error"]
        assert row["ratio_error"] < 0.35
        assert "ratio" not in cell(content, process=process, simulation="full", step=step)


def test_shared_gen_events_make_ratios_more_precise(content):
    """Cuts on pT and eta are the gen event's doing."""
    errors = [
        cell(content, process="higgs", simulation=name, step="muons")["ratio_error"]
        for name in ("flash", "other")
    ]
    assert errors[0] < errors[1]


def test_yields(content, done):
    row = cell(content, process="dy", simulation="full", step="muons")
    assert row["yield"] == pytest.approx(1000.0 * 20 * 59.8 * row["efficiency"], rel=1e-5)
    assert done.results.datasets["dy/full"].sum_of_weights == pytest.approx(
        done.results.totals("dy/full").sumw
    )


def test_widths_of_the_mass(content):
    """Other draws of the same detector have the same width."""
    widths = {(r["process"], r["simulation"], r["region"]): r for r in content["dimuon_mass"]}
    full = {key: row for key, row in widths.items() if key[1] == "full" and row["width_error"] > 0}
    assert full
    for (process, _, region), row in full.items():
        if (other := widths.get((process, "over", region))) is not None:
            error = np.hypot(row["width_error"], other["width_error"])
            assert abs(row["width"] - other["width"]) < 6 * error


def test_widths_have_ratios_to_the_reference(content):
    rows = {(r["process"], r["simulation"], r["region"]): r for r in content["dimuon_mass"]}
    for (process, simulation, region), row in rows.items():
        assert ("ratio" in row) == (simulation != "full")
        if simulation == "over" and row["events"] > 50:
            full = rows[process, "full", region]
            assert row["ratio"] == pytest.approx(row["width"] / full["width"])
            assert row["ratio_error"] > row["width_error"] / full["width"]


def test_processes_beside_each_other(done):
    (histogram,) = (h for h in done.results.recipe.histograms if h.observable == "jet1_qg")
    figure = draw_histogram(done.results, histogram, simulations=["full", "flash", "gen"])
    assert [axes.get_title("left") for axes in figure.axes[:2]] == ["signal, PreSel", "background, PreSel"]
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert legend == ["reference", "FlashSim"]
    (_, upper) = figure.axes[2].get_ylim()
    assert 1.0 < upper <= 2.0


def test_errors_of_oversampled_histograms(done):
    """Those of folds taken for events are too small by up to the square root of their number."""
    (histogram,) = (h for h in done.results.recipe.histograms if h.observable == "r_pt")
    figure = draw_oversampling(done.results, histogram, "higgs", "over")
    once, folds, naive = (patch.get_data().values for patch in figure.axes[0].patches)
    filled = folds > 0
    assert (once[filled] >= folds[filled] * (1 - 1e-9)).all()
    assert naive[filled] == pytest.approx(once[filled] / np.sqrt(2))
    assert draw_oversampling(done.results, histogram, "higgs", "flash") is None


@pytest.mark.slow
@pytest.mark.parametrize("where", ["workers", "dask"])
def test_executors_find_the_same(made_samples, resolved, where, request):
    """In processes of their own, in any order."""
    datasets = open_datasets(load_samples(str(made_samples / "samples.yaml")))[:2]
    selection = resolved(*(path for d in datasets for path in d.files))
    options = {"workers": 2} if where == "workers" else {"dask": request.getfixturevalue("scheduler")}
    expected = run_processor(datasets, selection)
    found = run_processor(datasets, selection, chunk=400, **options)
    assert set(found) == set(expected) == {d.name for d in datasets}
    for name, one in expected.items():
        assert found[name]["cutflow"] == one["cutflow"]
        assert found[name]["totals"]["files"] == one["totals"]["files"]
        order = np.argsort(found[name]["preselected"]["event"])
        for column, values in one["preselected"].items():
            mine = found[name]["preselected"][column][order]
            assert np.array_equal(mine, values[np.argsort(one["preselected"]["event"])]), column


@pytest.fixture
def scheduler():
    """Address of a Dask cluster with a worker in this process."""
    distributed = pytest.importorskip("distributed", reason="distributed is not installed (extra 'dask')")
    with (
        warnings.catch_warnings(action="ignore"),
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
        ) as cluster,
    ):
        yield cluster.scheduler_address


def test_discriminant_is_trained_and_applied(content, done):
    assert content["discriminant"]["trained"] is True
    assert len(content["discriminant"]["validation_losses"]) == 3
    signal, background = (done.results.table(f"{name}/flash")["score"] for name in ("higgs", "dy"))
    assert np.mean(signal) > np.mean(background)
    assert "score" not in done.results.table("higgs/gen")


def test_histograms(content):
    names = {(h["process"], h["observable"]) for h in content["histograms"]}
    assert names == {(p, o) for p in ("higgs", "dy") for o in ("mass", "r_pt", "score", "jet1_qg")}
    for h in content["histograms"]:
        assert len(h["edges"]) == len(h["simulations"]["full"]["values"]) + 1
        assert h["simulations"]["full"]["ratio"] is None
        assert ("gen" in h["simulations"]) == (h["observable"] in {"mass", "r_pt"})
    (r_pt,) = (h for h in content["histograms"] if (h["process"], h["observable"]) == ("dy", "r_pt"))
    total = cell(content, process="dy", simulation="flash", step="deltaEta")["yield"]
    assert sum(r_pt["simulations"]["flash"]["values"]) == pytest.approx(total, rel=1e-6)


def test_oversampling_gains(content):
    gains = [row["gain"] for row in content["oversampling"]]
    assert {(row["simulation"], row["folds"]) for row in content["oversampling"]} == {("over", 2)}
    assert all(0.99 < gain <= 2.0 for gain in gains)
    assert max(gains) > 1.05


def test_variations(done):
    """The weights belong to the gen event, whatever the detector: one simulation predicts the other."""
    (histogram,) = (h for h in done.results.recipe.histograms if h.observable == "r_pt")
    found = done.results.variations("dy", histogram)
    assert set(found) == {"scalesUp", "scalesDown"}
    full, flash = found["scalesUp"][:2]
    assert (full.label, flash.label) == ("reference", "FlashSim")
    assert full.ratio is None
    assert np.nanmean(full.values) == pytest.approx(1.0, abs=0.05)
    there = np.isfinite(flash.ratio) & (flash.ratio_errors > 0)
    pulls = (flash.ratio[there] - 1.0) / flash.ratio_errors[there]
    assert there.sum() > 5
    assert np.median(np.abs(pulls)) < 2  # bins of one or two events have no errors to trust


def test_files(written, content):
    assert content["schema_version"] == 1
    assert content["concepts"]["jetId"] == "jetId"
    figures = {path.name for path in (written / "figures").iterdir()}
    assert {"higgs_r_pt_PreSel.png", "dy_mass_PreSel.png", "overlay_score_PreSel.png"} <= figures
    assert "dy_r_pt_PreSel_variations.png" in figures
    assert min(path.stat().st_size for path in (written / "figures").iterdir()) > 5000
    with (written / "cutflow.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(content["cutflow"])
    assert float(rows[0]["efficiency"]) == pytest.approx(content["cutflow"][0]["efficiency"])
    assert [path.name for path in written.parent.iterdir()] == [written.name]


def test_table(done):
    lines = cutflow_text(done.results).splitlines()
    assert lines[0].startswith("signal (efficiency in %")
    assert lines[1].split()[0] == "reference"
    assert [line.split()[0] for line in lines[2:7]] == ["muons", "oppositeCharge", "jets", "mjj", "deltaEta"]


def test_outputs_that_are_not_replaced(written, tmp_path):
    with pytest.raises(OutputFileError, match="exists already"):
        check_output(written, force=False)
    check_output(written, force=True)
    (tmp_path / "precious").mkdir()
    with pytest.raises(OutputFileError, match="holds no analysis"):
        check_output(tmp_path / "precious", force=True)
    with pytest.raises(OutputFileError, match="does not exist; make it first"):
        check_output(tmp_path / "none" / "out", force=False)


def test_files_without_sums_of_weights(tmp_path, made_samples, nanoaod_dir):
    content = yaml.safe_load((made_samples / "samples.yaml").read_text(encoding="utf-8"))
    real = str(nanoaod_dir / "tt_2022_v12.root")
    content["processes"] = {"tt": {"label": "tt", "cross_section": 1.0, "files": {"full": [real]}}}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(InputFileError, match="has no tree Runs with genEventSumw"):
        open_datasets(load_samples(str(tmp_path / "own.yaml")))


def test_command(flashsim, tmp_path, monkeypatch):
    """A process alone has no background: that is said, and the rest is done."""
    monkeypatch.chdir(tmp_path)
    write_dimuon_nanoaod(tmp_path / "full.root", 200)
    write_dimuon_nanoaod(tmp_path / "flash.root", 200, detector=2)
    samples = """
schema_version: 1
era: UL2018
reference: full
simulations: {full: {label: full}, flash: {label: FlashSim}}
processes: {dy: {label: DY, files: {full: [full.root], flash: ['fl*.root']}}}
"""
    (tmp_path / "samples.yaml").write_text(samples, encoding="utf-8")
    status, out, err = flashsim(
        "analyze", "samples.yaml", "-o", "vbf", "--with", "twoMuons", "--figures", "svg"
    )
    assert status == 0
    assert err.splitlines() == [
        "flashsim: analysing samples.yaml -> vbf",
        "flashsim: note: no discriminant: the samples have no signal, or no background",
    ]
    assert out.startswith("DY (efficiency in %, ratio to full)")
    assert out.endswith("vbf: analysis.json, cutflow.csv and figures\n")
    assert "twoMuons" in out
    assert (tmp_path / "vbf" / "figures" / "dy_r_pt_PreSel.svg").is_file()
    status, out, err = flashsim("analyze", "samples.yaml", "-o", "vbf")
    assert (status, out) == (2, "")
    assert "vbf: exists already" in err
    status, out, err = flashsim("analyze", "samples.yaml", "-o", "new", "--without", "id")
    assert (status, out) == (2, "")
    assert "--without id: expected one of jetId" in err
    assert not (tmp_path / "new").exists()


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    """Give three jobs of one process, which all count their events from run 1, block 1, event 1.

    Of each there is a second simulation, of other objects.
    """
    folder = tmp_path_factory.mktemp("jobs")
    return {
        (job, detector): write_dimuon_nanoaod(
            folder / f"job_{job}_{detector}.root", events, seed=job, detector=detector
        )
        for job, events in ((1, 60), (2, 60), (3, 30))
        for detector in (1, 2)
    }


def totals_of(tmp_path, **files):
    """Run the processor over files, lists by name of the simulation; give the results."""
    recipe = {
        "schema_version": 1,
        "era": "UL2018",
        "reference": next(iter(files)),
        "simulations": {name: {"label": name} for name in files},
        "processes": {
            "higgs": {"label": "signal", "files": {k: list(map(str, v)) for k, v in files.items()}}
        },
    }
    path = tmp_path / "samples.yaml"
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    declared = load_samples(str(path))
    datasets = open_datasets(declared)
    selection = load_selection("vbf_hmumu")
    branches = {p: d.branches[p] for d in datasets for p in d.files}
    found = run_processor(datasets, resolve(selection, branches, era="UL2018"))
    return Results(declared, selection, {d.name: d for d in datasets}, found)


def sum_of_squares(paths):
    weights = [
        np.asarray(NanoFile(path).read(["genWeight"])["genWeight"], dtype=np.float64) for path in paths
    ]
    return float(np.sum(np.concatenate(weights) ** 2))


@pytest.mark.parametrize("chosen", [(1, 2), (1, 2, 3)], ids=["equal", "unequal"])
def test_jobs_with_the_same_numbers_are_samples_of_their_own(jobs, tmp_path, chosen):
    """Not passes of the same events, whether they are of one length or not."""
    first, second = ([jobs[job, detector] for job in chosen] for detector in (1, 2))
    results = totals_of(tmp_path, full=first, fast=second)
    totals = results.totals("higgs/full")
    assert totals.passes == 1
    assert totals.sumw2 == pytest.approx(sum_of_squares(first))
    # The other simulation is of the same gen events, job by job.
    assert results.shared("higgs") == {"full": True, "fast": True}


def test_two_simulations_of_one_job_are_passes_of_its_events(jobs, tmp_path):
    results = totals_of(tmp_path, full=[jobs[1, 1]], both=[jobs[1, 1], jobs[1, 2]], other=[jobs[2, 1]])
    totals = results.totals("higgs/both")
    assert totals.passes == 2
    assert totals.sumw2 == pytest.approx(4 * sum_of_squares([jobs[1, 1]]))
    assert results.shared("higgs") == {"full": True, "both": True, "other": False}


def test_numbers_tell_events_apart_where_a_file_lacks_the_gen_content(jobs, tmp_path):
    """All files of a process are compared by what all of them have."""
    drop = [f"GenPart_{name}" for name in ("pt", "eta", "phi", "pdgId", "statusFlags", "mass")]
    drop += [f"GenJet_{name}" for name in ("pt", "eta", "phi", "mass")]
    bare = write_dimuon_nanoaod(tmp_path / "bare.root", 60, seed=1, detector=3, drop=drop)
    results = totals_of(tmp_path, full=[jobs[1, 1]], bare=[bare])
    assert results.shared("higgs") == {"full": True, "bare": True}


def test_inputs_with_the_same_numbers_and_other_events_are_named(jobs, tmp_path, quick, caplog):
    samples = tmp_path / "samples.yaml"
    totals_of(tmp_path, full=[jobs[1, 1], jobs[2, 1]])
    analyze(str(samples), selection=quick)
    (line,) = [line for line in caplog.messages if "same run, luminosityBlock and event" in line]
    assert "job_1_1.root" in line
    assert "job_2_1.root" in line
    totals_of(tmp_path, full=[jobs[1, 1]], fast=[jobs[1, 2]])
    caplog.clear()
    analyze(str(samples), selection=quick)
    assert not caplog.messages
