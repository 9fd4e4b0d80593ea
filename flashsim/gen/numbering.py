"""Run, luminosity block and event number of the events of a gen-level file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np

from flashsim.declarations.event_numbers import (
    EVENTS_PER_LUMINOSITY_BLOCK,
    MOST_BLOCK,
    MOST_EVENT,
    MOST_RUN,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["Numbering"]

_PARTICLES = "GenPart_pt"
_CONTENT = ("GenPart_", "GenJet_", "GenMET_", "GenVtx_")


@dataclass(frozen=True)
class Numbering:
    """How the events of a file are numbered.

    Parameters
    ----------
    run
        Their run, 1 to `MOST_RUN`.
    luminosity_block
        The first block, 1 to `MOST_BLOCK`; the next one begins after `EVENTS_PER_LUMINOSITY_BLOCK` events.
        None takes a hash of the first event's content, so that files of different events have different
        numbers: of a hundred files with a thousand events each, two share a block with a probability of 2e-6.
    first_event
        Number of the first event, 1 to `MOST_EVENT`.

    Raises
    ------
    ValueError
        If a number is out of its range.
    """

    run: int = 1
    luminosity_block: int | None = None
    first_event: int = 1

    def __post_init__(self) -> None:
        limits = {"run": MOST_RUN, "luminosity_block": MOST_BLOCK, "first_event": MOST_EVENT}
        for name, most in limits.items():
            value = getattr(self, name)
            if value is not None and not 1 <= value <= most:
                msg = f"{name} must be 1 to {most}, found {value}"
                raise ValueError(msg)

    def of_file(self, columns: Mapping[str, Any]) -> Numbering:
        """Give the numbering of a file that begins with these events, its first block decided.

        Parameters
        ----------
        columns
            Branches of the file's first events by name, at least one event. The first event that has
            particles (else the first) alone counts, with its particles, jets and vertex, so that shorter and
            longer runs of one job agree.
        """
        if self.luminosity_block is not None:
            return self
        row = 0
        if _PARTICLES in columns:
            row = int(np.argmax(np.asarray(ak.num(columns[_PARTICLES])) > 0))
        digest = hashlib.blake2b(digest_size=8)
        for name in sorted(name for name in columns if name.startswith(_CONTENT)):
            values = np.asarray(ak.flatten(ak.Array(columns[name])[row : row + 1], axis=None))
            digest.update(name.encode() + b"\0" + values.tobytes() + b"\0")
        return replace(self, luminosity_block=int.from_bytes(digest.digest(), "little") % MOST_BLOCK + 1)

    def numbers(self, first: int, events: int) -> dict[str, NDArray[Any]]:
        """Give run, luminosityBlock and event of some events; `first` counts those of the file before."""
        row = np.arange(first, first + events, dtype=np.uint64)
        return {
            "run": np.full(events, self.run, dtype=np.uint32),
            "luminosityBlock": (row // EVENTS_PER_LUMINOSITY_BLOCK + self._first_block).astype(np.uint32),
            "event": row + np.uint64(self.first_event),
        }

    def luminosity_blocks(self, events: int) -> dict[str, NDArray[np.uint32]]:
        """Give run and luminosityBlock of each block of a file with so many events."""
        blocks = np.arange(-(-events // EVENTS_PER_LUMINOSITY_BLOCK), dtype=np.uint32) + np.uint32(
            self._first_block
        )
        return {"run": np.full(len(blocks), self.run, dtype=np.uint32), "luminosityBlock": blocks}

    @property
    def _first_block(self) -> int:
        if self.luminosity_block is None:
            msg = "the first luminosity block is not decided: ask `of_file` first"
            raise RuntimeError(msg)
        return self.luminosity_block
