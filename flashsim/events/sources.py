"""What unmatched objects come from: which object of which source, and what their networks are given.

Training and generation both build it here, so what a network is given cannot differ between them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from flashsim.declarations.conditioning import RECO
from flashsim.declarations.unmatched import EVENT, PLACED
from flashsim.events.collection import Collection
from flashsim.events.conditioning import Columns, conditioning_columns
from flashsim.events.neighbours import closest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from flashsim.declarations.unmatched import Placed, Unmatched
    from flashsim.events.gen_chunk import GenChunk

__all__ = [
    "Assigned",
    "SourceObjects",
    "assign_sources",
    "placed_objects",
    "rows_of_source",
    "source_objects",
    "with_drawn",
]


@dataclass(frozen=True)
class SourceObjects:
    """The N objects of a source in a chunk of events.

    Parameters
    ----------
    objects
        Their columns; for events one row each, with pt and phi of what balances those before.
    conditioning
        What the networks are given, by name, shape (N,) each.
    """

    objects: Collection
    conditioning: Columns


@dataclass(frozen=True)
class Assigned:
    """Unmatched objects of one source.

    Parameters
    ----------
    source
        The source.
    objects
        Its objects, N of them.
    rows
        Rows of its M unmatched objects among all of the chunk, shape (M,).
    source_rows
        Row of the source's object that each belongs to, shape (M,).
    """

    source: Unmatched
    objects: SourceObjects
    rows: NDArray[np.int64]
    source_rows: NDArray[np.int64]

    @property
    def counts(self) -> NDArray[np.int64]:
        """Number of unmatched objects of each of the source's objects, shape (N,)."""
        return np.bincount(self.source_rows, minlength=len(self.objects.objects))


def with_drawn(chunk: GenChunk, collection: str, drawn: Collection) -> GenChunk:
    """Give a chunk what is drawn so far of the own collection."""
    return replace(chunk, collections={**chunk.collections, f"{RECO}{collection}": drawn})


def source_objects(source: Unmatched, chunk: GenChunk, of_events: Sequence[Collection] = ()) -> SourceObjects:
    """Objects of a source in a chunk.

    Parameters
    ----------
    source
        The source.
    chunk
        The events, with what is drawn before it among the collections.
    of_events
        What is drawn before it of sources that are events, with pt and phi.
    """
    if source.objects is None:
        chunk = replace(chunk, collections={**chunk.collections, EVENT: _events(chunk.events, of_events)})
    name = source.objects or EVENT
    return SourceObjects(chunk.collections[name], conditioning_columns(source.conditioning, chunk, name))


def _events(events: int, drawn: Sequence[Collection]) -> Collection:
    """One object per event: the momentum that balances what is drawn of it."""
    x, y = np.zeros(events), np.zeros(events)
    for part in drawn:
        pt, phi = (part[field].astype(np.float64) for field in ("pt", "phi"))
        x, y = x - part.total(pt * np.cos(phi)), y - part.total(pt * np.sin(phi))
    balance = {"pt": np.hypot(x, y), "phi": np.arctan2(y, x)}
    return Collection.of_counts(np.ones(events, dtype=np.int64), balance)


def placed_objects(placed: Placed, chunk: GenChunk, places: Collection) -> SourceObjects:
    """Places of unmatched objects, with what the network that draws all else of them is given.

    Parameters
    ----------
    placed
        What is declared of it.
    chunk
        The events, with the objects that have a gen object among the collections, see `with_drawn`.
    places
        Of all unmatched objects, with the fields `Placed.fields`.
    """
    there = replace(chunk, collections={**chunk.collections, PLACED: places})
    return SourceObjects(places, conditioning_columns(placed.conditioning, there, PLACED))


def rows_of_source(source: Unmatched, objects: Collection, unmatched: Collection) -> NDArray[np.int64]:
    """Row of the source's object that each unmatched object belongs to, or -1 for none, shape (M,).

    Parameters
    ----------
    source
        The source.
    objects
        Its objects.
    unmatched
        Objects of the same events, with eta and phi, M of them.
    """
    if source.cone is None:
        return unmatched.event_rows
    found, _ = closest(unmatched.directions, objects.directions, 1, source.cone)
    return found


def assign_sources(
    sources: Sequence[Unmatched],
    chunk: GenChunk,
    collection: str,
    matched: Collection,
    unmatched: Collection,
) -> Iterator[Assigned]:
    """Say which object of which source each unmatched object of a chunk belongs to.

    Parameters
    ----------
    sources
        In the order in which they are gone through.
    chunk
        The events.
    collection
        Name of the reconstructed collection.
    matched, unmatched
        Its objects with and without a gen object, of the same columns.

    Yields
    ------
    One for each source; what belongs to none is in none.
    """
    left = np.ones(len(unmatched), dtype=bool)
    drawn, of_events = matched, list[Collection]()
    for source in sources:
        objects = source_objects(source, with_drawn(chunk, collection, drawn), of_events)
        found = rows_of_source(source, objects.objects, unmatched.select(left))
        rows, source_rows = np.flatnonzero(left)[found >= 0], found[found >= 0]
        if source.passes_on:
            kept = _hardest(unmatched["pt"][rows], source_rows, source.max_count)
            rows, source_rows = rows[kept], source_rows[kept]
        left[rows] = False
        here = np.zeros(len(unmatched), dtype=bool)
        here[rows] = True
        part = unmatched.select(here)
        drawn = Collection.merged([drawn, part])
        of_events += [part] if source.is_event else []
        yield Assigned(source, objects, rows, source_rows)


def _hardest(pt: NDArray[np.floating], owners: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Places of the hardest objects of each owner, at most so many of one, rising."""
    order = np.lexsort((-pt, owners))
    rank = np.arange(len(order)) - np.searchsorted(owners[order], owners[order], side="left")
    return np.sort(order[rank < most])
