"""docs/howto/generator.md as it is written: both kinds of flows, and one that another package brings."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import torch
import uproot
import yaml

from flashsim.cli.main import main
from flashsim.declarations.flows import FLOW_RECIPES
from flashsim.declarations.training import TrainingRecipe, load_training
from flashsim.errors import ModelFileError, RecipeError
from flashsim.flows import kinds
from flashsim.models.object_model import ObjectModel

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "generator.md"
TEXT = PAGE.read_text(encoding="utf-8")
FILES = dict(re.findall(r'^```\w+ title="(\S+)"\n(.*?)^```$', TEXT, re.MULTILINE | re.DOTALL))
FEW = "min_rows: 5\n"
"""The made file has few unmatched jets."""
COMMANDS = re.findall(r"^flashsim .*$", TEXT, re.MULTILINE)


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def run(made_nanoaod, tmp_path, monkeypatch):
    """Run a command of the page in a folder with its files."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full.root").symlink_to(made_nanoaod)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text + (FEW if name == "gaussian.yaml" else ""), encoding="utf-8")

    def run(command):
        monkeypatch.setattr(sys, "argv", command.split())
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code in {0, None}

    return run


@pytest.fixture
def gaussian_package(tmp_path, monkeypatch):
    """What `pip install .` makes of the page's package, and nothing of it after the test."""
    entry_points = tomllib.loads(FILES["pyproject.toml"])["project"]["entry-points"]
    folder = tmp_path / "gaussian_flow-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: gaussian-flow\nVersion: 1.0\n", "utf-8")
    (line,) = entry_points["flashsim.flows"].items()
    (folder / "entry_points.txt").write_text("[flashsim.flows]\n{} = {}\n".format(*line), "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("gaussian_flow", None)
    kinds._others.pop("gaussian", None)
    if FLOW_RECIPES.pop("gaussian", None):
        TrainingRecipe.model_rebuild(force=True)


def jets(path):
    with uproot.open(f"{path}:Events") as tree:
        return tree.arrays(["Jet_pt", "Jet_eta", "Jet_genJetIdx"])


def assert_simulated(path, kind):
    model, found = ObjectModel.load(Path("models/jets.safetensors")), jets(path)
    assert (model.flow.kind, model.fakes.flow.kind) == (kind, kind)
    assert np.isfinite(ak.to_numpy(ak.flatten(found.Jet_pt))).all()
    assert ak.min(found.Jet_pt) >= 15.0
    assert ak.num(found.Jet_pt).to_numpy().sum() > 100


def test_jets_are_trained_by_flow_matching_and_generated_by_the_same_commands(run):
    recipe = yaml.safe_load(FILES["matching.yaml"])
    quick = {"epochs": 2, "batch": 64}
    for flow in ("flow", "fake_flow"):
        recipe[flow]["schedule"] |= quick
    recipe |= {network: {"width": 8, "schedule": quick} for network in ("efficiency", "fake_count")}
    Path("gaussian.yaml").write_text(yaml.safe_dump(recipe) + FEW, encoding="utf-8")
    for command in COMMANDS:
        run(command)
    assert_simulated("flash.root", "flow_matching")
    run(f"{COMMANDS[-1]} --chunk 37 --threads 2 --force".replace("flash.root", "again.root"))
    assert ak.array_equal(jets("flash.root"), jets("again.root"))


def test_a_package_brings_a_kind_of_its_own(run, gaussian_package):
    for command in COMMANDS:
        run(command)
    assert_simulated("flash.root", "gaussian")
    recipe = load_training("gaussian.yaml")
    assert (recipe.flow.kind, recipe.flow.sizes) == ("gaussian", {"width": 16})
    with pytest.raises(RecipeError, match=r"flow\.depth: is no key of this recipe"):
        load_training("gaussian.yaml", {"flow.depth": 3})


def test_a_kind_that_is_not_installed_is_named(run, gaussian_package, monkeypatch):
    for command in COMMANDS[:2]:
        run(command)
    kinds._others.pop("gaussian")
    FLOW_RECIPES.pop("gaussian")
    TrainingRecipe.model_rebuild(force=True)
    monkeypatch.setattr("flashsim.declarations.flows.entry_points", lambda group: ())
    with pytest.raises(ModelFileError, match="no kind of flow 'gaussian', only flow_matching, spline_maf"):
        ObjectModel.load(Path("models/jets.safetensors"))
    with pytest.raises(RecipeError, match="flow: expected a flow of kind spline_maf or flow_matching"):
        load_training("gaussian.yaml")
