"""The output recipe: what a generated file holds besides the simulated collections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import ConfigDict, Field

from flashsim.declarations.recipes import Recipe, load_recipe, recipe_path
from flashsim.errors import RecipeError

if TYPE_CHECKING:
    from flashsim.declarations.objects import ObjectDeclaration

if TYPE_CHECKING:
    from flashsim.declarations.changes import Changes

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

    def fields_of(self, collection: str) -> list[str]:
        """Fields of a collection that generation fills with this link."""
        fields = [self.index] if collection == self.source else []
        if collection == self.target:
            fields += [*self.back, *([] if self.count is None else [self.count])]
        return fields


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

    def clash(self, declaration: ObjectDeclaration) -> str | None:
        """Say, in a sentence, which branch of an object a link would overwrite; none if there is none."""
        if declaration.per == "event":
            return None
        declared = {*declaration.fields(), declaration.match}
        for link in self.links:
            if both := sorted(declared.intersection(link.fields_of(declaration.collection))):
                return (
                    f"{declaration.branch(both[0])} is declared by {declaration.name}, but generation fills "
                    f"it with the link from {link.source} to {link.target}: take it out of the declaration, "
                    "or the link out of generation/output.yaml"
                )
        return None

    def refuse_clash(self, declaration: ObjectDeclaration) -> None:
        """Refuse an object with a branch that a link would overwrite.

        Raises
        ------
        RecipeError
            If there is one.
        """
        if (sentence := self.clash(declaration)) is not None:
            raise RecipeError(sentence)


def load_output(name: str = "output.yaml", changes: Changes | None = None) -> OutputRecipe:
    """Output recipe: a shipped one by name, or a user's own file by path; `changes` as for `load_recipe`.

    Raises
    ------
    RecipeError
        If there is no such recipe or it is not valid.
    """
    return load_recipe(OutputRecipe, recipe_path("generation", name), changes)
