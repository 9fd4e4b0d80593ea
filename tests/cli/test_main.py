"""The command line as users meet it: exit status, what is printed where, what is left on disk."""

from __future__ import annotations

import json
import logging
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import yaml

from flashsim.cli import main as cli
from flashsim.declarations.recipes import read_yaml, recipe_path
from flashsim.generation.generate import DEFAULT_CHUNK
from flashsim.models import shipped as models
from flashsim.models.object_model import ObjectModel
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.writing import COMPRESSIONS, NanoWriter

HEAVY = {
    "awkward",
    "coffea",
    "lightning",
    "matplotlib",
    "numba",
    "numpy",
    "pandas",
    "rich.progress",
    "torch",
    "uproot",
}
MADE = "../in/made.root"
TRAINING = """
schema_version: 1
object: muons
min_rows: 5
efficiency: {width: 4, depth: 1, schedule: &short {epochs: 2, batch: 64, min_steps: 8}}
flow: &flow {layers: 1, width: 8, depth: 1, bins: 4, schedule: *short}
fake_count: {width: 4, depth: 1, schedule: *short}
fake_flow: *flow
"""


@pytest.fixture
def flashsim(monkeypatch, capfd):
    """Run the console script in this process; gives exit status, stdout and stderr."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    level = logging.getLogger("flashsim").level

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["flashsim", *map(str, arguments)])
        with pytest.raises(SystemExit) as exited:
            cli.main()
        out, err = capfd.readouterr()
        return exited.value.code or 0, out, err

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)
    logging.getLogger("flashsim").setLevel(level)


@pytest.fixture
def folder(tmp_path, monkeypatch, made_nanoaod):
    """Give an empty current folder; `MADE` is the made file, seen from there."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "made.root").symlink_to(made_nanoaod)
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    return tmp_path / "out"


@pytest.fixture
def generate(flashsim, made_models):
    """Run `flashsim generate`, with barely trained models where the arguments name none."""

    def run(*arguments):
        return flashsim("generate", *arguments, *(() if "-m" in arguments else ("-m", made_models)))

    return run


def assert_refused(result, message):
    status, out, err = result
    assert (status, out) == (2, "")
    (line,) = err.strip().splitlines()
    assert line.startswith("flashsim: error: ")
    assert message in line


def test_help_is_quick():
    """What makes it slow is heavy imports."""
    look = "import sys, flashsim.cli.main; print(*sys.modules, sep='\\n')"
    run = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert HEAVY & set(run.stdout.split()) == set()


def test_help(flashsim):
    status, out, err = flashsim("--help")
    assert (status, err) == (0, "")
    for command in ("generate", "preprocess", "train", "inspect", "gen", "reference", "validate", "analyze"):
        assert command in out
        status, text, _ = flashsim(command, "-h")
        assert status == 0
        assert "Usage: flashsim" in text


def test_version(flashsim):
    status, out, _ = flashsim("--version")
    assert status == 0
    assert out.startswith("flashsim ")


def test_choices_are_those_of_the_package():
    assert set(get_args(cli.Compression)) == set(COMPRESSIONS)
    assert cli.generate.__kwdefaults__["chunk"] == DEFAULT_CHUNK


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
    assert sum(" any " in line for line in rows) == len(told) == len(err.splitlines())
    for line in err.splitlines():
        assert re.fullmatch(r"flashsim: warning: \d+\.\d+% of .* are outside of the domain of the .*", line)
    with NanoFile("made_flash.root") as file:
        assert {"Jet_outsideDomain", "Muon_outsideDomain"} <= set(file.branches)


def test_a_model_without_domain_is_named(generate, folder, made_models):
    old = replace(ObjectModel.load(made_models / "jets.safetensors"), phase_space=None)
    replace(old, fakes=replace(old.fakes, phase_space=None)).save(folder / "old.safetensors")
    status, out, err = generate("-i", MADE, "-m", "old.safetensors")
    assert (status, len(out.splitlines())) == (0, 1)
    assert err.startswith("flashsim: note: the model of jets does not know the domain of its training")
    result = generate("-i", MADE, "-m", "old.safetensors", "--flag-domain", "--force")
    assert_refused(result, "the model of jets does not know the domain of its training, which --flag-domain")


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
    (text,) = [line for line in err.splitlines() if " note: " in line]
    assert text == "flashsim: note: not kept, as they index objects that are simulated anew: Tau_jetIdx"


def test_a_failing_file_does_not_keep_the_others_from_being_made(generate, folder):
    Path("b.root").symlink_to(MADE)
    Path("a.root").write_bytes(b"no ROOT file")
    status, out, err = generate("-i", "*.root", "-o", "out", "--retries", 2)
    assert status == 2
    assert out.startswith("out/b_flash.root: 240 events")
    assert "total 1 failed, 1 done 4 240" in [" ".join(line.split()) for line in out.splitlines()]
    note, *_, error = err.strip().splitlines()
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


def test_what_is_finished_otherwise_is_not_taken_for_finished(generate, folder):
    assert generate("-i", MADE)[0] == 0
    result = generate("-i", MADE, "--resume", "--seed", 2)
    assert_refused(result, "made_flash.root: is finished, but of another seed (1, now 2)")
    assert_refused(generate("-i", MADE), "made_flash.root: exists already; name another output, or add")
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
        (["-i", MADE, "--device", "abacus"], "--device abacus: torch cannot compute on it here"),
        (["-i", MADE, "--keep", "HLT_No*"], "has no branch that fits --keep 'HLT_No*'"),
        (
            ["-i", MADE, "--nano-version", "v3"],
            "NanoAOD v3 cannot be written; choose one of v5, v6, v9, v12, v15",
        ),
        (["-i", MADE, "-m", "none"], "none: there is no such model file"),
        (["-i", MADE, "-m", "."], "holds no model"),
        (["-i", MADE, "-m", "text.root"], "text.root: is not a model file"),
        (["-i", MADE, "-o", "text.root"], "text.root: exists already"),
        (["-i", MADE, "-o", "none/x.root"], "the folder none does not exist"),
        (["-i", MADE, "-o", MADE, "--force"], "made.root: is an input"),
    ],
)
def test_mistakes_end_with_one_sentence(generate, folder, made_nanoaod, options, message):
    Path("text.root").write_text("text", encoding="utf-8")
    before = made_nanoaod.read_bytes()
    assert_refused(generate(*options), message)
    assert [path.name for path in folder.iterdir()] == ["text.root"]
    assert made_nanoaod.read_bytes() == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["generate"],
        ["generate", "-i", "x", "--chunk", "0"],
        ["generate", "-i", "x", "--compression", "zip"],
        ["fly"],
    ],
)
def test_usage_errors(flashsim, folder, arguments):
    status, out, err = flashsim(*arguments)
    assert (status, out) == (2, "")
    assert "Usage: flashsim" in err
    assert list(folder.iterdir()) == []


def test_without_shipped_models(flashsim, folder, monkeypatch):
    monkeypatch.setattr(models, "_FOLDER", folder)
    assert_refused(flashsim("generate", "-i", MADE), "has no shipped models; name your own with --models")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals_leave_nothing(generate, folder, monkeypatch, number, status):
    monkeypatch.setattr(NanoWriter, "extend", lambda *_: signal.raise_signal(number))
    result = generate("-i", MADE)
    assert result == (status, "", f"flashsim: stopped by {number.name}; no unfinished output is left\n")
    assert list(folder.iterdir()) == []


def test_progress_where_there_is_a_terminal(generate, folder, monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "120")
    status, out, err = generate("-i", MADE, "--chunk", 100)
    assert status == 0
    assert "240/240" in err
    assert "events/s" in err
    assert "\x1b" not in out


def test_from_tables_to_a_model(flashsim, folder):
    Path("short.yaml").write_text(TRAINING, encoding="utf-8")
    status, out, _ = flashsim("preprocess", "muons", MADE, "--output", "tables")
    assert status == 0
    assert out.startswith("tables: muons of NanoAOD v9")
    assert " test: " in out
    arguments = (
        "train",
        "muons",
        "-t",
        "tables",
        "-o",
        "muons.safetensors",
        "--recipe",
        "short.yaml",
        "--device",
        "cpu",
    )
    status, out, err = flashsim(*arguments)
    assert (status, err) == (0, "")
    assert "flow: train " in out
    assert ObjectModel.load(Path("muons.safetensors")).declaration.name == "muons"
    assert_refused(flashsim(*arguments), "muons.safetensors: exists already")
    assert_refused(
        flashsim("train", "jets", "-t", "tables", "-o", "j.safetensors"), "holds tables of 'muons'"
    )


def test_gen(flashsim, folder):
    pytest.importorskip("pythia8mc", reason="pythia8mc is not installed (extra 'reference')")
    status, out, err = flashsim("gen", "vbf_hmumu.cmnd", "--events", 3, "--output", "gen.root")
    assert (status, err) == (0, "")
    assert out.startswith("gen.root: 3 events from vbf_hmumu.cmnd, cross section ")
    assert out.endswith(" pb\n")
    assert_refused(flashsim("gen", "none.cmnd", "--output", "x.root"), "no reference recipe 'none.cmnd'")


def test_reference(flashsim, folder):
    pytest.importorskip("pythia8mc", reason="pythia8mc is not installed (extra 'reference')")
    arguments = ("reference", "vbf_hmumu", "-n", 3, "--output", "vbf", "--detectors", "full")
    status, out, err = flashsim(*arguments)
    assert (status, err) == (0, "")
    assert out.startswith("vbf/gen.root: 3 events\nvbf/full.root: ")
    assert_refused(flashsim(*arguments), "vbf/full.root: exists already")
    status, out, _ = flashsim(*arguments, "--force")
    assert status == 0
    assert out.startswith("vbf/gen.root: 3 events, made before\n")
    assert_refused(flashsim(*arguments, "--force", "--full", "none.yaml"), "no reference recipe 'none.yaml'")
    status, _, err = flashsim("reference", "vbf_hmumu", "-o", "x", "--detectors", "delphes")
    assert status == 2
    assert "'delphes' is no detector" in err


def test_inspect(flashsim, made_nanoaod, made_models):
    status, out, err = flashsim("inspect", made_nanoaod)
    assert (status, err) == (0, "")
    assert "240 events of NanoAOD v9 (TTree)" in out
    status, out, _ = flashsim("inspect", made_models / "jets.safetensors", "--json")
    assert status == 0
    assert json.loads(out)["object"] == "jets"


UNUSABLE = [
    ("bad_missing_lumi", "lacks luminosityBlock"),
    ("bad_no_genjet", "it has no GenJet and no Pileup at all; use NanoAOD of full content"),
    ("data_dimuon_2018", "it has no generator level, as collision data; use simulated NanoAOD"),
]


@pytest.mark.parametrize(("name", "message"), UNUSABLE)
def test_real_files_that_cannot_be_generated_from(generate, folder, nanoaod_dir, name, message):
    file = nanoaod_dir / f"{name}.root"
    result = generate("-i", file, "-o", "x.root")
    assert_refused(result, message)
    assert f"{file}: lacks " in result[2]
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "message"), [*UNUSABLE, ("scouting_run3", "lacks Jet_pt, Jet_eta, Jet_phi, Jet_genJetIdx")]
)
def test_real_files_that_cannot_be_preprocessed(flashsim, folder, nanoaod_dir, name, message):
    file = nanoaod_dir / f"{name}.root"
    result = flashsim("preprocess", "jets", file, "-o", "tables")
    assert_refused(result, message)
    assert f"{file}: lacks " in result[2]
    assert list(folder.iterdir()) == []


def test_made_file_is_no_accident(made_nanoaod):
    """The tests above mean something only with objects of both kinds in the file."""
    with NanoFile(made_nanoaod) as file:
        found = file.read(["Jet_genJetIdx", "Muon_genPartIdx"])
    for column in found.values():
        matched = np.concatenate([np.asarray(event) for event in column]) >= 0
        assert 0.3 < matched.mean() < 1.0


@pytest.fixture
def few_targets(folder):
    """A user's own declaration: muons with five targets."""
    content = read_yaml(recipe_path("preprocessing", "muons"))
    content["targets"] = content["targets"][:5]
    Path("few.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return "few.yaml"


def test_validate(flashsim, folder, made_process, few_targets):
    full, other, fast = (made_process / f"{name}.root" for name in ("full", "full_1", "fast"))
    arguments = ("validate", full, other, "--third", fast, "--object", few_targets, "--output", "report.html")
    status, out, err = flashsim(*arguments)
    assert (status, err) == (0, "")
    assert out.startswith("report.html: ")
    assert {path.name for path in folder.iterdir()} == {"few.yaml", "report.html", "report.json"}
    found = json.loads(Path("report.json").read_text(encoding="utf-8"))
    assert found["files"] == {"reference": "full.root", "candidate": "full_1.root", "third": "fast.root"}
    assert_refused(flashsim(*arguments), "report.html: exists already")


def test_validate_tells_by_its_exit_status(flashsim, folder, made_process, few_targets):
    full = made_process / "full.root"
    with NanoFile(full) as file, NanoWriter("wrong.root") as writer:
        arrays = file.read(list(file.branches))
        writer.tree("Events", list(file.branches.values()))
        writer.extend("Events", arrays | {"Muon_ptErr": 3.0 * arrays["Muon_ptErr"]})

    def validate(candidate, *options):
        return flashsim("validate", full, candidate, "--object", few_targets, "-fo", "r.html", *options)[:2]

    assert validate(full, "--fail-above", "amber")[0] == 0
    status, out = validate("wrong.root", "--fail-above", "amber")
    assert status == 1
    assert "red: muons, Distributions, Muon_ptErr" in out
    assert validate("wrong.root")[0] == 0
