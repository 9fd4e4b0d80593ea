"""Fast, refined and full objects of the same gen objects, of one or more draws of the detectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from flashsim.learning.tables import SPLITS
from flashsim.refinement.pairs import read_pairs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from flashsim.declarations.refinement import RefinerRecipe
    from flashsim.refinement.pairs import PairRows

__all__ = ["Compared", "all_pairs", "compared"]


@dataclass(frozen=True)
class Compared:
    """Objects that are compared, N rows.

    Parameters
    ----------
    recipe
        Names the columns.
    gen
        Gen objects, shape (N, G).
    samples
        ``full``, ``fast`` and ``refined``, shape (N, V) each; row i of all belongs to gen object i.
    event
        Number of each row's event, from 0, shape (N,).
    draw
        Number of each row's draw of the detectors, from 0, shape (N,).
    """

    recipe: RefinerRecipe
    gen: NDArray[np.float32]
    samples: dict[str, NDArray[np.float32]]
    event: NDArray[np.int64]
    draw: NDArray[np.int64]

    @property
    def events(self) -> int:
        """How many events there are."""
        return int(self.event.max()) + 1

    @property
    def draws(self) -> int:
        """How many draws there are."""
        return int(self.draw.max()) + 1

    def groups(self) -> dict[str, NDArray[np.bool_]]:
        """Rows of all, and of each category of the recipe's groups that there is, by its number."""
        found = {"all": np.ones(len(self.gen), dtype=bool)}
        if self.recipe.groups is not None:
            numbers = self.gen[:, self.recipe.gen_fields.index(self.recipe.groups)]
            found |= {f"{number:g}": numbers == number for number in np.unique(numbers)}
        return found

    def has_value(self, name: str, column: int) -> NDArray[np.bool_]:
        """Rows of a sample where a variable has a value, shape (N,)."""
        undefined = self.recipe.variables[column].undefined
        if undefined is None:
            return np.ones(len(self.gen), dtype=bool)
        has: NDArray[np.bool_] = self.samples[name][:, column] != np.float32(undefined)
        return has

    def defined(self, name: str) -> NDArray[np.bool_]:
        """Rows of a sample where every variable has a value, shape (N,)."""
        columns = range(len(self.recipe.variables))
        has: NDArray[np.bool_] = np.all([self.has_value(name, k) for k in columns], axis=0)
        return has


def all_pairs(folder: Path, recipe: RefinerRecipe) -> list[PairRows]:
    """Read the pairs of a folder, whatever their split: of events that were never trained on."""
    return [read_pairs(folder, split, recipe) for split in SPLITS]


def compared(
    recipe: RefinerRecipe, before: Sequence[list[PairRows]], after: Sequence[list[PairRows]]
) -> Compared:
    """Put pairs of fast and full simulation beside those of the refined one.

    Parameters
    ----------
    recipe
        Names the columns.
    before
        By draw: pairs of the fast and the full simulation, in parts.
    after
        The same of the refined fast simulation.

    Raises
    ------
    ValueError
        If the pairs are not of the same gen objects.
    """
    one, other = ([part for parts in side for part in parts] for side in (before, after))
    gen, gen_after = (np.concatenate([part.gen for part in side]) for side in (one, other))
    if not np.array_equal(gen, gen_after):
        msg = f"expected the {len(gen)} gen objects of the pairs before refinement, found {len(gen_after)}"
        raise ValueError(msg)
    _, event = np.unique(np.concatenate([part.event for part in one]), return_inverse=True)
    sizes = [sum(len(part) for part in parts) for parts in before]
    return Compared(
        recipe,
        gen,
        {
            "full": np.concatenate([part.full for part in one]),
            "fast": np.concatenate([part.fast for part in one]),
            "refined": np.concatenate([part.fast for part in other]),
        },
        event.astype(np.int64),
        np.repeat(np.arange(len(sizes)), sizes),
    )
