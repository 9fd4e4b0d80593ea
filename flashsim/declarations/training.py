"""Training recipes: how each model of an object is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field

from flashsim.declarations.changes import known_keys
from flashsim.declarations.flows import (
    FLOW_RECIPES,
    FlowRecipe,
    OfKind,
    SplineMAFRecipe,
    kind_of,
    load_kinds_of_others,
)
from flashsim.declarations.recipes import Recipe, load_recipe, recipe_path
from flashsim.declarations.schedule import Schedule

if TYPE_CHECKING:
    from flashsim.declarations.changes import Changes

__all__ = ["CountRecipe", "EfficiencyRecipe", "TrainingRecipe", "add_flow_recipe", "load_training"]


class EfficiencyRecipe(Recipe):
    """The efficiency network."""

    width: int = Field(default=64, ge=1, description="units of a hidden layer")
    depth: int = Field(default=2, ge=0, description="hidden layers")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="dropout probability")
    schedule: Schedule = Field(default=Schedule(), description="optimisation")


class CountRecipe(EfficiencyRecipe):
    """The network of the number of fakes."""


class TrainingRecipe(Recipe):
    """Everything that `flashsim train` needs besides the tables."""

    schema_version: Literal[1] = Field(description="version of this format")
    object: str = Field(description="name of the object that the recipe is for")
    seed: int = Field(default=1, ge=0, description="seed of initial weights, batches and noise")
    min_rows: int = Field(default=50, ge=2, description="fewest rows that a flow is trained on")
    efficiency: EfficiencyRecipe = Field(default=EfficiencyRecipe(), description="is it reconstructed?")
    flow: Annotated[FlowRecipe, OfKind()] = Field(
        default=SplineMAFRecipe(), description="its reconstructed properties"
    )
    fake_count: CountRecipe = Field(default=CountRecipe(), description="how many fakes in this event?")
    fake_flow: Annotated[FlowRecipe, OfKind()] = Field(
        default=SplineMAFRecipe(), description="properties of the fakes"
    )

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """Validate content, whose flows may be of a kind that another package brings."""
        flows = [obj.get(key, {}) for key in ("flow", "fake_flow")] if isinstance(obj, dict) else []
        if any(kind_of(flow) not in {None, *FLOW_RECIPES} for flow in flows):
            load_kinds_of_others()
        return super().model_validate(obj, **options)


def add_flow_recipe(recipe: type[FlowRecipe]) -> None:
    """Let training recipes name a further kind of flow, that of the recipe's field ``kind``."""
    FLOW_RECIPES[recipe.model_fields["kind"].default] = recipe
    TrainingRecipe.model_rebuild(force=True)
    known_keys.cache_clear()


def load_training(name: str, changes: Changes | None = None) -> TrainingRecipe:
    """Training recipe: a shipped one by name, or a user's own by path; `changes` as for `load_recipe`.

    Raises
    ------
    RecipeError
        If there is no such recipe or it is not valid.
    """
    return load_recipe(TrainingRecipe, recipe_path("training", name), changes)
