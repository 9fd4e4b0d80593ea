"""What a generated file holds: which branches are simulated, which copied, of which types and titles."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cache
from typing import TYPE_CHECKING, Literal

import numpy as np

from flashsim.errors import InputFileError
from flashsim.events.gen_chunk import gen_branches
from flashsim.events.identity import identity_branches
from flashsim.generation.completion import COMPLETION, plan_completion
from flashsim.generation.origins import ORIGINS, computed_fields, grouped
from flashsim.generation.oversampling import plan_oversampling, refuse_oversampled
from flashsim.generation.pileup import PileupPlan, plan_pileup
from flashsim.generation.trigger import TRIGGER, TriggerPlan, plan_trigger
from flashsim.nanoaod.branch import Branch
from flashsim.nanoaod.reading import STANDARD_TREES
from flashsim.nanoaod.requirements import require_branches
from flashsim.nanoaod.schema import VERSIONS, counter_titles, load_schema, mantissa_bits
from flashsim.nanoaod.versions import describe_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from flashsim.declarations.objects import ObjectDeclaration
    from flashsim.declarations.output import Link, OutputRecipe, Synonym
    from flashsim.declarations.trigger import TriggerRecipe
    from flashsim.generation.completion import Completion
    from flashsim.generation.origins import Grouped, Origin
    from flashsim.generation.oversampling import Oversampling
    from flashsim.generation.pileup import Pileup
    from flashsim.nanoaod.branch import Branches

__all__ = ["OUTSIDE", "CollectionPlan", "OutputPlan", "plan_output"]

OUTSIDE = Branch(
    "outsideDomain",
    np.dtype("bool"),
    None,
    "what it comes from (gen object, or event if it has none) is outside of the domain of the training",
)
"""Field that simulated objects have if asked for; its name is that in a collection."""


@dataclass(frozen=True)
class CollectionPlan:
    """The branches of a simulated collection.

    Parameters
    ----------
    branches
        By field, in the order in which they are written.
    bits
        Mantissa bits by field; none for all.
    left_out
        Targets of the declaration that this NanoAOD version does not have.
    renamed
        Patterns of branches that have another name in this NanoAOD version, by those of the declaration.
    per
        Of what it has a value each.
    origins
        Where fields come from that are not simulated.
    """

    branches: dict[str, Branch]
    bits: dict[str, int | None]
    left_out: tuple[str, ...]
    renamed: dict[str, str] = dataclasses.field(default_factory=dict)
    per: Literal["object", "event"] = "object"
    origins: dict[str, Origin] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class OutputPlan:
    """What is read from an input and what is written.

    Parameters
    ----------
    version
        NanoAOD version of the output.
    needed
        Branches that simulation reads, those that tell an event from others among them; sorted.
    copied
        Branches of the output that are the input's, values, types and titles.
    doubt
        Why the version may be another one, in words; empty if there is no doubt, or the user named it.
    trees
        Trees beside the events that are written.
    trees_left
        Trees that could be written, too.
    objects_left
        What else the input has, and that cannot be written.
    stale
        Branches that the user wants to keep and that are left out: indices into simulated collections, whose
        objects are others now.
    collections
        The simulated collections by name.
    counter_titles
        Descriptions of the output's collections, which are the titles of their counters.
    oversampling
        How often each event is written, and which branches are weights.
    completion
        Branches of the event beside those of models; `COMPLETION` among the collections.
    pileup
        What is drawn of the pileup in place of the input's.
    trigger
        What is emulated of the trigger; `TRIGGER` and the trigger objects are among the collections.
    absent
        Reconstructed branches that the version has and the output has not.
    """

    version: str
    needed: list[str]
    copied: list[Branch]
    doubt: str
    trees: list[str]
    trees_left: list[str]
    objects_left: list[str]
    stale: list[str]
    collections: dict[str, CollectionPlan]
    counter_titles: dict[str, str]
    oversampling: Oversampling
    completion: Completion
    pileup: PileupPlan
    trigger: TriggerPlan
    absent: list[str]

    @property
    def branches(self) -> list[Branch]:
        """All branches of the output, counters apart."""
        simulated = [branch for c in self.collections.values() for branch in c.branches.values()]
        return [*self.copied, *self.pileup.branches, *self.oversampling.branches, *simulated]

    @property
    def left_out(self) -> list[str]:
        """Names of branches that are simulated, but that the version does not have."""
        names = (
            field if c.per == "event" else f"{name}_{field}"
            for name, c in self.collections.items()
            for field in c.left_out
        )
        return list(dict.fromkeys(names))

    @property
    def renamed(self) -> dict[str, str]:
        """Patterns of names in this NanoAOD version, by those that models know the branches under."""
        return {old: new for c in self.collections.values() for old, new in c.renamed.items()}

    @property
    def origins(self) -> dict[Origin, Grouped]:
        """Names of branches by where they come from, and by collection; see `ORIGINS`."""
        names: dict[Origin, list[str]] = {origin: [] for origin in ORIGINS}
        for collection in self.collections.values():
            for field, branch in collection.branches.items():
                names[collection.origins.get(field, "simulated")].append(branch.name)
        names["copied"] = sorted(branch.name for branch in self.copied)
        names["derived"] += [branch.name for branch in self.oversampling.branches]
        names["emulated"] += [branch.name for branch in self.pileup.branches]
        names["absent"] = [*self.absent, *self.trigger.absent]
        return {origin: grouped(found) for origin, found in names.items()}

    @property
    def read(self) -> list[str]:
        """Names of all branches that are read from the input, sorted."""
        return sorted({*self.needed, *(branch.name for branch in self.copied)})


def plan_output(
    file: Branches,
    declarations: Sequence[ObjectDeclaration],
    recipe: OutputRecipe,
    *,
    keep: Sequence[str] = (),
    version: str | None = None,
    folds: int = 1,
    flag_domain: bool = False,
    pileup: Pileup | None = None,
    trigger: TriggerRecipe | None = None,
) -> OutputPlan:
    """Plan what is generated from a file.

    Parameters
    ----------
    file
        The input.
    declarations
        The objects that are simulated, one a collection.
    recipe
        What is copied, and how collections point at each other.
    keep
        The user's patterns of reconstructed branches and of trees to keep nevertheless. They leave simulated
        collections alone.
    version
        NanoAOD version of the output; by default that of the input.
    folds
        How often each gen event is simulated.
    flag_domain
        Whether objects have the field `OUTSIDE`.
    pileup
        Distribution of the pileup; by default it is that of the input.
    trigger
        Declares what is emulated of the trigger; by default nothing is.

    Raises
    ------
    InputFileError
        If the file lacks a branch that is needed, the version is none that can be written, a pattern of
        `keep` fits no branch that can be kept, or the file is oversampled already.
    RecipeError
        If a link would overwrite a branch that is simulated.
    """
    for declaration in declarations:
        recipe.refuse_clash(declaration)
    refuse_oversampled(file)
    told = describe_version(file.branches)
    detected = told.version or VERSIONS[0]
    doubt = "" if version else told.doubt
    version = version or detected
    if version not in VERSIONS:
        known = ", ".join(VERSIONS)
        msg = f"--nano-version {version}: NanoAOD {version} cannot be written; choose one of {known}"
        raise InputFileError(msg)
    simulated = [d.collection for d in declarations if d.per == "object"]
    # The input's own types and titles come first, but only where it is of the version that is written.
    own = [file.branches] if version == detected else []
    models = [*own, *_schemas(version).values()]
    collections = {d.collection: _plan(d, models, version, recipe, simulated) for d in declarations}
    single = {name for d in declarations if d.per == "event" for name in d.fields()}
    single |= {b.name for c in collections.values() for b in c.branches.values() if not b.jagged}
    written = _written(collections)
    completion = plan_completion(file, recipe, [*own, load_schema(version)], written, single)
    conditioning = {branch for d in declarations for branch in gen_branches(d)}
    needed = sorted({*conditioning, *completion.needed, *identity_branches(file.branches)})
    drawn = plan_pileup(file, needed, pileup, version)
    needed = sorted({*needed, *drawn.given} - drawn.names)
    require_branches(file, needed, "to generate from it")
    single |= completion.branches.keys() - completion.constants.keys()
    trees = [name for name in file.trees if name in STANDARD_TREES or any(fnmatchcase(name, p) for p in keep)]
    kept, stale = _kept(file, keep, simulated, single)
    completion = completion.without(kept)
    if flag_domain:
        for name, collection in collections.items():
            of = None if collection.per == "event" else name
            collection.branches[OUTSIDE.name] = replace(OUTSIDE, name=f"{name}_{OUTSIDE.name}", collection=of)
    collections[COMPLETION] = _plan_completed(completion, models, version, recipe)
    copied = [b for b in file.branches.values() if b.name in kept or _is_copied(b, recipe, simulated, single)]
    if drawn.pileup is not None:
        copied = [branch for branch in copied if not branch.name.startswith("Pileup_")]
    fired = plan_trigger(trigger, version, written, list(_schemas(version).values()), copied)
    collections |= _plan_fired(fired, trigger, version)
    names = {b.name for c in collections.values() for b in c.branches.values()}
    names |= {branch.name for branch in (*copied, *drawn.branches)}
    return OutputPlan(
        version=version,
        needed=needed,
        copied=copied,
        doubt=doubt,
        trees=trees,
        trees_left=[name for name in file.trees if name not in trees],
        objects_left=list(file.other_objects),
        stale=stale,
        collections=collections,
        counter_titles=file.counter_titles
        | {name: title for name, title in counter_titles(version).items() if name in simulated},
        oversampling=plan_oversampling(file, copied, recipe, folds),
        completion=completion,
        pileup=drawn,
        trigger=fired,
        absent=[
            name for name in load_schema(version) if name not in names and not _fits(name, recipe.copied)
        ],
    )


def _written(collections: Mapping[str, CollectionPlan]) -> dict[str, list[str]]:
    """Names of simulated branches with one value an event under "", and fields by collection."""
    written = {name: list(plan.branches) for name, plan in collections.items() if plan.per == "object"}
    whole = [plan for plan in collections.values() if plan.per == "event"]
    return written | {"": [branch.name for plan in whole for branch in plan.branches.values()]}


def _plan_completed(
    completion: Completion, models: Sequence[Mapping[str, Branch]], version: str, recipe: OutputRecipe
) -> CollectionPlan:
    branches = {}
    drawn = "" if recipe.vertex is None else f"{recipe.vertex.beside.partition('_')[0]}_"
    origins: dict[str, Origin] = {
        name: "emulated" if drawn and name.startswith(drawn) else "derived" for name in completion.branches
    }
    origins |= dict.fromkeys(completion.constants, "constant")
    for name, branch in completion.branches.items():
        title = next((known[name].title for known in models if name in known and known[name].title), "")
        branches[name] = _noted(replace(branch, title=title), completion.notes.get(name, ""))
    bits = {name: _bits(name, version) for name, b in branches.items() if b.dtype == np.dtype("float32")}
    return CollectionPlan(branches, bits, (), per="event", origins=origins)


def _plan_fired(plan: TriggerPlan, recipe: TriggerRecipe | None, version: str) -> dict[str, CollectionPlan]:
    """Decisions and objects of the trigger, as far as there are any."""
    collections = {}
    if plan.branches:
        decisions: dict[str, Origin] = dict.fromkeys(plan.branches, "emulated")
        collections[TRIGGER] = CollectionPlan(plan.branches, {}, (), per="event", origins=decisions)
    if plan.objects and recipe is not None:
        real = {field: b for field, b in plan.objects.items() if b.dtype == np.dtype("float32")}
        bits = {field: _bits(branch.name, version) for field, branch in real.items()}
        fields: dict[str, Origin] = dict.fromkeys(plan.objects, "emulated")
        collections[recipe.collection] = CollectionPlan(plan.objects, bits, (), origins=fields)
    return collections


def _noted(branch: Branch, note: str) -> Branch:
    return replace(branch, title=f"{branch.title} (FlashSim: {note})".strip()) if note else branch


def _is_copied(branch: Branch, recipe: OutputRecipe, simulated: Sequence[str], single: set[str]) -> bool:
    return (
        _fits(branch.name, recipe.copied) and branch.collection not in simulated and branch.name not in single
    )


def _fits(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _kept(
    file: Branches, keep: Sequence[str], simulated: Sequence[str], single: set[str]
) -> tuple[set[str], list[str]]:
    """Names of branches that patterns keep, and of those that would point at objects that are gone."""
    kept: set[str] = set()
    taken = {*simulated, *(f"n{name}" for name in simulated), *single}
    for pattern in keep:
        fitting = {name for name in file.branches if fnmatchcase(name, pattern)}
        if not fitting and any(fnmatchcase(name, pattern) for name in file.trees):
            continue
        if not fitting:
            msg = f"{file.path}: has no branch or tree that fits --keep '{pattern}'; see 'flashsim inspect'"
            raise InputFileError(msg)
        free = {name for name in fitting if file.branches[name].collection not in taken and name not in taken}
        if not free and not any(fnmatchcase(name, pattern) for name in file.trees):
            msg = (
                f"{file.path}: --keep '{pattern}' asks for {min(fitting)}, which is simulated; "
                "choose other branches"
            )
            raise InputFileError(msg)
        kept |= free
    stale = {name for name in kept if _points_at(file.branches[name], simulated)}
    return kept - stale, sorted(stale)


def _points_at(branch: Branch, collections: Iterable[str]) -> bool:
    """Whether a branch indexes one of the collections, as ``Electron_jetIdx`` and ``FatJet_muonIdx3SJ``."""
    return branch.field.startswith(tuple(f"{name[:1].lower()}{name[1:]}Idx" for name in collections))


def _plan(
    declaration: ObjectDeclaration,
    models: Sequence[Mapping[str, Branch]],
    version: str,
    recipe: OutputRecipe,
    simulated: Sequence[str],
) -> CollectionPlan:
    """Branches of one simulated collection in a file of a NanoAOD version.

    Types and titles are those of the first of `models`, branches by name, that has them; some files have no
    titles.
    """
    collection = declaration.collection
    of = collection if declaration.per == "object" else None
    absent = [
        source.removeprefix(f"{collection}_")
        for target in declaration.targets
        if not target.exists_in(version)
        for source in declaration.sources(target)
    ]
    # Of two targets that are one quantity, the one of this version is written.
    own = {declaration.branch(field) for field in declaration.fields() if field not in absent}
    synonyms = {
        field: found
        for field in absent
        if (found := _synonym(declaration.branch(field), recipe.synonyms, version)) is not None
        and found[0] not in own
    }
    left_out = tuple(field for field in absent if field not in synonyms)
    titles = {target.branch: target.description for target in declaration.targets}
    titles |= {derived.branch: derived.description for derived in declaration.derived}
    fields = [field for field in declaration.fields() if field not in left_out]
    fields += [declaration.match] if declaration.match else []
    fields += _link_fields(collection, recipe.links, simulated)
    branches, bits = {}, {}
    for field in fields:
        name, _, note = synonyms.get(field, (declaration.branch(field), None, ""))
        known = [m[name] for m in models if name in m and m[name].collection == of]
        dtype = known[0].dtype if known else np.dtype("float32")
        title = next((branch.title for branch in known if branch.title), titles.get(field, ""))
        branches[field] = _noted(Branch(name, dtype, of, title), note)
        bits[field] = _bits(name, version) if dtype == np.dtype("float32") else None
    renamed = dict(names for _, names, _ in synonyms.values())
    computed = computed_fields(declaration).union(_link_fields(collection, recipe.links, simulated))
    origins: dict[str, Origin] = dict.fromkeys(computed.intersection(branches), "derived")
    return CollectionPlan(branches, bits, left_out, renamed, declaration.per, origins)


def _synonym(
    branch: str, synonyms: Sequence[Synonym], version: str
) -> tuple[str, tuple[str, str], str] | None:
    """Name of a branch in a NanoAOD version that has it under another one.

    Besides the patterns of the names that change, and what is to be noted of it.
    """
    for synonym in synonyms:
        other, own = synonym.names(version)
        name = own + branch.removeprefix(other)
        if branch.startswith(other) and name in _schemas(version)[version]:
            return name, (f"{other}*", f"{own}*"), synonym.note
    return None


def _link_fields(collection: str, links: Sequence[Link], simulated: Sequence[str]) -> list[str]:
    both = (link for link in links if link.source in simulated and link.target in simulated)
    return [field for link in both for field in link.fields_of(collection)]


def _bits(name: str, version: str) -> int | None:
    known = (candidate for candidate, schema in _schemas(version).items() if name in schema)
    return next((mantissa_bits(candidate, name) for candidate in known), None)


@cache
def _schemas(version: str) -> dict[str, dict[str, Branch]]:
    """Schemas by version, this version first, then the latest."""
    order = [version, *(other for other in reversed(VERSIONS) if other != version)]
    return {candidate: load_schema(candidate) for candidate in order}
