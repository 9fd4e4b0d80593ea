"""The output recipe: what a generated file holds besides the simulated collections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import ConfigDict, Field, model_validator

from flashsim.declarations.expressions import Expression, names_of
from flashsim.declarations.recipes import Recipe, load_recipe, recipe_path
from flashsim.declarations.versions import NANOAOD_VERSIONS, Version
from flashsim.errors import RecipeError

if TYPE_CHECKING:
    from flashsim.declarations.objects import ObjectDeclaration

if TYPE_CHECKING:
    from flashsim.declarations.changes import Changes

__all__ = [
    "Constant",
    "Link",
    "OutputRecipe",
    "OversamplingRecipe",
    "PowerLaw",
    "Proportional",
    "RawMomentum",
    "Synonym",
    "VertexRecipe",
    "load_output",
]


class Link(Recipe):
    """Cross references from the objects of one collection to the closest of another."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    source: str = Field(alias="from", description="collection that points")
    target: str = Field(alias="to", description="collection that is pointed at")
    index: str = Field(description="field of the source with the target's index, -1 for none")
    back: list[str] = Field(default=[], description="fields of the target with its first sources' indices")
    count: str | None = Field(default=None, description="field of the target with the number of its sources")
    cone: float = Field(gt=0, description="largest distance in eta and phi")
    where: Expression | None = Field(
        default=None,
        description="which objects of the source point at others: an expression of their fields; all do "
        "where the model has not all of these",
    )

    @model_validator(mode="after")
    def _of_the_source(self) -> Link:
        if self.where is not None and not names_of(self.where).fields_only:
            msg = f"{self.source}: 'where' is of fields of {self.source} alone, found '{self.where}'"
            raise ValueError(msg)
        return self

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


class Synonym(Recipe):
    """One quantity whose branches have another name from some NanoAOD version on."""

    before: str = Field(description="start of the branches' names before that version")
    after: str = Field(description="start of their names from it on")
    since: Version = Field(description="first NanoAOD version with the new name")
    note: str = Field(
        default="", description="where the two are not quite the same: stands in the branch's title"
    )

    def names(self, version: str) -> tuple[str, str]:
        """Start of the branches' names in other NanoAOD versions, and in this one."""
        new = NANOAOD_VERSIONS.index(version) >= NANOAOD_VERSIONS.index(self.since)
        return (self.before, self.after) if new else (self.after, self.before)


class Constant(Recipe):
    """Branches of the event with one value, where the NanoAOD version or the input has them."""

    branches: str = Field(description="pattern of their names, as in a shell")
    value: float = Field(description="the value; 1 is true")


class Proportional(Recipe):
    """A branch of the event that is nearly proportional to a simulated one."""

    branch: str = Field(description="the branch; written in NanoAOD versions that have it")
    of: str = Field(description="the simulated branch, by its name in that version")
    factor: float = Field(description="multiplies it")
    note: str = Field(default="", description="what is approximated: stands in the branch's title")


class RawMomentum(Recipe):
    """Missing momentum before the correction of jets: each jet above a threshold is put back uncorrected."""

    name: str = Field(description="prefix of the branches that are written, such as RawMET")
    of: str = Field(description="prefix of the corrected momentum, such as MET")
    jets: str = Field(default="Jet", description="collection with pt, phi, rawFactor and area")
    min_pt: float = Field(ge=0, description="smallest corrected pT in GeV")
    offset: float = Field(
        ge=0, description="share of density times area that the first correction takes off, which both have"
    )
    offset_until: Version = Field(
        description="last NanoAOD version of trainings whose jets have that correction; none for PUPPI jets"
    )
    density: list[str] = Field(min_length=1, description="branch of the energy density; the first there is")
    note: str = Field(default="", description="what is approximated: stands in the branches' titles")

    def offset_in(self, version: str) -> float:
        """Share that the first correction takes off jets of a NanoAOD version."""
        has = NANOAOD_VERSIONS.index(version) <= NANOAOD_VERSIONS.index(self.offset_until)
        return self.offset if has else 0.0


class PowerLaw(Recipe):
    """A quantity that rises with another: ``factor * (x + offset) ** power``, times a log-normal spread."""

    factor: float = Field(gt=0, description="of the law")
    offset: float = Field(gt=0, description="keeps events without activity above zero")
    power: float = Field(description="of the law")
    spread: float = Field(ge=0, description="standard deviation of its logarithm")


class VertexRecipe(Recipe):
    """The rest of the primary vertex (``PV``) where models simulate a part of it."""

    beside: str = Field(description="simulated branch that asks for the rest, such as PV_npvs")
    gen: str = Field(description="prefix of the true position in the input, such as GenVtx")
    jets: str = Field(description="gen jets that measure the activity")
    max_abs_eta: float = Field(gt=0, description="acceptance of the tracker")
    ndof: PowerLaw = Field(description="degrees of freedom, of the scalar sum of the jets' pT in GeV")
    score: PowerLaw = Field(description="score, of the sum of the jets' squared pT in GeV^2")
    chi2: tuple[float, float] = Field(description="reduced chi2, and standard deviation of its logarithm")
    constant: tuple[float, float, float] = Field(description="resolution in x, y, z in cm at many tracks")
    per_root: tuple[float, float, float] = Field(
        description="the part that falls with the root of ndof, in cm; added in quadrature"
    )
    note: str = Field(default="", description="what is approximated: stands in the branches' titles")


class OutputRecipe(Recipe):
    """What is copied from the input, and how collections point at each other."""

    schema_version: Literal[1] = Field(description="version of this format")
    # `copy` would hide a method of pydantic models.
    copied: list[str] = Field(alias="copy", description="patterns of the input's branches to copy")
    links: list[Link] = Field(default=[], description="cross references")
    synonyms: list[Synonym] = Field(
        default=[], description="names of one quantity in several NanoAOD versions"
    )
    constants: list[Constant] = Field(default=[], description="branches with one value")
    proportional: list[Proportional] = Field(default=[], description="branches that follow another")
    raw_momenta: list[RawMomentum] = Field(default=[], description="missing momenta before corrections")
    vertex: VertexRecipe | None = Field(default=None, description="the rest of the primary vertex")
    trigger: str | None = Field(
        default=None,
        description="recipe of what is emulated of the trigger, by name or path",
    )
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
