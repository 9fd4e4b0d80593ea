"""Quantiles and shares of one group in two samples, and whether they agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.realism.groups import groups
from benchmarks.realism.samples import half_of, joined

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from flashsim.analysis.whole_events.reading import WholeEvents

__all__ = ["QUANTILES", "Comparison", "Comparisons", "compare", "compared"]

QUANTILES = (0.05, 0.16, 0.5, 0.84, 0.95)
LEAST = 30
"""Smallest number of real objects that are compared."""

STATISTICAL = 3.0
"""Tolerance in statistical errors of the real sample."""

WIDTH = 0.25
"""Tolerance as a share of the real distribution's 16 to 84 % width."""

SHARE = 0.05
"""Tolerance of a share of objects."""

_FEW_VALUES = 8
"""A branch of whole numbers with no more values is compared by the share of each."""

_RARE = 0.01
"""Shares of values that fewer real objects have are not compared."""

_USUAL_POINTS = (-99999.0, -1000.0, -99.0, -10.0, -9.0, -2.0, -1.0, 0.0, 1.0)
_USUAL_SHARE, _OTHER_SHARE = 0.03, 0.3
"""Values that mean something special, the share from which on they are point masses, and that of others."""


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


@dataclass(frozen=True)
class Comparisons:
    """All numbers of a simulated sample against real ones.

    Parameters
    ----------
    numbers
        What was compared.
    missing
        Quantities of the real files, as ``(group, quantity)``, that the simulated file does not have.
    """

    numbers: list[Comparison]
    missing: list[tuple[str, str]]

    @property
    def rate(self) -> float:
        """Share of the numbers that pass."""
        return sum(number.passes for number in self.numbers) / max(len(self.numbers), 1)

    def rates(self) -> dict[str, tuple[int, int, int]]:
        """Real objects, numbers, and numbers that pass, of each group."""
        found: dict[str, tuple[int, int, int]] = {}
        for number in self.numbers:
            objects, total, passed = found.get(number.group, (0, 0, 0))
            found[number.group] = (max(objects, number.objects), total + 1, passed + number.passes)
        return found


def compare(real: Sequence[WholeEvents], simulated: WholeEvents, half: str) -> Comparisons:
    """Compare all groups of which real samples have enough objects.

    Parameters
    ----------
    real
        Real samples, all of their events: they say which quantities have point masses.
    simulated
        The sample that is judged, drawn to be like them (`benchmarks.realism.samples.like`).
    half
        Half of the real events that it is compared with, a key of `HALVES`.
    """
    whole = _columns_by_group(real)
    of_half = _columns_by_group([half_of(sample, half) for sample in real])
    others = dict(groups(simulated))
    found = Comparisons([], [])
    for name, columns in of_half.items():
        other = others.get(name, {})
        shared = {quantity: values for quantity, values in columns.items() if quantity in other}
        found.numbers.extend(compared(name, shared, other, whole[name]))
        if name in others:
            found.missing.extend((name, quantity) for quantity in columns if quantity not in other)
        elif columns:
            found.missing.append((name, "all of it"))
    return found


def _columns_by_group(samples: Sequence[WholeEvents]) -> dict[str, dict[str, NDArray[Any]]]:
    parts: dict[str, list[dict[str, NDArray[Any]]]] = {}
    for sample in samples:
        for name, columns in groups(sample):
            parts.setdefault(name, []).append(columns)
    return {name: joined(columns) for name, columns in parts.items()}


def compared(
    group: str,
    real: Mapping[str, NDArray[Any]],
    reference: Mapping[str, NDArray[Any]],
    whole: Mapping[str, NDArray[Any]],
) -> Iterator[Comparison]:
    """Compare the quantities of one group; `whole` has those of all real events."""
    for quantity, values in real.items():
        if len(values) < LEAST:
            continue
        other = reference[quantity]
        points = _shares_compared(whole[quantity])
        for point in points:
            yield _share(group, quantity, point, values, other)
        if _has_few_values(whole[quantity]):
            continue
        rest = [_others(column, points) for column in (values, other)]
        if min(len(column) for column in rest) >= LEAST:
            yield from _quantiles(group, quantity, *rest)


def _has_few_values(values: NDArray[Any]) -> bool:
    return values.dtype.kind != "f" and len(np.unique(values)) <= _FEW_VALUES


def _shares_compared(values: NDArray[Any]) -> list[float]:
    """Values whose share of objects is compared: those of a discrete quantity, and point masses."""
    # What rounding leaves of zero, as in muonSubtrFactor, is zero.
    found, counts = np.unique(np.where(np.abs(values) < 1e-6, 0, values), return_counts=True)
    shares = counts / len(values)
    if _has_few_values(values):
        often = found[shares >= _RARE]
        # Of two shares that add up to 1, one is enough.
        return [float(value) for value in (often[-1:] if len(often) <= 2 else often)]
    least = np.where(np.isin(found, _USUAL_POINTS), _USUAL_SHARE, _OTHER_SHARE)
    return [float(value) for value in found[shares >= least]]


def _others(values: NDArray[Any], points: Sequence[float]) -> NDArray[Any]:
    is_point = np.any([_equal(values, point) for point in points], axis=0) if points else False
    rest: NDArray[Any] = values[np.isfinite(values) & ~np.broadcast_to(is_point, len(values))]
    return rest


def _equal(values: NDArray[Any], point: float) -> NDArray[np.bool_]:
    """Whether values are a point mass, but for the bits that files leave out."""
    equal: NDArray[np.bool_] = np.isclose(values, point, rtol=1e-3, atol=1e-6)
    return equal


def _share(
    group: str, quantity: str, value: float, real: NDArray[Any], reference: NDArray[Any]
) -> Comparison:
    share = float(np.mean(_equal(real, value)))
    # At least one object's worth: no object of 60 does not mean a share of exactly zero.
    error = max(np.sqrt(share * (1.0 - share) / len(real)), 1.0 / len(real))
    tolerance = max(STATISTICAL * error, SHARE)
    other = float(np.mean(_equal(reference, value))) if len(reference) else 0.0
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
