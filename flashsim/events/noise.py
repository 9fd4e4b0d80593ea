"""Random numbers that belong to an object, not to a position in a stream.

A draw is a function of (seed, collection, purpose, fold) and (run, luminosityBlock, event, object index,
number of the draw). How events are cut into chunks, files or workers therefore cannot change it, and fold k
of an event is the same whether one fold is made or many.

The generator is Philox4x32-10, a counter-based generator that passes BigCrush (Salmon, Moraes, Dror and Shaw,
"Parallel random numbers: as easy as 1, 2, 3", SC'11, doi:10.1145/2063384.2063405): the first group of numbers
above, hashed, is its 64-bit key, the second its 128-bit counter.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.execution.machine_code import compiled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["EVENT_IDS", "Stream", "event_hash", "hash_events"]

EVENT_IDS = ("run", "luminosityBlock", "event")
"""Branches that name an event, in the order that `event_hash` takes them."""

_MULTIPLIER_0 = np.uint64(0xD2511F53)
_MULTIPLIER_1 = np.uint64(0xCD9E8D57)
_WEYL_0 = np.uint64(0x9E3779B9)
_WEYL_1 = np.uint64(0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_TO_UNIT = 1.0 / 4294967296.0


def _philox(  # noqa: PLR0917  # four words of the counter, two of the key
    c0: np.uint64, c1: np.uint64, c2: np.uint64, c3: np.uint64, k0: np.uint64, k1: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    for _ in range(10):
        p0 = _MULTIPLIER_0 * c0
        p1 = _MULTIPLIER_1 * c2
        c0, c1, c2, c3 = (
            ((p1 >> _HALF) ^ c1 ^ k0) & _LOW,
            p1 & _LOW,
            ((p0 >> _HALF) ^ c3 ^ k1) & _LOW,
            p0 & _LOW,
        )
        k0 = (k0 + _WEYL_0) & _LOW
        k1 = (k1 + _WEYL_1) & _LOW
    return c0, c1, c2, c3


@compiled("uint64, uint64[::1], uint64[::1], float64[:, ::1], int64")
def _fill(
    key: np.uint64,
    events: NDArray[np.uint64],
    indices: NDArray[np.uint64],
    out: NDArray[np.float64],
    normal: int,
) -> None:
    k0, k1 = key & _LOW, key >> _HALF
    columns = out.shape[1]
    for row in range(out.shape[0]):
        e0, e1 = events[row] & _LOW, events[row] >> _HALF
        for block in range((columns + 3) // 4):
            words = _philox(e0, e1, indices[row] & _LOW, np.uint64(block), k0, k1)
            u0, u1 = (words[0] + 0.5) * _TO_UNIT, (words[1] + 0.5) * _TO_UNIT
            u2, u3 = (words[2] + 0.5) * _TO_UNIT, (words[3] + 0.5) * _TO_UNIT
            numbers: tuple[float, float, float, float] = (u0, u1, u2, u3)
            if normal:  # Box and Muller (1958)
                r, s = math.sqrt(-2.0 * math.log(u0)), math.sqrt(-2.0 * math.log(u2))
                a, b = 2.0 * math.pi * u1, 2.0 * math.pi * u3
                numbers = (r * math.cos(a), r * math.sin(a), s * math.cos(b), s * math.sin(b))
            first = 4 * block
            for number in range(min(4, columns - first)):
                out[row, first + number] = numbers[number]


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Finaliser of splitmix64 (Steele, Lea and Flood, OOPSLA 2014): a bijection of 64-bit words."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def event_hash(
    run: NDArray[np.integer], luminosity_block: NDArray[np.integer], event: NDArray[np.integer]
) -> NDArray[np.uint64]:
    """64-bit hash of the three numbers that name an event, elementwise.

    Parameters
    ----------
    run, luminosity_block, event
        Arrays of the same shape, any integer type.
    """
    golden = np.uint64(0x9E3779B97F4A7C15)
    result = _mix(np.asarray(run).astype(np.uint64) + golden)
    result = _mix((result ^ np.asarray(luminosity_block).astype(np.uint64)) + golden)
    return _mix((result ^ np.asarray(event).astype(np.uint64)) + golden)


def hash_events(arrays: Mapping[str, Any]) -> NDArray[np.uint64]:
    """`event_hash` of the branches `EVENT_IDS`, shape (E,)."""
    return event_hash(*(np.asarray(arrays[name]) for name in EVENT_IDS))


@dataclass(frozen=True)
class Stream:
    """The random numbers of one collection, for one purpose, in one fold.

    Parameters
    ----------
    seed
        The user's seed.
    collection
        What is simulated, such as ``"Jet"``.
    purpose
        What the numbers decide, such as ``"efficiency"``; different purposes are independent.
    fold
        Number of the oversampling fold, from 0.

    Examples
    --------
    >>> import numpy as np
    >>> events = event_hash(np.array([1, 1]), np.array([1, 1]), np.array([7, 8]))
    >>> stream = Stream(seed=1, collection="Jet", purpose="flow")
    >>> whole = stream.normal(events, np.array([0, 0]), 3)
    >>> bool((whole[1:] == stream.normal(events[1:], np.array([0]), 3)).all())
    True
    """

    seed: int
    collection: str
    purpose: str
    fold: int = 0

    def uniform(
        self, events: NDArray[np.uint64], indices: NDArray[np.integer], columns: int
    ) -> NDArray[np.float64]:
        """Uniform numbers in the open interval (0, 1).

        Parameters
        ----------
        events
            Shape (N,): `event_hash` of each object's event.
        indices
            Shape (N,): index of each object in its event.
        columns
            How many numbers an object gets.

        Returns
        -------
        Shape (N, columns).
        """
        return self._draw(events, indices, columns, normal=False)

    def normal(
        self, events: NDArray[np.uint64], indices: NDArray[np.integer], columns: int
    ) -> NDArray[np.float64]:
        """Numbers with the standard normal distribution; parameters as for `uniform`."""
        return self._draw(events, indices, columns, normal=True)

    def _draw(
        self, events: NDArray[np.uint64], indices: NDArray[np.integer], columns: int, *, normal: bool
    ) -> NDArray[np.float64]:
        out = np.empty((len(events), columns), dtype=np.float64)
        events = np.ascontiguousarray(events, dtype=np.uint64)
        objects = np.ascontiguousarray(indices).astype(np.uint64)
        _fill(self._key(), events, objects, out, int(normal))
        return out

    def _key(self) -> np.uint64:
        text = "\0".join((str(self.seed), self.collection, self.purpose, str(self.fold)))
        digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
        return np.uint64(int.from_bytes(digest, "little"))
