"""Branches that follow from an object of another collection: what declarations list under ``linked``.

The other collection is drawn later, given this one, so nothing here says in which order they are drawn.
"""

from __future__ import annotations

from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from flashsim.declarations.expressions import Expression, Names, names_of
from flashsim.declarations.recipes import Recipe
from flashsim.declarations.relations import Correction

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

__all__ = ["Linked"]


class Linked(Recipe):
    """Branches that are functions of the object that a cross reference points at, where there is one.

    Names in expressions are branches of the object itself; ``to.NAME`` is a field of the other one, and
    ``event.NAME`` the conditioning of the kind event of that name. What was drawn stays where there is no
    other object, or the formula has no value.
    """

    to: str = Field(description="collection of the other object")
    index: str = Field(description="field with the index of the other object, negative for none")
    corrections: dict[str, Correction] = Field(default={}, description="corrections by name")
    parts: dict[str, Expression] = Field(
        default={}, description="expressions with a name, for each other and for the formulas"
    )
    formulas: dict[str, Expression] = Field(min_length=1, description="branches, and what each is")
    description: str = Field(default="", description="what it says, for the documentation")

    @model_validator(mode="after")
    def _computable(self) -> Linked:
        if twice := sorted(set(self.parts) & set(self.corrections)):
            msg = f"linked to {self.to}: {twice} name a part and a correction"
            raise ValueError(msg)
        try:
            self.steps()
        except CycleError as error:
            msg = f"linked to {self.to}: the parts {' -> '.join(error.args[1])} need each other"
            raise ValueError(msg) from error
        if several := [n for n, c in self.corrections.items() if c.solve and c.solve.several is not None]:
            msg = f"linked to {self.to}: {several[0]} has several solutions, expected one"
            raise ValueError(msg)
        needs = self.needs
        if strange := [*needs.gen, *needs.conditioning]:
            msg = f"linked to {self.to}: {strange[0]} is of 'gen' or 'conditioning', expected 'to' or 'event'"
            raise ValueError(msg)
        if made := sorted(set(needs.branches) & set(self.formulas)):
            msg = f"linked to {self.to}: {made} are made of each other, expected other branches"
            raise ValueError(msg)
        return self

    def steps(self) -> list[tuple[str, str]]:
        """Give names and expressions of the parts, each after those that it needs."""
        before = {name: set(names_of(text).branches) & set(self.parts) for name, text in self.parts.items()}
        return [(name, self.parts[name]) for name in TopologicalSorter(before).static_order()]

    @property
    def needs(self) -> Names:
        """What it is computed from."""
        found = Names()
        for text in (*self.parts.values(), *self.formulas.values()):
            found |= names_of(text)
        for correction in self.corrections.values():
            found |= correction.needs
        own = tuple(name for name in found.branches if name not in {*self.parts, *self.corrections})
        return replace(found, branches=own)

    @property
    def fields(self) -> list[str]:
        """Fields of the other object that it reads."""
        return list(self.needs.to)

    def title(self, branch: str) -> str:
        """Say which formula that of a branch is, for messages."""
        return f"{branch} of the linked {self.to}"

    def with_payloads(self, folder: Path) -> Self:
        """Fill in what it needs of files in a folder."""
        filled = {name: correction.with_payload(folder) for name, correction in self.corrections.items()}
        return self.model_copy(update={"corrections": filled})

    def within(self, branches: Collection[str]) -> Self:
        """Give the formulas that are left where there are only these branches; may be none."""
        whole = set(self.needs.branches).issubset(branches)
        return self.only([name for name in self.formulas if whole and name in branches])

    def only(self, branches: Collection[str]) -> Self:
        """Give the formulas of some branches; may be none."""
        kept = {name: text for name, text in self.formulas.items() if name in branches}
        return self.model_copy(update={"formulas": kept})
