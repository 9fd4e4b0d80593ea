"""Objects that must not be closer to each other than a radius: those that are, are drawn again."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from flashsim.events.angles import delta_phi
from flashsim.events.collection import Collection
from flashsim.execution.machine_code import compiled

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Columns = dict[str, NDArray[np.float64]]
    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

    Draw = Callable[[Integers, Integers], Columns]
    Allow = Callable[[Integers, Columns], NDArray[np.bool_]]

__all__ = ["ATTEMPTS", "drawn_apart"]

ATTEMPTS = 20
"""How often an object that is too close to another one is drawn again before it is left out."""

_AT_ONCE = 256
"""Rows of a call that take hardly longer than one."""


def drawn_apart(
    draw: Draw, event_rows: Integers, others: Collection, radius: float | None, allow: Allow | None = None
) -> tuple[Columns, NDArray[np.bool_]]:
    """Draw objects of which none is closer than a radius to another one, or to those that are there.

    Of two that are too close, the one of higher row is drawn again; of two drawn in different attempts, the
    later one.

    Parameters
    ----------
    draw
        Gives columns, with eta and phi among them, of M of the N objects, which may come several times: of
        their rows, shape (M,), each in an attempt of its own, from 0, shape (M,).
    event_rows
        Rows of their events, rising, shape (N,).
    others
        What is there before, of the same events.
    radius
        Smallest distance; none if they may be as close as they are drawn.
    allow
        Tells of M of the objects, by their rows, shape (M,), rising, whether they may be where their columns
        say; all may without it.

    Returns
    -------
    Columns, shape (N,) each, and whether each object has found a place in `ATTEMPTS` more attempts.
    """
    pending = np.arange(len(event_rows))
    columns = draw(pending, np.zeros_like(pending))
    if radius is None and allow is None:
        return columns, np.ones(len(event_rows), dtype=bool)
    kept, ahead = np.zeros(len(event_rows), dtype=bool), _Ahead(draw)
    events = np.arange(others.events)
    present = Collection(others.offsets, {field: others[field] for field in ("eta", "phi")})
    for attempt in range(1, ATTEMPTS + 2):
        places = {field: columns[field][pending] for field in ("eta", "phi")}
        rows = np.searchsorted(events, event_rows[pending])
        candidates = Collection.of_counts(np.bincount(rows, minlength=len(events)), places)
        allowed = np.ones(len(pending), dtype=bool)
        if allow is not None:
            allowed = allow(pending, {name: column[pending] for name, column in columns.items()})
        good = _have_place(candidates, present, radius or 0.0, allowed)
        kept[pending[good]] = True
        pending = pending[~good]
        if not len(pending) or attempt > ATTEMPTS:
            break
        # From here on nothing happens in events that are done.
        left = np.flatnonzero(candidates.select(~good).counts)
        present = Collection.merged([part.events_of(left) for part in (present, candidates.select(good))])
        events = events[left]
        for name, column in ahead.drawn(pending, attempt).items():
            columns[name][pending] = column
    return columns, kept


class _Ahead:
    """Draws several attempts in one call where few objects are left, in case that the first ones fail."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._first = self._stop = 0

    def drawn(self, rows: Integers, attempt: int) -> Columns:
        """Columns of objects, rows rising, in an attempt; only of such as had one in the attempt before."""
        if attempt >= self._stop:
            number = min(max(_AT_ONCE // len(rows), 1), ATTEMPTS + 1 - attempt)
            self._first, self._stop, self._rows = attempt, attempt + number, rows
            attempts = np.repeat(np.arange(self._first, self._stop), len(rows))
            self._columns = self._draw(np.tile(rows, number), attempts)
        where = (attempt - self._first) * len(self._rows) + np.searchsorted(self._rows, rows)
        return {name: column[where] for name, column in self._columns.items()}


def _have_place(
    candidates: Collection, present: Collection, radius: float, allowed: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Tell which of the allowed are apart from those present, and from candidates before them that are."""
    good = allowed.astype(np.uint8)
    _mark_apart(*_places(candidates), *_places(present), radius, good)
    return good.view(np.bool_)


def _places(objects: Collection) -> tuple[Integers, Floats, Floats]:
    eta, phi = (np.ascontiguousarray(objects[field], dtype=np.float64) for field in ("eta", "phi"))
    return np.ascontiguousarray(objects.offsets, dtype=np.int64), eta, phi


@compiled(
    "int64[::1], float64[::1], float64[::1], int64[::1], float64[::1], float64[::1], float64, uint8[::1]"
)
def _mark_apart(  # noqa: PLR0917
    offsets: Integers,
    eta: Floats,
    phi: Floats,
    other_offsets: Integers,
    other_eta: Floats,
    other_phi: Floats,
    radius: float,
    good: NDArray[np.uint8],
) -> None:
    for event in range(len(offsets) - 1):
        for i in range(offsets[event], offsets[event + 1]):
            if not good[i]:
                continue
            free = 1
            for j in range(other_offsets[event], other_offsets[event + 1]):
                if math.hypot(eta[i] - other_eta[j], delta_phi(phi[i], other_phi[j])) < radius:
                    free = 0
            for j in range(offsets[event], i):
                if good[j] and math.hypot(eta[i] - eta[j], delta_phi(phi[i], phi[j])) < radius:
                    free = 0
            good[i] = free
