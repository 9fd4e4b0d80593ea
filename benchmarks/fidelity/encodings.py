"""How networks see the targets: FlashSim's transform, and that of the prototype and its successors.

Both give the smallest value and the spread of each encoded target, so that every batch can be smeared anew.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from flashsim.analysis.statistics.residuals import compared_field, residual, residual_relation
from flashsim.transforms.codec import TargetCodec
from flashsim.transforms.columns import SMALLEST_PROBABILITY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.fidelity.observables import ByHand
    from benchmarks.fidelity.samples import Columns
    from flashsim.declarations.objects import Target

__all__ = ["Encoding", "Quantile", "Smeared"]

Floats = NDArray[np.float64]

_STEEPEST = np.pi / 2.0 - 1e-3
_STRIP = 0.1
"""Width of the strip below its range in which a special value is smeared, over that of the range."""


class Encoding(Protocol):
    """Targets as numbers for a network, and back."""

    @property
    def name(self) -> str:
        """In tables."""

    def bounds(self, targets: Columns, gen: Columns) -> tuple[Floats, Floats]:
        """Smallest encoded value and spread, shape (N, D) each, before `smear`."""

    def smear(self, low: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
        """Draw encoded values, shape (N, D), with fresh noise."""

    def decode(self, encoded: NDArray[np.float32], gen: Columns) -> Columns:
        """Targets of encoded values of shape (N, D)."""


@dataclass(frozen=True)
class Quantile:
    """FlashSim's randomised probability integral transform."""

    codec: TargetCodec
    name: str = "flashsim"

    @classmethod
    def fit(
        cls, targets: Sequence[Target], columns: Columns, gen: Columns, bits: Sequence[int | None] = ()
    ) -> Quantile:
        """Fit to NanoAOD values, shape (N,) each, and their mantissas as for `TargetCodec`."""
        return cls(TargetCodec.fit(targets, columns, gen, bits))

    def bounds(self, targets: Columns, gen: Columns) -> tuple[Floats, Floats]:
        """Probabilities below each value, and of it."""
        low, high = self.codec.bounds(targets, gen)
        return low, high - low

    def smear(self, low: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
        """Draw normal quantiles."""
        uniform = low + torch.rand_like(low) * spread
        least = SMALLEST_PROBABILITY
        normal: torch.Tensor = torch.special.ndtri(uniform.clamp(least, 1.0 - least))
        return normal

    def decode(self, encoded: NDArray[np.float32], gen: Columns) -> Columns:
        """Targets, which are all allowed."""
        return self.codec.decode(encoded, gen)


@dataclass(frozen=True)
class _Column:
    """One target: by-hand transform, smearing of point masses, standard scaling; and all of it back."""

    target: Target
    by_hand: ByHand | None
    allowed: Floats | None
    low: float
    high: float
    mean: float = 0.0
    deviation: float = 1.0

    @property
    def strip(self) -> float:
        return _STRIP * max(self.high - self.low, 1e-6)

    def bounds(self, values: Floats) -> tuple[Floats, Floats]:
        """Smallest and spread of values relative to gen, before scaling."""
        if self.allowed is not None:
            return values - 0.5, np.ones_like(values)
        low, spread = self.forward(values), np.zeros_like(values)
        for number, special in enumerate(self.target.special):
            is_special = values == special
            low[is_special] = self.low - (number + 1.5) * self.strip
            spread[is_special] = self.strip
        if self.by_hand is not None and self.by_hand.zeros_below is not None:
            zeros = low <= self.by_hand.zeros_below
            # As wide as the normal blob of unit variance that the prototype put there.
            low[zeros], spread[zeros] = np.log(self.by_hand.offset) - np.sqrt(3.0), np.sqrt(12.0)
        return low, spread

    def decode(self, encoded: Floats) -> Floats:
        """Values relative to gen of scaled ones."""
        raw = encoded * self.deviation + self.mean
        if self.allowed is not None:
            return self.allowed[np.searchsorted((self.allowed[1:] + self.allowed[:-1]) / 2.0, raw)]
        values = self._inverse(np.clip(raw, self.low, self.high))
        if self.by_hand is not None and self.by_hand.zeros_below is not None:
            values = np.where(raw <= self.by_hand.zeros_below, 0.0, values)
        for number, special in enumerate(self.target.special):
            last = number == len(self.target.special) - 1
            deepest = -np.inf if last else self.low - (number + 1.5) * self.strip
            values = np.where(
                (raw < self.low - (number + 0.5) * self.strip) & (raw >= deepest), special, values
            )
        return values

    def forward(self, values: Floats) -> Floats:
        """Transform by hand, without smearing and scaling."""
        match self.by_hand:
            case None:
                return values.copy()
            case hand if hand.kind == "arctan":
                return np.arctan(hand.scale * (values - hand.centre))
            case hand:
                return np.log(np.maximum(values, 0.0) + hand.offset)

    def _inverse(self, raw: Floats) -> Floats:
        match self.by_hand:
            case None:
                return raw
            case hand if hand.kind == "arctan":
                return np.tan(np.clip(raw, -_STEEPEST, _STEEPEST)) / hand.scale + hand.centre
            case hand:
                return np.exp(raw) - hand.offset


@dataclass(frozen=True)
class Smeared:
    """Standard scaling, and point masses smeared uniformly, as the prototype and its successors do.

    Values relative to gen, the prototype's arctans and logarithms, whole numbers smeared by 0.5, special
    values (such as -1) by a strip of their own; back by rounding to the nearest value that training has and
    clipping to its range. Zeros inside of a range are not smeared: clipping gives them back.
    """

    columns: tuple[_Column, ...]
    name: str = "own"

    @classmethod
    def fit(
        cls, targets: Sequence[Target], columns: Columns, gen: Columns, by_hand: Mapping[str, ByHand]
    ) -> Smeared:
        """Fit to NanoAOD values, shape (N,) each."""
        fitted = []
        for target in targets:
            values = residual(target, columns[target.branch], gen)
            ordinary = values[~np.isin(values, target.special)]
            column = _Column(
                target=target,
                by_hand=by_hand.get(target.branch),
                allowed=np.unique(values) if target.is_discrete else None,
                low=0.0,
                high=1.0,
            )
            inside = column.forward(ordinary) if len(ordinary) else np.zeros(1)
            column = replace(column, low=float(inside.min()), high=float(inside.max()))
            low, spread = column.bounds(values)
            variance = float(np.var(low + spread / 2.0) + np.mean(spread**2) / 12.0)
            fitted.append(
                replace(
                    column, mean=float(np.mean(low + spread / 2.0)), deviation=max(np.sqrt(variance), 1e-6)
                )
            )
        return cls(tuple(fitted))

    def bounds(self, targets: Columns, gen: Columns) -> tuple[Floats, Floats]:
        """Scaled values before smearing, and their spreads."""
        lows, spreads = [], []
        for column in self.columns:
            branch = column.target.branch
            low, spread = column.bounds(residual(column.target, targets[branch], gen))
            lows.append((low - column.mean) / column.deviation)
            spreads.append(spread / column.deviation)
        return np.stack(lows, axis=1), np.stack(spreads, axis=1)

    def smear(self, low: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
        """Draw uniformly over the spreads."""
        return low + torch.rand_like(low) * spread

    def decode(self, encoded: NDArray[np.float32], gen: Columns) -> Columns:
        """Targets, inside the range that training has."""
        decoded = {}
        for number, column in enumerate(self.columns):
            target = column.target
            values = column.decode(encoded[:, number].astype(np.float64))
            if (field := compared_field(target)) is not None:
                values = residual_relation(target).inverse(values, gen[field])
            decoded[target.branch] = values
        return decoded
