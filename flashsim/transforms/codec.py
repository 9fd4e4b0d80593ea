"""Between tables of NanoAOD values and matrices of numbers that networks work on.

Training encodes and generation decodes; both hold the same fitted codecs, which travel in the model file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from flashsim.errors import TableError
from flashsim.nanoaod.mantissa import rounding_cell
from flashsim.nanoaod.schema import load_schema, mantissa_bits
from flashsim.transforms.columns import QuantileNormal, Standard, StandardForm, is_frequent
from flashsim.transforms.response import response_of

if TYPE_CHECKING:
    from flashsim.declarations.conditioning import Conditioning
    from flashsim.declarations.objects import Target

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
        encoded = [transform.forward(columns[name]) for name, transform in self.transforms.items()]
        return np.stack(encoded, axis=1).astype(np.float32)

    def to_json(self) -> dict[str, StandardForm]:
        """JSON form."""
        return {name: transform.to_json() for name, transform in self.transforms.items()}

    @classmethod
    def from_json(cls, content: Mapping[str, StandardForm]) -> ConditioningCodec:
        """Codec of a JSON form."""
        return cls({name: Standard.from_json(form) for name, form in content.items()})


_GOLDEN = 0.6180339887498949


def allows(target: Target, values: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell which NanoAOD values, shape (N,), the declaration of a target allows; NaN is never allowed."""
    if target.values is not None:
        return np.isin(values, target.values)
    low, high = target.range or (-np.inf, np.inf)
    if target.threshold is not None:
        low = max(low, target.threshold)
    inside: NDArray[np.bool_] = np.isfinite(values) & (values >= low) & (values <= high)
    return inside | np.isin(values, target.special)


@dataclass(frozen=True)
class TargetCodec:
    """Targets to standard normal columns and back.

    Decoding returns only values that the branches can have: point masses, integers and allowed values
    exactly, everything else inside its range, nothing non-finite.

    Parameters
    ----------
    targets
        The declarations, in the order of the matrix.
    transforms
        A fitted transform a target.
    bits
        Bits of the mantissa that each target is stored with, or none. A distribution is fitted to all values
        that are rounded to the stored ones: generation rounds its values again, and would shift a share of
        those between two knots by half a step otherwise. Where a target is dequantised, a stored value stands
        for all of these in training, too, and `bounds` gives their probabilities: what a flow learns has no
        trace of the rounding. Right for what is compared with an unrounded gen value; sums of stored values,
        such as energy fractions, would be blurred. Needed for fitting only; model files do not keep it.
    """

    targets: tuple[Target, ...]
    transforms: tuple[QuantileNormal, ...]
    bits: tuple[int | None, ...] = ()

    def __post_init__(self) -> None:
        if len(self.targets) != len(self.transforms):
            msg = f"expected {len(self.targets)} transforms of targets, found {len(self.transforms)}"
            raise ValueError(msg)

    @classmethod
    def fit(
        cls,
        targets: Sequence[Target],
        columns: Columns,
        gen: Columns,
        bits: Sequence[int | None] = (),
    ) -> TargetCodec:
        """Fit to NanoAOD values by branch and gen values by field, all of shape (N,).

        Raises
        ------
        TableError
            If there are no rows, or a value is not finite.
        """
        transforms = []
        known = tuple(bits) or (None,) * len(targets)
        for target, kept in zip(targets, known, strict=True):
            try:
                related = _spread(target, columns, gen, kept)
                fitted = QuantileNormal.fit(related, discrete=target.is_discrete, atoms=target.special)
                transforms.append(fitted)
            except ValueError as error:
                msg = f"the tables cannot tell how the target '{target.branch}' is distributed: {error}"
                raise TableError(msg) from error
        return cls(tuple(targets), tuple(transforms), known)

    def bounds(self, columns: Columns, gen: Columns) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Probabilities below and up to each value, shape (N, D) each; see `QuantileNormal.bounds`."""
        known = self.bits or (None,) * len(self.targets)
        lows, highs = [], []
        for target, transform, kept in zip(self.targets, self.transforms, known, strict=True):
            low, high = _cells(target, columns, gen, kept if target.dequantise else None)
            lows.append(transform.bounds(low)[0])
            highs.append(transform.bounds(high)[1])
        return np.stack(lows, axis=1), np.stack(highs, axis=1)

    def calibrated(self, normal: NDArray[np.floating]) -> TargetCodec:
        """Give the codec that decodes `normal`, shape (N, D), to what this one was fitted to, by column.

        See `QuantileNormal.calibrated`.
        """
        transforms = (t.calibrated(normal[:, column]) for column, t in enumerate(self.transforms))
        return replace(self, transforms=tuple(transforms))

    def decode(self, normal: NDArray[np.floating], gen: Columns) -> dict[str, NDArray[np.float64]]:
        """NanoAOD values by branch, shape (N,) each, for finite `normal` of shape (N, D)."""
        decoded = {}
        for column, (target, transform) in enumerate(zip(self.targets, self.transforms, strict=True)):
            relative = transform.inverse(normal[:, column])
            reference = _reference(target, gen, len(normal))
            decoded[target.branch] = _allowed(target, response_of(target).inverse(relative, reference))
        return decoded


def stored_bits(targets: Sequence[Target], collection: str, version: str) -> list[int | None]:
    """Bits of the mantissa that each target of a collection is stored with; none where nothing is rounded.

    Raises
    ------
    FlashSimError
        If there is no such NanoAOD version.
    """
    schema = load_schema(version)
    names = [f"{collection}_{target.branch}" for target in targets]
    return [mantissa_bits(version, name) if name in schema else None for name in names]


def _cells(
    target: Target, columns: Columns, gen: Columns, bits: int | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the ends of the interval that is rounded to each value, as the transform sees them."""
    related = _related(target, columns, gen)
    if bits is None or target.is_discrete:
        return related, related
    values = np.asarray(columns[target.branch], dtype=np.float64)
    low, high = (_related(target, {target.branch: end}, gen) for end in rounding_cell(values, bits))
    # An angle can be carried around, and a threshold has nothing below.
    whole = np.isfinite(low) & np.isfinite(high) & (low <= related) & (related <= high)
    whole &= ~np.isin(values, target.special)
    return np.where(whole, low, related), np.where(whole, high, related)


def _spread(target: Target, columns: Columns, gen: Columns, bits: int | None) -> NDArray[np.float64]:
    """Spread values evenly over all that is rounded to them, as the transform sees them, shape (N,).

    By a sequence of low discrepancy, the same every time. Point masses stay, but for those that the rounding
    of a dequantised target makes.
    """
    low, high = _cells(target, columns, gen, bits)
    spread = low + (high - low) * (np.arange(len(low)) * _GOLDEN % 1.0)
    if target.dequantise or np.array_equal(low, high):
        return spread
    related = _related(target, columns, gen)
    return np.where(is_frequent(related), related, spread)


def _related(target: Target, columns: Columns, gen: Columns) -> NDArray[np.float64]:
    values = np.asarray(columns[target.branch], dtype=np.float64)
    return response_of(target).forward(values, _reference(target, gen, len(values)))


def _reference(target: Target, gen: Columns, rows: int) -> NDArray[np.float64]:
    if target.reference is None:
        return np.zeros(rows)
    return np.asarray(gen[target.reference], dtype=np.float64)


def _allowed(target: Target, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bring values that gen information moved out of the branch's range to the nearest allowed value."""
    if target.values is not None:
        allowed = np.sort(np.asarray(target.values, dtype=np.float64))
        return allowed[np.searchsorted((allowed[1:] + allowed[:-1]) / 2.0, values)]
    if target.range is None:
        return values
    clipped = np.clip(values, *target.range)
    return np.where(np.isin(values, target.special), values, clipped) if target.special else clipped
