"""Training recipes: how each model of an object is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from flashsim.declarations.recipes import Recipe, load_recipe, recipe_path
from flashsim.declarations.schedule import Schedule

if TYPE_CHECKING:
    from flashsim.declarations.changes import Changes

__all__ = ["CountRecipe", "EfficiencyRecipe", "FlowRecipe", "TrainingRecipe", "load_training"]


class EfficiencyRecipe(Recipe):
    """The efficiency network."""

    width: int = Field(default=64, ge=1, description="units of a hidden layer")
    depth: int = Field(default=2, ge=0, description="hidden layers")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="dropout probability")
    schedule: Schedule = Field(default=Schedule(), description="optimisation")


class CountRecipe(EfficiencyRecipe):
    """The network of the number of fakes."""


class FlowRecipe(Recipe):
    """A conditional masked autoregressive flow."""

    layers: int = Field(default=5, ge=1, description="autoregressive layers")
    width: int = Field(default=128, ge=1, description="units of a hidden layer")
    depth: int = Field(default=2, ge=1, description="hidden layers of a conditioner")
    bins: int = Field(default=24, ge=1, description="spline bins")
    bound: float = Field(default=6.0, gt=0, description="half width of the splines' interval")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="dropout probability")
    leading: int = Field(
        default=0,
        ge=0,
        description="first targets that come first in every layer, each fitted given those before it",
    )
    calibration: int = Field(
        default=0, ge=0, description="draws that each variable's distribution is calibrated by; 0: it is not"
    )
    schedule: Schedule = Field(default=Schedule(), description="optimisation")

    @property
    def sizes(self) -> dict[str, Any]:
        """Arguments of `flashsim.flows.ConditionalMAF`, but for numbers of variables and the seed."""
        return self.model_dump(exclude={"calibration", "schedule"})


class TrainingRecipe(Recipe):
    """Everything that `flashsim train` needs besides the tables."""

    schema_version: Literal[1] = Field(description="version of this format")
    object: str = Field(description="name of the object that the recipe is for")
    seed: int = Field(default=1, ge=0, description="seed of initial weights, batches and noise")
    min_rows: int = Field(default=50, ge=2, description="fewest rows that a flow is trained on")
    efficiency: EfficiencyRecipe = Field(default=EfficiencyRecipe(), description="is it reconstructed?")
    flow: FlowRecipe = Field(default=FlowRecipe(), description="its reconstructed properties")
    fake_count: CountRecipe = Field(default=CountRecipe(), description="how many fakes in this event?")
    fake_flow: FlowRecipe = Field(default=FlowRecipe(), description="properties of the fakes")


def load_training(name: str, changes: Changes | None = None) -> TrainingRecipe:
    """Training recipe: a shipped one by name, or a user's own by path; `changes` as for `load_recipe`.

    Raises
    ------
    RecipeError
        If there is no such recipe or it is not valid.
    """
    return load_recipe(TrainingRecipe, recipe_path("training", name), changes)
