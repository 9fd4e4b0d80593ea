"""Grid recipes: a training recipe, and the values of some of its keys that are tried."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from flashsim.declarations.changes import changed
from flashsim.declarations.recipes import Recipe, load_recipe, parse_recipe, read_yaml, recipe_path
from flashsim.declarations.refinement import RefinerRecipe
from flashsim.declarations.training import TrainingRecipe
from flashsim.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flashsim.declarations.changes import Changes

__all__ = ["MODELS", "Grid", "GridRecipe", "Kind", "Range", "Values", "in_words", "load_grid", "text_of"]

Values = dict[str, Any]
"""Values by dotted key of a training recipe."""

Kind = Literal["object", "refiner"]

MODELS: dict[Kind, type[Recipe]] = {"object": TrainingRecipe, "refiner": RefinerRecipe}
"""Training recipes by what they train."""

_OBJECTIVES: dict[Kind, str] = {"object": "flow.validation", "refiner": "validation"}


class Range(Recipe):
    """Numbers that a search draws from: whole ones where both bounds are."""

    low: int | float = Field(description="smallest value")
    high: int | float = Field(description="largest value")
    log: bool = Field(default=False, description="draw on a logarithmic scale")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.low < self.high:
            msg = f"expected low below high, found {self.low} and {self.high}"
            raise ValueError(msg)
        if self.log and self.low <= 0:
            msg = f"a logarithmic scale has positive values only, found low: {self.low}"
            raise ValueError(msg)
        return self

    @property
    def is_whole(self) -> bool:
        """Whether the values are whole numbers."""
        return isinstance(self.low, int) and isinstance(self.high, int)


_Space = Annotated[
    Annotated[list[Any], Tag("values")] | Annotated[Range, Tag("range")],
    Discriminator(lambda value: "values" if isinstance(value, list) else "range"),
]


class GridRecipe(Recipe):
    """Everything that `flashsim grid` needs besides the data."""

    schema_version: Literal[1] = Field(description="version of this format")
    kind: Kind = Field(description="what is trained, as `flashsim train` or as `flashsim refine train` does")
    base: str = Field(
        description="the training recipe that is varied: a shipped one by name, or a file beside this one"
    )
    fixed: dict[str, Any] = Field(
        default={}, description="values that differ from the base in all points, by dotted key"
    )
    vary: dict[str, _Space] = Field(
        min_length=1, description="values that are tried, by dotted key; numbers of list entries count from 0"
    )
    objective: str = Field(
        default="",
        description="column of the table of which the smallest is best; empty: a validation loss",
    )
    seed: int = Field(default=1, ge=0, description="seed of a search")

    @field_validator("vary")
    @classmethod
    def _several_values(cls, vary: dict[str, list[Any] | Range]) -> dict[str, list[Any] | Range]:
        for key, values in vary.items():
            if inside := [other for other in vary if other.startswith(f"{key}.")]:
                msg = f"{inside[0]}: is a part of {key}, which is varied as a whole"
                raise ValueError(msg)
            if isinstance(values, Range):
                continue
            if not values:
                msg = f"{key}: has no values"
                raise ValueError(msg)
            forms = [json.dumps(value, sort_keys=True, default=str) for value in values]
            if twice := [form for number, form in enumerate(forms) if form in forms[:number]]:
                msg = f"{key}: has the value {twice[0]} twice"
                raise ValueError(msg)
        return vary

    @model_validator(mode="after")
    def _either_fixed_or_varied(self) -> Self:
        for key in self.fixed:
            for other in self.vary:
                if f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}."):
                    msg = f"expected keys that are fixed or varied, found {key} in fixed and {other} in vary"
                    raise ValueError(msg)
        return self


@dataclass(frozen=True)
class Grid:
    """A grid recipe with the training recipe that it varies.

    Parameters
    ----------
    recipe
        The grid recipe.
    origin
        Where it is from, for messages.
    base
        The complete content of the training recipe, with what is fixed.
    """

    recipe: GridRecipe
    origin: str
    base: dict[str, Any]

    @property
    def objective(self) -> str:
        """Column of the table whose smallest value is the best."""
        return self.recipe.objective or _OBJECTIVES[self.recipe.kind]

    def points(self) -> list[Values]:
        """Give all combinations of values, in the order of their numbers: the last key changes fastest.

        Raises
        ------
        RecipeError
            If a key has a range in place of values, or the values of a point do not fit the recipe.
        """
        choices = {}
        for key, values in self.recipe.vary.items():
            if isinstance(values, Range):
                msg = f"{self.origin}: {key}: is a range; search it with --trials N, or list its values"
                raise RecipeError(msg)
            choices[key] = values
        points = [dict(zip(choices, point, strict=True)) for point in itertools.product(*choices.values())]
        for point in points:
            self.training(point)
        return points

    def training(self, values: Values) -> Recipe:
        """Make the training recipe of a point.

        Raises
        ------
        RecipeError
            If a value does not fit the recipe: names its key.
        """
        model = MODELS[self.recipe.kind]
        content = changed(model, self.base, values, origin=self.origin)
        return parse_recipe(model, content, origin=f"{self.origin}: {in_words(values)}")

    def check_space(self) -> None:
        """See that the values that a search may try fit the recipe, each by itself.

        Raises
        ------
        RecipeError
            If one does not.
        """
        for key, values in self.recipe.vary.items():
            for value in (values.low, values.high) if isinstance(values, Range) else values:
                self.training({key: value})


def load_grid(name: str, changes: Changes | None = None) -> Grid:
    """Load a grid recipe, a shipped one by name or a user's own by path, and the recipe that it varies.

    Parameters
    ----------
    name
        Name or path.
    changes
        Values of the recipe that is varied, by dotted key: they are among the grid's ``fixed`` ones.

    Raises
    ------
    RecipeError
        If there is no such recipe, or one of both is not valid.
    """
    path = recipe_path("training", name)
    recipe = load_recipe(GridRecipe, path)
    recipe = recipe.model_copy(update={"fixed": recipe.fixed | dict(changes or {})})
    beside = path.parent / recipe.base
    base = beside if beside.suffix and beside.is_file() else recipe_path("training", recipe.base)
    model = MODELS[recipe.kind]
    content = parse_recipe(model, read_yaml(base), origin=str(base)).model_dump(mode="json")
    complete = parse_recipe(model, content, origin=f"{path}: fixed", changes=recipe.fixed)
    return Grid(recipe, str(path), complete.model_dump(mode="json"))


def in_words(values: Mapping[str, Any]) -> str:
    """Write values in a line."""
    return ", ".join(f"{key} = {text_of(value)}" for key, value in values.items())


def text_of(value: Any) -> str:
    """Write a value as it stands in YAML, without quotes."""
    return value if isinstance(value, str) else json.dumps(value, default=str)
