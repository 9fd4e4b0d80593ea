"""A few events of each input, the same ones of all: enough to tell whether numbers stand for one event only.

A sketch keeps the events whose hashed numbers are lowest. Inputs that count their events alike therefore keep
the same numbers, however many events they have and in whatever order, and their contents can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.events.identity import content_branches, content_hash
from flashsim.events.noise import hash_events

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["EventSketch", "same_numbers"]

_KEPT = 256


@dataclass(frozen=True)
class EventSketch:
    """Numbers and contents of at most 256 events of an input.

    Parameters
    ----------
    branches
        What stands for the content, see `content_branches`; contents of other branches cannot be compared.
    events
        Shape (K, 2): hashes of the numbers and of the content of each event, without repetition, rising.
    """

    branches: tuple[str, ...] = ()
    events: NDArray[np.uint64] | None = None

    @classmethod
    def of(cls, arrays: Mapping[str, Any]) -> EventSketch:
        """Sketch the events of a chunk, which has at least the branches `identity_branches`."""
        branches = content_branches(arrays)
        return cls(branches, _lowest(np.stack([hash_events(arrays), content_hash(arrays, branches)], axis=1)))

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
        for number, content in [] if sketch.events is None else sketch.events.tolist():
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


def _lowest(events: NDArray[np.uint64]) -> NDArray[np.uint64]:
    if len(events) > _KEPT:
        # Not more than these: a number that stands for many events is kept with as many as there is room for.
        bound = np.partition(events[:, 0], _KEPT - 1)[_KEPT - 1]
        events = events[events[:, 0] <= bound]
    return np.unique(events, axis=0)[:_KEPT]
