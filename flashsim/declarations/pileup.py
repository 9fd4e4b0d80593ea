"""Pileup profiles: how many interactions beside the simulated one are expected in an event."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, field_validator

from flashsim.declarations.recipes import Recipe, load_recipe, recipe_folder
from flashsim.errors import RecipeError

__all__ = ["PileupProfile", "load_profile", "shipped_profiles"]


class PileupProfile(Recipe):
    """Distribution of the true number of interactions, the mean of what is added to an event."""

    schema_version: Literal[1] = Field(description="version of this format")
    source: str = Field(description="where the numbers come from")
    whole_numbers: bool = Field(
        default=False, description="whether `Pileup_nTrueInt` has the integer part only, as in Run 2"
    )
    probabilities: list[float] = Field(
        min_length=1,
        max_length=1000,
        description="of 0 to 1, 1 to 2, ... interactions, of any sum",
    )

    @field_validator("probabilities")
    @classmethod
    def _some_are_positive(cls, values: list[float]) -> list[float]:
        if not all(np.isfinite(value) and value >= 0 for value in values) or not sum(values):
            msg = "expected numbers of at least 0, not all of them 0"
            raise ValueError(msg)
        return values

    @property
    def cumulative(self) -> tuple[float, ...]:
        """Probabilities of less than 0, 1, 2, ... interactions, of which the last is 1."""
        sums = np.cumsum(self.probabilities)
        return (0.0, *(sums / sums[-1]).tolist())


def shipped_profiles() -> list[str]:
    """Names of the shipped profiles, sorted.

    Raises
    ------
    RecipeError
        If the installation holds no recipes.
    """
    return sorted(path.stem for path in _folder().glob("*.yaml"))


def load_profile(name: str) -> PileupProfile:
    """Pileup profile: a shipped one by name, or a user's own file by path.

    Raises
    ------
    RecipeError
        If there is no such profile or it is not valid.
    """
    if name in shipped_profiles():
        return load_recipe(PileupProfile, _folder() / f"{name}.yaml")
    if Path(name).suffix in {".yaml", ".yml"} and Path(name).is_file():
        return load_recipe(PileupProfile, Path(name))
    msg = (
        f"no pileup profile '{name}': expected drawn, a number of interactions, the path of a YAML file, or "
        f"one of {', '.join(shipped_profiles())}"
    )
    raise RecipeError(msg)


def _folder() -> Path:
    return recipe_folder("generation") / "pileup"
