"""What makes an event itself: its numbers, and its gen-level content.

Numbers alone do not: files of different jobs often count their events alike, run 1, block 1, event 1 to N.
Noise is therefore keyed on numbers and content together (`event_keys`), so that unrelated events never share
it, while one gen event has the same key in every file, chunk and array that it stands in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.events.collection import flat_column
from flashsim.events.noise import EVENT_IDS, event_hash
from flashsim.execution.machine_code import compiled

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["CONTENTS", "content_branches", "content_hash", "event_keys", "identity_branches"]

CONTENTS = (
    ("GenPart_pt", "GenPart_eta", "GenPart_phi", "GenPart_pdgId"),
    ("GenJet_pt", "GenJet_eta", "GenJet_phi", "GenJet_mass"),
)
"""Branches that stand for the gen-level content of an event: the first of these that are all there."""

_FIRST = np.uint64(0x243F6A8885A308D3)
_MULTIPLIER = np.uint64(0x9FB21C651E98DF25)
_HALF = np.uint64(32)
_LAST = np.uint64(29)


@compiled("uint64[::1], int64[::1], uint32[::1]")
def _absorb(states: NDArray[np.uint64], offsets: NDArray[np.int64], words: NDArray[np.uint32]) -> None:
    """Mix the words of each event, and how many there are, into the state of the event."""
    for event in range(states.shape[0]):
        first, last = offsets[event], offsets[event + 1]
        state = (states[event] ^ np.uint64(last - first)) * _MULTIPLIER
        state ^= state >> _HALF
        for row in range(first, last):
            # For given words each step is a bijection of the state, so nothing that came before is lost.
            state = (state ^ np.uint64(words[row])) * _MULTIPLIER
            state ^= state >> _HALF
        state *= _MULTIPLIER
        states[event] = state ^ (state >> _LAST)


def content_branches(branches: Container[str]) -> tuple[str, ...]:
    """Give the group of `CONTENTS` that stands for events with these branches; empty if none is whole."""
    return next((group for group in CONTENTS if all(name in branches for name in group)), ())


def identity_branches(branches: Container[str]) -> list[str]:
    """Names of the branches that `event_keys` reads of events with these branches."""
    return [*EVENT_IDS, *content_branches(branches)]


def content_hash(arrays: Mapping[str, Any], branches: Sequence[str] | None = None) -> NDArray[np.uint64]:
    """64-bit hash of the gen-level content of each event, shape (E,).

    It is of the values as NanoAOD stores them, in 32 bits, whatever the types of the arrays.

    Parameters
    ----------
    arrays
        Branches of E events by name, at least one.
    branches
        Jagged ones that stand for the content; by default `content_branches`. Where there are none, all
        events have the same hash.
    """
    states = np.full(len(next(iter(arrays.values()))), _FIRST, dtype=np.uint64)
    for name in content_branches(arrays) if branches is None else branches:
        offsets, values = flat_column(arrays[name])
        kind = np.float32 if values.dtype.kind == "f" else np.int32
        words = np.ascontiguousarray(values, dtype=kind).view(np.uint32)
        _absorb(states, np.ascontiguousarray(offsets), words)
    return states


def event_keys(arrays: Mapping[str, Any], branches: Sequence[str] | None = None) -> NDArray[np.uint64]:
    """64-bit hash of the numbers and the gen-level content of each event, shape (E,): what noise belongs to.

    Parameters
    ----------
    arrays, branches
        As for `content_hash`; at least `identity_branches` of the file.
    """
    numbers = (np.asarray(arrays[name]) for name in EVENT_IDS)
    return event_hash(*numbers) ^ content_hash(arrays, branches)
