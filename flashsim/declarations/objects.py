"""The declaration of a simulated object: what conditions it, what is simulated, and how the two relate.

`preprocessing/*.yaml` hold one declaration each. Preprocessing, training, generation, validation and the
documentation loop over these lists; no Python names an object's variables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import AliasChoices, Field, model_validator

from flashsim.declarations.conditioning import (
    RECO,
    Activity,
    Angle,
    Bits,
    Categories,
    Closest,
    Conditioning,
    Earlier,
    EventValue,
    GenField,
    Momentum,
    Number,
    Spread,
)
from flashsim.declarations.expressions import Expression, Names, names_of
from flashsim.declarations.gen_collections import GenCollection, GenView
from flashsim.declarations.linked import Linked
from flashsim.declarations.recipes import (
    Recipe,
    parse_recipe,
    read_with_lines,
    read_yaml,
    recipe_folder,
    recipe_path,
)
from flashsim.declarations.recoil import Recoil
from flashsim.declarations.relations import ExactRelation, arranged
from flashsim.declarations.responses import RelationName
from flashsim.declarations.unmatched import PLACE, PLACED, Placed, Unmatched
from flashsim.declarations.versions import Spanned, Version

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from pathlib import Path

    from flashsim.declarations.changes import Changes

__all__ = [
    "Derived",
    "ObjectDeclaration",
    "Split",
    "Target",
    "load_object",
]


class Target(Spanned):
    """A reconstructed quantity that is simulated."""

    branch: str = Field(description="field of the reconstructed collection")
    relation: RelationName = Field(default="none", description="how it relates to the gen object")
    gen_field: str | None = Field(default=None, description="field of the gen object; none: of the same name")
    to: Expression | None = Field(
        default=None,
        description="to what it is related in place of the gen object's field: an expression of other "
        "branches, of gen.FIELD and conditioning.NAME",
    )
    scale: Expression | None = Field(
        default=None,
        description="unit of the relation: an expression like `to`, positive; such as the uncertainty, "
        "in which differences from the gen value are alike for all",
    )
    threshold: float | None = Field(default=None, description="smallest value, in the branch's unit")
    width: float = Field(default=1.0, gt=0, description="softness of the threshold of an excess")
    floor: float = Field(default=1e-6, gt=0, description="smallest gen value of a ratio")
    discrete: bool = Field(default=False, description="whether every distinct value is a point mass")
    values: list[float] | None = Field(default=None, description="the only values allowed")
    range: tuple[float, float] | None = Field(default=None, description="smallest and largest value")
    special: list[float] = Field(default=[], description="values allowed outside of the range, such as -1")
    dequantise: bool = Field(
        default=False,
        validation_alias=AliasChoices("dequantise", "spread"),  # as older models have it
        description="whether training spreads a value over all that NanoAOD rounds to it; for what is "
        "measured more finely than it is stored",
    )
    absent: list[Version] = Field(default=[], description="NanoAOD versions in between that lack it")
    description: str = Field(default="", description="what it is, for the documentation")

    @model_validator(mode="after")
    def _consistent(self) -> Target:
        if self.relation == "excess" and self.threshold is None:
            msg = f"{self.branch}: relation 'excess' needs a threshold"
            raise ValueError(msg)
        if self.to is not None and (self.relation == "none" or self.gen_field is not None):
            msg = f"{self.branch}: 'to' needs a relation, and takes the place of gen_field"
            raise ValueError(msg)
        if self.scale is not None and self.relation == "none":
            msg = f"{self.branch}: 'scale' needs a relation"
            raise ValueError(msg)
        if self.branch in self.needs.branches:
            msg = f"{self.branch}: is related to itself"
            raise ValueError(msg)
        if self.range is not None and not self.range[0] < self.range[1]:
            msg = f"{self.branch}: range {list(self.range)} does not rise"
            raise ValueError(msg)
        if self.values is not None and (not self.values or self.range is not None or self.special):
            msg = f"{self.branch}: values lists all that is allowed; range and special do not go with it"
            raise ValueError(msg)
        return self

    @property
    def reference(self) -> str | None:
        """Field of the gen object that the relation needs, if it needs one."""
        if self.relation == "none" or self.to is not None:
            return None
        return self.gen_field or self.branch

    @property
    def needs(self) -> Names:
        """What the expressions of its relation need."""
        found = Names()
        for text in (self.to, self.scale):
            if text is not None:
                found |= names_of(text)
        return found

    def related(self, relation: RelationName) -> Target:
        """Give the same target in another relation to an object's own field."""
        return self.model_copy(update={"relation": relation, "to": None, "scale": None})

    def alone(self) -> Target:
        """Give the same target without a relation."""
        return self.related("none")

    def within(self, known: Callable[[Names], bool]) -> Target:
        """Give the same target without expressions that need names that are not known."""
        if self.to is not None and not known(names_of(self.to)):
            return self.alone()
        if self.scale is not None and not known(names_of(self.scale)):
            return self.model_copy(update={"scale": None})
        return self

    @property
    def is_discrete(self) -> bool:
        """Whether every distinct value is a point mass."""
        return self.discrete or self.values is not None

    def exists_in(self, version: str) -> bool:
        """Whether NanoAOD of this version has the branch."""
        return version not in self.absent and super().exists_in(version)

    @property
    def _named(self) -> str:
        return f"{self.branch}: "


class Derived(Recipe):
    """A branch that follows from the simulated ones or from the gen object, without randomness."""

    branch: str = Field(description="field of the reconstructed collection")
    source: Literal["gen", "reco", "constant"] = Field(description="where the value comes from")
    field: str | None = Field(default=None, description="field of the gen object or simulated target")
    factor: float = Field(default=1.0, description="multiplies the value")
    value: float | None = Field(default=None, description="the constant")
    unmatched: float = Field(default=0.0, description="value for objects without a gen match (source gen)")
    description: str = Field(default="", description="what it is, for the documentation")

    @model_validator(mode="after")
    def _consistent(self) -> Derived:
        if (self.value is None) == (self.source == "constant") or (self.field is None) == (
            self.source != "constant"
        ):
            msg = f"{self.branch}: a constant needs a value, the other sources need a field"
            raise ValueError(msg)
        return self


class Split(Recipe):
    """Shares of the events that are kept from training."""

    validation: float = Field(
        default=0.15, gt=0, lt=0.5, description="share of the events for early stopping"
    )
    test: float = Field(
        default=0.15, gt=0, lt=0.5, description="share of the events for the final measurement"
    )


class ObjectDeclaration(Recipe):
    """Everything that FlashSim knows of one object, or of the event as a whole."""

    schema_version: Literal[1] = Field(description="version of this format")
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="name in commands and model files")
    per: Literal["object", "event"] = Field(
        default="object",
        description="event: branches with one value an event, drawn after all objects; always there",
    )
    collection: str = Field(description="reconstructed NanoAOD collection; per event, what to call it")
    gen: str = Field(description="gen collection: one object of it gives at most one reconstructed object")
    match: str = Field(
        default="",
        description="field of the reconstructed collection with the index of the gen object; per event, none",
    )
    conditioning: list[Conditioning] = Field(min_length=1, description="what the networks are given")
    targets: list[Target] = Field(description="what is simulated")
    relations: list[ExactRelation] = Field(
        default=[],
        description="exact relations between targets; of those that make the same branch the first",
    )
    linked: list[Linked] = Field(
        default=[],
        description="targets that follow from an object of another collection, which is drawn later; of "
        "those that make the same branch the first",
    )
    derived: list[Derived] = Field(default=[], description="what follows from it")
    recoils: list[Recoil] = Field(
        default=[],
        validation_alias=AliasChoices("recoils", "balances"),  # as older models have it
        description="per event: momenta that balance what is reconstructed",
    )
    unmatched: list[Unmatched] = Field(
        default=[], description="what reconstructed objects without a gen object come from, in order"
    )
    placed: Placed | None = Field(
        default=None,
        description="what unmatched objects are, given the pT and direction that their source gives; none: "
        "each source draws all targets",
    )
    exclusive: float | None = Field(
        default=None,
        gt=0,
        description="no two objects of the collection are closer than this in eta and phi; what is drawn "
        "closer is drawn again",
    )
    split: Split = Field(default=Split(), description="division of the events")
    gen_view: GenView = Field(description="gen collections, or the name of the recipe that holds them")

    @model_validator(mode="after")
    def _known_collections(self) -> ObjectDeclaration:
        known = {*self.gen_view.collections, *(f"{RECO}{name}" for name in self.reconstructed())}
        known |= {self._own} if self.per == "object" else set()
        known |= {PLACED} if self.placed is not None else set()
        wanted = {self.gen, *(entry.of for entry in self._of_collections())}
        wanted |= {source.objects for source in self.unmatched if source.objects is not None}
        wanted |= {e.without for e in self._of_collections() if isinstance(e, Closest) and e.without}
        wanted |= {measured.gen for recoil in self.recoils for measured in recoil.minus}
        if unknown := sorted(wanted - known):
            msg = f"unknown gen collections {unknown}; the gen view has {sorted(self.gen_view.collections)}"
            raise ValueError(msg)
        for entry in [*self.conditioning, *(e for s in self.unmatched for e in s.conditioning)]:
            if getattr(entry, "of", "") == PLACED:
                msg = f"{entry.name}: places are drawn later; only 'placed' itself can look at them"
                raise ValueError(msg)
        for entry in self.conditioning:
            if getattr(entry, "of", "") == self._own and self.per == "object":
                msg = f"{entry.name}: {self._own} is not drawn yet; what is close is of the kind 'earlier'"
                raise ValueError(msg)
        recoils = {recoil.name for recoil in self.recoils if not recoil.like}
        if unknown := sorted({r.like for r in self.recoils if r.like} - recoils):
            msg = f"recoils are like {unknown}, which are none of {sorted(recoils)}"
            raise ValueError(msg)
        for entry in self._entries():
            if isinstance(entry, Momentum) and entry.recoil not in recoils:
                msg = f"{entry.name}: there is no recoil {entry.recoil}; declared are {sorted(recoils)}"
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _per(self) -> ObjectDeclaration:
        is_event = self.per == "event"
        if is_event != (self.gen_collection.branch == "Event"):
            made = self.gen_collection.branch
            msg = f"what is declared per {self.per} cannot be made from {self.gen}, which is {made}"
            raise ValueError(msg)
        if is_event and (self.match or self.unmatched):
            msg = "an event is always there: match and unmatched do not go with 'per: event'"
            raise ValueError(msg)
        if self.placed is not None and not self.unmatched:
            msg = "places belong to unmatched objects: 'placed' goes with 'unmatched'"
            raise ValueError(msg)
        if not is_event and (not self.match or self.recoils):
            msg = "an object needs match, and recoils go with 'per: event'"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _known_fields(self) -> ObjectDeclaration:
        needed = {self.gen: {"index", *self.references()} - self.computed_fields()}
        of_gen = (GenField, Angle, Categories, Bits)
        needed[self.gen] |= {entry.field for entry in self.conditioning if isinstance(entry, of_gen)}
        needed[self.gen] |= {str(d.field) for d in self.derived if d.source == "gen"}
        needed[self.gen] -= self.computed_fields()
        for recoil in self.recoils:
            needed[self.gen].update(recoil.gen_branches)
            for measured in recoil.minus:
                needed.setdefault(measured.gen, set()).update(("pt", "phi", "index"))
        for entry in self._of_collections():
            needed.setdefault(entry.of, set()).update(entry.reads())
            if isinstance(entry, Closest) and entry.rest:
                for name in {entry.of, self.gen, entry.without or entry.of}:
                    needed.setdefault(name, set()).add("pt")
        if any(isinstance(entry, Earlier) for entry in self.conditioning):
            needed[self.gen] |= {"pt", "eta", "phi"}
        for source in self.unmatched:
            if source.objects is not None:
                needed.setdefault(source.objects, set()).update(source.fields(self.source_targets()))
        if self.placed is not None:
            self.placed.check(self.unmatched, self._own)
            needed.pop(PLACED, None)
        for name, fields in needed.items():
            if name.startswith(RECO):
                continue
            if missing := sorted(fields - set(self.gen_view.collections[name].fields)):
                msg = f"gen collection {name} lacks the fields {missing}"
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _unique(self) -> ObjectDeclaration:
        branches = [t.branch for t in self.targets] + [d.branch for d in self.derived]
        branches += [branch for recoil in self.drawn_recoils for branch in recoil.branches]
        branches += [self.match] if self.match else []
        if any(source.is_event and not source.passes_on for source in self.unmatched[:-1]):
            msg = "the source 'event' takes all that is left of the unmatched objects: it comes last"
            raise ValueError(msg)
        events = [source for source in self.unmatched if source.is_event]
        if events and events[0].is_balanced:
            msg = f"{events[0].name}: nothing is drawn of the event before it that it could balance"
            raise ValueError(msg)
        for what, found in (
            ("conditioning column", _columns(self.conditioning)),
            ("source of unmatched objects", [source.name for source in self.unmatched]),
            *((f"conditioning column of {s.name}", _columns(s.conditioning)) for s in self.unmatched),
            ("conditioning column of placed", _columns(self.placed.conditioning if self.placed else ())),
            ("branch", branches),
        ):
            if twice := sorted({name for name in found if found.count(name) > 1}):
                msg = f"{what} declared twice: {twice}"
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _complete(self) -> ObjectDeclaration:
        simulated = {target.branch for target in self.targets}
        if self.per == "object" and (missing := sorted({"pt", "eta", "phi"} - simulated)):
            msg = f"targets lack {missing}, by which objects are ordered and linked"
            raise ValueError(msg)
        for recoil in self.recoils:
            if len(simulated.intersection(recoil.targets)) == 1:
                msg = f"of {recoil.targets}, the components of a recoil, targets has one and lacks the other"
                raise ValueError(msg)
        related = {branch for source in self.unmatched for branch in source.relations}
        if self.per == "object" and (missing := sorted({*self.drawn_fields()} - simulated)):
            msg = f"unmatched objects are given {missing} of {self._own}, which are no targets"
            raise ValueError(msg)
        if unknown := sorted(related - simulated):
            msg = f"relations to sources of unmatched objects name {unknown}, which are no targets"
            raise ValueError(msg)
        if unknown := sorted({str(d.field) for d in self.derived if d.source == "reco"} - simulated):
            msg = f"derived branches need {unknown}, which are no targets"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _related(self) -> ObjectDeclaration:
        known = {target.branch for target in self.targets}
        columns = set(_columns(self.conditioning))
        for relation in self.relations:
            wanted = {*relation.branches, *relation.needs.branches}
            if missing := sorted(wanted - known):
                msg = f"the {relation.title} needs {missing}, which are no targets"
                raise ValueError(msg)
        for target in self.targets:
            if missing := sorted(set(target.needs.branches) - known):
                msg = f"the relation of {target.branch} needs {missing}, which are no targets"
                raise ValueError(msg)
        if missing := sorted(set(self._needs().conditioning) - columns):
            msg = f"relations need the conditioning columns {missing}, which are not declared"
            raise ValueError(msg)
        if found := [*self._needs().to, *self._needs().event]:
            msg = f"relations need {', '.join(found)} of 'to' or 'event', which only 'linked' has"
            raise ValueError(msg)
        arranged(self.targets, self.relations)
        return self

    @model_validator(mode="after")
    def _linked(self) -> ObjectDeclaration:
        known = {target.branch for target in self.targets}
        events = {entry.name for entry in self.event_values()}
        for linked in self.linked:
            where = f"linked to {linked.to}"
            if self.per == "event" or linked.to == self.collection:
                msg = f"{where}: expected objects of another collection, and none of whole events"
                raise ValueError(msg)
            if missing := sorted({*linked.formulas, *linked.needs.branches} - known):
                msg = f"{where}: needs {missing}, which are no targets"
                raise ValueError(msg)
            if twice := sorted(known & {*linked.parts, *linked.corrections}):
                msg = f"{where}: {twice} are branches; give parts and corrections names of their own"
                raise ValueError(msg)
            if missing := sorted(set(linked.needs.event) - events):
                msg = f"{where}: event.{missing[0]} is no conditioning of the kind 'event'"
                raise ValueError(msg)
        return self

    @property
    def unmatched_conditioning(self) -> list[Conditioning]:
        """What the networks of unmatched objects are given, of all sources and places."""
        of_sources = [entry for source in self.unmatched for entry in source.conditioning]
        return [*of_sources, *(self.placed.conditioning if self.placed else ())]

    def source_targets(self) -> list[Target]:
        """Targets that sources of unmatched objects draw."""
        return [t for t in self.targets if self.placed is None or t.branch in PLACE]

    def source_relations(self) -> list[ExactRelation]:
        """Exact relations among these."""
        return self.relations if self.placed is None else []

    def branch(self, field: str) -> str:
        """NanoAOD branch of a field of the reconstructed collection."""
        return field if self.per == "event" else f"{self.collection}_{field}"

    def fields(self) -> list[str]:
        """Fields that are written, the index of the gen object apart, in their order."""
        components = {name for recoil in self.drawn_recoils for name in recoil.targets}
        names = [branch for recoil in self.drawn_recoils for branch in recoil.branches]
        names += [target.branch for target in self.targets if target.branch not in components]
        return [*names, *(derived.branch for derived in self.derived)]

    def computed_fields(self) -> set[str]:
        """Fields of the gen object that follow from other collections, see `Recoil.expected`."""
        return {name for recoil in self.recoils for name in recoil.gen_fields}

    def reconstructed(self) -> dict[str, list[str]]:
        """Reconstructed collections, with their fields, that must be simulated before."""
        found: dict[str, set[str]] = {}
        for recoil in self.recoils:
            for measured in recoil.minus:
                found.setdefault(measured.reco, set()).update(measured.fields)
        for of, fields in self._read():
            if of.startswith(RECO) and of != self._own:
                found.setdefault(of.removeprefix(RECO), set()).update(fields)
        return {name: sorted(fields) for name, fields in found.items()}

    def linked_branches(self) -> list[str]:
        """Targets that follow from linked objects, each once."""
        return list(dict.fromkeys(branch for linked in self.linked for branch in linked.formulas))

    def link_branches(self, linked: Linked) -> list[str]:
        """NanoAOD branches of a link: the index, and what it reads of the other collection."""
        return [self.branch(linked.index), *(f"{linked.to}_{field}" for field in linked.fields)]

    def event_values(self) -> list[EventValue]:
        """Values of the whole event that objects with a gen object are given."""
        return [entry for entry in self.conditioning if isinstance(entry, EventValue)]

    def event_results(self) -> list[EventValue]:
        """Values of the whole event that must be simulated before."""
        return [entry for entry in self._entries() if isinstance(entry, EventValue) and entry.of]

    def needs(self) -> list[str]:
        """Names of the collections that must be simulated before, those of whole events among them."""
        whole = {entry.of.removeprefix(RECO) for entry in self.event_results()}
        return sorted({*self.reconstructed(), *whole} - {self.collection})

    def own_fields(self) -> list[str]:
        """Fields of the reconstructed collection itself that objects drawn later are given."""
        return sorted({field for e in self._entries() if isinstance(e, Earlier) for field in e.reads()})

    def drawn_fields(self) -> list[str]:
        """Fields of the collection itself that unmatched objects are given, of those drawn before them."""
        own = {field for of, fields in self._read() if of == self._own for field in fields}
        return sorted({"pt", "eta", "phi", *own})

    def with_branches(self, has: Callable[[str], bool]) -> ObjectDeclaration:
        """Name values of whole events that are simulated before as a file has them, see `EventValue`."""

        def named(entry: Conditioning) -> Conditioning:
            if not isinstance(entry, EventValue) or not entry.of:
                return entry
            names = [entry.branch, *entry.otherwise]
            found = next((name for name in names if has(name)), entry.branch)
            others = [name for name in names if name != found]
            return entry.model_copy(update={"branch": found, "otherwise": others})

        unmatched = [
            source.model_copy(update={"conditioning": [named(entry) for entry in source.conditioning]})
            for source in self.unmatched
        ]
        conditioning = [named(entry) for entry in self.conditioning]
        placed = self.placed
        if placed is not None:
            placed = Placed(conditioning=[named(entry) for entry in placed.conditioning])
        update = {"conditioning": conditioning, "unmatched": unmatched, "placed": placed}
        return self.model_copy(update=update)

    def _entries(self) -> list[Conditioning]:
        return [*self.conditioning, *self.unmatched_conditioning]

    def _of_collections(self) -> list[Closest | Activity | Number | Momentum | Spread]:
        kinds = (Closest, Activity, Number, Momentum, Spread)
        return [entry for entry in self._entries() if isinstance(entry, kinds)]

    def _read(self) -> list[tuple[str, set[str]]]:
        """Give collections that conditioning and sources of unmatched objects read, with fields."""
        sources = [(s.objects, s.fields(self.source_targets())) for s in self.unmatched if s.objects]
        return [*sources, *((entry.of, entry.reads()) for entry in self._of_collections())]

    @property
    def _own(self) -> str:
        """The simulated collection itself, where a source or its conditioning names it."""
        return f"{RECO}{self.collection}"

    @property
    def gen_collection(self) -> GenCollection:
        """The collection of gen objects that are simulated."""
        return self.gen_view.collections[self.gen]

    def with_targets(self, branches: Collection[str]) -> ObjectDeclaration:
        """Keep only some of the targets, what derives from them, and the relations that are left."""
        targets = [target for target in self.targets if target.branch in branches]
        targets = [target.within(lambda names: set(names.branches) <= set(branches)) for target in targets]
        derived = [d for d in self.derived if d.source != "reco" or d.field in branches]
        within = [relation.within(branches) for relation in self.relations]
        relations = [relation for relation in within if relation is not None]
        linked = [some for some in (entry.within(branches) for entry in self.linked) if some.formulas]
        unmatched = [source.with_targets(branches) for source in self.unmatched]
        return self.model_copy(
            update={
                "targets": targets,
                "derived": derived,
                "relations": relations,
                "linked": linked,
                "unmatched": unmatched,
                "placed": self.placed and self.placed.with_targets(branches, self._own),
            }
        )

    @property
    def drawn_recoils(self) -> list[Recoil]:
        """Recoils that are simulated; of others only what is expected is known, for the conditioning."""
        simulated = {target.branch for target in self.targets}
        return [recoil for recoil in self.recoils if simulated.issuperset(recoil.targets)]

    def sources(self, target: Target) -> list[str]:
        """NanoAOD branches that hold a target."""
        for recoil in self.recoils:
            if target.branch in recoil.targets:
                return recoil.branches
        return [self.branch(target.branch)]

    def references(self) -> list[str]:
        """Fields of the gen object that relations need, each once."""
        direct = {target.reference for target in self.targets if target.reference is not None}
        return sorted(direct | set(self._needs().gen))

    def related_conditioning(self) -> list[str]:
        """Conditioning columns that relations need, each once."""
        return sorted(self._needs().conditioning)

    def _needs(self) -> Names:
        """Give what relations need."""
        found = Names()
        for relation in self.relations:
            found |= relation.needs
        for target in self.targets:
            found |= target.needs
        return found


def _columns(conditioning: Iterable[Conditioning]) -> list[str]:
    return [column for entry in conditioning for column in entry.columns()]


def with_payloads(declaration: ObjectDeclaration, path: Path) -> ObjectDeclaration:
    """Fill in what the relations of a declaration, read from `path`, need of files beside it."""
    relations = [relation.with_payloads(path.parent) for relation in declaration.relations]
    linked = [entry.with_payloads(path.parent) for entry in declaration.linked]
    return declaration.model_copy(update={"relations": relations, "linked": linked})


def load_object(name: str, changes: Changes | None = None) -> ObjectDeclaration:
    """Load the declaration of an object: a shipped one by name, or a user's own file by path.

    The gen view may be written out or named; a named one is looked for beside the declaration first, then
    among the shipped recipes. `changes` as for `load_recipe`.

    Raises
    ------
    RecipeError
        If there is no such recipe or it is not valid.
    """
    path = recipe_path("preprocessing", name)
    content, lines = read_with_lines(path)
    view = content.get("gen_view")
    if isinstance(view, str):
        beside = path.parent / view
        shipped = recipe_folder("preprocessing") / view
        content["gen_view"] = read_yaml(shipped if shipped.is_file() and not beside.is_file() else beside)
    declaration = parse_recipe(ObjectDeclaration, content, origin=str(path), changes=changes, lines=lines)
    return with_payloads(declaration, path)
