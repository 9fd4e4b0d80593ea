"""What runs commands on damaged inputs and judges how they end."""

from __future__ import annotations

from judge import of_generators, of_models, of_nanoaod, of_recipes, of_tables
from judge.cases import unique

__all__ = ["ALL_CASES"]

ALL_CASES = unique(
    [*of_nanoaod.CASES, *of_generators.CASES, *of_models.CASES, *of_tables.CASES, *of_recipes.CASES]
)
"""Of all commands."""
