from __future__ import annotations

import pytest
from pydantic import Field, field_validator

from flashsim.declarations.recipes import STAGES, Recipe, load_recipe, read_yaml, recipe_folder, recipe_path
from flashsim.errors import RecipeError


class Inner(Recipe):
    width: int = Field(default=8, ge=1)


class Outer(Recipe):
    name: str
    inner: Inner = Inner()

    @field_validator("name")
    @classmethod
    def _short(cls, name: str) -> str:
        if len(name) > 3:
            msg = f"'{name}' is too long"
            raise ValueError(msg)
        return name


@pytest.fixture
def recipe(tmp_path):
    def write(text, name="own.yaml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_reads_a_recipe(recipe):
    assert load_recipe(Outer, recipe("name: abc\ninner: {width: 3}")) == Outer(
        name="abc", inner=Inner(width=3)
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("name: abc\nwidht: 3", "widht: is no key of this recipe"),
        ("name: abc\ninner: {widht: 3}", r"inner\.widht: is no key"),
        ("inner: {}", "name: is missing"),
        ("name: abc\ninner: {width: 0}", r"inner\.width: expected .*greater than or equal to 1, found 0"),
        ("name: abc\ninner: {width: wide}", r"inner\.width: expected .*integer.*, found 'wide'"),
        ("name: abcd", "name: 'abcd' is too long$"),
        ("- name", "expected a mapping of keys, found list"),
        ("", "expected a mapping of keys, found NoneType"),
        ("name: [", "is not valid YAML"),
        ("name: a\nname: b", "the key 'name' is given twice"),
        ("name: abc\ninner: {width: 1, width: 2}", "the key 'width' is given twice"),
        ("name: !!python/object/apply:os.getcwd []", "is not valid YAML"),
    ],
)
def test_a_fault_is_named_with_its_file_and_key(recipe, text, fault):
    path = recipe(text)
    with pytest.raises(RecipeError, match=fault) as caught:
        load_recipe(Outer, path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_all_faults_are_named_at_once(recipe):
    with pytest.raises(RecipeError, match=r"(?s)name.*widht"):
        load_recipe(Outer, recipe("widht: 1"))


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(RecipeError, match=r"none\.yaml: cannot be read"):
        read_yaml(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"name: \xe4")
    with pytest.raises(RecipeError, match=r"latin\.yaml: cannot be read"):
        read_yaml(tmp_path / "latin.yaml")


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_a_folder(stage):
    assert recipe_folder(stage).is_dir()


def test_an_unknown_stage_is_refused():
    with pytest.raises(RecipeError, match="holds no recipes for 'cooking'"):
        recipe_folder("cooking")


def test_shipped_recipes_go_by_name(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    shipped = recipe_folder("preprocessing") / "jets.yaml"
    assert recipe_path("preprocessing", "jets") == shipped
    assert recipe_path("preprocessing", "jets.yaml") == shipped


def test_a_file_at_hand_goes_before_a_shipped_one_only_with_its_suffix(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("jets", "jets.yaml"):
        (tmp_path / name).write_text("{}")
    assert recipe_path("preprocessing", "jets") == recipe_folder("preprocessing") / "jets.yaml"
    assert recipe_path("preprocessing", "jets.yaml").resolve() == tmp_path / "jets.yaml"
    assert recipe_path("preprocessing", str(tmp_path / "jets")) == tmp_path / "jets"


def test_no_recipe_lists_the_shipped_ones():
    with pytest.raises(RecipeError, match=r"no preprocessing recipe 'taus'.*jets\.yaml, muons\.yaml"):
        recipe_path("preprocessing", "taus")
