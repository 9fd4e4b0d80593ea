"""Branches that are functions of others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from flashsim.transforms.blocks import Bits, Block, Cells, Column, Environment, Floats
from flashsim.transforms.corrections import correction_values
from flashsim.transforms.expressions import evaluate
from flashsim.transforms.rounding import agreement
from flashsim.transforms.values import allowed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from flashsim.declarations.objects import Target
    from flashsim.declarations.relations import Formula

__all__ = ["FormulaBlock"]


@dataclass(frozen=True)
class FormulaBlock(Block):
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
        """None."""
        return ()

    def cells(self, values: Environment, bits: Bits) -> list[Cells]:  # noqa: ARG002  # nothing is drawn
        """Give nothing: the branch follows."""
        return []

    def decode(self, drawn: Sequence[Floats], made: Environment) -> dict[str, Floats]:  # noqa: ARG002
        """Compute the branch; where the formula has no value, it is 0."""
        return self._computed(made)

    def check(self, values: Environment, bits: Bits) -> tuple[NDArray[np.bool_], Floats]:
        """Tell where stored values follow the formula, within their rounding, and by how much they do not."""
        return agreement(self._computed, self.inputs, (self.target,), values, bits)

    def _computed(self, columns: Environment) -> dict[str, Floats]:
        rows = len(next(iter(columns.values())))
        known = dict(columns)
        for name, correction in self.relation.corrections.items():
            known[name] = correction_values(correction, columns, rows)
        values = evaluate(self.relation.expression, known, rows)
        finite = np.where(np.isfinite(values), values, 0.0)
        return {self.target.branch: allowed(self.target, finite)}
