"""What reconstructed objects without a gen object of their own come from: the sources that are declared.

Where `Placed` is declared, a source gives an unmatched object its place (pT and direction) only, and one
network draws all else for those of all sources, given what is around that place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field, StringConstraints, model_validator

from flashsim.declarations.conditioning import (
    Activity,
    Angle,
    Bits,
    Categories,
    Closest,
    Conditioning,
    GenField,
    Momentum,
    Number,
    TurnOn,
)
from flashsim.declarations.recipes import Recipe
from flashsim.declarations.relations import Formula, Simplex
from flashsim.declarations.responses import RelationName

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from flashsim.declarations.expressions import Names
    from flashsim.declarations.objects import Target
    from flashsim.declarations.relations import ExactRelation

__all__ = ["EVENT", "PLACE", "PLACED", "Placed", "SourceName", "Unmatched"]

EVENT = "event"
"""Name of the source whose objects are the events themselves."""

PLACE = ("pt", "eta", "phi")
"""Targets that a source draws where all else is drawn given the place."""

PLACED = "placed"
"""Name of the collection of places in conditioning."""

SourceName = Annotated[str, StringConstraints(pattern=r"^[a-z][A-Za-z0-9]*$")]
"""Of a source, in tables, recipes and model files."""


class Unmatched(Recipe):
    """Unmatched objects of one source: how many each of its objects makes, and what they are.

    Sources are gone through in their order. An unmatched object belongs to the closest object of the first
    source that has one inside its cone; `event` takes the rest. What is drawn of the own collection before a
    source, `reco.` and its name, are the matched objects and those of earlier sources. Objects of pileup
    stand back to back: an `event` that comes after another one has the fields pt and phi of the momentum
    that balances what is drawn of those before it, 0 where there is none.
    """

    name: SourceName = Field(description="what tables, recipes and model files call it")
    source: str = Field(
        description="gen collection, or `reco.` and a collection that is drawn before, the own one among "
        "them; `event` for what belongs to nothing"
    )
    cone: float | None = Field(
        default=None, gt=0, description="largest distance from the source's object; not of an event"
    )
    max_count: int = Field(
        default=20, ge=1, description="largest number of one object of the source that is told apart"
    )
    passes_on: bool = Field(
        default=False,
        description="whether the softer ones beyond max_count belong to the sources after it, which know "
        "the harder ones as drawn",
    )
    relations: dict[str, RelationName] = Field(
        default={}, description="how targets relate to the source's object; none for those that are not named"
    )
    conditioning: list[Conditioning] = Field(
        min_length=1, description="what the networks are given, of the source's object and the event"
    )

    @model_validator(mode="after")
    def _of_something(self) -> Unmatched:
        if self.is_event != (self.cone is None):
            msg = f"{self.name}: a source other than 'event' needs a cone, and 'event' has none"
            raise ValueError(msg)
        if self.is_event and not set(self.relations) <= {"phi"}:
            msg = f"{self.name}: only phi can relate to an event, found relations of {sorted(self.relations)}"
            raise ValueError(msg)
        for entry in self.conditioning if self.is_event else ():
            if (
                entry.kind not in {"event", "number"}
                and not (entry.kind == "activity" and entry.outer is None)
                and not (entry.kind == "field" and entry.field == "pt")
            ):
                msg = f"'{entry.name}' ({entry.kind}) belongs to an object, not to the event"
                raise ValueError(msg)
        return self

    @property
    def is_event(self) -> bool:
        """Whether its objects are the events themselves."""
        return self.source == EVENT

    @property
    def is_balanced(self) -> bool:
        """Whether it needs the momentum that balances what is drawn of the event before."""
        return self.is_event and bool(self.relations or any(e.kind == "field" for e in self.conditioning))

    @property
    def objects(self) -> str | None:
        """Collection of its objects; none for events."""
        return None if self.is_event else self.source

    @property
    def columns(self) -> list[str]:
        """Names of the conditioning columns."""
        return [column for entry in self.conditioning for column in entry.columns()]

    def related(self, targets: Sequence[Target]) -> list[Target]:
        """Give the targets of its unmatched objects: the same, related to the source's object.

        Relations to other branches stay, but for those to what only objects with a gen object have.
        """
        return [self._related(target) for target in targets]

    def _related(self, target: Target) -> Target:
        if target.branch in self.relations:
            return target.related(self.relations[target.branch])
        return target.alone() if target.to is None else target.within(self._has)

    def exact(self, relations: Sequence[ExactRelation]) -> list[ExactRelation]:
        """Give the exact relations of its unmatched objects: those that do without a gen object."""
        return _without_gen(relations, self._has)

    def _has(self, names: Names) -> bool:
        return _has(self.conditioning, names)

    def fields(self, targets: Sequence[Target]) -> set[str]:
        """Fields of the source's object that are needed; none of an event."""
        if self.is_event:
            return set()
        return {*PLACE, *_of_object(self.conditioning), *self.references(targets)}

    def references(self, targets: Sequence[Target]) -> list[str]:
        """Fields of the source's object that relations need, each once."""
        return sorted({t.reference for t in self.related(targets) if t.reference is not None})

    def with_targets(self, branches: Collection[str]) -> Unmatched:
        """Keep the relations of some targets only."""
        kept = {branch: name for branch, name in self.relations.items() if branch in branches}
        return self.model_copy(update={"relations": kept})


class Placed(Recipe):
    """What unmatched objects are, given the place that their source gave them.

    The places of all sources are the collection `placed`, with the fields pt, eta, phi, and source, the
    source's number in the declared order, from 0. Of the own collection, `reco.` and its name, only what has
    a gen object is drawn before.
    """

    conditioning: list[Conditioning] = Field(
        min_length=1, description="what the network is given, of the place and of what is around it"
    )

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields of a place."""
        return (*PLACE, "source")

    def check(self, sources: Sequence[Unmatched], own: str) -> None:
        """See that it reads what places have, and its sources what is known before them.

        Raises
        ------
        ValueError
            If not.
        """
        read = _of_object(self.conditioning) | _of_collection(self.conditioning, PLACED)
        if missing := sorted(read - set(self.fields)):
            msg = f"places have the fields {list(self.fields)}; 'placed' reads {missing}"
            raise ValueError(msg)
        for source in sources:
            if extra := sorted(_of_collection(source.conditioning, own) - set(PLACE)):
                msg = f"{source.name}: of what is drawn before only {list(PLACE)} are known, found {extra}"
                raise ValueError(msg)
            if extra := sorted(set(source.relations) - set(PLACE)):
                msg = f"{source.name}: draws {list(PLACE)}, found relations of {extra}"
                raise ValueError(msg)

    def with_targets(self, branches: Collection[str], own: str) -> Placed:
        """Read only some of the targets of the own collection, `own`."""

        def within(entry: Conditioning) -> Conditioning:
            if not isinstance(entry, Closest) or entry.of != own:
                return entry
            values = {name: scale for name, scale in entry.values.items() if name in branches}
            return entry.model_copy(update={"values": values})

        return Placed(conditioning=[within(entry) for entry in self.conditioning])

    def related(self, targets: Sequence[Target]) -> list[Target]:
        """Give the targets of unmatched objects, related to other branches and to the place only."""
        return [t.alone() if t.to is None else t.within(self._has) for t in targets]

    def exact(self, relations: Sequence[ExactRelation]) -> list[ExactRelation]:
        """Give their exact relations, by which pT and direction are those of the place."""
        place = [Formula(kind="formula", branch=name, expression=f"gen.{name}") for name in PLACE]
        return [*place, *_without_gen(relations, self._has)]

    def _has(self, names: Names) -> bool:
        return _has(self.conditioning, names, PLACE)


def _of_object(conditioning: Sequence[Conditioning]) -> set[str]:
    """Fields of the object itself that are read."""
    of_object = (GenField, TurnOn, Angle, Categories, Bits)
    return {entry.field for entry in conditioning if isinstance(entry, of_object)}


def _of_collection(conditioning: Sequence[Conditioning], name: str) -> set[str]:
    """Fields of the objects of a collection that are read."""
    found = [e for e in conditioning if isinstance(e, (Closest, Activity, Number, Momentum)) and e.of == name]
    return {field for entry in found for field in entry.reads()}


def _has(conditioning: Sequence[Conditioning], names: Names, gen: Collection[str] = ()) -> bool:
    """Tell whether unmatched objects have all that an expression names; `gen` are fields of what they have.

    A place stands for the gen object.
    """
    columns = {column for entry in conditioning for column in entry.columns()}
    return set(names.gen) <= set(gen) and set(names.conditioning) <= columns


def _without_gen(relations: Sequence[ExactRelation], has: Callable[[Names], bool]) -> list[ExactRelation]:
    known = [r.with_floors(has) if isinstance(r, Simplex) else r for r in relations]
    return [relation for relation in known if has(relation.needs)]
