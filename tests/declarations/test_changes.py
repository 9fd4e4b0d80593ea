from __future__ import annotations

import pytest
import yaml

from flashsim.declarations.changes import known_keys, parse_changes
from flashsim.declarations.objects import ObjectDeclaration, load_object
from flashsim.declarations.output import load_output
from flashsim.declarations.recipes import read_yaml, recipe_folder
from flashsim.declarations.refinement import RefinerRecipe, load_refiner
from flashsim.declarations.training import TrainingRecipe, load_training
from flashsim.errors import RecipeError


def test_values_are_yaml():
    texts = ["flow.layers=4", "a=[1, 2]", "b={x: y}", "c=", "d=text", "e=a=b", "f=true"]
    assert parse_changes(texts) == {
        "flow.layers": 4,
        "a": [1, 2],
        "b": {"x": "y"},
        "c": None,
        "d": "text",
        "e": "a=b",
        "f": True,
    }


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("flow", "KEY=VALUE"),
        ("=3", "KEY=VALUE"),
        ("a=[", "not valid YAML"),
        ("a=.nan", r"not valid YAML \(line 1, column 1: \.nan is not finite\)"),
        ("a=" + "[" * 5000, "nested too deeply"),
        ("a=" + "9" * 30, "has more than 64 bits"),
    ],
    ids=lambda value: value[:20],
)
def test_what_is_no_change_is_an_error(text, fault):
    with pytest.raises(RecipeError, match=fault):
        parse_changes([text])


def test_values_are_changed_and_all_else_stays():
    changes = {
        "flow.layers": 7,
        "flow.schedule.epochs": 2,
        "seed": 3,
        "unmatched.flow.schedule.learning_rate": "1e-4",
    }
    found, before = load_training("jets", changes), load_training("jets")
    assert (found.flow.layers, found.flow.schedule.epochs, found.seed) == (7, 2, 3)
    assert found.unmatched.flow.schedule.learning_rate == 1e-4
    assert found.flow.schedule.batch == before.flow.schedule.batch
    assert found.efficiency == before.efficiency
    assert load_training("jets", {}) == before


def test_what_stands_at_its_default_can_be_changed(tmp_path):
    path = tmp_path / "bare.yaml"
    path.write_text("{schema_version: 1, object: jets}", encoding="utf-8")
    assert load_training(str(path), {"flow.schedule.epochs": 2}).flow.schedule.epochs == 2


def test_what_an_anchor_repeats_is_changed_once(tmp_path):
    path = tmp_path / "anchor.yaml"
    text = "{schema_version: 1, object: jets, efficiency: &net {width: 8}, unmatched: {count: *net}}"
    path.write_text(text, encoding="utf-8")
    found = load_training(str(path), {"efficiency.width": 4})
    assert (found.efficiency.width, found.unmatched.count.width) == (4, 8)


def test_entries_of_lists_have_numbers(tmp_path):
    before = load_refiner("jets")
    assert load_refiner("jets", {"variables.0.width": 9.0}).variables[0].width == 9.0
    content = read_yaml(recipe_folder("training") / "refine_jets.yaml")
    content.pop("stages", None)
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    assert load_refiner(str(path), {"stages.0.primary": "mse"}).stages[0].primary == "mse"
    with pytest.raises(
        RecipeError, match=f"variables.99.width: .* has the entries 0 to {len(before.variables) - 1}"
    ):
        load_refiner("jets", {"variables.99.width": 9.0})


def test_names_that_the_recipe_chooses_are_keys():
    view = load_object("jets").gen_view.collections["GenJet"].model_dump(mode="json")
    assert "Twin" in load_object("jets", {"gen_view.collections.Twin": view}).gen_view.collections


def test_aliases_are_keys():
    assert load_output(changes={"copy": ["GenPart_*"]}).copied == ["GenPart_*"]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"flow.layer": 4}, r"flow\.layer: is no key of this recipe; the nearest: flow\.layers"),
        ({"epochs": 4}, r"epochs: is no key .*; the nearest: efficiency\.schedule\.epochs"),
        ({"nonsense": 4}, r"nonsense: is no key .*; it has schema_version, object, seed"),
        ({"flow.layers.x": 4}, r"flow\.layers\.x: is no key"),
        ({"flow.layers": 0}, r"flow\.layers: expected .*, found 0"),
        ({"flow.layers": "many"}, r"flow\.layers: expected .*, found 'many'"),
    ],
)
def test_faults_are_one_sentence_that_names_the_file(changes, fault):
    with pytest.raises(RecipeError, match=fault) as caught:
        load_training("jets", changes)
    assert str(caught.value).startswith(str(recipe_folder("training") / "jets.yaml"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("model", [TrainingRecipe, RefinerRecipe, ObjectDeclaration])
def test_every_key_of_a_shipped_recipe_is_known(model):
    """What can stand in a file can be set."""
    shipped = {
        TrainingRecipe: load_training("jets"),
        RefinerRecipe: load_refiner("jets"),
        ObjectDeclaration: load_object("jets"),
    }
    known = {tuple(key.split(".")) for key in known_keys(model)}

    def walk(value, path):
        if path:
            assert any(
                len(k) == len(path) and all(a in {"*", b} for a, b in zip(k, path, strict=True))
                for k in known
            ), path
        entries = (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        )
        for name, inside in entries:
            walk(inside, (*path, str(name)))

    walk(shipped[model].model_dump(mode="json", by_alias=True), ())
