from __future__ import annotations

import json
import threading

import awkward as ak
import numpy as np
import pytest
import uproot

from flashsim.errors import OutputFileError, RecipeError
from flashsim.gen import minbias as module
from flashsim.gen.minbias import MinBias, minbias_library, write_minbias
from flashsim.nanoaod.provenance import GEN
from flashsim.nanoaod.stable import STABLE_BRANCHES

pytest.importorskip("pythia8mc", reason="pythia8mc is not installed (extra 'reference')")


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """Settings of interactions that take no time."""
    path = tmp_path_factory.mktemp("settings") / "quick.cmnd"
    path.write_text("include = cp5.cmnd\nSoftQCD:nonDiffractive = on\nPartonLevel:MPI = off\n")
    return str(path)


def read(path):
    with uproot.open(path) as file:
        return file["Events"].arrays()


def test_an_event_is_an_interaction(quick, tmp_path):
    path = tmp_path / "minbias.root"
    done = []
    write_minbias(MinBias(13000.0, 30, settings=quick), path, progress=lambda *counts: done.append(counts))
    events = read(path)
    assert {branch.name for branch in STABLE_BRANCHES} < set(events.fields)
    assert events.event.to_list() == list(range(1, 31))
    assert done[-1] == (30, 30)
    assert ak.sum(ak.num(events.GenStable_pt)) > 300
    assert not np.any(np.isin(np.abs(ak.flatten(events.GenStable_pdgId)), (12, 14, 16)))
    with uproot.open(path) as file:
        made = json.loads(str(file[GEN]))
    assert (made["energy"], made["interactions"], made["seed"]) == (13000.0, 30, 1)
    assert "SoftQCD" in made["settings"]


def test_a_function_of_the_seed_whatever_the_workers(quick, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_PER_BLOCK", 10)
    found = {}
    for name, seed, workers in (("one", 1, 1), ("two", 1, 2), ("other", 2, 1)):
        path = tmp_path / f"{name}.root"
        write_minbias(MinBias(13000.0, 25, seed=seed, settings=quick), path, workers=workers)
        found[name] = read(path).GenStable_pt.to_list()
    assert found["one"] == found["two"]
    assert found["one"] != found["other"]
    assert found["one"][:10] != found["one"][10:20]


def test_energy_is_the_librarys_and_not_the_settings(quick, tmp_path):
    most = {}
    for energy in (900.0, 13600.0):
        path = tmp_path / f"{energy:g}.root"
        write_minbias(MinBias(energy, 40, settings=quick), path)
        events = read(path)
        most[energy] = float(ak.max(ak.sum(events.GenStable_pt * np.cosh(events.GenStable_eta), axis=1)))
    assert most[900.0] < 901 < most[13600.0]


def test_a_library_is_made_once(quick, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = minbias_library(MinBias(13000.0, 5, settings=quick))
    assert path.parent == tmp_path / "cache" / "flashsim"
    monkeypatch.setattr(module, "write_minbias", None)
    assert minbias_library(MinBias(13000.0, 5, settings=quick)) == path


@pytest.mark.parametrize(
    "other", [{"energy": 13600.0}, {"interactions": 6}, {"seed": 2}, {"settings": "minbias.cmnd"}]
)
def test_whatever_has_other_content_has_another_name(quick, other):
    asked = {"energy": 13000.0, "interactions": 5, "settings": quick}
    assert MinBias(**asked).file_name != MinBias(**(asked | other)).file_name


def test_of_several_that_need_a_library_one_makes_it(quick, tmp_path, monkeypatch):
    made = []

    def write(library, output, **options):
        made.append(output)
        write_minbias(library, output, **options)

    monkeypatch.setattr(module, "write_minbias", write)
    library = MinBias(13000.0, 5, settings=quick)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(minbias_library(library, folder=tmp_path)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert len(made) == 1
    assert [path.name for path in tmp_path.iterdir()] == [library.file_name]


def test_nothing_is_left_of_a_library_that_fails(tmp_path):
    bad = tmp_path / "bad.cmnd"
    bad.write_text("include = cp5.cmnd\nNo:such = on\n")
    folder = tmp_path / "kept"
    with pytest.raises(RecipeError, match=r"bad\.cmnd: Pythia refuses these settings"):
        minbias_library(MinBias(13000.0, 5, settings=str(bad)), folder=folder)
    assert list(folder.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(quick, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputFileError, match="file"):
        minbias_library(MinBias(13000.0, 5, settings=quick), folder=tmp_path / "file")


def test_a_library_has_an_interaction():
    with pytest.raises(ValueError, match="interactions must be at least 1, found 0"):
        MinBias(13000.0, 0)


@pytest.mark.slow
def test_charged_density_is_that_of_data(tmp_path):
    """CMS, arXiv:1507.05915: 5.49 +- 0.17 charged hadrons a unit of eta at 13 TeV, |eta| < 0.5."""
    path = tmp_path / "minbias.root"
    write_minbias(MinBias(13000.0, 2000), path)
    events = read(path)
    charged = np.isin(np.abs(ak.flatten(events.GenStable_pdgId)), (211, 321, 2212, 3112, 3222, 3312, 3334))
    central = np.abs(ak.to_numpy(ak.flatten(events.GenStable_eta))) < 0.5
    assert np.sum(charged & central) / 2000 == pytest.approx(5.49, rel=0.07)
