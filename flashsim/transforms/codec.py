"""Between tables of NanoAOD values and matrices of numbers that networks work on.

Training encodes and generation decodes; both hold the same fitted codecs, which travel in the model file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from flashsim.errors import TableError
from flashsim.nanoaod.schema import load_schema, mantissa_bits
from flashsim.transforms.columns import QuantileNormal, Standard, StandardForm
from flashsim.transforms.layout import blocks_of
from flashsim.transforms.values import allows

if TYPE_CHECKING:
    from flashsim.declarations.conditioning import Conditioning
    from flashsim.declarations.objects import Target
    from flashsim.declarations.relations import ExactRelation
    from flashsim.transforms.blocks import Block, Cells, Column

__all__ = ["ConditioningCodec", "TargetCodec", "allows", "stored_bits"]

Columns = Mapping[str, NDArray[np.floating]]


@dataclass(frozen=True)
class ConditioningCodec:
    """Conditioning columns to a standardised matrix.

    Parameters
    ----------
    transforms
        A fitted transform a column, in the order of the matrix.
    """

    transforms: dict[str, Standard]

    @classmethod
    def fit(cls, conditioning: Sequence[Conditioning], columns: Columns) -> ConditioningCodec:
        """Fit to columns of shape (N,) by name, as the declared list gives them.

        Raises
        ------
        TableError
            If a column has no value that is finite on its scale.
        """
        transforms = {}
        for name, scale in ((n, s) for entry in conditioning for n, s in entry.columns().items()):
            try:
                transforms[name] = Standard.fit(columns[name], scale)
            except ValueError as error:
                msg = f"the tables cannot tell how to scale the conditioning variable '{name}': {error}"
                raise TableError(msg) from error
        return cls(transforms)

    def encode(self, columns: Columns) -> NDArray[np.float32]:
        """Matrix of shape (N, C), finite unless a value is NaN."""
        encoded = [t.forward(columns[name]).astype(np.float32) for name, t in self.transforms.items()]
        # Turned when they stand together: writing one column after the other would miss the cache every time.
        return np.ascontiguousarray(np.stack(encoded).T)

    def to_json(self) -> dict[str, StandardForm]:
        """JSON form."""
        return {name: transform.to_json() for name, transform in self.transforms.items()}

    @classmethod
    def from_json(cls, content: Mapping[str, StandardForm]) -> ConditioningCodec:
        """Codec of a JSON form."""
        return cls({name: Standard.from_json(form) for name, form in content.items()})


@dataclass(frozen=True)
class TargetCodec:
    """Targets to standard normal columns and back.

    Decoding returns only values that the branches can have: point masses, integers and allowed values
    exactly, everything else inside its range, nothing non-finite; and only such as are related as declared.

    Parameters
    ----------
    targets
        The declarations.
    transforms
        A fitted transform a column, of which there are `width`.
    relations
        Exact relations between targets.
    bits
        Bits of the mantissa that each target is stored with, or none. A distribution is fitted to all values
        that are rounded to the stored ones: generation rounds its values again, and would shift a share of
        those between two knots by half a step otherwise. Where a column is dequantised, a stored value stands
        for all of these in training, too, and `bounds` gives their probabilities: what a flow learns has no
        trace of the rounding. Right for what is compared with an unrounded gen value; sums of stored values
        would be blurred. Needed for fitting only; model files do not keep it.
    """

    targets: tuple[Target, ...]
    transforms: tuple[QuantileNormal, ...]
    relations: tuple[ExactRelation, ...] = ()
    bits: tuple[int | None, ...] = ()

    def __post_init__(self) -> None:
        if len(self.transforms) != self.width:
            msg = f"expected {self.width} transforms of targets, found {len(self.transforms)}"
            raise ValueError(msg)

    @property
    def width(self) -> int:
        """Number of columns that are drawn."""
        return len(self.columns)

    @property
    def columns(self) -> list[Column]:
        """What is drawn, in the order of the matrix."""
        return [column for block in self._blocks for column in block.columns]

    @cached_property
    def _blocks(self) -> list[Block]:
        return blocks_of(self.targets, self.relations)

    @property
    def branches(self) -> list[str]:
        """Branches that decoding gives."""
        return [target.branch for target in self.targets]

    @classmethod
    def fit(
        cls,
        targets: Sequence[Target],
        columns: Columns,
        reference: Columns,
        bits: Sequence[int | None] = (),
        relations: Sequence[ExactRelation] = (),
    ) -> TargetCodec:
        """Fit to NanoAOD values.

        Parameters
        ----------
        targets, bits, relations
            As of the class.
        columns
            Values by branch, shape (N,).
        reference
            Fields of the gen object by name, and conditioning columns before scaling as
            ``conditioning.NAME``, those that targets and relations need; shape (N,). As ``linked.BRANCH``
            rows in which a target follows from a linked object, so that what is drawn means nothing.

        Raises
        ------
        TableError
            If there are no rows, or a value is not finite.
        """
        known = tuple(bits) or (None,) * len(targets)
        by_branch = {target.branch: kept for target, kept in zip(targets, known, strict=True)}
        values = _environment(columns, reference)
        transforms = []
        for block in blocks_of(targets, relations):
            for column, cells in zip(block.columns, block.cells(values, by_branch), strict=True):
                transforms.append(_fitted(column, cells))
        return cls(tuple(targets), tuple(transforms), tuple(relations), known)

    def bounds(self, columns: Columns, reference: Columns) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Probabilities below and up to each value, shape (N, width) each; see `QuantileNormal.bounds`.

        Numbers that mean nothing in a row are anywhere: from 0 to 1.
        """
        known = self.bits or (None,) * len(self.targets)
        by_branch = {target.branch: kept for target, kept in zip(self.targets, known, strict=True)}
        values = _environment(columns, reference)
        cells = [cells for block in self._blocks for cells in block.cells(values, by_branch)]
        lows, highs = [], []
        for column, transform, found in zip(self.columns, self.transforms, cells, strict=True):
            ends = (found.low, found.high) if column.dequantise else (found.value, found.value)
            low, high = transform.bounds(ends[0])[0], transform.bounds(ends[1])[1]
            if found.free is not None:
                low, high = np.where(found.free, 0.0, low), np.where(found.free, 1.0, high)
            lows.append(low)
            highs.append(high)
        return np.stack(lows, axis=1), np.stack(highs, axis=1)

    def calibrated(self, normal: NDArray[np.floating]) -> TargetCodec:
        """Give the codec that decodes `normal`, shape (N, width), to what this one was fitted to, by column.

        See `QuantileNormal.calibrated`.
        """
        transforms = (t.calibrated(normal[:, column]) for column, t in enumerate(self.transforms))
        return replace(self, transforms=tuple(transforms))

    def decode(self, normal: NDArray[np.floating], reference: Columns) -> dict[str, NDArray[np.float64]]:
        """NanoAOD values by branch, shape (N,) each, for finite `normal` of shape (N, width)."""
        made = _environment({}, reference)
        start = 0
        for block in self._blocks:
            stop = start + len(block.columns)
            drawn = [self.transforms[k].inverse(normal[:, k]) for k in range(start, stop)]
            made |= block.decode(drawn, made)
            start = stop
        return {target.branch: made[target.branch] for target in self.targets}


def stored_bits(targets: Sequence[Target], collection: str, version: str) -> list[int | None]:
    """Bits of the mantissa that each target of a collection is stored with; none where nothing is rounded.

    Targets of whole events have the names of branches.

    Raises
    ------
    FlashSimError
        If there is no such NanoAOD version.
    """
    schema = load_schema(version)
    found: list[int | None] = []
    for target in targets:
        names = (f"{collection}_{target.branch}", target.branch)
        name = next((name for name in names if name in schema), None)
        found.append(None if name is None else mantissa_bits(version, name))
    return found


def _environment(columns: Columns, reference: Columns) -> dict[str, NDArray[Any]]:
    """Columns by the names that expressions have for them."""
    known = ("conditioning.", "linked.")
    named = {name if name.startswith(known) else f"gen.{name}": x for name, x in reference.items()}
    return {**columns, **named}


def _fitted(column: Column, cells: Cells) -> QuantileNormal:
    values = cells.spread(column)
    if len(values) == 0 and len(cells.value) > 0:
        values = np.zeros(1)  # in no row of the training does it mean anything
    try:
        return QuantileNormal.fit(values, discrete=column.discrete, atoms=column.atoms)
    except ValueError as error:
        msg = f"the tables cannot tell how the target '{column.name}' is distributed: {error}"
        raise TableError(msg) from error
