"""Training recipes: how each model of an object is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

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
    from collections.abc import Iterator

    from flashsim.declarations.changes import Changes

__all__ = [
    "CountRecipe",
    "EfficiencyRecipe",
    "PlacedRecipe",
    "SourceRecipe",
    "TrainingRecipe",
    "UnmatchedRecipe",
    "add_flow_recipe",
    "load_training",
]


class EfficiencyRecipe(Recipe):
    """The efficiency network."""

    width: int = Field(default=64, ge=1, description="units of a hidden layer")
    depth: int = Field(default=2, ge=0, description="hidden layers")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="dropout probability")
    schedule: Schedule = Field(default=Schedule(), description="optimisation")


class CountRecipe(EfficiencyRecipe):
    """The network of the number of unmatched objects."""


class SourceRecipe(Recipe):
    """The networks of unmatched objects of one source."""

    count: CountRecipe = Field(default=CountRecipe(), description="how many has an object of the source?")
    flow: Annotated[FlowRecipe, OfKind()] = Field(default=SplineMAFRecipe(), description="what are they?")


class PlacedRecipe(Recipe):
    """The network of what unmatched objects are, given their places."""

    flow: Annotated[FlowRecipe, OfKind()] = Field(default=SplineMAFRecipe(), description="what are they?")


class UnmatchedRecipe(SourceRecipe):
    """The networks of unmatched objects: those of all sources, and what differs in some."""

    sources: dict[str, SourceRecipe] = Field(
        default={}, description="by name of the source; what is not named here is as above"
    )

    @model_validator(mode="before")
    @classmethod
    def _as_above(cls, content: Any) -> Any:
        if not isinstance(content, dict) or not isinstance(content.get("sources"), dict):
            return content
        above = {key: value for key, value in content.items() if key != "sources"}
        return content | {"sources": {name: _over(above, own) for name, own in content["sources"].items()}}

    def of(self, source: str) -> SourceRecipe:
        """Recipe of a source."""
        return self.sources.get(source, self)


def _over(above: Any, own: Any) -> Any:
    """Content of a recipe where some values differ from those above; a flow of another kind is a new one."""
    above = above.model_dump(mode="json") if isinstance(above, Recipe) else above
    if not (isinstance(own, dict) and isinstance(above, dict)):
        return own
    if "kind" in own and own["kind"] != kind_of(above):
        return own
    return above | {key: _over(above.get(key), value) for key, value in own.items()}


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
    unmatched: UnmatchedRecipe = Field(
        default=UnmatchedRecipe(), description="objects without a gen object: how many, and what they are"
    )
    placed: PlacedRecipe = Field(
        default=PlacedRecipe(), description="all else of them, where they are drawn with their places first"
    )

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """Validate content, whose flows may be of a kind that another package brings."""
        if any(kind_of(flow) not in {None, *FLOW_RECIPES} for flow in _flows(obj)):
            load_kinds_of_others()
        return super().model_validate(obj, **options)


def _flows(content: Any) -> Iterator[Any]:
    """Contents of a recipe that stand below `flow`, at any depth."""
    for key, value in content.items() if isinstance(content, dict) else ():
        if key == "flow":
            yield value
        else:
            yield from _flows(value)


def add_flow_recipe(recipe: type[FlowRecipe]) -> None:
    """Let training recipes name a further kind of flow, that of the recipe's field ``kind``."""
    FLOW_RECIPES[recipe.model_fields["kind"].default] = recipe
    for model in (SourceRecipe, UnmatchedRecipe, PlacedRecipe, TrainingRecipe):
        model.model_rebuild(force=True)
    known_keys.cache_clear()


def load_training(name: str, changes: Changes | None = None) -> TrainingRecipe:
    """Training recipe: a shipped one by name, or a user's own by path; `changes` as for `load_recipe`.

    Raises
    ------
    RecipeError
        If there is no such recipe or it is not valid.
    """
    return load_recipe(TrainingRecipe, recipe_path("training", name), changes)
