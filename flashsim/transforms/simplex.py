"""Fractions that add up to 1, by breaking a stick: each as its share of what those before it leave."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from flashsim.events.expressions import evaluate
from flashsim.transforms.blocks import (
    Bits,
    Cells,
    Column,
    Environment,
    Floats,
    RelationBlock,
    related,
    restored,
)
from flashsim.transforms.values import stored_cell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from flashsim.declarations.objects import Target

__all__ = ["SimplexBlock"]

_SLACK = 1e-6
"""By which a sum of values that are not rounded may differ from 1."""


@dataclass(frozen=True)
class SimplexBlock(RelationBlock):
    """Fractions from 0 to 1, in the order in which they are drawn.

    A share of 0 or of all that is left is a point mass; where nothing is left, the share means nothing.

    Parameters
    ----------
    targets
        The fractions. One that is related to an expression is drawn relative to that instead.
    rest
        Whether they may add up to less than 1.
    floors
        What fractions are at least: expressions by branch. Shares are of what all floors together leave.
    precision
        Part of a floor by which a stored fraction may differ from it and counts as the floor.
    """

    targets: tuple[Target, ...]
    rest: bool = False
    floors: Mapping[str, str] = field(default_factory=dict)
    precision: float = 0.0

    @property
    def columns(self) -> tuple[Column, ...]:
        """Shares; without a rest the last fraction follows from the others."""
        return tuple(
            Column(target.branch, atoms=(0.0,) if target.to is not None else (0.0, 1.0), dequantise=True)
            for target in self._drawn
        )

    @property
    def _drawn(self) -> tuple[Target, ...]:
        return self.targets if self.rest else self.targets[:-1]

    def cells(self, values: Environment, bits: Bits) -> list[Cells]:
        """Give shares of stored fractions, whose sum is 1 where it is so within their rounding."""
        stored = [np.clip(np.asarray(values[t.branch], dtype=np.float64), 0.0, 1.0) for t in self.targets]
        deviation, tolerance = self._deviation(values, bits)
        floors = self._floors(values, len(deviation))
        total = deviation + 1.0
        whole = (deviation >= -tolerance) | (not self.rest)
        factor = np.where(whole & (total > 0.0), 1.0 / np.where(total > 0.0, total, 1.0), 1.0)
        rest = np.where(whole, 0.0, np.maximum(1.0 - total, 0.0))
        above = []
        for target, fraction, floor in zip(self.targets, stored, floors, strict=True):
            low, high = stored_cell(target, fraction, bits.get(target.branch))
            is_floor = (floor > 0.0) & (fraction * factor - floor <= self.precision * floor + (high - low))
            ends = (
                np.where(is_floor, 0.0, np.maximum(x * factor - floor, 0.0)) for x in (fraction, low, high)
            )
            above.append(tuple(ends))
        found: list[Cells] = []
        for number, target in enumerate(self._drawn):
            fraction, low, high = above[number]
            later = reduce(np.add, (x[0] for x in above[number + 1 :]), rest)
            if target.to is None:
                found.append(_shares(fraction, later, low, high))
            else:
                value, low, high = (related(target, x, values) for x in (fraction, low, high))
                found.append(Cells(value, low, high, fraction + later <= 0.0))
        return found

    def decode(self, drawn: Sequence[Floats], made: Environment) -> dict[str, Floats]:
        """Compute fractions; where a share is 1 nothing is left, exactly."""
        fractions = {}
        rows = len(drawn[0])
        floors = dict(zip((t.branch for t in self.targets), self._floors(made, rows), strict=True))
        left = np.maximum(1.0 - reduce(np.add, floors.values(), np.zeros(rows)), 0.0)
        for column, target in zip(drawn, self._drawn, strict=True):
            if target.to is None:
                share = np.clip(column, 0.0, 1.0)
                fraction = share * left
            else:
                fraction = np.clip(restored(target, column, made), 0.0, left)
            left = np.where(fraction >= left, 0.0, left - fraction)
            fractions[target.branch] = floors[target.branch] + fraction
        if not self.rest:
            last = self.targets[-1].branch
            fractions[last] = floors[last] + left
        return fractions

    def _floors(self, values: Environment, rows: int) -> list[Floats]:
        """Floors of all fractions, shape (rows,) each; more than 1 together is made 1."""
        floors = [np.zeros(rows) for _ in self.targets]
        for number, target in enumerate(self.targets):
            if target.branch in self.floors:
                floor = evaluate(self.floors[target.branch], values, rows)
                floors[number] = np.clip(np.nan_to_num(floor, posinf=1.0), 0.0, 1.0)
        total = np.maximum(reduce(np.add, floors), 1.0)
        return [floor / total for floor in floors]

    def check(self, values: Environment, bits: Bits) -> tuple[NDArray[np.bool_], Floats]:
        """Tell where stored values are related so, within their rounding, and by how much they are not."""
        deviation, tolerance = self._deviation(values, bits)
        if self.rest:
            deviation = np.maximum(deviation, 0.0)
        return np.abs(deviation) <= tolerance, np.abs(deviation)

    def _deviation(self, values: Environment, bits: Bits) -> tuple[Floats, Floats]:
        """Sum of stored fractions minus 1, and how far their rounding can carry it."""
        rows = len(values[self.targets[0].branch])
        total, tolerance = np.full(rows, -1.0), np.full(rows, _SLACK)
        for target in self.targets:
            stored = np.asarray(values[target.branch], dtype=np.float64)
            low, high = stored_cell(target, stored, bits.get(target.branch))
            total = total + stored
            tolerance = tolerance + np.maximum(high - stored, stored - low)
        return total, tolerance


def _shares(fraction: Floats, later: Floats, low: Floats, high: Floats) -> Cells:
    """Shares of what is left, for fractions, what follows them, and the ends of the fractions' cells."""
    left = fraction + later
    nothing = left <= 0.0
    safe = np.where(nothing, 1.0, left)
    share = np.where(nothing, 0.0, np.where(later <= 0.0, 1.0, fraction / safe))
    inner = (share > 0.0) & (share < 1.0)
    # Rounding cannot make a point mass of a share that is none.
    tiny, most = np.nextafter(0.0, 1.0), np.nextafter(1.0, 0.0)
    first, last = (np.where(inner, np.clip(end / safe, tiny, most), share) for end in (low, high))
    return Cells(share, first, last, nothing)
