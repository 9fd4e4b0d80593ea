from __future__ import annotations

import pytest
import yaml

import flashsim
from flashsim.declarations.recipes import read_yaml, recipe_path
from flashsim.errors import ModelFileError


def test_from_nanoaod_to_a_model(made_nanoaod, tmp_path):
    tables, output = tmp_path / "tables", tmp_path / "muons.safetensors"
    told = []
    made = flashsim.preprocess("muons", made_nanoaod, tables, progress=lambda *counts: told.append(counts))
    assert told == [("muons", 240, 240, "")]
    assert sum(made.events.values()) == 240
    schedule = {"epochs": 2, "batch": 64, "min_steps": 8}
    flow = {"layers": 1, "width": 8, "depth": 1, "bins": 4, "schedule": schedule}
    perceptron = {"width": 4, "depth": 1, "schedule": schedule}
    recipe = read_yaml(recipe_path("training", "muons.yaml")) | {"min_rows": 5}
    recipe |= {"efficiency": perceptron, "flow": flow, "unmatched": {"count": perceptron, "flow": flow}}
    recipe |= {"placed": {"flow": flow}}
    (tmp_path / "short.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    told.clear()
    trained = flashsim.train(
        "muons",
        tables,
        output,
        recipe=tmp_path / "short.yaml",
        device="cpu",
        progress=lambda *counts: told.append(counts),
    )
    unmatched = {"unmatched_event_count", "unmatched_event_flow", "placed_flow"}
    assert {name for name, *_ in told} == {"efficiency", "flow", *unmatched} == {*trained.results}
    assert told[-1][3].startswith("best validation loss ")
    assert trained.figure.is_file()
    assert flashsim.load_model(output).parameters() == trained.model.parameters()


def test_shipped_models_have_names():
    assert flashsim.load_model("jets").declaration.collection == "Jet"
    with pytest.raises(ModelFileError, match="photons: there is no such model file"):
        flashsim.load_model("photons")
