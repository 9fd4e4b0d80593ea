"""`flashsim preprocess` and `flashsim train` as users meet them."""

from __future__ import annotations

import errno
import json
import signal
from pathlib import Path

import pytest

from flashsim.models.object_model import ObjectModel
from flashsim.runs.log import RunLog

MADE = "../in/made.root"
TRAINING = """
schema_version: 1
object: muons
min_rows: 5
efficiency: {width: 4, depth: 1, schedule: &short {epochs: 2, batch: 64, min_steps: 8}}
flow: &flow {layers: 1, width: 8, depth: 1, bins: 4, schedule: *short}
unmatched:
  count: {width: 4, depth: 1, schedule: *short}
  flow: *flow
"""


def test_from_tables_to_a_model(flashsim, folder, refused):
    Path("short.yaml").write_text(TRAINING, encoding="utf-8")
    status, out, _ = flashsim("preprocess", "muons", MADE, "--output", "tables")
    assert status == 0
    assert out.startswith("tables: muons of NanoAOD v9")
    assert " test: " in out
    arguments = (
        "train",
        "muons",
        "tables",
        "-o",
        "muons.safetensors",
        "--recipe",
        "short.yaml",
        "--device",
        "cpu",
    )
    status, out, err = flashsim(*arguments)
    assert (status, err) == (0, "flashsim: training muons from tables -> muons.safetensors\n")
    assert "flow: train " in out
    assert ObjectModel.load(Path("muons.safetensors")).declaration.name == "muons"
    refused(flashsim(*arguments), "muons.safetensors: exists already")
    refused(flashsim("train", "jets", "tables", "-o", "j.safetensors"), "holds tables of 'muons'")


def test_values_of_recipes_are_changed(flashsim, folder, refused):
    Path("short.yaml").write_text(TRAINING, encoding="utf-8")
    making = ("preprocess", "muons", MADE, "-o", "tables", "--set")
    assert flashsim(*making, "split.test=0.4")[0] == 0
    assert json.loads(Path("tables/tables.json").read_text())["declaration"]["split"]["test"] == 0.4
    refused(
        flashsim(*making, "split.tset=0.4", "-f"),
        "split.tset: is no key of this recipe; the nearest: split.test",
    )
    training = ("train", "muons", "tables", "-o", "m.safetensors", "--recipe", "short.yaml", "--set")
    status, out, _ = flashsim(*training, "flow.width=4", "--set", "flow.schedule.epochs=1", "--threads", 1)
    assert status == 0
    assert "(epoch 1 of 1)" in out
    recipe = ObjectModel.load(Path("m.safetensors")).provenance["recipe"]
    assert (recipe["flow"]["width"], recipe["flow"]["schedule"]["epochs"]) == (4, 1)
    assert recipe["efficiency"]["schedule"]["epochs"] == 2
    refused(flashsim(*training, "flow.width=none", "-f"), "flow.width: expected a valid integer")
    refused(flashsim(*training, "epoch=3", "-f"), "epoch: is no key of this recipe; it has schema_version")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bad_missing_lumi", "lacks luminosityBlock"),
        ("bad_no_genjet", "no GenJet and no Pileup and no fixedGridRhoFastjetAll at all; use NanoAOD"),
        ("data_dimuon_2018", "it has no generator level, as collision data; use simulated NanoAOD"),
        ("scouting_run3", "it has no Electron and no Jet and no Muon and no PV"),
    ],
)
def test_real_files_that_cannot_be_preprocessed(flashsim, folder, nanoaod_dir, name, message, refused):
    file = nanoaod_dir / f"{name}.root"
    result = flashsim("preprocess", "jets", file, "-o", "tables")
    refused(result, message)
    assert f"{file}: lacks " in result[2]
    assert list(folder.iterdir()) == []


@pytest.fixture
def interrupted(flashsim, folder, monkeypatch):
    """Give the function that trains until a signal comes, after the first epoch of the flow."""
    Path("short.yaml").write_text(TRAINING, encoding="utf-8")
    assert flashsim("preprocess", "muons", MADE, "--output", "tables")[0] == 0

    def run(number):
        record = RunLog.epoch

        def stop(log, network, *others):
            record(log, network, *others)
            if network == "flow":
                signal.raise_signal(number)

        with monkeypatch.context() as patched:
            patched.setattr(RunLog, "epoch", stop)
            return flashsim(*ARGUMENTS)

    return run


ARGUMENTS = ("train", "muons", "tables", "-o", "m.safetensors", "--recipe", "short.yaml", "--device", "cpu")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_training_that_is_stopped_says_how_it_goes_on(interrupted, flashsim, refused, number, status):
    result = interrupted(number)
    assert result[:2] == (status, "")
    command = "flashsim train muons tables -o m.safetensors --recipe short.yaml --device cpu --resume"
    assert result[2].splitlines()[1:] == [
        f"flashsim: stopped by {number.name}; the checkpoints are in m.safetensors.run; go on with: {command}"
    ]
    assert not Path("m.safetensors").exists()
    refused(flashsim(*ARGUMENTS), "go on with --resume, or begin again with --force")
    assert flashsim(*command.split()[1:])[0] == 0
    assert ObjectModel.load(Path("m.safetensors")).declaration.name == "muons"


def test_a_checkpoint_that_is_cut_is_no_end(interrupted, flashsim, refused):
    interrupted(signal.SIGTERM)
    folder = Path("m.safetensors.run/efficiency")
    for name in ("last.ckpt", "best.ckpt"):
        raw = (folder / name).read_bytes()
        (folder / name).write_bytes(raw[: len(raw) // 2])
    refused(flashsim(*ARGUMENTS, "--resume"), "efficiency/best.ckpt: is damaged (")
    (folder / "best.ckpt").unlink()
    assert flashsim(*ARGUMENTS, "--resume")[0] == 0


@pytest.mark.parametrize("spoilt", ["tables/tables.json", "tables/train/objects.parquet", "short.yaml"])
def test_a_model_is_not_written_onto_what_it_is_made_of(flashsim, folder, refused, spoilt):
    Path("short.yaml").write_text(TRAINING, encoding="utf-8")
    assert flashsim("preprocess", "muons", MADE, "--output", "tables")[0] == 0
    before = Path(spoilt).read_bytes()
    Path("link").symlink_to(spoilt)
    for output in (spoilt, "link"):
        arguments = ("train", "muons", "tables", "-o", output, "--recipe", "short.yaml", "--force")
        refused(flashsim(*arguments), f"{output}: is an input; name another output")
    assert Path(spoilt).read_bytes() == before


def test_a_full_disk_leaves_no_tables(flashsim, folder, refused, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pyarrow.parquet.ParquetWriter.write_table", full)
    result = flashsim("preprocess", "muons", MADE, "--output", "tables")
    refused(result, "tables: training tables cannot be written there (No space left on device)")
    assert list(folder.iterdir()) == []


def test_a_disk_that_is_full_for_the_results_is_said(flashsim, folder, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("typer.echo", full)
    status, _, err = flashsim("preprocess", "muons", MADE, "--output", "tables")
    assert (status, err.splitlines()[-1]) == (
        2,
        "flashsim: error: the output: cannot be written (No space left on device)",
    )
