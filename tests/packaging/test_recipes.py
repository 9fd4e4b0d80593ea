"""Every shipped recipe is valid, and belongs to something."""

from __future__ import annotations

import pytest

from flashsim.analysis.validation import load_validation
from flashsim.declarations.eras import shipped_eras
from flashsim.declarations.gen_collections import GenView
from flashsim.declarations.objects import load_object
from flashsim.declarations.output import load_output
from flashsim.declarations.recipes import STAGES, load_recipe, recipe_folder
from flashsim.declarations.refinement import load_gen_view, load_refiner
from flashsim.declarations.training import load_training
from flashsim.grid.recipe import load_grid
from flashsim.nanoaod.schema import VERSIONS
from flashsim.reference.recipe import load_detector

GEN_VIEWS = {"gen.yaml"}


def shipped(stage):
    return sorted(path.name for path in recipe_folder(stage).glob("*.yaml"))


REFINERS = [name for name in shipped("training") if name.startswith("refine_")]
GRIDS = [name for name in shipped("training") if name.startswith("grid_")]
TRAININGS = [name for name in shipped("training") if name not in {*REFINERS, *GRIDS}]
OBJECTS = [name for name in shipped("preprocessing") if name not in GEN_VIEWS]


@pytest.mark.parametrize("name", OBJECTS)
def test_objects_are_valid(name):
    declaration = load_object(name)
    assert f"{declaration.name}.yaml" == name
    assert all(target.description for target in declaration.targets)
    assert all(entry.description for entry in declaration.conditioning)


@pytest.mark.parametrize("name", sorted(GEN_VIEWS))
def test_gen_views_are_valid(name):
    assert load_recipe(GenView, recipe_folder("preprocessing") / name).collections


@pytest.mark.parametrize("name", TRAININGS)
def test_training_recipes_are_valid(name):
    assert load_training(name).object in {load_object(other).name for other in OBJECTS}


@pytest.mark.parametrize("name", REFINERS)
def test_refinement_recipes_are_valid(name):
    recipe = load_refiner(name)
    assert f"refine_{recipe.object}.yaml" == name
    assert load_gen_view(recipe).collections.keys() == {recipe.gen}


@pytest.mark.parametrize("name", GRIDS)
def test_grids_are_valid(name):
    grid = load_grid(name)
    assert len(grid.points()) > 1
    assert f"{grid.recipe.base}.yaml" in {*REFINERS, *TRAININGS}


@pytest.mark.parametrize("name", sorted(set(shipped("generation")) - {"trigger.yaml"}))
def test_output_recipes_are_valid(name):
    assert "event" in load_output(name).copied


def test_the_validation_recipe_is_valid():
    declared = [load_object(name) for name in OBJECTS]
    assert load_validation("validation").objects.keys() == {d.name for d in declared if d.per == "object"}


@pytest.mark.parametrize("era", shipped_eras())
def test_detectors_are_valid(era):
    full, fast = (load_detector(level, era).model_dump() for level in ("full", "fast"))
    assert full["generation"]["nanoaod"] in VERSIONS
    assert full["generation"] == fast["generation"]
    for detector in (full, fast):  # both see the same pileup of this crossing
        detector["recording"]["pileup"].pop("crossings")
    assert full["recording"]["pileup"] == fast["recording"]["pileup"]
    assert full != fast


def test_every_object_has_a_training_recipe():
    assert {load_training(name).object for name in TRAININGS} == {load_object(name).name for name in OBJECTS}


def test_no_stage_has_recipes_that_nothing_checks():
    checked = {"preprocessing", "training", "generation", "analysis", "reference"}
    assert [stage for stage in STAGES if stage not in checked and shipped(stage)] == []
