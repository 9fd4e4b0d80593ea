"""`flashsim generate` as users meet it."""

from __future__ import annotations

import re
import signal
from dataclasses import replace
from pathlib import Path
from typing import get_args

import awkward as ak
import numpy as np
import pytest

from flashsim.cli import generation
from flashsim.generation.generate import DEFAULT_CHUNK
from flashsim.models import shipped
from flashsim.models.object_model import ObjectModel
from flashsim.nanoaod.provenance import GENERATION, read_provenance
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.writing import COMPRESSIONS, NanoWriter

MADE = "../in/made.root"


def test_choices_are_those_of_the_package():
    assert set(get_args(generation.Compression)) == set(COMPRESSIONS)
    assert generation.generate.__kwdefaults__["chunk"] == DEFAULT_CHUNK


def test_generate(flashsim, folder, made_models):
    status, out, _ = flashsim("generate", "--input", MADE, "--models", made_models)
    assert status == 0
    assert out.startswith("made_flash.root: 240 events of NanoAOD v9, ")
    assert [path.name for path in folder.iterdir()] == ["made_flash.root"]
    with NanoFile("made_flash.root") as file:
        assert file.num_entries == 240


def test_generate_tells_what_is_unlike_the_training(generate, folder):
    """A model of a few hundred objects has not seen all that the same process gives."""
    status, out, err = generate("-i", MADE, "--flag-domain")
    assert status == 0
    _, head, *rows = out.splitlines()
    assert " ".join(head.split()) == "outside of the training variable number share training from to"
    told = {line.partition("  ")[0] for line in rows}
    assert {"GenJet for Jet", "GenMuon for Muon"} <= told
    first, emulated, not_emulated, origin, *warnings = err.splitlines()
    assert emulated.startswith("flashsim: note: emulated from simulated objects")
    assert not_emulated.startswith("flashsim: note: not emulated, as PFMET_pt or MET_pt is not simulated")
    assert origin.startswith("flashsim: note: Vertices, Electron, Muon, Jet: trained on ")
    assert first == f"flashsim: simulating {MADE} -> made_flash.root"
    assert sum(" any " in line for line in rows) == len(told) == len(warnings)
    for line in warnings:
        assert re.fullmatch(r"flashsim: warning: \d+\.\d+% of .* are outside of the domain of the .*", line)
    with NanoFile("made_flash.root") as file:
        assert {"Jet_outsideDomain", "Muon_outsideDomain"} <= set(file.branches)


def test_what_models_were_trained_on_is_said_and_kept(flashsim, folder):
    status, _, err = flashsim("generate", "-i", MADE, "-o", "v9.root")
    said = "trained on the reference simulation, which is not CMS simulation (shipped model)"
    lines = [line for line in err.splitlines() if said in line]
    assert (status, len(lines)) == (0, 1)
    assert "trained on NanoAOD" not in err
    record = read_provenance("v9.root", GENERATION)
    assert {text in said for text in record["training"].values()} == {True}
    assert record["warnings"] == []


def test_models_of_another_version_end_with_a_warning_that_is_kept(flashsim, folder):
    status, _, err = flashsim("generate", "-i", MADE, "-o", "v15.root", "--nano-version", "v15")
    assert status == 0
    said = [line.removeprefix("flashsim: warning: ") for line in err.splitlines()]
    warnings = read_provenance("v15.root", GENERATION)["warnings"]
    assert warnings == [line for line in said if line in warnings]
    assert "were trained on NanoAOD v9, and the output is v15" in warnings[0]
    with NanoFile("v15.root") as file:
        tags = np.asarray(ak.flatten(file.read(["Jet_btagDeepFlavB"])["Jet_btagDeepFlavB"]))
    share = f"Jet_btagDeepFlavB of {np.mean(tags < 0):.1%}"
    assert any(share in text for text in warnings[1:]) == bool((tags < 0).any())


def test_a_model_without_domain_is_named(generate, folder, made_models, refused):
    (folder / "old").mkdir()
    names = sorted(path.stem for path in made_models.glob("*.safetensors"))
    for name in names:
        old = replace(ObjectModel.load(made_models / f"{name}.safetensors"), phase_space=None)
        unmatched = {source: replace(made, phase_space=None) for source, made in old.unmatched.items()}
        placed = old.placed and replace(old.placed, phase_space=None)
        replace(old, unmatched=unmatched, placed=placed).save(folder / "old" / f"{name}.safetensors")
    status, out, err = generate("-i", MADE, "-m", "old")
    assert (status, len(out.splitlines())) == (0, 1)
    for name in names:
        note = f"flashsim: note: the model of {name} does not know the domain of its training"
        assert sum(line.startswith(note) for line in err.splitlines()) == 1
    result = generate("-i", MADE, "-m", "old", "--flag-domain", "--force")
    refused(result, "does not know the domain of its training, which --flag-domain")


def test_seed(generate, folder):
    def pts(output, *options):
        assert generate("-i", MADE, "-o", output, *options)[0] == 0
        with NanoFile(output) as file:
            return file.read(["Jet_pt"])["Jet_pt"].tolist()

    first = pts("a.root", "--seed", 7)
    assert pts("b.root", "--seed", 7, "--chunk", 100, "--threads", 1, "--compression", "lz4") == first
    assert pts("c.root", "--seed", 8) != first


def test_several_inputs_after_one_option(generate, folder):
    """As a shell makes of `--input *.root`."""
    Path("a.root").symlink_to(MADE)
    Path("b.root").symlink_to(MADE)
    status, out, err = generate("--input", "a.root", "b.root", "-o", "out", "--keep", "Tau_*")
    assert status == 0
    assert sorted(path.name for path in Path("out").iterdir()) == ["a_flash.root", "b_flash.root"]
    first, second, head, *rows = out.splitlines()
    assert (first[:17], second[:17]) == ("out/a_flash.root:", "out/b_flash.root:")
    assert head.split() == ["output", "status", "attempts", "events", "seconds", "events/s"]
    assert [row.split()[:4] for row in rows[:2]] == [
        [f"out/{n}_flash.root", "done", "1", "240"] for n in "ab"
    ]
    assert rows[2].split() == ["total", "2", "done", "2", "480"]
    # The same note is given once.
    text, emulated, not_emulated, origin = [line for line in err.splitlines() if " note: " in line]
    assert " emulated from " in emulated
    assert " not emulated, " in not_emulated
    assert "trained on" in origin
    assert text == "flashsim: note: not kept, as they are indices into simulated collections: Tau_jetIdx"


@pytest.mark.parametrize("workers", [1, 2])
def test_other_events_of_the_same_numbers_are_named(generate, folder, made_process, workers):
    full, fast, other = (made_process / f"{name}.root" for name in ("full", "fast", "other"))
    status, _, err = generate(full, fast, other, "-o", "out", "--workers", workers)
    assert status == 0
    (line,) = [line for line in err.splitlines() if "same run, luminosityBlock and event" in line]
    assert line.startswith(f"flashsim: warning: {other}: its events and those of {full} carry the same run,")


def test_a_failing_file_does_not_keep_the_others_from_being_made(generate, folder):
    Path("b.root").symlink_to(MADE)
    Path("a.root").write_bytes(b"no ROOT file")
    status, out, err = generate("-i", "*.root", "-o", "out", "--retries", 2)
    assert status == 2
    assert out.startswith("out/b_flash.root: 240 events")
    assert "total 1 failed, 1 done 4 240" in [" ".join(line.split()) for line in out.splitlines()]
    first, emulated, _, note, *_, error = err.strip().splitlines()
    assert first == "flashsim: simulating 2 files -> out"
    assert " emulated from " in emulated
    assert note.startswith("flashsim: note: failed after 3 attempts: a.root: is not a ROOT file")
    assert error.startswith("flashsim: error: 1 of 2 files failed")
    assert [path.name for path in Path("out").iterdir()] == ["b_flash.root"]

    Path("a.root").unlink()
    Path("a.root").symlink_to(MADE)
    before = Path("out/b_flash.root").stat().st_mtime_ns
    status, out, _ = generate("-i", "*.root", "-o", "out", "--resume")
    assert status == 0
    assert "out/b_flash.root: 240 events of NanoAOD v9, finished before" in out
    assert Path("out/b_flash.root").stat().st_mtime_ns == before
    assert Path("out/a_flash.root").is_file()


def test_what_is_finished_otherwise_is_not_taken_for_finished(generate, folder, refused):
    assert generate("-i", MADE)[0] == 0
    result = generate("-i", MADE, "--resume", "--seed", 2)
    refused(result, "made_flash.root: is finished, but of another seed (1, now 2)")
    refused(generate("-i", MADE), "made_flash.root: exists already; name another output or add")
    assert generate("-i", MADE, "--resume", "--force", "--seed", 2)[0] == 0


def test_oversampling(generate, folder):
    assert generate("-i", MADE, "--oversample", 3)[1].startswith("made_flash.root: 720 events")
    with NanoFile("made_flash.root") as file:
        assert file.read(["fold"])["fold"].tolist() == [0, 1, 2] * 240


def test_there_is_one_kind_of_workers(generate, folder):
    status, _, err = generate("-i", MADE, "--workers", 2, "--dask", "tcp://nowhere:1")
    assert status == 2
    assert "not both" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-i", "none.root"], "none.root: there is no such file"),
        (["-i", "text.root"], "text.root: is not a ROOT file that can be read"),
        (["-i", MADE, "--device", "abacus"], "expected auto, cpu, cuda or cuda:N, found 'abacus'"),
        (["-i", MADE, "--device", "cuda:7"], "--device cuda:7: torch cannot compute on it here"),
        (["-i", MADE, "--keep", "HLT_No*"], "has no branch or tree that fits --keep 'HLT_No*'"),
        (
            ["-i", MADE, "--nano-version", "v3"],
            "NanoAOD v3 cannot be written; choose one of v5, v6, v9, v12, v15",
        ),
        (["-i", MADE, "--pileup", "run1"], "no pileup profile 'run1': expected drawn, a number"),
        (["-i", MADE, "--pileup", "-3"], "--pileup -3: expected a number of interactions from 0 to 1000"),
        (["-i", MADE, "-m", "none"], "none: there is no such model file"),
        (["-i", MADE, "-m", "."], "holds no model"),
        (["-i", MADE, "-m", "text.root"], "text.root: is not a model file"),
        (["-i", MADE, "-o", "text.root"], "text.root: exists already"),
        (["-i", MADE, "-o", "none/x.root"], "the folder none does not exist"),
        (["-i", MADE, "-o", MADE, "--force"], "made.root: is an input"),
    ],
)
def test_mistakes_end_with_one_sentence(generate, folder, made_nanoaod, options, message, refused):
    Path("text.root").write_text("text", encoding="utf-8")
    before = made_nanoaod.read_bytes()
    refused(generate(*options), message)
    assert [path.name for path in folder.iterdir()] == ["text.root"]
    assert made_nanoaod.read_bytes() == before


def test_a_pileup_of_ones_own(generate, folder):
    profile = Path("mine.yaml")
    profile.write_text("schema_version: 1\nsource: made\nprobabilities: [0, 0, 0, 1]\n", encoding="utf-8")
    status, _, err = generate("-i", MADE, "--pileup", profile)
    assert status == 0
    assert (
        "flashsim: note: the pileup is drawn from the profile mine.yaml (mean 3.5): Pileup_nTrueInt, " in err
    )
    with NanoFile("made_flash.root") as file:
        assert np.all(np.floor(file.read(["Pileup_nTrueInt"])["Pileup_nTrueInt"]) == 3)


def test_without_shipped_models(flashsim, folder, monkeypatch, refused):
    monkeypatch.setattr(shipped, "_FOLDER", folder)
    refused(flashsim("generate", "-i", MADE), "has no shipped models; name your own with --models")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals_leave_nothing(generate, folder, monkeypatch, number, status):
    monkeypatch.setattr(NanoWriter, "extend", lambda *_: signal.raise_signal(number))
    result = generate("-i", MADE)
    assert result[:2] == (status, "")
    assert result[2].splitlines()[1:] == [f"flashsim: stopped by {number.name}; no unfinished output is left"]
    assert list(folder.iterdir()) == []


def test_progress_where_there_is_a_terminal(generate, folder, monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "120")
    status, out, err = generate("-i", MADE, "--chunk", 100)
    assert status == 0
    assert "240/240" in err
    assert "events/s" in err
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bad_missing_lumi", "lacks luminosityBlock"),
        ("bad_no_genjet", "it has no GenJet and no Pileup at all; use NanoAOD of full content"),
        ("data_dimuon_2018", "it has no generator level, as collision data; use simulated NanoAOD"),
    ],
)
def test_real_files_that_cannot_be_generated_from(generate, folder, nanoaod_dir, name, message, refused):
    file = nanoaod_dir / f"{name}.root"
    result = generate("-i", file, "-o", "x.root")
    refused(result, message)
    assert f"{file}: lacks " in result[2]
    assert list(folder.iterdir()) == []


def test_made_file_is_no_accident(made_nanoaod):
    """The tests above mean something only with objects of both kinds in the file."""
    with NanoFile(made_nanoaod) as file:
        found = file.read(["Jet_genJetIdx", "Muon_genPartIdx"])
    for column in found.values():
        matched = np.concatenate([np.asarray(event) for event in column]) >= 0
        assert 0.3 < matched.mean() < 1.0
