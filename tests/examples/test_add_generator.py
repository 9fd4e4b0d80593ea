"""The how-to page of generators, followed on a real file: both kinds, and one that another package brings."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from flashsim.declarations.flows import FLOW_RECIPES
from flashsim.declarations.training import TrainingRecipe, load_training
from flashsim.errors import ModelFileError, RecipeError
from flashsim.flows import kinds
from flashsim.models.object_model import ObjectModel

PAGE = "docs/howto/generator.md"
NO_GAUSSIAN = r"no kind of flow 'gaussian', only (\w+, )*flow_matching, (\w+, )*spline_maf"
QUICK = [
    f"{network}.schedule.{key}"
    for network in ("efficiency", "flow", "unmatched.count", "unmatched.flow")
    for key in ("epochs=2", "batch=64")
]


def forget_gaussian():
    """Take a kind out that a test has brought."""
    kinds._others.pop("gaussian", None)
    if FLOW_RECIPES.pop("gaussian", None):
        TrainingRecipe.model_rebuild(force=True)


@pytest.fixture
def reader(reader, monkeypatch):
    """Give a reader whose folder Python searches, and leave nothing of its packages."""
    monkeypatch.syspath_prepend(reader.folder)
    yield reader
    sys.modules.pop("gaussian_flow", None)
    forget_gaussian()


def assert_simulated(responses, kind):
    model = ObjectModel.load(Path("models/jets.safetensors"))
    assert (model.flow.kind, model.unmatched["event"].flow.kind) == (kind, kind)
    full, flash = responses["full.root"], responses["flash.root"]
    assert np.isfinite(flash).all()
    assert len(flash) == pytest.approx(len(full), rel=0.2)
    assert np.median(flash) == pytest.approx(np.median(full), abs=0.1)
    spreads = [np.subtract(*np.quantile(values, (0.84, 0.16))) for values in (flash, full)]
    assert 0.5 < spreads[0] / spreads[1] < 2.0


def test_flow_matching_is_a_setting(reader):
    reader.follow(PAGE, "Add a generator")
    declared, commands, look = reader.blocks_of(PAGE, "Train and look")
    assert declared.title == "gaussian.yaml"
    quick = "".join(f" --set {change}" for change in QUICK)
    reader.run(commands.text.replace("gaussian.yaml", f"matching.yaml{quick}"))
    reader.take(look)
    assert_simulated(reader.names["responses"], "flow_matching")


def test_a_package_brings_a_kind_of_its_own(reader, monkeypatch):
    reader.follow(PAGE, "A kind of your own")
    reader.follow(PAGE, "Train and look")
    assert_simulated(reader.names["responses"], "gaussian")
    recipe = load_training("gaussian.yaml")
    assert (recipe.flow.kind, recipe.flow.sizes) == ("gaussian", {"width": 16})
    with pytest.raises(RecipeError, match=r"flow\.depth: is no key of this recipe"):
        load_training("gaussian.yaml", {"flow.depth": 3})
    # Where the package is not installed, that is what is said; other tests may have brought other kinds.
    forget_gaussian()
    monkeypatch.setattr("flashsim.declarations.flows.entry_points", lambda group: ())
    with pytest.raises(ModelFileError, match=NO_GAUSSIAN):
        ObjectModel.load(Path("models/jets.safetensors"))
    with pytest.raises(RecipeError, match="flow: expected a flow of kind spline_maf or flow_matching"):
        load_training("gaussian.yaml")
