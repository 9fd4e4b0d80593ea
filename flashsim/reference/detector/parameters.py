"""The parameters of a detector: ``reference/full.yaml``, ``reference/fast.yaml``, or a user's own file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from flashsim.declarations.recipes import Recipe, load_recipe, recipe_path
from flashsim.reference.detector.density import DensityResponse
from flashsim.reference.detector.electrons import ElectronResponse
from flashsim.reference.detector.jets import JetResponse
from flashsim.reference.detector.met import MetResponse
from flashsim.reference.detector.muons import MuonResponse
from flashsim.reference.detector.pileup import PileupResponse
from flashsim.reference.detector.vertices import VertexResponse

if TYPE_CHECKING:
    from pathlib import Path

    from flashsim.declarations.changes import Changes

__all__ = ["DetectorRecipe", "load_detector"]


class DetectorRecipe(Recipe):
    """All numbers of a parametrised detector."""

    schema_version: Literal[1] = Field(description="version of this format")
    pileup: PileupResponse = Field(description="energy density of pileup")
    density: DensityResponse = Field(description="how the energy density is measured")
    vertices: VertexResponse = Field(description="primary vertices")
    jets: JetResponse = Field(description="jets")
    muons: MuonResponse = Field(description="muons")
    electrons: ElectronResponse = Field(description="electrons")
    met: MetResponse = Field(description="missing transverse momentum")


def load_detector(name: str | Path, changes: Changes | None = None) -> DetectorRecipe:
    """Load the parameters of a detector: shipped ones (full, fast) by name, or a user's own file by path.

    `changes` as for `load_recipe`.

    Raises
    ------
    RecipeError
        If there is no such file or it is not valid.
    """
    return load_recipe(DetectorRecipe, recipe_path("reference", name), changes)
