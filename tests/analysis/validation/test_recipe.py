from __future__ import annotations

import pytest

from flashsim.analysis.validation.lights import Difference, Found
from flashsim.analysis.validation.recipe import Lights, load_validation
from flashsim.declarations.objects import load_object
from flashsim.declarations.recipes import recipe_path
from flashsim.errors import RecipeError


@pytest.mark.parametrize("name", ["jets", "muons"])
def test_what_is_special_to_an_object_is_declared(name):
    declaration, special = load_object(name), load_validation().of(name)
    targets = {target.branch for target in declaration.targets}
    assert {branch for pair in special.pairs for branch in pair} | {*special.response} <= targets
    if special.tagging is not None:
        columns = {column for entry in declaration.conditioning for column in entry.columns()}
        named = [n for n in special.tagging.backgrounds.values() if isinstance(n, str)]
        lists = [n for n in special.tagging.backgrounds.values() if not isinstance(n, str)]
        assert {special.tagging.signal, *named, *(n for some in lists for n in some)} <= columns
        assert {*special.tagging.scores} <= targets


def test_every_kind_of_difference_has_a_light():
    lights = load_validation().lights
    for kind in Lights.model_fields:
        assert Found.of([Difference(kind, 1e3, 0.0)], lights).light == "red"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("green: 0.03, amber: 0.1,", "green: 0.3, amber: 0.1,", "amber 0.1 is not above green 0.3"),
        ("levels: [0.5, 0.9", "levels: [0.9, 0.5", "do not rise"),
        ("pt_edges:", "pt_edge:", "pt_edge: is no key of this recipe"),
    ],
)
def test_mistakes_are_named(tmp_path, old, new, message):
    text = recipe_path("analysis", "validation").read_text(encoding="utf-8")
    own = tmp_path / "own.yaml"
    own.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(RecipeError, match=message):
        load_validation(str(own))
