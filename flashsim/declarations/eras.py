"""Eras of data taking: what generated events of one have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from flashsim.declarations.recipes import (
    Recipe,
    parse_recipe,
    read_with_lines,
    recipe_folder,
    recipe_path,
    union_tag,
)
from flashsim.errors import RecipeError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["DEFAULT_ERA", "GenEra", "NormalPileup", "load_era", "shipped_eras"]

DEFAULT_ERA = "run2"
"""The era that is taken where none is named."""

_SECTION = "generation"

Spread = Annotated[tuple[float, float], Field(description="mean and width of a normal distribution")]


class NormalPileup(Recipe):
    """True number of interactions with a normal distribution that is cut off."""

    mean: float = Field(gt=0, description="of the distribution before it is cut off")
    width: float = Field(ge=0, description="its standard deviation")
    least: float = Field(ge=0, description="smaller values are raised to it")
    most: float = Field(gt=0, le=1000, description="larger values are lowered to it")
    whole_numbers: bool = Field(description="whether `Pileup_nTrueInt` has the integer part only")


def _form(value: Any) -> str:
    return union_tag("profile" if isinstance(value, str) else "normal")


Pileup = Annotated[
    Annotated[str, Tag(union_tag("profile"))] | Annotated[NormalPileup, Tag(union_tag("normal"))],
    Discriminator(_form),
]


class BeamSpot(Recipe):
    """Where and when collisions are."""

    x: Spread
    y: Spread
    z: Spread
    t0: Spread


class GenEra(Recipe):
    """What generated events of an era have in common: the section ``generation`` of its file."""

    nanoaod: Literal["v9", "v15"] = Field(description="NanoAOD version of the branches")
    energy: float = Field(gt=0, le=1e6, description="of the beams in their centre of mass, in GeV")
    pileup: Pileup = Field(description="a pileup profile by name, or a normal distribution")
    beam_spot: BeamSpot = Field(description="in cm, and in ns for t0")


def load_era(name: str | Path) -> GenEra:
    """Era by the name of a shipped file, such as ``run3``, or by the path of one's own.

    Raises
    ------
    RecipeError
        If there is no such file, it has no section ``generation``, or that is not valid.
    """
    path = recipe_path("reference", name)
    content, lines = read_with_lines(path)
    section = content.get(_SECTION)
    if not isinstance(section, dict):
        shipped = ", ".join(shipped_eras())
        msg = f"{path}: is no era, as it has no section '{_SECTION}'; shipped eras are {shipped}"
        raise RecipeError(msg)
    own = {place[1:]: line for place, line in lines.items() if place[:1] == (_SECTION,)}
    return parse_recipe(GenEra, section, origin=f"{path}: {_SECTION}", lines=own)


def shipped_eras() -> list[str]:
    """Names of the shipped eras, sorted."""
    files = sorted(recipe_folder("reference").glob("*.yaml"))
    return [path.stem for path in files if f"\n{_SECTION}:" in path.read_text(encoding="utf-8")]
