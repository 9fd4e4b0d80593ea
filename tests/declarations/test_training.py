from __future__ import annotations

import pytest
import yaml

from flashsim.declarations.flows import FlowMatchingRecipe
from flashsim.declarations.objects import load_object
from flashsim.declarations.recipes import recipe_folder
from flashsim.declarations.training import TrainingRecipe, load_training
from flashsim.errors import RecipeError

SHIPPED = sorted(p.stem for p in recipe_folder("preprocessing").glob("*.yaml") if p.stem != "gen")


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_object_has_a_training_recipe(name):
    assert load_training(name).object == load_object(name).name


def test_all_values_have_defaults():
    recipe = TrainingRecipe(schema_version=1, object="jets")
    assert recipe.flow.schedule.epochs > 0


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("flow: {colour: 1}", r"flow\.colour: is no key"),
        ("flow: {schedule: {epochs: 0}}", r"flow\.schedule\.epochs: expected .*found 0"),
        ("efficiency: {dropout: 1.0}", r"efficiency\.dropout: expected .*less than 1"),
        ("unmatched: {count: {schedule: {learning_rate: -1}}}", "learning_rate"),
        ("seed: -1", "seed: expected .*greater than or equal to 0, found -1"),
    ],
)
def test_faults_are_named(tmp_path, text, fault):
    path = tmp_path / "own.yaml"
    path.write_text(f"schema_version: 1\nobject: jets\n{text}\n")
    with pytest.raises(RecipeError, match=fault):
        load_training(str(path))


def test_a_source_of_unmatched_objects_has_what_differs():
    text = """
    schema_version: 1
    object: jets
    unmatched:
      count: {width: 5}
      flow: {layers: 2, width: 6, schedule: {epochs: 3}}
      sources:
        inJet: {flow: {width: 7, schedule: {batch: 9}}}
        event: {flow: {kind: flow_matching, steps: 4}}
    """
    recipe = TrainingRecipe.model_validate(yaml.safe_load(text))
    in_jet = recipe.unmatched.of("inJet")
    assert (in_jet.count.width, in_jet.flow.layers, in_jet.flow.width) == (5, 2, 7)
    assert (in_jet.flow.schedule.epochs, in_jet.flow.schedule.batch) == (3, 9)
    event = recipe.unmatched.of("event")
    assert (event.count.width, event.flow.kind, event.flow.steps) == (5, "flow_matching", 4)
    assert event.flow.width == FlowMatchingRecipe().width
    assert recipe.unmatched.of("other").flow == recipe.unmatched.flow
    assert TrainingRecipe.model_validate(recipe.model_dump(mode="json")) == recipe


def test_a_setting_of_one_source_can_be_changed():
    changes = {"unmatched.sources.inJet.flow.width": 7}
    recipe, before = load_training("muons", changes), load_training("muons")
    assert recipe.unmatched.of("inJet").flow.width == 7
    assert recipe.unmatched.of("inJet").flow.layers == before.unmatched.flow.layers
    assert recipe.unmatched.flow == before.unmatched.flow
