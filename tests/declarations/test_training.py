from __future__ import annotations

import pytest

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
        ("fake_count: {schedule: {learning_rate: -1}}", "learning_rate"),
        ("seed: -1", "seed: expected .*greater than or equal to 0, found -1"),
    ],
)
def test_faults_are_named(tmp_path, text, fault):
    path = tmp_path / "own.yaml"
    path.write_text(f"schema_version: 1\nobject: jets\n{text}\n")
    with pytest.raises(RecipeError, match=fault):
        load_training(str(path))
