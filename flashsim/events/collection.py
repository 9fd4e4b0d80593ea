"""Objects of many events as flat columns: what kernels and tables work on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import awkward as ak
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["Collection", "Directions", "flat_column", "jagged_column"]

Directions: TypeAlias = "tuple[NDArray[np.int64], NDArray[Any], NDArray[Any]]"
"""Offsets as of a `Collection`, eta and phi."""


@dataclass(frozen=True)
class Collection:
    """Flat columns of a collection of objects in E events.

    Parameters
    ----------
    offsets
        Shape (E + 1,): the objects of event e are rows ``offsets[e]`` to ``offsets[e + 1]``.
    columns
        Values by field name, each of shape (N,).
    """

    offsets: NDArray[np.int64]
    columns: dict[str, NDArray[Any]]

    def __getitem__(self, field: str) -> NDArray[Any]:
        """Column of a field, shape (N,)."""
        return self.columns[field]

    def __len__(self) -> int:
        """Count the objects of all events."""
        return int(self.offsets[-1])

    @classmethod
    def of_counts(cls, counts: NDArray[np.integer], columns: dict[str, NDArray[Any]]) -> Collection:
        """Make a collection with the given number of objects an event, shape (E,)."""
        offsets = np.zeros(len(counts) + 1, dtype=np.int64)
        np.cumsum(counts, out=offsets[1:])
        return cls(offsets, columns)

    @classmethod
    def of_event_rows(
        cls, event_rows: NDArray[np.int64], columns: dict[str, NDArray[Any]], events: int
    ) -> Collection:
        """Make a collection of objects in any order, each with the row of its event, shape (N,)."""
        order = np.argsort(event_rows, kind="stable")
        counts = np.bincount(event_rows, minlength=events)
        return cls.of_counts(counts, {name: column[order] for name, column in columns.items()})

    @classmethod
    def merged(cls, parts: Sequence[Collection]) -> Collection:
        """Join collections of the same events and columns, event by event."""
        rows = np.concatenate([part.event_rows for part in parts])
        columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0].columns}
        return cls.of_event_rows(rows, columns, parts[0].events)

    @classmethod
    def of_branches(cls, arrays: Mapping[str, ak.Array], name: str, fields: Iterable[str]) -> Collection:
        """Make a collection of branches ``NAME_FIELD``, at least one."""
        flat = {field: flat_column(arrays[f"{name}_{field}"]) for field in fields}
        offsets = next(iter(flat.values()))[0]
        return cls(offsets, {field: values for field, (_, values) in flat.items()})

    @property
    def directions(self) -> Directions:
        """Offsets, eta and phi: what kernels that measure distances begin with."""
        return self.offsets, self["eta"], self["phi"]

    @property
    def events(self) -> int:
        """Number of events."""
        return len(self.offsets) - 1

    @property
    def counts(self) -> NDArray[np.int64]:
        """Objects an event, shape (E,)."""
        return np.diff(self.offsets)

    @property
    def event_rows(self) -> NDArray[np.int64]:
        """Row of the event that each object belongs to, shape (N,)."""
        return np.repeat(np.arange(self.events), self.counts)

    @property
    def local_index(self) -> NDArray[np.int64]:
        """Position of each object in its event, shape (N,)."""
        return np.arange(len(self)) - np.repeat(self.offsets[:-1], self.counts)

    @property
    def momenta(self) -> NDArray[np.float64]:
        """Components px, py, pz, shape (3, N), of objects with pt, eta and phi."""
        pt, eta, phi = (self[field].astype(np.float64) for field in ("pt", "eta", "phi"))
        # What is beyond the range of floats becomes no number in what follows, which is an error of its own.
        with np.errstate(over="ignore", invalid="ignore"):
            return np.stack((pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)))

    def with_columns(self, columns: Mapping[str, NDArray[Any]]) -> Collection:
        """Give the same objects with more columns, or with others of the same names."""
        return Collection(self.offsets, {**self.columns, **columns})

    def total(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Sum of a quantity of the objects, shape (N,), in each event, shape (E,)."""
        totals, has = np.zeros(self.events), self.counts > 0
        if has.any():
            totals[has] = np.add.reduceat(values, self.offsets[:-1][has], dtype=np.float64)
        return totals

    def select(self, keep: NDArray[np.bool_]) -> Collection:
        """Objects for which `keep`, of shape (N,), is true."""
        kept_before = np.concatenate(([0], np.cumsum(keep)))
        return Collection(kept_before[self.offsets], {k: v[keep] for k, v in self.columns.items()})

    def every(self, step: int, first: int) -> Collection:
        """Objects of every `step`-th event, from the event number `first` on."""
        kept = np.arange(self.events) % step == first
        objects = self.select(np.repeat(kept, self.counts))
        return Collection.of_counts(self.counts[kept], objects.columns)

    def events_of(self, events: NDArray[np.int64]) -> Collection:
        """Objects of some events, which may come several times, in this order."""
        counts = self.counts[events]
        starts = np.repeat(self.offsets[events] - (np.cumsum(counts) - counts), counts)
        rows = starts + np.arange(counts.sum())
        return Collection.of_counts(counts, {k: v[rows] for k, v in self.columns.items()})

    def take(self, rows: NDArray[np.int64]) -> Collection:
        """Objects in another order inside their events; `rows`, of shape (N,), is a permutation."""
        return Collection(self.offsets, {k: v[rows] for k, v in self.columns.items()})


def flat_column(array: ak.Array) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Offsets, shape (E + 1,), and values, shape (N,), of a jagged branch."""
    layout = ak.to_layout(array)
    if isinstance(layout, ak.contents.ListOffsetArray) and isinstance(layout.content, ak.contents.NumpyArray):
        # What files hold: its buffers are the answer, while awkward's functions take a millisecond each.
        offsets = np.asarray(layout.offsets.data, dtype=np.int64)
        return offsets - offsets[0], np.asarray(layout.content.data)[offsets[0] : offsets[-1]]
    counts = np.asarray(ak.num(array, axis=1), dtype=np.int64)
    return Collection.of_counts(counts, {}).offsets, np.asarray(ak.flatten(array, axis=1))


def jagged_column(offsets: NDArray[np.int64], values: NDArray[Any]) -> ak.Array:
    """Jagged branch of offsets, shape (E + 1,), and values, shape (N,), whose memory it shares."""
    content = ak.contents.NumpyArray(values)
    return ak.Array(ak.contents.ListOffsetArray(ak.index.Index64(offsets), content))
