"""What a grid trains at each of its points: the models of an object, or a refiner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flashsim.declarations.refinement import RefinerRecipe
from flashsim.declarations.training import TrainingRecipe
from flashsim.learning.tables import TRAINING_TABLES, TableFormat
from flashsim.refinement.pairs import PAIRS
from flashsim.refinement.train import train_refiner
from flashsim.training.train import train

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flashsim.declarations.recipes import Recipe
    from flashsim.grid.recipe import Kind
    from flashsim.learning.tables import Description

__all__ = ["TRAINERS", "TableTrainer"]


@dataclass(frozen=True)
class TableTrainer:
    """Trains from a folder of tables; see `flashsim.grid.point.Trainer`.

    Parameters
    ----------
    recipe
        Class of the training recipe.
    tables
        Format of the tables.
    function
        Trains: called with tables, recipe and output.
    """

    recipe: type[Recipe]
    tables: TableFormat[Any]
    function: Callable[..., object]

    def digest(self, data: Path) -> str:
        """Give a digest of what the tables hold, their files' names apart."""
        description: Description = self.tables.read_description(data)
        return description.digest()

    def train(
        self, recipe: Any, data: Path, output: Path, *, runs: Path, resume: bool, device: str
    ) -> object:
        """Train a model, in place of one that exists."""
        return self.function(data, recipe, output, runs=runs, resume=resume, force=True, accelerator=device)


TRAINERS: dict[Kind, TableTrainer] = {
    "object": TableTrainer(TrainingRecipe, TRAINING_TABLES, train),
    "refiner": TableTrainer(RefinerRecipe, PAIRS, train_refiner),
}
"""By the kind of a grid."""
