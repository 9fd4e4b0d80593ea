"""Targets that are encoded together, as one or more columns of numbers that are free: the parts of a codec.

A block has no fitted state: it says which numbers stand for stored values, each with all that NanoAOD rounds
to it, and computes values from numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from flashsim.events.expressions import evaluate
from flashsim.nanoaod.mantissa import rounding_cell
from flashsim.transforms.columns import is_frequent
from flashsim.transforms.response import response_of
from flashsim.transforms.values import allowed

if TYPE_CHECKING:
    from flashsim.declarations.objects import Target

__all__ = [
    "Bits",
    "Block",
    "Cells",
    "Column",
    "Environment",
    "PlainBlock",
    "RelationBlock",
    "linked_name",
    "related",
    "restored",
]

Floats = NDArray[np.float64]

Environment = Mapping[str, NDArray[Any]]
"""Columns of shape (N,): branches, ``gen.FIELD`` and ``conditioning.NAME``."""

Bits = Mapping[str, int | None]
"""Bits of the mantissa that branches are stored with; none where they are not rounded."""

_LEAST_SCALE, _LARGEST_SCALE = 1e-9, 1e9
_GOLDEN = 0.6180339887498949


@dataclass(frozen=True)
class Column:
    """What is declared of a column that is drawn.

    Parameters
    ----------
    name
        For messages.
    discrete
        Whether every distinct value is a point mass.
    atoms
        Values that are point masses however rare they are.
    dequantise
        Whether training spreads a value over all that is rounded to it.
    """

    name: str
    discrete: bool = False
    atoms: Sequence[float] = ()
    dequantise: bool = False


@dataclass(frozen=True)
class Cells:
    """What stands for the stored values in a column, shape (N,) each.

    Parameters
    ----------
    value
        The number for the stored value itself.
    low, high
        Ends of the interval for all that is rounded to it.
    free
        Rows in which the number means nothing, and any would do; none of them by default.
    """

    value: Floats
    low: Floats
    high: Floats
    free: NDArray[np.bool_] | None = None

    def spread(self, column: Column) -> Floats:
        """Spread values over their intervals, by a sequence of low discrepancy, the same every time.

        Point masses stay, but for those that the rounding of a dequantised column makes. Rows in which the
        number means nothing are left out.
        """
        values = self.low + (self.high - self.low) * (np.arange(len(self.low)) * _GOLDEN % 1.0)
        if not column.dequantise and not np.array_equal(self.low, self.high):
            values = np.where(is_frequent(self.value), self.value, values)
        return values if self.free is None else values[~self.free]


class Block:
    """Targets that are encoded together; see the classes of its kind."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """Columns that are drawn."""
        raise NotImplementedError

    def cells(self, values: Environment, bits: Bits) -> list[Cells]:
        """Give what stands for stored values, by column."""
        raise NotImplementedError

    def decode(self, drawn: Sequence[Floats], made: Environment) -> dict[str, Floats]:
        """Compute branches from the columns, shape (N,) each, and from what was made before."""
        raise NotImplementedError


class RelationBlock(Block):
    """Targets that an exact relation ties."""

    def check(self, values: Environment, bits: Bits) -> tuple[NDArray[np.bool_], Floats]:
        """Tell where stored values are related so, within their rounding, and by how much they are not."""
        raise NotImplementedError


@dataclass(frozen=True)
class PlainBlock(Block):
    """One target by itself, or relative to its gen object or to an expression."""

    target: Target

    @property
    def columns(self) -> tuple[Column, ...]:
        """The target."""
        t = self.target
        return (Column(t.branch, t.is_discrete, t.special, t.dequantise),)

    def cells(self, values: Environment, bits: Bits) -> list[Cells]:
        """Give what stands for the stored value."""
        target = self.target
        stored = np.asarray(values[target.branch], dtype=np.float64)
        value = related(target, stored, values)
        kept, free = bits.get(target.branch), values.get(linked_name(target.branch))
        if kept is None or target.is_discrete:
            return [Cells(value, value, value, free)]
        low, high = (related(target, end, values) for end in rounding_cell(stored, kept))
        # An angle can be carried around, and a threshold has nothing below.
        whole = np.isfinite(low) & np.isfinite(high) & (low <= value) & (value <= high)
        whole &= ~np.isin(stored, target.special)
        return [Cells(value, np.where(whole, low, value), np.where(whole, high, value), free)]

    def decode(self, drawn: Sequence[Floats], made: Environment) -> dict[str, Floats]:
        """Compute the target."""
        return {self.target.branch: allowed(self.target, restored(self.target, drawn[0], made))}


def linked_name(branch: str) -> str:
    """Name of the column that tells where a target follows from a linked object."""
    return f"linked.{branch}"


def related(target: Target, values: Floats, environment: Environment) -> Floats:
    """Give values relative to what the target is related to, shape (N,)."""
    relative = response_of(target).forward(values, _reference(target, environment, len(values)))
    return relative if target.scale is None else relative / _scale(target.scale, environment, len(values))


def restored(target: Target, relative: Floats, environment: Environment) -> Floats:
    """Undo `related`."""
    rows = len(relative)
    if target.scale is not None:
        relative = relative * _scale(target.scale, environment, rows)
    return response_of(target).inverse(relative, _reference(target, environment, rows))


def _scale(text: str, environment: Environment, rows: int) -> Floats:
    """Give the unit of a relation, shape (rows,): finite and positive."""
    return np.maximum(np.nan_to_num(evaluate(text, environment, rows), posinf=_LARGEST_SCALE), _LEAST_SCALE)


def _reference(target: Target, environment: Environment, rows: int) -> Floats:
    if target.to is not None:
        return np.nan_to_num(evaluate(target.to, environment, rows), posinf=0.0, neginf=0.0)
    if target.reference is None:
        return np.zeros(rows)
    return np.asarray(environment[f"gen.{target.reference}"], dtype=np.float64)
