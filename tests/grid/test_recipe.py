from __future__ import annotations

import math

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from flashsim.declarations.refinement import load_refiner
from flashsim.errors import RecipeError
from flashsim.grid.recipe import Grid, GridRecipe, load_grid

KEYS = {
    "network.width": st.integers(1, 500),
    "schedule.learning_rate": st.floats(1e-6, 1.0),
    "seed": st.integers(0, 1000),
    "stages": st.just([{"primary": "mse"}]) | st.just([{"primary": "mmd"}]),
    "kernel.widths": st.lists(st.floats(0.1, 8.0), min_size=1, max_size=3),
    "conditions.2.categories": st.just([0, 4, 5]) | st.just([0, 5, 4]),
    "variables.0.width": st.floats(0.5, 20.0),
}
"""Keys of a refiner's recipe and values of them, of which some are lists."""

few = settings(max_examples=30, deadline=None)


@st.composite
def spaces(draw):
    keys = draw(st.lists(st.sampled_from(sorted(KEYS)), min_size=1, max_size=4, unique=True))
    return {key: draw(st.lists(KEYS[key], min_size=1, max_size=3, unique_by=repr)) for key in keys}


def grid_of(vary, kind="refiner", **keys):
    recipe = GridRecipe(schema_version=1, kind=kind, base="refine_pt", vary=vary, **keys)
    return Grid(recipe, "mine.yaml", load_refiner("pt").model_dump(mode="json"))


def at(content, parts):
    for part in parts:
        content = content[int(part) if isinstance(content, list) else part]
    return content


@few
@given(vary=spaces())
def test_points_are_all_combinations_in_the_order_of_their_numbers(vary):
    points = grid_of(vary).points()
    assert len(points) == math.prod(len(values) for values in vary.values())
    forms = [repr(point) for point in points]
    assert len(set(forms)) == len(forms)
    # A number is written with the places of the values as digits.
    for number, point in enumerate(points):
        assert list(point) == list(vary)
        rest = number
        for key, values in reversed(vary.items()):
            rest, place = divmod(rest, len(values))
            assert point[key] == values[place]
    assert grid_of(vary).points() == points


@few
@given(vary=spaces(), more=st.integers(501, 600))
def test_points_keep_their_numbers_when_the_first_key_gets_another_value(vary, more):
    vary = {"network.width": [1, 2]} | vary
    points = grid_of(vary).points()
    longer = grid_of(vary | {"network.width": [*vary["network.width"], more]}).points()
    assert longer[: len(points)] == points
    assert len(longer) > len(points)


@few
@given(vary=spaces())
def test_a_point_differs_from_the_base_by_its_values_and_by_nothing_else(vary):
    grid = grid_of(vary)
    for point in grid.points():
        content = grid.training(point).model_dump(mode="json")
        for key, value in point.items():
            *above, last = key.split(".")
            place = at(content, above)
            last = int(last) if isinstance(place, list) else last
            assert key == "stages" or place[last] == value
            place[last] = at(grid.base, key.split("."))
        assert content == grid.base


@pytest.mark.parametrize(
    ("vary", "fault"),
    [
        ({"network.widht": [1]}, r"network\.widht: is no key .*; the nearest: network\.width"),
        ({"depth": [1]}, r"depth: is no key of this recipe; it has schema_version, "),
        ({"conditions.3.scale": ["log"]}, r"conditions\.3\.scale: .* 'conditions' has the entries 0 to 2"),
        ({"conditions.x.scale": ["log"]}, r"conditions\.x\.scale: .* 'conditions' has the entries 0 to 2"),
        ({"deepjet.b": ["x"]}, r"deepjet: expected 'x' among the variables"),
        ({"network.width": [64, 0]}, r"mine\.yaml: network\.width = 0: network\.width: expected .*, found 0"),
        ({"network.width": ["wide"]}, r"network\.width = wide: network\.width: expected a valid integer"),
        ({"seed": [1], "network": [{"depth": 3}]}, r"network\.depth: is no key of this recipe"),
    ],
)
def test_wrong_keys_and_values_are_named(vary, fault):
    with pytest.raises(RecipeError, match=fault):
        grid_of(vary).points()


@pytest.mark.parametrize(
    ("vary", "fault"),
    [
        ({}, "vary: "),
        ({"seed": []}, "seed: has no values"),
        ({"seed": [1, 2, 1]}, "seed: has the value 1 twice"),
        ({"network.width": [1], "network": [{}]}, r"network\.width: is a part of network"),
        ({"seed": {"low": 2, "high": 1}}, "expected low below high, found 2 and 1"),
        ({"seed": {"low": 0, "high": 1, "log": True}}, "positive values only, found low: 0"),
        ({"seed": 1}, "vary"),
    ],
)
def test_wrong_spaces_are_refused(write_grid, vary, fault):
    with pytest.raises(RecipeError, match=fault):
        load_grid(str(write_grid(vary)))


def test_ranges_are_for_searches(write_grid):
    grid = load_grid(str(write_grid({"schedule.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}})))
    grid.check_space()
    with pytest.raises(RecipeError, match=r"schedule\.learning_rate: is a range; search it with --trials N"):
        grid.points()


def test_a_search_checks_the_ends_of_ranges(write_grid):
    grid = load_grid(str(write_grid({"network.width": {"low": 0, "high": 8}})))
    with pytest.raises(RecipeError, match=r"network\.width = 0"):
        grid.check_space()


def test_what_is_fixed_is_in_all_points(write_grid):
    path = write_grid({"seed": [1, 2]}, fixed={"schedule.epochs": 7})
    grid = load_grid(str(path))
    assert [grid.training(point).schedule.epochs for point in grid.points()] == [7, 7]
    with pytest.raises(RecipeError, match=r"fixed: schedule\.epoch: is no key"):
        load_grid(str(write_grid({"seed": [1, 2]}, fixed={"schedule.epoch": 7})))


def test_a_base_may_stand_beside_the_grid(write_grid, bases, tmp_path):
    (tmp_path / "mine.yaml").write_bytes((bases / "refiner.yaml").read_bytes())
    assert load_grid(str(write_grid({"seed": [1]}, base="mine.yaml"))).base["min_rows"] == 4
    with pytest.raises(RecipeError, match=r"no training recipe 'other\.yaml'"):
        load_grid(str(write_grid({"seed": [1]}, base="other.yaml")))


def test_a_base_of_another_kind_is_refused(write_grid, bases):
    with pytest.raises(RecipeError, match=r"refiner\.yaml: .* is no key of this recipe"):
        load_grid(str(write_grid({"seed": [1]}, kind="object", base=str(bases / "refiner.yaml"))))


def test_numbers_are_told_apart(write_grid):
    text = write_grid({"seed": {"low": 1, "high": 3}, "schedule.weight_decay": {"low": 0.0, "high": 1.0}})
    vary = load_grid(str(text)).recipe.vary
    assert (vary["seed"].is_whole, vary["schedule.weight_decay"].is_whole) == (True, False)
    assert yaml.safe_load(text.read_text())["vary"]["seed"] == vary["seed"].model_dump(exclude={"log"})
