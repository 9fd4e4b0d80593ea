"""Refinement recipes: what of an object is refined, given what, and how the network is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from flashsim.declarations.gen_collections import GenView
from flashsim.declarations.objects import Split
from flashsim.declarations.recipes import (
    Recipe,
    load_recipe,
    parse_recipe,
    read_yaml,
    recipe_folder,
    recipe_path,
)
from flashsim.declarations.schedule import Schedule
from flashsim.errors import RecipeError

if TYPE_CHECKING:
    from flashsim.declarations.changes import Changes

__all__ = [
    "Application",
    "Condition",
    "ConstraintRecipe",
    "DeepJet",
    "KernelRecipe",
    "Measure",
    "NetworkRecipe",
    "PairSelection",
    "RefinerRecipe",
    "Stage",
    "Variable",
    "load_gen_view",
    "load_refiner",
]


class PairSelection(Recipe):
    """Which objects become pairs: the same cuts on both simulations."""

    max_gen_eta: float = Field(default=5.0, gt=0, description="largest magnitude of the gen object's eta")
    min_gen_pt: float = Field(default=0.0, ge=0, description="smallest pT of the gen object in GeV")
    distance: float = Field(default=0.2, gt=0, description="largest distance of a reconstructed object to it")
    isolation: float = Field(
        default=0.6, ge=0, description="no other gen object, and no other reconstructed one, closer than this"
    )


class Condition(Recipe):
    """Something of the gen object that the network is given and that the kernel compares."""

    field: str = Field(description="field of the gen object")
    scale: Literal["linear", "abs", "log"] = Field(default="linear", description="before standardisation")
    categories: list[int] = Field(
        default=[], description="values told apart, as a flag each; empty: a number"
    )


class Measure(Recipe):
    """What another quantity is a multiple of: the root of the sum of squares of some variables."""

    of: list[str] = Field(default=[], description="variables")
    along: list[str] = Field(
        default=[],
        description="further ones along the beam, of which the part across the object counts: over cosh(eta)",
    )
    least: float = Field(default=1e-6, gt=0, description="smallest value of it: a quantity may be zero")

    @model_validator(mode="after")
    def _consistent(self) -> Measure:
        if not self.of and not self.along:
            msg = "a measure is of some variables, found none; name them, or leave it out"
            raise ValueError(msg)
        return self


class Variable(Recipe):
    """A reconstructed quantity that is refined."""

    branch: str = Field(description="field of the reconstructed collection")
    transform: Literal["linear", "excess", "logit", "log", "asinh"] = Field(
        description="to the scale that the network sees"
    )
    gen_field: str = Field(default="pt", description="field of the gen object that an excess is relative to")
    threshold: float = Field(default=0.0, description="smallest value that reconstruction gives (excess)")
    width: float = Field(default=1.0, gt=0, description="softness of the threshold; unit of asinh and log")
    undefined: float | None = Field(
        default=None,
        description="value of objects that have none: stays as it is, and is told to the network",
    )
    atom: float | None = Field(
        default=None, description="smallest value, if many objects have it: spread below the others, and back"
    )
    relative_to: Measure | None = Field(
        default=None, description="the network sees and moves the ratio to this, which may move itself"
    )
    keeps_sign: bool = Field(
        default=False, description="the network sees and moves the magnitude; the sign stays as it is (asinh)"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Variable:
        if self.atom is not None and self.transform != "log":
            msg = f"{self.branch}: an atom lies at the lower end of a log scale, not of '{self.transform}'"
            raise ValueError(msg)
        if self.relative_to is not None and (self.transform != "log" or self.atom not in (None, 0.0)):
            msg = f"{self.branch}: what is relative to others has the transform log, and no atom but 0"
            raise ValueError(msg)
        if self.keeps_sign and self.transform != "asinh":
            msg = f"{self.branch}: has a sign to keep with the transform asinh, not with '{self.transform}'"
            raise ValueError(msg)
        return self


class DeepJet(Recipe):
    """The discriminators of DeepJet, which are ratios of probabilities that sum to one."""

    b: str = Field(default="btagDeepFlavB", description="b + bb + lepb")
    c_against_b: str = Field(default="btagDeepFlavCvB", description="c / (c + b)")
    c_against_light: str = Field(default="btagDeepFlavCvL", description="c / (c + uds + g)")
    c: str = Field(default="btagDeepFlavC", description="c, which follows where a file has it")


class NetworkRecipe(Recipe):
    """A residual network."""

    width: int = Field(default=128, ge=1, description="units of a hidden layer")
    blocks: int = Field(default=3, ge=1, description="residual blocks of two layers")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="dropout probability")


class KernelRecipe(Recipe):
    """Kernel of the maximum mean discrepancy."""

    widths: list[float] = Field(
        default=[4.0, 2.0, 1.0, 0.5, 0.25],
        min_length=1,
        description="of the mixture, in units of the median squared distance",
    )
    rows: int = Field(default=4096, ge=4, description="rows of the full simulation that bandwidths are from")
    features: int = Field(
        default=0, ge=0, description="random Fourier features in place of all pairs of a batch; 0: all pairs"
    )
    subsets: bool = Field(
        default=False,
        description="features of single variables, of two, and of one with a condition, beside those of all",
    )

    @model_validator(mode="after")
    def _consistent(self) -> KernelRecipe:
        if self.subsets and not self.features:
            msg = "subsets: are of Fourier features; give features, too"
            raise ValueError(msg)
        return self


LOSSES = ("mmd", "mse", "huber", "boundary")
"""Names of losses that every refiner has."""


class ConstraintRecipe(Recipe):
    """A loss that is held at a value (MDMM)."""

    loss: str = Field(description="name of the loss")
    target: float | Literal["full"] = Field(
        default=0.0, description="the value; 'full': that of the full simulation"
    )
    scale: float = Field(default=1.0, gt=0, description="weight against the primary loss")
    damping: float = Field(default=1.0, ge=0, description="strength of the quadratic term")


class Stage(Recipe):
    """Some epochs with one primary loss and constraints."""

    primary: str = Field(default="mmd", description="loss that is minimised")
    epochs: int | None = Field(default=None, ge=1, description="how many; none: to the end")
    constraints: list[ConstraintRecipe] = Field(default=[], description="losses that are held at a value")


class Application(Recipe):
    """What else changes in a file when its objects are refined."""

    scaled: list[str] = Field(default=[], description="fields that change as pT does, such as the mass")
    references: list[str] = Field(
        default=[], description="branches with indices of this collection, which follow when it is sorted"
    )
    met: list[str] = Field(default=[], description="missing momenta that a change of pT is carried over to")
    met_min_pt: float = Field(default=15.0, ge=0, description="of objects with at least this pT in GeV")


class RefinerRecipe(Recipe):
    """Everything that `flashsim refine` needs besides the files."""

    schema_version: Literal[1] = Field(description="version of this format")
    object: str = Field(description="name of what is refined")
    seed: int = Field(default=1, ge=0, description="seed of initial weights, batches and noise")
    collection: str = Field(description="reconstructed NanoAOD collection")
    gen: str = Field(description="gen collection, of the gen view")
    gen_view: str = Field(default="gen.yaml", description="shipped gen view, or the path of your own")
    match: str = Field(description="field of the reconstructed collection with the index of the gen object")
    split: Split = Field(default=Split(), description="shares of the events that are kept from training")
    pairs: PairSelection = Field(default=PairSelection(), description="which objects become pairs")
    conditions: list[Condition] = Field(min_length=1, description="what the network is given")
    variables: list[Variable] = Field(min_length=1, description="what is refined")
    groups: str | None = Field(
        default=None, description="field with categories: discrepancies are summed over these, by share"
    )
    deepjet: DeepJet | None = Field(default=None, description="discriminators whose probabilities sum to one")
    network: NetworkRecipe = Field(default=NetworkRecipe(), description="the network")
    kernel: KernelRecipe = Field(default=KernelRecipe(), description="kernel of the discrepancy")
    stages: list[Stage] = Field(
        default=[Stage()], min_length=1, description="losses, one stage after another"
    )
    multiplier_rate: float = Field(default=0.01, gt=0, description="learning rate of the multipliers")
    multiplier_bound: float = Field(default=100.0, gt=0, description="largest magnitude of a multiplier")
    schedule: Schedule = Field(default=Schedule(), description="optimisation")
    validation_batch: int = Field(default=2048, ge=2, description="rows of a discrepancy in validation")
    min_rows: int = Field(default=100, ge=4, description="fewest pairs to train on")
    application: Application = Field(default=Application(), description="what follows in a file")

    @model_validator(mode="after")
    def _consistent(self) -> RefinerRecipe:
        grouped = {c.field for c in self.conditions if c.categories}
        if self.groups is not None and self.groups not in grouped:
            msg = f"groups: '{self.groups}' is no condition with categories; found {sorted(grouped)}"
            raise ValueError(msg)
        branches = [variable.branch for variable in self.variables]
        if twice := sorted({name for name in branches if branches.count(name) > 1}):
            msg = f"variables: {twice[0]} is given twice"
            raise ValueError(msg)
        for number, variable in enumerate(self.variables):
            measure = variable.relative_to or Measure(of=branches[:1])
            if later := [n for n in (*measure.of, *measure.along) if n not in branches[: max(number, 1)]]:
                msg = f"variables: {variable.branch} is relative to {later[0]}; expected that one before it"
                raise ValueError(msg)
        if self.deepjet is not None:
            by_branch = {variable.branch: variable for variable in self.variables}
            for name in (self.deepjet.b, self.deepjet.c_against_b, self.deepjet.c_against_light):
                if name not in by_branch or by_branch[name].transform != "logit":
                    msg = f"deepjet: expected '{name}' among the variables, with transform logit"
                    raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _known_losses(self) -> RefinerRecipe:
        known = {*LOSSES, *(("unitarity_mean", "unitarity_std") if self.deepjet is not None else ())}
        for number, stage in enumerate(self.stages):
            names = [stage.primary, *(c.loss for c in stage.constraints)]
            if unknown := [name for name in names if name not in known]:
                msg = f"stages: '{unknown[0]}' is no loss of this object; known are {sorted(known)}"
                raise ValueError(msg)
            if stage.epochs is None and number + 1 < len(self.stages):
                msg = f"stages: only the last one may lack its epochs, found none in number {number + 1}"
                raise ValueError(msg)
            of_full = [c.loss for c in stage.constraints if c.target == "full"]
            if wrong := [name for name in of_full if not name.startswith("unitarity")]:
                msg = f"stages: '{wrong[0]}' has no value in the full simulation; give its target as a number"
                raise ValueError(msg)
        return self

    @property
    def gen_fields(self) -> list[str]:
        """Fields of the gen object that conditions and transforms need, each once, in order."""
        relative = [variable.gen_field for variable in self.variables if variable.transform == "excess"]
        angles = ["eta" for variable in self.variables if variable.relative_to and variable.relative_to.along]
        return list(dict.fromkeys([*(c.field for c in self.conditions), *relative, *angles]))

    @property
    def branches(self) -> list[str]:
        """Fields that are refined."""
        return [variable.branch for variable in self.variables]


def load_refiner(name: str, changes: Changes | None = None) -> RefinerRecipe:
    """Load a refinement recipe: a shipped one by name (``jets`` is ``refine_jets.yaml``), or any by path.

    `changes` as for `load_recipe`.

    Raises
    ------
    RecipeError
        If there is no such recipe or it is not valid.
    """
    shipped = recipe_folder("training") / f"refine_{name}.yaml"
    path = shipped if shipped.is_file() else recipe_path("training", name)
    return load_recipe(RefinerRecipe, path, changes)


def load_gen_view(recipe: RefinerRecipe) -> GenView:
    """Load the gen view that a recipe names.

    Raises
    ------
    RecipeError
        If there is none, or it lacks the recipe's gen collection or fields of it.
    """
    path = recipe_path("preprocessing", recipe.gen_view)
    view = parse_recipe(GenView, read_yaml(path), origin=str(path))
    fields = set(view.collections[recipe.gen].fields) if recipe.gen in view.collections else set()
    if missing := sorted({*recipe.gen_fields, "index", "eta", "phi", "pt"} - fields):
        lacks = f"lacks {', '.join(missing)}, needed to refine {recipe.object}"
        msg = f"{path}: gen collection '{recipe.gen}' {lacks}"
        raise RecipeError(msg)
    # Only what is used, so that files need no other branches.
    return view.model_copy(update={"collections": {recipe.gen: view.collections[recipe.gen]}})
