"""What a grid trains at each of its points: the models of an object, or a refiner."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from flashsim.declarations.refinement import RefinerRecipe
from flashsim.declarations.training import TrainingRecipe
from flashsim.learning.tables import read_description
from flashsim.refinement.pairs import read_pairs_description
from flashsim.refinement.train import train_refiner
from flashsim.training.tables import Tables
from flashsim.training.train import train

if TYPE_CHECKING:
    from pathlib import Path

    from flashsim.declarations.recipes import Recipe
    from flashsim.grid.point import Trainer
    from flashsim.grid.recipe import Kind

__all__ = ["TRAINERS", "ObjectTrainer", "RefinerTrainer"]


class ObjectTrainer:
    """Trains the models of one object; see `flashsim.grid.point.Trainer`."""

    recipe: type[Recipe] = TrainingRecipe

    def digest(self, data: Path) -> str:
        """Give a digest of what the tables hold, their files' names apart."""
        return _digest(read_description(data))

    def train(
        self, recipe: TrainingRecipe, data: Path, output: Path, *, runs: Path, resume: bool, device: str
    ) -> object:
        """Train from a folder of tables."""
        return train(Tables(data), recipe, output, runs=runs, resume=resume, force=True, accelerator=device)


class RefinerTrainer:
    """Trains a refiner; see `flashsim.grid.point.Trainer`."""

    recipe: type[Recipe] = RefinerRecipe

    def digest(self, data: Path) -> str:
        """Give a digest of what the pairs are, their files' names apart."""
        return _digest(read_pairs_description(data))

    def train(
        self, recipe: RefinerRecipe, data: Path, output: Path, *, runs: Path, resume: bool, device: str
    ) -> object:
        """Train from a folder of pairs."""
        return train_refiner(data, recipe, output, runs=runs, resume=resume, force=True, accelerator=device)


def _digest(description: Recipe) -> str:
    content = description.model_dump_json(exclude={"files"})
    return hashlib.sha256(content.encode()).hexdigest()


TRAINERS: dict[Kind, Trainer] = {"object": ObjectTrainer(), "refiner": RefinerTrainer()}
"""By the kind of a grid."""
