"""What is looked at: bins and tagging as in a validation, and the prototype's transforms."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from flashsim.analysis.validation.recipe import load_validation
from flashsim.declarations.recipes import Recipe, load_recipe

if TYPE_CHECKING:
    from flashsim.analysis.validation.recipe import Tagging

__all__ = ["ByHand", "ObjectObservables", "Observables", "load_observables"]


class ByHand(Recipe):
    """A transform that the prototype applied to a target, before scaling."""

    kind: Literal["arctan", "log"] = Field(description="arctan(scale (x - centre)), or log(x + offset)")
    scale: float = Field(default=1.0, gt=0, description="of the arctan")
    centre: float = Field(default=0.0, description="of the arctan")
    offset: float = Field(default=0.0, ge=0, description="of the logarithm")
    zeros_below: float | None = Field(default=None, description="logarithms below this are zeros, smeared")


class _Prototype(Recipe):
    """Content of ``prototype.yaml``."""

    schema_version: Literal[1] = Field(description="version of this format")
    by_hand: dict[str, dict[str, ByHand]] = Field(description="transforms by object and target")


@dataclass(frozen=True)
class ObjectObservables:
    """What is special to an object: its flavour tag, and the prototype's transforms by target."""

    tagging: Tagging | None = None
    by_hand: dict[str, ByHand] = field(default_factory=dict)


@dataclass(frozen=True)
class Observables:
    """Bins of gen pT in GeV and of |gen eta|, pT above which objects are counted, and objects by name."""

    pt_edges: list[float]
    eta_edges: list[float]
    count_thresholds: list[float]
    objects: dict[str, ObjectObservables]

    def of(self, name: str) -> ObjectObservables:
        """Look up what is special to an object; nothing for one that is not listed."""
        return self.objects.get(name, ObjectObservables())


def load_observables() -> Observables:
    """Read the shipped validation recipe, and the file beside this module."""
    shipped = load_validation()
    prototype = load_recipe(_Prototype, Path(__file__).with_name("prototype.yaml")).by_hand
    objects = {
        name: ObjectObservables(shipped.of(name).tagging, prototype.get(name, {}))
        for name in {*shipped.objects, *prototype}
    }
    return Observables(shipped.pt_edges, shipped.eta_edges, shipped.count_thresholds, objects)
