"""The declaration of a simulated object: what conditions it, what is simulated, and how the two relate.

`preprocessing/*.yaml` hold one declaration each. Preprocessing, training, generation, validation and the
documentation loop over these lists; no Python names an object's variables.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from flashsim.recipes import Recipe, parse_recipe, read_yaml, recipe_path
from flashsim.transforms import Relation

__all__ = [
    "STATUS_FLAGS",
    "NANOAOD_VERSIONS",
    "Activity",
    "Angle",
    "Bits",
    "Categories",
    "Cleaning",
    "Closest",
    "Conditioning",
    "Derived",
    "EventValue",
    "FakeDeclaration",
    "GenCollection",
    "GenField",
    "GenView",
    "ObjectDeclaration",
    "Split",
    "Target",
    "load_object",
]

NANOAOD_VERSIONS = ("v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15")
"""NanoAOD versions in order, for the range in which a target exists."""

STATUS_FLAGS = (
    "isPrompt",
    "isDecayedLeptonHadron",
    "isTauDecayProduct",
    "isPromptTauDecayProduct",
    "isDirectTauDecayProduct",
    "isDirectPromptTauDecayProduct",
    "isDirectHadronDecayProduct",
    "isHardProcess",
    "fromHardProcess",
    "isHardProcessTauDecayProduct",
    "isDirectHardProcessTauDecayProduct",
    "fromHardProcessBeforeFSR",
    "isFirstCopy",
    "isLastCopy",
    "isLastCopyBeforeFSR",
)
"""Bits of ``GenPart_statusFlags`` in order (CMSSW ``reco::GenStatusFlags``, title of the NanoAOD branch)."""

Scale = Literal["linear", "abs", "log", "log1p"]


class Cleaning(Recipe):
    """Removal of gen jets that are a lepton: GenJets contain prompt leptons, and often are nothing else."""

    of: str = Field(description="gen collection of the leptons")
    cone: float = Field(gt=0, description="largest distance in eta and phi between jet and lepton")
    min_share: float = Field(ge=0, le=1, description="smallest share of the jet's pT that the lepton has")


class GenCollection(Recipe):
    """A selection of gen-level objects of an event."""

    branch: Literal["GenJet", "GenPart"] = Field(description="NanoAOD collection that it is taken from")
    fields: list[str] = Field(description="branches of the collection; pt, eta and phi among them")
    abs_pdg_id: list[int] = Field(default=[], description="absolute PDG numbers to keep; empty: all")
    all_flags: list[str] = Field(default=[], description="status flags that must all be set")
    any_flags: list[str] = Field(default=[], description="status flags of which one must be set")
    min_pt: float = Field(default=0.0, ge=0, description="smallest pT in GeV")
    clean: Cleaning | None = Field(default=None, description="removal of jets that are leptons")

    @field_validator("all_flags", "any_flags")
    @classmethod
    def _known_flags(cls, flags: list[str]) -> list[str]:
        if unknown := [flag for flag in flags if flag not in STATUS_FLAGS]:
            msg = f"unknown status flags {unknown}; known are {list(STATUS_FLAGS)}"
            raise ValueError(msg)
        return flags

    @model_validator(mode="after")
    def _complete(self) -> GenCollection:
        particle_cuts = self.abs_pdg_id or self.all_flags or self.any_flags
        if self.branch != "GenPart" and particle_cuts:
            msg = "abs_pdg_id, all_flags and any_flags select GenPart, not GenJet"
            raise ValueError(msg)
        if missing := {"pt", "eta", "phi"} - set(self.fields):
            msg = f"fields lacks {sorted(missing)}"
            raise ValueError(msg)
        return self


class GenView(Recipe):
    """The gen-level collections of an event, the same for training and for generation."""

    schema_version: Literal[1] = Field(description="version of this format")
    collections: dict[str, GenCollection] = Field(description="collections by name")

    @model_validator(mode="after")
    def _known_references(self) -> GenView:
        for name, collection in self.collections.items():
            if collection.clean is not None and collection.clean.of not in self.collections:
                msg = f"{name} is cleaned of unknown collection '{collection.clean.of}'"
                raise ValueError(msg)
        return self


class _Conditioning(Recipe):
    name: str = Field(description="name of the column, or prefix of the columns")
    description: str = Field(default="", description="what it is, for the documentation")


class GenField(_Conditioning):
    """A field of the gen object itself."""

    kind: Literal["field"]
    field: str = Field(description="field of the gen collection")
    scale: Scale = Field(default="linear", description="scale on which the network sees it")

    def columns(self) -> dict[str, Scale]:
        """Names of the columns with their scales."""
        return {self.name: self.scale}


class Angle(_Conditioning):
    """An angle of the gen object, as cosine and sine: no seam."""

    kind: Literal["angle"]
    field: str = Field(description="field of the gen collection, in radians")

    def columns(self) -> dict[str, Scale]:
        """Names of the columns with their scales."""
        return {f"{self.name}_cos": "linear", f"{self.name}_sin": "linear"}


class Categories(_Conditioning):
    """A label of the gen object, one-hot; labels in no category give all zeros."""

    kind: Literal["categories"]
    field: str = Field(description="field of the gen collection")
    categories: dict[str, list[int]] = Field(description="labels of each category; signs are ignored")

    def columns(self) -> dict[str, Scale]:
        """Names of the columns with their scales."""
        return {f"{self.name}_{category}": "linear" for category in self.categories}


class Bits(_Conditioning):
    """Status flags of the gen particle, a column a flag."""

    kind: Literal["bits"]
    field: str = Field(default="statusFlags", description="field of the gen collection")
    flags: list[str] = Field(description="names of the flags")

    def columns(self) -> dict[str, Scale]:
        """Names of the columns with their scales."""
        return dict.fromkeys(self.flags, "linear")

    @field_validator("flags")
    @classmethod
    def _known_flags(cls, flags: list[str]) -> list[str]:
        if unknown := [flag for flag in flags if flag not in STATUS_FLAGS]:
            msg = f"unknown status flags {unknown}; known are {list(STATUS_FLAGS)}"
            raise ValueError(msg)
        return flags


class EventValue(_Conditioning):
    """One value of the whole event, such as the pileup."""

    kind: Literal["event"]
    branch: str = Field(description="NanoAOD branch with one value an event")
    scale: Scale = Field(default="linear", description="scale on which the network sees it")

    def columns(self) -> dict[str, Scale]:
        """Names of the columns with their scales."""
        return {self.name: self.scale}


class Closest(_Conditioning):
    """The n-th closest object of a gen collection inside a cone, by distance in eta and phi.

    Columns: ``found`` (0 or 1), ``dr`` (the cone's size when there is none, so that an object at the edge and
    no object look alike), ``deta`` and ``dphi`` (object minus neighbour, 0 when there is none), and for every
    name in `shares` the neighbour's value over the object's pT (0 when there is none).
    """

    kind: Literal["closest"]
    of: str = Field(description="gen collection of the neighbours")
    cone: float = Field(gt=0, description="largest distance")
    rank: int = Field(default=1, ge=1, description="1 for the closest, 2 for the second closest")
    shares: list[str] = Field(default=["pt"], description="fields of the neighbour, over the object's pT")

    def columns(self) -> dict[str, Scale]:
        """Names of the columns with their scales."""
        names: dict[str, Scale] = dict.fromkeys(
            (f"{self.name}_{suffix}" for suffix in ("found", "dr", "deta", "dphi")), "linear"
        )
        return names | dict.fromkeys((f"{self.name}_{share}_share" for share in self.shares), "log1p")


class Activity(_Conditioning):
    """Scalar pT sum of a gen collection: in a ring around the object, or of the whole event.

    For a ring the object itself is left out by its distance being below `inner`.
    """

    kind: Literal["activity"]
    of: str = Field(description="gen collection that is summed")
    inner: float = Field(default=0.0, ge=0, description="inner radius of the ring")
    outer: float | None = Field(default=None, description="outer radius; none: the whole event")

    def columns(self) -> dict[str, Scale]:
        """Names of the columns with their scales."""
        return {self.name: "log1p"}


Conditioning = Annotated[
    GenField | Angle | Categories | Bits | EventValue | Closest | Activity, Field(discriminator="kind")
]


class Target(Recipe):
    """A reconstructed quantity that is simulated."""

    branch: str = Field(description="field of the reconstructed collection")
    relation: Literal["none", "difference", "angle", "ratio", "product", "excess"] = Field(
        default="none", description="how it relates to the gen object"
    )
    gen_field: str | None = Field(default=None, description="field of the gen object; none: of the same name")
    threshold: float | None = Field(default=None, description="smallest value, in the branch's unit")
    width: float = Field(default=1.0, gt=0, description="softness of the threshold, see Relation")
    floor: float = Field(default=1e-6, gt=0, description="smallest gen value of a ratio")
    discrete: bool = Field(default=False, description="whether every distinct value is a point mass")
    values: list[float] | None = Field(default=None, description="the only values allowed")
    range: tuple[float, float] | None = Field(default=None, description="smallest and largest value")
    special: list[float] = Field(default=[], description="values allowed outside of the range, such as -1")
    since: str = Field(default=NANOAOD_VERSIONS[0], description="first NanoAOD version that has it")
    until: str = Field(default=NANOAOD_VERSIONS[-1], description="last NanoAOD version that has it")
    description: str = Field(default="", description="what it is, for the documentation")

    @field_validator("since", "until")
    @classmethod
    def _known_version(cls, version: str) -> str:
        if version not in NANOAOD_VERSIONS:
            msg = f"unknown NanoAOD version '{version}'; known are {list(NANOAOD_VERSIONS)}"
            raise ValueError(msg)
        return version

    @model_validator(mode="after")
    def _consistent(self) -> Target:
        if self.relation == "excess" and self.threshold is None:
            msg = f"{self.branch}: relation 'excess' needs a threshold"
            raise ValueError(msg)
        return self

    @property
    def reference(self) -> str | None:
        """Field of the gen object that the relation needs, if it needs one."""
        if self.relation == "none":
            return None
        return self.gen_field or self.branch

    @property
    def transform(self) -> Relation:
        """The relation to the gen object as a transform."""
        return Relation(self.relation, self.threshold or 0.0, self.width, self.floor)

    @property
    def is_discrete(self) -> bool:
        """Whether every distinct value is a point mass."""
        return self.discrete or self.values is not None

    def exists_in(self, version: str) -> bool:
        """Whether NanoAOD of this version has the branch."""
        return (
            NANOAOD_VERSIONS.index(self.since)
            <= NANOAOD_VERSIONS.index(version)
            <= NANOAOD_VERSIONS.index(self.until)
        )


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


class FakeDeclaration(Recipe):
    """Unmatched reconstructed objects: conditioned on the event, all targets without relation."""

    conditioning: list[Conditioning] = Field(description="event-level conditioning variables")
    max_count: int = Field(default=20, ge=1, description="largest number in an event that is told apart")

    @field_validator("conditioning")
    @classmethod
    def _event_level(cls, conditioning: list[Conditioning]) -> list[Conditioning]:
        for entry in conditioning:
            if entry.kind != "event" and not (entry.kind == "activity" and entry.outer is None):
                msg = f"'{entry.name}' ({entry.kind}) belongs to an object, not to the event"
                raise ValueError(msg)
        return conditioning


class Split(Recipe):
    """Shares of the events that are kept from training."""

    validation: float = Field(
        default=0.15, gt=0, lt=0.5, description="share of the events for early stopping"
    )
    test: float = Field(
        default=0.15, gt=0, lt=0.5, description="share of the events for the final measurement"
    )


class ObjectDeclaration(Recipe):
    """Everything that FlashSim knows of one object."""

    schema_version: Literal[1] = Field(description="version of this format")
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="name in commands and model files")
    collection: str = Field(description="reconstructed NanoAOD collection")
    gen: str = Field(description="gen collection: one object of it gives at most one reconstructed object")
    match: str = Field(description="field of the reconstructed collection with the index of the gen object")
    conditioning: list[Conditioning] = Field(description="what the networks are given")
    targets: list[Target] = Field(description="what is simulated")
    derived: list[Derived] = Field(default=[], description="what follows from it")
    fakes: FakeDeclaration = Field(description="reconstructed objects without a gen object")
    split: Split = Field(default=Split(), description="division of the events")
    gen_view: GenView = Field(description="gen collections, or the name of the recipe that holds them")

    @model_validator(mode="after")
    def _known_collections(self) -> ObjectDeclaration:
        known = self.gen_view.collections
        wanted = {self.gen, *(e.of for e in self.conditioning if e.kind in {"closest", "activity"})}
        wanted |= {e.of for e in self.fakes.conditioning if e.kind == "activity"}
        if unknown := sorted(wanted - set(known)):
            msg = f"unknown gen collections {unknown}; the gen view has {sorted(known)}"
            raise ValueError(msg)
        needed = {"index", *self.references()}
        needed |= {e.field for e in self.conditioning if e.kind in {"field", "angle", "categories", "bits"}}
        needed |= {str(d.field) for d in self.derived if d.source == "gen"}
        if missing := sorted(needed - set(self.gen_collection.fields)):
            msg = f"gen collection {self.gen} lacks the fields {missing}"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _unique(self) -> ObjectDeclaration:
        names = [column for entry in self.conditioning for column in entry.columns()]
        branches = [t.branch for t in self.targets] + [d.branch for d in self.derived] + [self.match]
        for what, found in (("conditioning column", names), ("branch", branches)):
            if twice := sorted({name for name in found if found.count(name) > 1}):
                msg = f"{what} declared twice: {twice}"
                raise ValueError(msg)
        if "pt" not in branches:
            msg = "targets lack 'pt', by which objects are ordered"
            raise ValueError(msg)
        return self

    @property
    def gen_collection(self) -> GenCollection:
        """The collection of gen objects that are simulated."""
        return self.gen_view.collections[self.gen]

    def target_branches(self) -> dict[str, Target]:
        """Targets by full NanoAOD name."""
        return {f"{self.collection}_{target.branch}": target for target in self.targets}

    def references(self) -> list[str]:
        """Fields of the gen object that relations need, each once."""
        return sorted({target.reference for target in self.targets if target.reference is not None})


def load_object(name: str) -> ObjectDeclaration:
    """Declaration of an object: a shipped one by name, or a user's own file by path.

    The gen view may be written out or named; a named one is looked for beside the declaration first, then
    among the shipped recipes.

    Raises
    ------
    RecipeError
        If there is no such recipe or it is not valid.
    """
    path = recipe_path("preprocessing", name)
    content = read_yaml(path)
    view = content.get("gen_view")
    if isinstance(view, str):
        beside = path.parent / view
        content["gen_view"] = read_yaml(beside if beside.is_file() else recipe_path("preprocessing", view))
    return parse_recipe(ObjectDeclaration, content, origin=str(path))
