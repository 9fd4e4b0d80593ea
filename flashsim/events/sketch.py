"""A few events of each input, the same ones of all: enough to tell whether numbers stand for one event only.

A sketch keeps the events with the lowest numbers and those whose hashed numbers are lowest. Inputs that count
their events alike from one number on therefore keep the same, however many events they have and in whatever
order, and their contents can be compared. Of inputs that overlap elsewhere it sees a sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.events.identity import content_branches, content_hash
from flashsim.events.noise import EVENT_IDS, hash_events

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["EventSketch", "same_numbers"]

_KEPT = 128


@dataclass(frozen=True)
class EventSketch:
    """Numbers and contents of at most 256 events of an input, half of them by number, half by hash.

    Parameters
    ----------
    branches
        What stands for the content, see `content_branches`; contents of other branches cannot be compared.
    events
        Shape (K, 5): run, luminosityBlock, event, a hash of them and one of the content of each event,
        without repetition, rising.
    """

    branches: tuple[str, ...] = ()
    events: NDArray[np.uint64] | None = None

    @classmethod
    def of(cls, arrays: Mapping[str, Any]) -> EventSketch:
        """Sketch the events of a chunk, which has at least the branches `identity_branches`."""
        branches = content_branches(arrays)
        numbers = [np.asarray(arrays[name]).astype(np.uint64) for name in EVENT_IDS]
        rows = np.stack([*numbers, hash_events(arrays), content_hash(arrays, branches)], axis=1)
        # Folds of one gen event stand side by side.
        changes = np.any(np.diff(rows, axis=0, prepend=~rows[:1]) != 0, axis=1)
        return cls(branches, _lowest(rows[changes]))

    def __add__(self, other: EventSketch) -> EventSketch:
        """Sketch two chunks of one input together."""
        if self.events is None or other.events is None:
            return other if self.events is None else self
        return EventSketch(self.branches, _lowest(np.concatenate([self.events, other.events])))


def same_numbers(sketches: Mapping[str, EventSketch]) -> str:
    """Say which inputs carry the same numbers for different events, in one sentence; empty if none do.

    Parameters
    ----------
    sketches
        Of each input, by its name.
    """
    found: dict[tuple[tuple[str, ...], int], tuple[int, str]] = {}
    clashes: dict[str, str] = {}
    for path, sketch in sketches.items():
        for *_, number, content in [] if sketch.events is None else sketch.events.tolist():
            first, owner = found.setdefault((sketch.branches, number), (content, path))
            if first != content:
                clashes.setdefault(path, owner)
    if not clashes:
        return ""
    path, owner = next(iter(clashes.items()))
    more = f" (and {len(clashes) - 1} more inputs)" if len(clashes) > 1 else ""
    where = f"{path}: its own events" if path == owner else f"{path}: its events and those of {owner}"
    return (
        f"{where} carry the same run, luminosityBlock and event, but are different gen events{more}; they "
        "are kept apart here, but not by what goes by numbers alone: number jobs apart ('flashsim gen' does)"
    )


def _lowest(rows: NDArray[np.uint64]) -> NDArray[np.uint64]:
    run, block, event, number, content = rows.T
    by_number = np.lexsort((content, event, block, run))[:_KEPT]
    by_hash = np.lexsort((content, number))[:_KEPT]
    return np.unique(rows[np.concatenate([by_number, by_hash])], axis=0)
