"""Branches that are functions of others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.events.expressions import evaluate
from flashsim.transforms.blocks import Bits, Cells, Column, Environment, Floats, RelationBlock
from flashsim.transforms.corrections import correction_values
from flashsim.transforms.rounding import agreement
from flashsim.transforms.values import allowed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from flashsim.declarations.objects import Target
    from flashsim.declarations.relations import Formula

__all__ = ["FormulaBlock"]


@dataclass(frozen=True)
class FormulaBlock(RelationBlock):
    """A branch that nothing is drawn for.

    Parameters
    ----------
    relation
        Its declaration.
    target
        The branch.
    inputs
        Targets that it is computed from.
    """

    relation: Formula
    target: Target
    inputs: tuple[Target, ...]

    @property
    def columns(self) -> tuple[Column, ...]:
        """Which solution it is, where a correction that is solved may have several; else none."""
        return tuple(Column(f"solution for {self.target.branch}", discrete=True) for _ in self._several)

    def cells(self, values: Environment, bits: Bits) -> list[Cells]:  # noqa: ARG002  # of whole numbers
        """Give the number of the solution that is nearest to the stored value."""
        if not self._several:
            return []
        candidates = self._candidates(values)
        number = _nearest(candidates, values[self.target.branch])
        several = np.isfinite(candidates[1])
        return [Cells(number, number, number, ~several)]

    def decode(self, drawn: Sequence[Floats], made: Environment) -> dict[str, Floats]:
        """Compute the branch; where the formula has no value, it is 0."""
        candidates = self._candidates(made)
        known = np.count_nonzero(np.isfinite(candidates), axis=0)
        number = drawn[0] if drawn else np.zeros(candidates.shape[1])
        return {self.target.branch: self._chosen(candidates, np.clip(number, 0, np.maximum(known - 1, 0)))}

    def check(self, values: Environment, bits: Bits) -> tuple[NDArray[np.bool_], Floats]:
        """Tell where stored values follow the formula, within their rounding, and by how much they do not."""
        return agreement(
            self._computed, self.inputs, (self.target,), values, bits, within=self.relation.tolerance
        )

    @property
    def _several(self) -> list[str]:
        return self.relation.of_several

    def _computed(self, columns: Environment) -> dict[str, Floats]:
        """Compute the branch, of several solutions the nearest to what is stored."""
        candidates = self._candidates(columns)
        number = _nearest(candidates, columns[self.target.branch])
        return {self.target.branch: self._chosen(candidates, number)}

    def _candidates(self, columns: Environment) -> Floats:
        """Values of the formula for each solution, shape (S, N); NaN where there are fewer."""
        rows = len(next(iter(columns.values())))
        known, solutions = dict(columns), 1
        found: dict[str, Floats] = {}
        for name, correction in self.relation.corrections.items():
            found[name] = correction_values(correction, columns, rows)
            solutions = max(solutions, len(found[name]))
        values = []
        for number in range(solutions):
            known |= {name: factors[min(number, len(factors) - 1)] for name, factors in found.items()}
            values.append(evaluate(self.relation.expression, known, rows))
        return np.stack(values)

    def _chosen(self, candidates: Floats, number: Floats) -> Floats:
        values = candidates[np.rint(number).astype(np.int64), np.arange(candidates.shape[1])]
        return allowed(self.target, np.where(np.isfinite(values), values, 0.0))


def _nearest(candidates: Floats, stored: NDArray[Any]) -> Floats:
    """Give the number of the candidate nearest to each stored value, shape (N,)."""
    distance = np.abs(candidates - np.asarray(stored, dtype=np.float64))
    nearest: Floats = np.argmin(np.where(np.isfinite(distance), distance, np.inf), axis=0).astype(np.float64)
    return nearest
