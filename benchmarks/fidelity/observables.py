"""What is looked at: bins, tagging, and the prototype's transforms, read from ``observables.yaml``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from flashsim.recipes import Recipe, load_recipe

__all__ = ["ByHand", "ObjectObservables", "Observables", "Tagging", "load_observables"]


class ByHand(Recipe):
    """A transform that the prototype applied to a target, before scaling."""

    kind: Literal["arctan", "log"] = Field(description="arctan(scale (x - centre)), or log(x + offset)")
    scale: float = Field(default=1.0, gt=0, description="of the arctan")
    centre: float = Field(default=0.0, description="of the arctan")
    offset: float = Field(default=0.0, ge=0, description="of the logarithm")
    zeros_below: float | None = Field(default=None, description="logarithms below this are zeros, smeared")


class Tagging(Recipe):
    """A flavour tag: its score, and which conditioning columns tell the truth."""

    scores: list[str] = Field(min_length=1, description="targets; the first that a model has is used")
    signal: str = Field(description="conditioning column that is 1 for signal")
    backgrounds: dict[str, str | list[str]] = Field(
        description="column that is 1 for background, or the columns that are all 0"
    )
    min_pt: float = Field(description="smallest reconstructed pT in GeV")
    max_eta: float = Field(description="largest magnitude of the reconstructed eta")
    mistags: list[float] = Field(description="background efficiencies at which signal efficiencies are given")


class ObjectObservables(Recipe):
    """What is special to an object."""

    tagging: Tagging | None = Field(default=None, description="flavour tag, if it has one")
    by_hand: dict[str, ByHand] = Field(default={}, description="the prototype's transforms, by target")


class Observables(Recipe):
    """Content of ``observables.yaml``."""

    schema_version: Literal[1] = Field(description="version of this format")
    pt_edges: list[float] = Field(description="bins of gen pT in GeV")
    eta_edges: list[float] = Field(description="bins of the magnitude of gen eta")
    count_thresholds: list[float] = Field(description="pT in GeV above which objects are counted")
    objects: dict[str, ObjectObservables] = Field(description="by name of the declaration")

    def of(self, name: str) -> ObjectObservables:
        """Look up what is special to an object; nothing for one that is not listed."""
        return self.objects.get(name, ObjectObservables())


def load_observables() -> Observables:
    """Read the file beside this module."""
    return load_recipe(Observables, Path(__file__).with_name("observables.yaml"))
