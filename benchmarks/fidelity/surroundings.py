"""What surrounds gen objects, for a judge who knows more than the models are given."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from flashsim.declarations.conditioning import Conditioning
from flashsim.declarations.gen_collections import GenCollection
from flashsim.declarations.recipes import Recipe, load_recipe

if TYPE_CHECKING:
    from flashsim.declarations.objects import ObjectDeclaration

__all__ = ["Surroundings", "load_surroundings", "with_surroundings"]


class Surroundings(Recipe):
    """Content of ``surroundings.yaml``."""

    schema_version: Literal[1] = Field(description="version of this format")
    collections: dict[str, GenCollection] = Field(description="gen collections that it is made of")
    conditioning: list[Conditioning] = Field(description="what is told of each gen object")

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return [name for entry in self.conditioning for name in entry.columns()]


@cache
def load_surroundings() -> Surroundings:
    """Read the file beside this module."""
    return load_recipe(Surroundings, Path(__file__).with_name("surroundings.yaml"))


def with_surroundings(declaration: ObjectDeclaration) -> ObjectDeclaration:
    """Declare an object whose tables tell its surroundings beside its conditioning."""
    around, view = load_surroundings(), declaration.gen_view
    collections = {**view.collections, **around.collections}
    return declaration.model_copy(
        update={
            "conditioning": [*declaration.conditioning, *around.conditioning],
            "gen_view": view.model_copy(update={"collections": collections}),
        }
    )
