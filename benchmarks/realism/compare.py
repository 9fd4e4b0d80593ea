"""Quantiles and shares of one group in two samples, and whether they agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.realism.tables import CONTINUOUS, DISCRETE, POINT_MASSES, groups

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from benchmarks.realism.samples import Sample

__all__ = ["QUANTILES", "Comparison", "compare", "compared"]

QUANTILES = (0.05, 0.16, 0.5, 0.84, 0.95)
LEAST = 50
"""Smallest number of real objects that are compared."""

STATISTICAL = 3.0
"""Tolerance in statistical errors of the real sample."""

WIDTH = 0.25
"""Tolerance as a share of the real distribution's 16 to 84 % width."""

SHARE = 0.05
"""Tolerance of a share of objects."""


@dataclass(frozen=True)
class Comparison:
    """One number in both samples.

    Parameters
    ----------
    group, quantity
        What of what.
    statistic
        Such as ``"50 %"`` for the median, or ``"= 0"`` for the share of objects with that value.
    real, reference
        The number in each.
    tolerance
        Largest difference that passes.
    objects
        Real objects behind it.
    """

    group: str
    quantity: str
    statistic: str
    real: float
    reference: float
    tolerance: float
    objects: int

    @property
    def passes(self) -> bool:
        """Whether they differ by no more than the tolerance."""
        return bool(abs(self.real - self.reference) <= self.tolerance)


def compare(real: Sample, reference: Sample) -> list[Comparison]:
    """Compare all groups that have enough objects in both samples."""
    others = {name: columns for _, name, columns in groups(reference)}
    result: list[Comparison] = []
    for kind, name, columns in groups(real):
        result += compared(kind, name, columns, others[name])
    return result


def compared(
    kind: str, group: str, real: Mapping[str, NDArray[Any]], reference: Mapping[str, NDArray[Any]]
) -> Iterator[Comparison]:
    """Compare the quantities of one group, a key of `CONTINUOUS`, that both samples have."""
    for quantity in CONTINUOUS[kind]:
        values = [_without_nan(columns[quantity]) for columns in (real, reference)]
        if quantity in POINT_MASSES:
            mass = POINT_MASSES[quantity]
            if len(values[0]) >= LEAST:
                yield _share(group, quantity, mass, *values)
            values = [column[column != mass] for column in values]
        if min(len(column) for column in values) >= LEAST:
            yield from _quantiles(group, quantity, *values)
    for quantity, allowed in DISCRETE[kind].items():
        if len(real[quantity]) >= LEAST:
            for value in allowed:
                yield _share(group, quantity, value, real[quantity], reference[quantity])


def _without_nan(values: NDArray[Any]) -> NDArray[Any]:
    finite: NDArray[Any] = values[np.isfinite(values)]
    return finite


def _share(
    group: str, quantity: str, value: float, real: NDArray[Any], reference: NDArray[Any]
) -> Comparison:
    share = float(np.mean(real == value))
    # At least one object's worth: no object of 60 does not mean a share of exactly zero.
    error = max(np.sqrt(share * (1.0 - share) / len(real)), 1.0 / len(real))
    tolerance = max(STATISTICAL * error, SHARE)
    other = float(np.mean(reference == value)) if len(reference) else 0.0
    return Comparison(group, quantity, f"= {value:g}", share, other, tolerance, len(real))


def _quantiles(
    group: str, quantity: str, real: NDArray[Any], reference: NDArray[Any]
) -> Iterator[Comparison]:
    low, high = np.quantile(real, (0.16, 0.84))
    for level in QUANTILES:
        # Order statistics one standard deviation of the binomial count away on either side.
        step = np.sqrt(level * (1.0 - level) / len(real))
        around = np.quantile(real, np.clip((level - step, level, level + step), 0.0, 1.0))
        error = 0.5 * (around[2] - around[0])
        tolerance = float(max(STATISTICAL * error, WIDTH * (high - low)))
        other = float(np.quantile(reference, level))
        yield Comparison(
            group, quantity, f"{level:.0%}".replace("%", " %"), float(around[1]), other, tolerance, len(real)
        )
