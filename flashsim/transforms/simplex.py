"""Fractions that add up to 1, by breaking a stick: each as its share of what those before it leave."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from flashsim.transforms.blocks import Bits, Block, Cells, Column, Environment, Floats, related, restored
from flashsim.transforms.values import stored_cell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from flashsim.declarations.objects import Target

__all__ = ["SimplexBlock"]

_SLACK = 1e-6
"""By which a sum of values that are not rounded may differ from 1."""


@dataclass(frozen=True)
class SimplexBlock(Block):
    """Fractions from 0 to 1, in the order in which they are drawn.

    A share of 0 or of all that is left is a point mass; where nothing is left, the share means nothing.

    Parameters
    ----------
    targets
        The fractions. One that is related to an expression is drawn relative to that instead.
    rest
        Whether they may add up to less than 1.
    """

    targets: tuple[Target, ...]
    rest: bool

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
        total = deviation + 1.0
        whole = (deviation >= -tolerance) | (not self.rest)
        factor = np.where(whole & (total > 0.0), 1.0 / np.where(total > 0.0, total, 1.0), 1.0)
        rest = np.where(whole, 0.0, np.maximum(1.0 - total, 0.0))
        found: list[Cells] = []
        for number, target in enumerate(self._drawn):
            fraction = stored[number] * factor
            later = reduce(np.add, (x * factor for x in stored[number + 1 :]), rest)
            left = fraction + later
            ends = [end * factor for end in stored_cell(target, stored[number], bits.get(target.branch))]
            if target.to is None:
                found.append(_shares(fraction, later, *ends))
            else:
                value, low, high = (related(target, x, values) for x in (fraction, *ends))
                found.append(Cells(value, low, high, left <= 0.0))
        return found

    def decode(self, drawn: Sequence[Floats], made: Environment) -> dict[str, Floats]:
        """Compute fractions; where a share is 1 nothing is left, exactly."""
        fractions = {}
        left = np.ones(len(drawn[0]))
        for column, target in zip(drawn, self._drawn, strict=True):
            if target.to is None:
                share = np.clip(column, 0.0, 1.0)
                fraction = share * left
            else:
                fraction = np.clip(restored(target, column, made), 0.0, left)
            left = np.where(fraction >= left, 0.0, left - fraction)
            fractions[target.branch] = fraction
        if not self.rest:
            fractions[self.targets[-1].branch] = left
        return fractions

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
