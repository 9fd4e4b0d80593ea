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
    share: float = 0.5

    @field_validator("name")
    @classmethod
    def _short(cls, name: str) -> str:
        if 3 < len(name) < 100:
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
        ("name: abcd", r"name: 'abcd' is too long \(line 1\)$"),
        ("name: abc\n\ninner:\n  width: 0", r"inner\.width: .*found 0 \(line 4\)$"),
        ("name: abc\ninner:\n  widht: 3", r"inner\.widht: is no key.* \(line 3\)$"),
        ("name: abc\nshare: 2020-99-99", r"share: .*found '2020-99-99' \(line 2\)"),
        ("name: abc\nshare: .inf", r"line 2, column 8: \.inf is not finite"),
        ("name: abc\nshare: 1.0e+999", r"line 2, column 8: 1\.0e\+999 is not finite"),
        ("name: abc\nshare: '1e999'", "share: expected a finite number"),
        ("name: abc\nshare: .nan", r"line 2, column 8: \.nan is not finite"),
        ("name: abc\ninner: {width: 18446744073709551616}", "has more than 64 bits"),
        ("name: abc\ninner: {width: " + "9" * 5000 + "}", r"line 2.*'9{40}\.\.\.' is no number"),
        ("name: abc\ninner: {width: !!int ''}", "line 2.*'' is no number"),
        ("name: abc\ninner: {width: !!float ''}", "line 2.*'' is no number"),
        ("name: abc\ninner: {width: 0x" + "f" * 5000 + "}", "has more than 64 bits"),
        ("name: abc\ninner:", r"inner: .*found None \(line 2\)"),
        ("name: [" * 20_000, "is nested too deeply"),
        ("name: " + "[" * 50 + "]" * 50, "is nested too deeply, expected at most 40 levels"),
        ("name: &a [*a]", "it holds itself"),
        (
            "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40)),
            "with its aliases it has more than 200000 entries",
        ),
        ("name: *b", "found undefined alias 'b'"),
        ("name: abc\n\tinner: {}", r"line 2.*cannot start any token"),
        ("name: abc\n1: 2", "expected names as keys, found 1; put it in quotes"),
        ("name: abc\ninner: {1: 2}", r"inner\.1: .*\(line 2\)"),
        ("name: abc\n? [a]\n: 2", "line 2, column 3: a key is no text"),
        ("name: abc\n<<: 3", "line 2.*expected a mapping"),
        ("name: abc\n---\nname: abc", "expected a single document"),
        ("name: ab\x07", "special characters are not allowed"),
        ("name: " + "x" * 10_000 + "\ninner: " + "y" * 10_000, r"found 'y{79}\.\.\. \(line 2\)$"),
        ("- name", "expected a mapping of keys, found list"),
        ("", "expected a mapping of keys, found NoneType"),
        ("name: [", "is not valid YAML"),
        ("name: a\nname: b", "the key 'name' is given twice"),
        ("name: abc\ninner: {width: 1, width: 2}", "the key 'width' is given twice"),
        ("name: !!python/object/apply:os.getcwd []", "is not valid YAML"),
    ],
    ids=lambda value: value[:40].encode("unicode_escape").decode(),
)
def test_a_fault_is_named_with_its_file_and_key(recipe, text, fault):
    path = recipe(text)
    with pytest.raises(RecipeError, match=fault) as caught:
        load_recipe(Outer, path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_date_is_the_text_that_it_is(recipe):
    with pytest.raises(RecipeError, match="name: '2024-01-31' is too long"):
        load_recipe(Outer, recipe("name: 2024-01-31"))


def test_keys_are_merged_as_yaml_has_it(recipe):
    text = "inner: &one {width: 3}\nname: abc"
    assert load_recipe(Outer, recipe(text)).inner.width == 3
    with pytest.raises(RecipeError, match=r"first: is no key.*second: is no key"):
        load_recipe(Outer, recipe("first: &one {width: 3}\nsecond: {<<: *one, width: 4}\nname: abc"))


def test_of_many_faults_some_are_named(recipe):
    with pytest.raises(RecipeError, match=r"key9: is no key.*; and 21 more$"):
        load_recipe(Outer, recipe("name: abc\n" + "".join(f"key{n}: 1\n" for n in range(31))))


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
