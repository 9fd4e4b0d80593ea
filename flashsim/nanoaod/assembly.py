"""From simulated objects to collections of an event: precision, order, cross references."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.events.collection import Collection
from flashsim.events.neighbours import closest
from flashsim.execution.machine_code import compiled
from flashsim.nanoaod.mantissa import round_mantissa

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import NDArray

    from flashsim.declarations.objects import Target
    from flashsim.declarations.output import Link

    Integers = NDArray[np.int64]
    Points = Callable[[Link, Collection], NDArray[np.bool_]]

__all__ = ["falling_pt", "link_collections", "ordered", "rounded", "towards_zero"]


def rounded(collection: Collection, targets: Iterable[Target], bits: Mapping[str, int | None]) -> Collection:
    """Give floating-point fields the mantissa that NanoAOD stores.

    Rounding must not carry a value out of its range (pi at 12 bits would become 3.1416016), so values are
    kept between the limits rounded towards zero.

    Parameters
    ----------
    collection
        Simulated objects.
    targets
        Their declarations, for the ranges.
    bits
        Mantissa bits by field; none for all 23.
    """
    ranges = {target.branch: target for target in targets if target.range is not None}
    columns = dict(collection.columns)
    for field, kept_bits in bits.items():
        if kept_bits is None:
            continue
        exact = columns[field].astype(np.float32)
        values = round_mantissa(exact, kept_bits)
        if (target := ranges.get(field)) is not None and target.range is not None:
            low, high = (towards_zero(limit, kept_bits) for limit in target.range)
            values = np.where(np.isin(exact, target.special), values, np.clip(values, low, high))
        columns[field] = values
    return Collection(collection.offsets, columns)


def towards_zero(limit: float, bits: int) -> np.float32:
    """Cut a number down to the mantissa bits that NanoAOD keeps."""
    raw = np.float32(limit).view(np.uint32) & ~np.uint32((1 << (23 - bits)) - 1)
    return np.uint32(raw).view(np.float32)


def ordered(collection: Collection) -> Collection:
    """Order the objects of each event by falling pT; equal ones keep their order."""
    return collection.take(falling_pt(collection))


def falling_pt(collection: Collection) -> Integers:
    """Rows that order the objects of each event by falling pT, shape (N,); equal ones keep their order."""
    return np.lexsort((-collection["pt"].astype(np.float64), collection.event_rows))


def link_collections(
    collections: Mapping[str, Collection], links: Iterable[Link], points: Points | None = None
) -> dict[str, Collection]:
    """Add the cross references between collections that are there; others stay as they are.

    Parameters
    ----------
    collections
        Ordered collections by name.
    links
        The declared cross references.
    points
        Which of N objects point at others, given the link and the objects, shape (N,); by default all do.
    """
    linked = dict(collections)
    for link in links:
        if link.source not in linked or link.target not in linked:
            continue
        source, target = linked[link.source], linked[link.target]
        row, _ = closest(source.directions, target.directions, 1, link.cone)
        row = row if points is None else np.where(points(link, source), row, -1)
        index = np.where(row >= 0, row - target.offsets[source.event_rows], -1)
        back, count = _back_index(source.offsets, index, target.offsets, len(link.back))
        linked[link.source] = Collection(source.offsets, {**source.columns, link.index: index})
        extra: dict[str, NDArray[Any]] = {name: back[:, k] for k, name in enumerate(link.back)}
        if link.count is not None:
            extra[link.count] = count
        linked[link.target] = Collection(target.offsets, {**target.columns, **extra})
    return linked


def _back_index(
    offsets: Integers, index: Integers, other_offsets: Integers, most: int
) -> tuple[Integers, Integers]:
    """First `most` indices that point at each other object, or -1, and how many do."""
    back = np.full((other_offsets[-1], most), -1, dtype=np.int64)
    count = np.zeros(other_offsets[-1], dtype=np.int64)
    columns = (np.ascontiguousarray(c, dtype=np.int64) for c in (offsets, index, other_offsets))
    _point_back(*columns, back, count)
    return back, count


@compiled("int64[::1], int64[::1], int64[::1], int64[:, ::1], int64[::1]")
def _point_back(
    offsets: Integers, index: Integers, other_offsets: Integers, back: Integers, count: Integers
) -> None:
    for event in range(len(offsets) - 1):
        for i in range(offsets[event], offsets[event + 1]):
            if index[i] >= 0:
                j = other_offsets[event] + index[i]
                if count[j] < back.shape[1]:
                    back[j, count[j]] = i - offsets[event]
                count[j] += 1
