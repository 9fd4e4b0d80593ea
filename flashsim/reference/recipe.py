"""All numbers of a detector: ``reference/detector.yaml``, and what differs from it by era and by level."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from flashsim.declarations.eras import GenEra
from flashsim.declarations.recipes import Recipe, parse_recipe, read_with_lines, recipe_path
from flashsim.reference.flow.recorded import RecordingRecipe
from flashsim.reference.objects.electrons import ElectronRecipe
from flashsim.reference.objects.fat_jets import FatJetsRecipe
from flashsim.reference.objects.fsr_photons import FsrRecipe
from flashsim.reference.objects.jets import JetsRecipe
from flashsim.reference.objects.met import MetRecipe
from flashsim.reference.objects.muons import MuonRecipe
from flashsim.reference.objects.photons import PhotonRecipe
from flashsim.reference.objects.secondary_vertices import SecondaryVerticesRecipe
from flashsim.reference.objects.showers import ShowerRecipe
from flashsim.reference.objects.soft_activity import SoftActivityRecipe
from flashsim.reference.objects.taus import TauRecipe

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from flashsim.declarations.changes import Changes

__all__ = ["DetectorRecipe", "load_detector"]


class DetectorRecipe(Recipe):
    """All numbers of a detector; the keys of each part are declared beside its code."""

    schema_version: Literal[2] = Field(description="version of this format")
    generation: GenEra = Field(description="what events of the era have in common")
    recording: RecordingRecipe = Field(description="from particles to particle-flow candidates")
    muons: MuonRecipe = Field(description="muons")
    showers: ShowerRecipe = Field(description="superclusters")
    electrons: ElectronRecipe = Field(description="electrons")
    photons: PhotonRecipe = Field(description="photons")
    fsr_photons: FsrRecipe = Field(description="photons that muons radiate")
    jets: JetsRecipe = Field(description="jets of radius 0.4")
    secondary_vertices: SecondaryVerticesRecipe = Field(description="secondary vertices")
    met: MetRecipe = Field(description="missing transverse momentum")
    soft_activity: SoftActivityRecipe = Field(description="jets of soft tracks of the primary vertex")
    taus: TauRecipe = Field(description="hadronic taus")
    fat_jets: FatJetsRecipe = Field(description="jets of radius 0.8")
    taggers: str = Field(description="shipped taggers by name, of reference/taggers, or a folder by its path")


def load_detector(level: str | Path, era: str | Path, changes: Changes | None = None) -> DetectorRecipe:
    """Load the numbers of a detector.

    Those of ``detector.yaml`` hold where the file of the era, then that of the level, then `changes` do not
    say otherwise.

    Parameters
    ----------
    level
        A shipped one by name (full, fast), or a user's own file by path; it names only what differs.
    era
        A shipped one by name (run2, run3), or a user's own file by path.
    changes
        Values by dotted key.

    Raises
    ------
    RecipeError
        If there is no such file, or the numbers are not valid.
    """
    path = recipe_path("reference", level)
    content: dict[str, Any] = {}
    for name in ("detector", era):
        content = _merged(content, read_with_lines(recipe_path("reference", name))[0])
    own, lines = read_with_lines(path)
    return parse_recipe(DetectorRecipe, _merged(content, own), origin=str(path), changes=changes, lines=lines)


def _merged(content: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Join mappings: with the values of the other one, at any depth."""
    merged = dict(content)
    for key, value in other.items():
        below = merged.get(key)
        both = isinstance(below, dict) and isinstance(value, dict)
        merged[key] = _merged(below, value) if both else value  # type: ignore[arg-type]
    return merged
