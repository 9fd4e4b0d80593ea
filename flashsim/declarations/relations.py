"""Exact relations between branches of one object: what declarations list under ``relations``.

They hold for every object by construction: what is related is drawn as numbers that are free, and the
branches are computed from these.
"""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from flashsim.declarations.expressions import Expression, Names, names_of
from flashsim.declarations.recipes import Recipe, recipe_folder
from flashsim.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from flashsim.declarations.objects import Target

__all__ = [
    "Conditional",
    "Correction",
    "ExactRelation",
    "Formula",
    "Group",
    "Nested",
    "Output",
    "Probabilities",
    "Simplex",
    "Solve",
    "arranged",
]


class _Relation(Recipe):
    description: str = Field(default="", description="what it says, for the documentation")

    @property
    def branches(self) -> list[str]:
        """Branches that it makes."""
        raise NotImplementedError

    @property
    def needs(self) -> Names:
        """What else it is computed from."""
        return Names()

    @property
    def title(self) -> str:
        """Kind and branches, for messages."""
        return f"{type(self).__name__.lower()} of {', '.join(self.branches)}"

    def with_payloads(self, folder: Path) -> Self:  # noqa: ARG002  # of others that read files
        """Fill in what it needs of files in a folder."""
        return self

    def within(self, branches: Collection[str]) -> _Relation | None:
        """Give what is left of it where there are only these branches; none where that is no relation."""
        there = {*self.branches, *self.needs.branches}.issubset(branches)
        return self if there else None


class _OfBranches(_Relation):
    of: list[str] = Field(min_length=2, description="the branches")

    @model_validator(mode="after")
    def _distinct(self) -> _OfBranches:
        if len(set(self.of)) < len(self.of):
            msg = f"the branches {self.of} of a relation are not distinct"
            raise ValueError(msg)
        return self

    @property
    def branches(self) -> list[str]:
        """Branches that it makes."""
        return self.of

    def within(self, branches: Collection[str]) -> _OfBranches | None:
        """Give what is left of it where there are only these branches; none where that is no relation."""
        kept = [name for name in self.of if name in branches]
        return self.model_copy(update={"of": kept}) if len(kept) > 1 else None


class Simplex(_OfBranches):
    """Fractions from 0 to 1 that add up to 1.

    Each is drawn as its share of what those before it leave. What a fraction is known to be at least can be
    its floor: then the floors are taken off first, and shares are of what they leave.
    """

    kind: Literal["simplex"]
    of: list[str] = Field(min_length=2, description="the fractions, in the order in which they are drawn")
    rest: bool = Field(default=False, description="whether they may add up to less: the rest has no branch")
    floors: dict[str, Expression] = Field(default={}, description="what fractions are at least")
    precision: float = Field(
        default=0.02,
        ge=0,
        description="part of a floor by which a fraction may differ and counts as the floor",
    )

    @model_validator(mode="after")
    def _of_fractions(self) -> Simplex:
        if strange := sorted(self.floors.keys() - set(self.of)):
            msg = f"floors of {strange}, which are none of the fractions"
            raise ValueError(msg)
        if inside := sorted(set(self.needs.branches) & set(self.of)):
            msg = f"floors are computed from {inside}, which are fractions themselves"
            raise ValueError(msg)
        return self

    @property
    def needs(self) -> Names:
        """What else it is computed from."""
        found = Names()
        for text in self.floors.values():
            found |= names_of(text)
        return found

    def with_floors(self, known: Callable[[Names], bool]) -> Simplex:
        """Give the same without floors that need names that are not known."""
        floors = {branch: text for branch, text in self.floors.items() if known(names_of(text))}
        return self.model_copy(update={"floors": floors})

    def within(self, branches: Collection[str]) -> Simplex | None:
        """Give what is left of it where there are only these branches; none where that is no relation."""
        kept = [name for name in self.of if name in branches]
        known = {
            n: f for n, f in self.floors.items() if set(names_of(f).branches) <= set(branches) and n in kept
        }
        return self.model_copy(update={"of": kept, "floors": known}) if len(kept) > 1 else None


class Nested(_OfBranches):
    """Flags of which each implies the next, drawn as the number of those that are set."""

    kind: Literal["nested"]
    of: list[str] = Field(min_length=2, description="the flags, from the tightest to the loosest")


class Output(Recipe):
    """A ratio of probabilities of classes."""

    of: list[str] = Field(min_length=1, description="classes whose probabilities are summed")
    among: list[str] = Field(min_length=1, description="classes whose sum divides it")


class Probabilities(_Relation):
    """Outputs of a network that are ratios of the same probabilities of classes, which add up to 1.

    As many outputs as the classes need are drawn; of these the probabilities follow, and of them the others.
    Special values of the first that is drawn go to all.
    """

    kind: Literal["probabilities"]
    classes: list[str] = Field(min_length=2, max_length=6, description="names of the classes")
    outputs: dict[str, Output] = Field(description="branches, and the ratio that each is")
    drawn: list[str] = Field(min_length=1, description="outputs that are drawn, one less than classes")

    @model_validator(mode="after")
    def _consistent(self) -> Probabilities:
        if len(set(self.drawn)) != len(self.classes) - 1 or not self.outputs.keys() >= set(self.drawn):
            msg = f"'drawn' has {self.drawn}, expected {len(self.classes) - 1} of {list(self.outputs)}"
            raise ValueError(msg)
        for branch, output in self.outputs.items():
            if not set(output.of) < set(output.among) <= set(self.classes):
                msg = f"{branch}: 'of' is no part of 'among', or 'among' none of {self.classes}"
                raise ValueError(msg)
        return self

    @property
    def branches(self) -> list[str]:
        """Branches that it makes."""
        return list(self.outputs)

    def within(self, branches: Collection[str]) -> Probabilities | None:
        """Give what is left of it where there are only these branches; none where that is no relation."""
        kept = {name: output for name, output in self.outputs.items() if name in branches}
        whole = kept.keys() >= set(self.drawn)
        return self.model_copy(update={"outputs": kept}) if whole else None


class Conditional(_Relation):
    """A branch that has one and the same value where a condition is not met."""

    kind: Literal["conditional"]
    branch: str = Field(description="the branch")
    where: Expression = Field(description="where it is drawn")
    elsewhere: float = Field(description="its value elsewhere")

    @model_validator(mode="after")
    def _of_others(self) -> Conditional:
        if self.branch in self.needs.branches:
            msg = f"{self.branch}: its condition is about itself"
            raise ValueError(msg)
        return self

    @property
    def branches(self) -> list[str]:
        """Branches that it makes."""
        return [self.branch]

    @property
    def needs(self) -> Names:
        """What else it is computed from."""
        return names_of(self.where)


class Solve(Recipe):
    """Which value of an input, times the correction at it, is the product."""

    input: str = Field(description="input of the correction that is looked for, positive")
    product: Expression = Field(description="what it is after the correction, positive")
    several: Expression | None = Field(
        default=None, description="where there may be up to three such values: which of them is drawn"
    )


class Correction(Recipe):
    """A correction of a payload of correctionlib, as a name in an expression."""

    file: str = Field(description="payload: a file beside the recipe, or of reference/corrections")
    name: str = Field(description="correction, or compound correction, in it")
    inputs: dict[str, Expression] = Field(description="inputs of the correction, and what each is")
    solve: Solve | None = Field(default=None, description="an input that follows from the corrected value")
    payload: str = Field(
        default="", repr=False, description="what the file holds of it, filled in when the recipe is read"
    )

    @property
    def needs(self) -> Names:
        """What it is computed from."""
        found = Names()
        solved = [] if self.solve is None else [self.solve.product, self.solve.several or "0"]
        for text in (*self.inputs.values(), *solved):
            found |= names_of(text)
        return found

    def with_payload(self, folder: Path) -> Self:
        """Fill in the payload: of a file in a folder, or a shipped one.

        Raises
        ------
        RecipeError
            If there is no such file, or it does not hold the correction.
        """
        if self.payload:
            return self
        beside = folder / self.file
        path = beside if beside.is_file() else recipe_folder("reference") / "corrections" / self.file
        try:
            raw = path.read_bytes()
            content = json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)
            needed = _part_of(content, self.name)
        except (OSError, ValueError, KeyError, TypeError, EOFError, zlib.error) as error:
            msg = (
                f"{path}: expected a payload of correctionlib with the correction '{self.name}', found none "
                f"({type(error).__name__}: {error})"
            )
            raise RecipeError(msg) from error
        return self.model_copy(update={"payload": json.dumps(needed, separators=(",", ":"))})


def _part_of(content: Any, name: str) -> dict[str, Any]:
    """Give a payload that holds one correction, or compound correction, and what it is made of."""
    compounds = [c for c in content.get("compound_corrections") or [] if c["name"] == name]
    wanted = {name, *(part for compound in compounds for part in compound["stack"])}
    corrections = [c for c in content["corrections"] if c["name"] in wanted]
    if not (corrections or compounds):
        raise KeyError(name)
    part = {"schema_version": content["schema_version"], "corrections": corrections}
    return part | ({"compound_corrections": compounds} if compounds else {})


class Formula(_Relation):
    """A branch that is a function of others, of the gen object, or of what conditions."""

    kind: Literal["formula"]
    branch: str = Field(description="the branch")
    expression: Expression = Field(description="what it is; names are branches and corrections")
    corrections: dict[str, Correction] = Field(default={}, description="corrections by name")
    tolerance: float = Field(
        default=0.0,
        ge=0,
        description="deviation that counts as rounding, in the unit of the branch, besides that of stored "
        "values; for components of momenta, which are stored as size and azimuth",
    )

    @model_validator(mode="after")
    def _of_others(self) -> Formula:
        if self.branch in self.needs.branches:
            msg = f"{self.branch}: is a function of itself"
            raise ValueError(msg)
        if len(self.of_several) > 1:
            msg = f"{self.branch}: several solutions of {self.of_several}, expected of one correction at most"
            raise ValueError(msg)
        return self

    @property
    def branches(self) -> list[str]:
        """Branches that it makes."""
        return [self.branch]

    @property
    def needs(self) -> Names:
        """What else it is computed from."""
        direct = names_of(self.expression)
        own = tuple(name for name in direct.branches if name not in self.corrections)
        found = replace(direct, branches=own)
        for correction in self.corrections.values():
            found |= correction.needs
        return found

    @property
    def of_several(self) -> list[str]:
        """Names of the corrections that may have several solutions."""
        return [n for n, c in self.corrections.items() if c.solve is not None and c.solve.several is not None]

    def with_payloads(self, folder: Path) -> Self:
        """Fill in what it needs of files in a folder."""
        filled = {name: correction.with_payload(folder) for name, correction in self.corrections.items()}
        return self.model_copy(update={"corrections": filled})


ExactRelation: TypeAlias = Annotated[
    Simplex | Nested | Probabilities | Conditional | Formula, Field(discriminator="kind")
]


@dataclass(frozen=True)
class Group:
    """Targets that are encoded together.

    Parameters
    ----------
    relation
        What ties them; none for a target by itself.
    targets
        The targets, in the order of the relation's branches.
    """

    relation: ExactRelation | None
    targets: tuple[Target, ...]

    @property
    def needs(self) -> Names:
        """What it needs besides its own targets."""
        found = Names() if self.relation is None else self.relation.needs
        for target in self.targets:
            found |= target.needs
        return found


def arranged(targets: Sequence[Target], relations: Sequence[ExactRelation]) -> list[Group]:
    """Group targets by the relations between them, in an order in which each is computed from those before.

    Of relations that make the same branch, the first one counts. The order is that of the targets as far as
    possible.

    Raises
    ------
    ValueError
        If some need each other, or one that is no target.
    """
    known = {target.branch: target for target in targets}
    owner: dict[str, ExactRelation] = {}
    for relation in relations:
        if not owner.keys() & set(relation.branches) and known.keys() >= set(relation.branches):
            owner |= dict.fromkeys(relation.branches, relation)
    groups: list[Group] = []
    for target in targets:
        relation_of = owner.get(target.branch)
        if relation_of is None:
            groups.append(Group(None, (target,)))
        elif not any(group.relation is relation_of for group in groups):
            groups.append(Group(relation_of, tuple(known[name] for name in relation_of.branches)))
    return _in_order(groups)


def _in_order(groups: list[Group]) -> list[Group]:
    ordered: list[Group] = []
    made: set[str] = set()
    waiting = list(groups)
    while waiting:
        following = next((group for group in waiting if made.issuperset(group.needs.branches)), None)
        if following is None:
            stuck = [group.targets[0].branch for group in waiting if group.needs.branches]
            missing = sorted({n for group in waiting for n in group.needs.branches} - made)
            msg = (
                f"{', '.join(stuck)}: need {', '.join(missing)}, which are no targets or need each other "
                "in a circle"
            )
            raise ValueError(msg)
        waiting.remove(following)
        ordered.append(following)
        made.update(target.branch for target in following.targets)
    return ordered
