"""Branches that have one value wherever a condition is not met."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from flashsim.events.expressions import evaluate
from flashsim.transforms.blocks import (
    Bits,
    Cells,
    Column,
    Environment,
    Floats,
    PlainBlock,
    RelationBlock,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from flashsim.declarations.objects import Target
    from flashsim.declarations.relations import Conditional

__all__ = ["ConditionalBlock"]


@dataclass(frozen=True)
class ConditionalBlock(RelationBlock):
    """One target, drawn where its condition is met; elsewhere what is drawn means nothing."""

    relation: Conditional
    target: Target

    @property
    def columns(self) -> tuple[Column, ...]:
        """The target."""
        return PlainBlock(self.target).columns

    def cells(self, values: Environment, bits: Bits) -> list[Cells]:
        """Give what stands for the stored value."""
        (cells,) = PlainBlock(self.target).cells(values, bits)
        free = ~self._met(values, len(cells.value))
        free = free if cells.free is None else free | cells.free
        return [Cells(cells.value, cells.low, cells.high, free)]

    def decode(self, drawn: Sequence[Floats], made: Environment) -> dict[str, Floats]:
        """Compute the target."""
        plain = PlainBlock(self.target).decode(drawn, made)[self.target.branch]
        met = self._met(made, len(plain))
        return {self.target.branch: np.where(met, plain, self.relation.elsewhere)}

    def check(self, values: Environment, bits: Bits) -> tuple[NDArray[np.bool_], Floats]:  # noqa: ARG002
        """Tell where the condition is met or the value that of elsewhere, and by how much it is not."""
        stored = np.asarray(values[self.target.branch], dtype=np.float64)
        deviation = np.abs(stored - self.relation.elsewhere)
        met = self._met(values, len(stored))
        return met | (deviation <= 1e-6), np.where(met, 0.0, deviation)

    def _met(self, values: Environment, rows: int) -> NDArray[np.bool_]:
        met: NDArray[np.bool_] = evaluate(self.relation.where, values, rows) != 0.0
        return met
