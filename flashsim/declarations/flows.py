"""Recipes of flows, one class a kind; a training recipe names the kind."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field
from pydantic_core import core_schema

from flashsim.declarations.recipes import Recipe, union_tag
from flashsim.declarations.schedule import Schedule

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler

__all__ = [
    "FLOW_RECIPES",
    "MOST_STEPS",
    "FlowMatchingRecipe",
    "FlowRecipe",
    "OfKind",
    "SplineMAFRecipe",
    "kind_of",
    "load_kinds_of_others",
]

MOST_STEPS = 1000
"""Of flow matching: beyond a few dozen nothing changes but the time, and no tensor bounds the number."""

_PLUGINS = "flashsim.flows"
"""Group of entry points that other packages name their kinds of flows in."""


class FlowRecipe(Recipe):
    """What flows of all kinds have."""

    kind: str
    calibration: int = Field(
        default=0, ge=0, description="draws that each variable's distribution is calibrated by; 0: it is not"
    )
    schedule: Schedule = Field(default=Schedule(), description="optimisation")

    @property
    def sizes(self) -> dict[str, Any]:
        """Settings of the network itself."""
        return self.model_dump(exclude=set(FlowRecipe.model_fields))


class SplineMAFRecipe(FlowRecipe):
    """A masked autoregressive flow with rational-quadratic splines, arXiv:1705.07057 and arXiv:1906.04032."""

    kind: Literal["spline_maf"] = Field(default="spline_maf", description="which flow")
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


class FlowMatchingRecipe(FlowRecipe):
    """A flow along the velocities that a network has learned by flow matching, arXiv:2402.13684."""

    kind: Literal["flow_matching"] = Field(default="flow_matching", description="which flow")
    width: int = Field(default=216, ge=1, description="units of a hidden layer")
    depth: int = Field(default=3, ge=1, description="hidden layers")
    frequencies: int = Field(default=3, ge=0, description="waves of the time that the network sees")
    steps: int = Field(
        default=10,
        ge=1,
        le=MOST_STEPS,
        description="midpoint steps from noise to variables, two evaluations each",
    )


FLOW_RECIPES: dict[str, type[FlowRecipe]] = {
    "spline_maf": SplineMAFRecipe,
    "flow_matching": FlowMatchingRecipe,
}
"""Recipes by kind, the default first; `flashsim.flows.kinds.register` adds others."""


class OfKind:
    """Annotates a field that holds a recipe of any kind in `FLOW_RECIPES`: a discriminated union."""

    def __get_pydantic_core_schema__(  # pydantic's name
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.tagged_union_schema(
            {union_tag(kind): handler.generate_schema(recipe) for kind, recipe in FLOW_RECIPES.items()},
            discriminator=lambda recipe: None if (kind := kind_of(recipe)) is None else union_tag(kind),
            custom_error_type="kind_of_flow",
            custom_error_message=f"expected a flow of kind {' or '.join(FLOW_RECIPES)}",
        )


def kind_of(recipe: Any) -> str | None:
    """Kind of a recipe, or of its content, where the default kind may be unnamed; none if it is neither."""
    if isinstance(recipe, FlowRecipe):
        return recipe.kind
    return str(recipe.get("kind", next(iter(FLOW_RECIPES)))) if isinstance(recipe, dict) else None


def load_kinds_of_others() -> None:
    """Import what other packages name as entry points ``flashsim.flows``; each registers its kind."""
    for point in entry_points(group=_PLUGINS):
        point.load()
