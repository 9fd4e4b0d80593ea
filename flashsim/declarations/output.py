"""The output recipe: what a generated file holds besides the simulated collections."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from flashsim.declarations.recipes import Recipe, load_recipe, recipe_path

__all__ = ["Link", "OutputRecipe", "OversamplingRecipe", "load_output"]


class Link(Recipe):
    """Cross references from the objects of one collection to the closest of another."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    source: str = Field(alias="from", description="collection that points")
    target: str = Field(alias="to", description="collection that is pointed at")
    index: str = Field(description="field of the source with the target's index, -1 for none")
    back: list[str] = Field(default=[], description="fields of the target with its first sources' indices")
    count: str | None = Field(default=None, description="field of the target with the number of its sources")
    cone: float = Field(gt=0, description="largest distance in eta and phi")


class OversamplingRecipe(Recipe):
    """Which numbers change when each gen event is simulated N times; patterns as in a shell."""

    weights: list[str] = Field(min_length=1, description="weights of an event, divided by N")
    counts: list[str] = Field(default=[], description="numbers of events in other trees, multiplied by N")
    squares: list[str] = Field(default=[], description="sums of squared weights, divided by N")


class OutputRecipe(Recipe):
    """What is copied from the input, and how collections point at each other."""

    schema_version: Literal[1] = Field(description="version of this format")
    # `copy` would hide a method of pydantic models.
    copied: list[str] = Field(alias="copy", description="patterns of the input's branches to copy")
    links: list[Link] = Field(default=[], description="cross references")
    oversampling: OversamplingRecipe | None = Field(
        default=None, description="what changes with `--oversample N`"
    )


def load_output(name: str = "output.yaml") -> OutputRecipe:
    """Output recipe: a shipped one by name, or a user's own file by path.

    Raises
    ------
    RecipeError
        If there is no such recipe or it is not valid.
    """
    return load_recipe(OutputRecipe, recipe_path("generation", name))
