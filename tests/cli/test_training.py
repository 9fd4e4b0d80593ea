"""`flashsim preprocess` and `flashsim train` as users meet them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flashsim.models.object_model import ObjectModel

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
        ("bad_no_genjet", "it has no GenJet and no Pileup at all; use NanoAOD of full content"),
        ("data_dimuon_2018", "it has no generator level, as collision data; use simulated NanoAOD"),
        ("scouting_run3", "lacks Jet_pt, Jet_eta, Jet_phi, Jet_genJetIdx"),
    ],
)
def test_real_files_that_cannot_be_preprocessed(flashsim, folder, nanoaod_dir, name, message, refused):
    file = nanoaod_dir / f"{name}.root"
    result = flashsim("preprocess", "jets", file, "-o", "tables")
    refused(result, message)
    assert f"{file}: lacks " in result[2]
    assert list(folder.iterdir()) == []
