"""The notebook: in step with its Python file, and executed on small made samples."""

from __future__ import annotations

import shutil

import awkward as ak
import jupytext
import nbformat
import pytest

from benchmarks.notebook import NOTEBOOK, execute
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.schema import load_schema
from flashsim.nanoaod.writing import NanoWriter

from .conftest import write_dimuon_nanoaod


@pytest.fixture(scope="module")
def committed():
    return nbformat.read(NOTEBOOK.with_suffix(".ipynb"), as_version=4)


@pytest.fixture(scope="module")
def samples(tmp_path_factory, made_process):
    """Give a folder with the files that the shipped samples name; ttbar has all variables of the objects."""
    folder = tmp_path_factory.mktemp("notebook") / "samples"
    detectors = {"gen": 1, "full": 1, "flash": 2, "fast": 3}
    for seed, process in enumerate(("vbf_hmumu", "dy_mumu", "ewk_zjj_like")):
        (folder / process).mkdir(parents=True)
        for name, detector in detectors.items():
            options = {
                "seed": seed,
                "detector": detector,
                "signal": process == "vbf_hmumu",
                "block": 1 + 1000 * seed,
            }
            write_dimuon_nanoaod(folder / process / f"{name}.root", 2500, **options)
    (folder / "vbf_hmumu_25").mkdir()
    over = folder / "vbf_hmumu_25" / "flash.root"
    write_dimuon_nanoaod(over, 600, seed=0, detector=4, signal=True, folds=3, block=9001)
    (folder / "ttbar").mkdir()
    for name, made in {"gen": "gen", "full": "full", "flash": "full_1", "fast": "fast"}.items():
        copy_with_muon_mass(made_process / f"{made}.root", folder / "ttbar" / f"{name}.root")
    return folder.parent


def copy_with_muon_mass(source, path):
    """Copy events; masses of muons are those of files that are no output of the models."""
    with NanoFile(source) as file:
        arrays = dict(file.read(list(file.branches)))
        branches = [*file.branches.values(), load_schema("v9")["Muon_mass"]]
    arrays["Muon_mass"] = ak.full_like(arrays["Muon_pt"], 0.10566)
    with NanoWriter(path) as writer:
        writer.tree("Events", branches)
        writer.extend("Events", arrays)


def outputs(notebook, kind):
    return [
        output
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == kind
    ]


def shown(notebook, mime):
    return [o.data[mime] for o in outputs(notebook, "display_data") if mime in o.data]


def test_executes_as_it_is(samples, tmp_path):
    """On a copy: beside the samples, it writes nothing."""
    copy = tmp_path / NOTEBOOK.name
    shutil.copy(NOTEBOOK, copy)
    done = execute(copy, samples)
    texts = "".join(o.text for o in outputs(done, "stream"))
    assert [o.text for o in outputs(done, "stream") if o.name == "stderr"] == []
    assert "VBF H → μμ (efficiency in %, ratio to full (reference))" in texts
    assert "jets, Distributions: Jet_pt" in texts
    assert shown(done, "application/vnd.jupyter.widget-view+json") == []
    assert len(shown(done, "image/png")) > 18
    assert len(shown(done, "image/svg+xml")) > 4
    gains = next(table for table in shown(done, "text/html") if "folds" in table)
    assert "score_SignalRegion" in gains
    assert (samples / "report.html").is_file()
    assert [path.name for path in tmp_path.iterdir()] == [NOTEBOOK.name]


def test_both_forms_hold_the_same(committed):
    paired = jupytext.read(NOTEBOOK)
    assert [(c.cell_type, c.source) for c in paired.cells] == [
        (c.cell_type, c.source) for c in committed.cells
    ]
