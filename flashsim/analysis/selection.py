"""The selection as its recipe declares it: objects, cuts, regions, optional steps, histograms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from flashsim.declarations.gen_collections import FlagName
from flashsim.declarations.recipes import Recipe, load_recipe, recipe_path
from flashsim.declarations.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable

    from flashsim.declarations.changes import Changes

__all__ = [
    "Box",
    "Concept",
    "CountStep",
    "Criterion",
    "DiscriminantRecipe",
    "DropStep",
    "FlagsStep",
    "FsrStep",
    "HistogramRecipe",
    "SelectionRecipe",
    "Source",
    "Step",
    "Variation",
    "any_box",
    "load_selection",
    "within",
]


class Criterion(Recipe):
    """What one field of an object must be; all that is given must hold."""

    above: float | None = Field(default=None, description="lower edge, excluded")
    below: float | None = Field(default=None, description="upper edge, excluded")
    at_least: float | None = Field(default=None, description="lower edge, included")
    at_most: float | None = Field(default=None, description="upper edge, included")
    bits: int | None = Field(default=None, gt=0, description="bits of which one must be set")
    absolute: bool = Field(default=False, description="whether the magnitude is compared")

    @model_validator(mode="after")
    def _says_something(self) -> Criterion:
        if all(value is None for value in (self.above, self.below, self.at_least, self.at_most, self.bits)):
            msg = "expected one of above, below, at_least, at_most and bits"
            raise ValueError(msg)
        return self

    def holds(self, values: Any) -> Any:
        """Tell for each value, in an array of any shape, whether the criterion holds."""
        compared = abs(values) if self.absolute else values
        tests: list[tuple[Any, Callable[[Any], Any]]] = [
            (self.above, lambda edge: compared > edge),
            (self.below, lambda edge: compared < edge),
            (self.at_least, lambda edge: compared >= edge),
            (self.at_most, lambda edge: compared <= edge),
            (self.bits, lambda bits: (compared & bits) != 0),
        ]
        result: Any = None
        for edge, test in tests:
            if edge is not None:
                result = test(edge) if result is None else result & test(edge)
        return result


Box = Annotated[dict[str, Criterion], Field(min_length=1)]
"""Criteria by name of the field; an object is inside where all hold."""


def within(box: dict[str, Criterion], field: Callable[[str], Any]) -> Any:
    """Tell which objects are inside a box; `field` gives the array of a field."""
    result: Any = None
    for name, criterion in box.items():
        holds = criterion.holds(field(name))
        result = holds if result is None else result & holds
    return result


def any_box(boxes: list[dict[str, Criterion]], field: Callable[[str], Any]) -> Any:
    """Tell which objects are inside at least one of the boxes."""
    result = within(boxes[0], field)
    for box in boxes[1:]:
        result = result | within(box, field)
    return result


class Source(Recipe):
    """One way of having a concept: the branches that it needs are those of the fields that it names."""

    any_of: list[Box] = Field(default=[], description="boxes; an object that is in one of them passes")
    value: str | None = Field(default=None, description="field with the score itself")
    eras: list[str] = Field(default=["*"], description="eras that it is for; patterns as in a shell")

    @model_validator(mode="after")
    def _one_kind(self) -> Source:
        if bool(self.any_of) == (self.value is not None):
            msg = "expected either any_of or value"
            raise ValueError(msg)
        return self

    @property
    def fields(self) -> set[str]:
        """Fields that it reads."""
        return {self.value} if self.value is not None else {name for box in self.any_of for name in box}


class Concept(Recipe):
    """Something that NanoAOD versions have in different branches; the first source at hand is used."""

    description: str = Field(description="what it is")
    sources: list[Source] = Field(min_length=1, description="ways of having it, best first")

    @model_validator(mode="after")
    def _all_alike(self) -> Concept:
        if len({source.value is None for source in self.sources}) > 1:
            msg = "expected sources that all have any_of, or all have value"
            raise ValueError(msg)
        return self


class _Step(Recipe):
    eras: list[str] = Field(default=["*"], description="eras that it is for; patterns as in a shell")


class FlagsStep(_Step):
    """Events by boolean branches of the event."""

    kind: Literal["flags"]
    any_of: list[str] = Field(default=[], description="branches of which one must be true")
    all_of: list[str] = Field(default=[], description="branches that must all be true")

    @model_validator(mode="after")
    def _says_something(self) -> FlagsStep:
        if not self.any_of and not self.all_of:
            msg = "expected branches in any_of or all_of"
            raise ValueError(msg)
        return self


class CountRule(Recipe):
    """How many objects there may be."""

    where: list[Box] = Field(default=[], description="boxes of the objects that count; none: all")
    at_least: int = Field(default=0, ge=0, description="smallest number")
    at_most: int | None = Field(default=None, ge=0, description="largest number")


class CountStep(_Step):
    """Events by numbers of objects."""

    kind: Literal["count"]
    collection: str = Field(description="collection; of Muon and Jet the selected ones")
    rules: list[CountRule] = Field(min_length=1, description="rules that must all hold")


class DropStep(_Step):
    """Jets that are left out."""

    kind: Literal["drop"]
    where: list[Box] = Field(min_length=1, description="boxes; a jet that is in one of them is dropped")


class FsrStep(_Step):
    """Photons from final-state radiation, added to their muon; its isolation is corrected."""

    kind: Literal["fsr"]
    photon: Box = Field(description="criteria of the photon")
    max_share: float = Field(gt=0, description="largest pT of the photon in units of the muon's")


Step = Annotated[FlagsStep | CountStep | DropStep | FsrStep, Field(discriminator="kind")]


class OptionalStep(Recipe):
    """A step that is off unless asked for."""

    description: str = Field(description="what it does, and where it comes from")
    variants: list[Step] = Field(min_length=1, description="first that fits the era is used")


class MuonSelection(Recipe):
    """Muons of the analysis, and where the generator level has them."""

    where: Box = Field(description="criteria; at generator level those of pt and eta")
    gen_flags: list[FlagName] = Field(description="status flags that a gen muon must all have")
    gen_any_flags: list[FlagName] = Field(description="status flags of which a gen muon must have one")


class JetSelection(Recipe):
    """Jets of the analysis."""

    where: Box = Field(description="criteria; at generator level those of pt and eta")
    require: list[str] = Field(description="concepts that a jet must fulfil")
    score: str = Field(description="concept with the score of quarks against gluons")
    clean: float = Field(gt=0, description="smallest distance in eta and phi to a selected muon")


class DijetSelection(Recipe):
    """The two selected jets of highest pT."""

    leading_pt: float = Field(description="smallest pT of the first in GeV, excluded")
    subleading_pt: float = Field(description="smallest pT of the second in GeV, excluded")
    mass: float = Field(description="smallest invariant mass in GeV, excluded")
    delta_eta: float = Field(description="smallest distance in pseudorapidity, excluded")


class HistogramRecipe(Recipe):
    """A histogram of one observable in one region."""

    observable: str = Field(description="name of the observable")
    region: str = Field(description="name of the region")
    bins: int = Field(gt=0, description="number of bins")
    range: tuple[float, float] = Field(description="lower and upper edge; what is outside is kept, not drawn")
    label: str = Field(description="label of the axis")
    overlay: bool = Field(default=False, description="whether signal and background are overlaid as well")

    @property
    def name(self) -> str:
        """Observable and region: ``r_pt_PreSel``."""
        return f"{self.observable}_{self.region}"


class DiscriminantRecipe(Recipe):
    """A network that tells signal from background."""

    inputs: list[str] = Field(min_length=1, description="observables")
    region: str = Field(description="region whose events it is trained on")
    frozen_mass: float | None = Field(
        default=None, gt=0, description="mass in GeV that stands for the dimuon's; default: its own"
    )
    hidden: list[int] = Field(min_length=1, description="units of each hidden layer")
    dropout: float = Field(ge=0, lt=1, description="share of units that are dropped in training")
    schedule: Schedule = Field(description="its optimisation")
    folds: int = Field(ge=3, description="networks; none scores an event that it was trained on")
    min_events: int = Field(gt=0, description="smallest number of events of signal, and of background")


class Variation(Recipe):
    """A theory variation: a weight relative to the nominal one."""

    branch: str = Field(description="branch with a list of relative weights an event")
    index: int = Field(ge=0, description="which of the list")


class SelectionRecipe(Recipe):
    """The first steps of the VBF H to mumu analysis."""

    schema_version: Literal[1] = Field(description="version of this format")
    concepts: dict[str, Concept] = Field(description="concepts by name")
    muons: MuonSelection = Field(description="muons")
    jets: JetSelection = Field(description="jets")
    dijet: DijetSelection = Field(description="the two leading jets")
    regions: dict[str, list[tuple[float, float]]] = Field(
        description="windows of the dimuon mass in GeV by region; an empty list: any mass"
    )
    steps: dict[str, OptionalStep] = Field(description="optional steps by name")
    soft_activity: dict[str, float] = Field(
        description="values that stand for soft activity, which is not simulated"
    )
    histograms: list[HistogramRecipe] = Field(description="histograms")
    discriminant: DiscriminantRecipe = Field(description="the discriminant")
    variations: dict[str, Variation] = Field(default={}, description="theory variations by name")

    @model_validator(mode="after")
    def _consistent(self) -> SelectionRecipe:
        used = [*self.jets.require, self.jets.score]
        if unknown := [name for name in used if name not in self.concepts]:
            msg = f"jets name the unknown concept '{unknown[0]}'; known are {', '.join(self.concepts)}"
            raise ValueError(msg)
        if self.concepts[self.jets.score].sources[0].value is None:
            msg = f"the score of jets '{self.jets.score}' is a concept without value"
            raise ValueError(msg)
        named = [h.region for h in self.histograms] + [self.discriminant.region]
        if unknown := [name for name in named if name not in self.regions]:
            msg = f"there is no region '{unknown[0]}'; known are {', '.join(self.regions)}"
            raise ValueError(msg)
        return self


def load_selection(name: str, changes: Changes | None = None) -> SelectionRecipe:
    """Load a shipped selection by name (``vbf_hmumu``), or a user's own file by path.

    `changes` as for `load_recipe`.

    Raises
    ------
    RecipeError
        If there is no such file, or it is not valid.
    """
    return load_recipe(SelectionRecipe, recipe_path("analysis", name), changes)
