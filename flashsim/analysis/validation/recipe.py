"""What a validation looks at, and where its lights change: ``analysis/validation.yaml``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator, model_validator

from flashsim.declarations.recipes import Recipe, load_recipe, recipe_path

if TYPE_CHECKING:
    from flashsim.declarations.changes import Changes

__all__ = ["Lights", "Limits", "ObjectRecipe", "Tagging", "ValidationRecipe", "load_validation"]


class Limits(Recipe):
    """Where a light changes."""

    green: float = Field(ge=0, description="largest difference beyond chance that is green")
    amber: float = Field(gt=0, description="largest one that is amber; beyond, the light is red")
    unit: str = Field(default="", description="unit of the difference")
    description: str = Field(default="", description="what is measured")

    @model_validator(mode="after")
    def _rises(self) -> Limits:
        if not self.green < self.amber:
            msg = f"amber {self.amber} is not above green {self.green}"
            raise ValueError(msg)
        return self


class Lights(Recipe):
    """Limits by kind of difference."""

    wasserstein: Limits = Field(description="distance of distributions")
    ks: Limits = Field(description="largest difference of cumulative distributions")
    auc: Limits = Field(description="classifier test")
    median: Limits = Field(description="median response")
    width: Limits = Field(description="width of the response")
    efficiency: Limits = Field(description="efficiency")
    unmatched: Limits = Field(description="share of objects without a gen object")
    number: Limits = Field(description="numbers per event")
    joint: Limits = Field(
        default=Limits(green=0.05, amber=0.2, description="joint quantity of several objects, relative"),
        description="how objects hang together",
    )
    correlation: Limits = Field(description="rank correlations")
    contour: Limits = Field(description="shares inside of contours")
    tagging: Limits = Field(description="signal efficiencies")

    def of(self, kind: str) -> Limits:
        """Limits of a kind of difference, a field of this recipe."""
        limits: Limits = getattr(self, kind)
        return limits


class Tagging(Recipe):
    """A flavour tag: its score, and which conditioning columns tell the truth."""

    scores: list[str] = Field(min_length=1, description="targets; the first that the files have is used")
    signal: str = Field(description="conditioning column that is 1 for signal")
    backgrounds: dict[str, str | list[str]] = Field(
        description="column that is 1 for background, or the columns that are all 0"
    )
    min_pt: float = Field(description="smallest reconstructed pT in GeV")
    max_eta: float = Field(description="largest magnitude of the reconstructed eta")
    mistags: list[float] = Field(description="background efficiencies at which signal efficiencies are given")


class ObjectRecipe(Recipe):
    """What is special to an object."""

    response: list[str] = Field(default=["pt"], description="targets whose response is looked at")
    pairs: list[tuple[str, str]] = Field(default=[], description="pairs of targets with contours")
    tagging: Tagging | None = Field(default=None, description="flavour tag, if it has one")


class ValidationRecipe(Recipe):
    """Content of ``validation.yaml``."""

    schema_version: Literal[1] = Field(description="version of this format")
    pt_edges: list[float] = Field(min_length=2, description="bins of pT in GeV")
    eta_edges: list[float] = Field(min_length=2, description="bins of the magnitude of eta")
    count_thresholds: list[float] = Field(description="pT in GeV above which objects are counted")
    levels: list[float] = Field(description="shares of the reference inside of contours")
    classified_objects: int = Field(ge=100, description="most objects of a sample for the classifier")
    correlated_objects: int = Field(ge=100, description="most objects of a sample whose ranks are correlated")
    joint_events: int = Field(
        default=50_000, ge=100, description="most events of a file that are judged as a whole"
    )
    neighbourhood_objects: int = Field(
        default=10_000, ge=100, description="most objects for the classifiers that see their neighbours"
    )
    lights: Lights = Field(description="where lights change")
    objects: dict[str, ObjectRecipe] = Field(default={}, description="by name of the declaration")

    @field_validator("pt_edges", "eta_edges", "levels")
    @classmethod
    def _rise(cls, values: list[float]) -> list[float]:
        if sorted(set(values)) != values:
            msg = f"{values} do not rise"
            raise ValueError(msg)
        return values

    def of(self, name: str) -> ObjectRecipe:
        """Look up what is special to an object; the defaults for one that is not listed."""
        return self.objects.get(name, ObjectRecipe())


def load_validation(name: str = "validation", changes: Changes | None = None) -> ValidationRecipe:
    """Load a recipe: the shipped one, or the user's own file by path; `changes` as for `load_recipe`.

    Raises
    ------
    RecipeError
        If there is no such recipe or it is not valid.
    """
    return load_recipe(ValidationRecipe, recipe_path("analysis", name), changes)
