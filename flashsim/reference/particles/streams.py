"""Random numbers of an event, for kernels that draw as they go along.

An event has a stream for every purpose, which begins at a hash of the user's seed, the detector, the draw,
the purpose and the event's key, and goes on as splitmix64 (Steele, Lea and Flood, OOPSLA 2014,
doi:10.1145/2660193.2660195). How events are cut into chunks or workers therefore changes nothing.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numba
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Streams", "exponential", "gamma", "normal", "poisson", "uniform"]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_TO_UNIT = 1.0 / 9007199254740992.0  # 2^-53
_LARGE_MEAN = 30.0


@numba.njit(cache=True)
def uniform(state):
    """Next number between 0 and 1, both excluded; `state` of shape (1,) goes on."""
    state[0] += _GOLDEN
    word = state[0]
    word = (word ^ (word >> np.uint64(30))) * _FIRST
    word = (word ^ (word >> np.uint64(27))) * _SECOND
    word ^= word >> np.uint64(31)
    return (np.float64(word >> np.uint64(11)) + 0.5) * _TO_UNIT


@numba.njit(cache=True)
def normal(state):
    """Next number of the standard normal distribution (Wichura, Appl. Stat. 37 (1988) 477: PPND7)."""
    draw = uniform(state)
    q = draw - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        above = ((59.109374720 * r + 159.29113202) * r + 50.434271938) * r + 3.3871327179
        return q * above / (((67.187563600 * r + 78.757757664) * r + 17.895169469) * r + 1.0)
    r = math.sqrt(-math.log(min(draw, 1.0 - draw)))
    if r <= 5.0:
        r -= 1.6
        above = ((0.17023821103 * r + 1.3067284816) * r + 2.7568153900) * r + 1.4234372777
        size = above / ((0.12021132975 * r + 0.73700164250) * r + 1.0)
    else:
        r -= 5.0
        above = ((0.017337203997 * r + 0.42868294337) * r + 3.0812263860) * r + 6.6579051150
        size = above / ((0.012258202635 * r + 0.24197894225) * r + 1.0)
    return math.copysign(size, q)


@numba.njit(cache=True)
def exponential(state):
    """Next number of the exponential distribution with mean 1."""
    return -math.log(uniform(state))


@numba.njit(cache=True)
def gamma(state, shape):
    """Next number of the gamma distribution of scale 1 (Marsaglia and Tsang, ACM TOMS 26, 2000)."""
    boost = 1.0
    if shape < 1.0:
        boost = uniform(state) ** (1.0 / shape)
        shape += 1.0
    d = shape - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    while True:
        x = normal(state)
        v = (1.0 + c * x) ** 3
        if v > 0.0 and math.log(uniform(state)) < 0.5 * x * x + d - d * v + d * math.log(v):
            return boost * d * v


@numba.njit(cache=True)
def poisson(state, mean):
    """Next number of the Poisson distribution; a large mean is taken apart, as sums are Poisson too."""
    total = 0
    while mean > 0.0:
        part = min(mean, _LARGE_MEAN)
        mean -= part
        limit, product = math.exp(-part), uniform(state)
        while product > limit:
            total += 1
            product *= uniform(state)
    return total


@dataclass(frozen=True)
class Streams:
    """All random numbers of one draw of a detector.

    Parameters
    ----------
    seed
        The user's.
    detector
        Name of the detector; what detectors share is drawn with an empty name.
    draw
        Number of the independent draw, from 0.
    """

    seed: int
    detector: str
    draw: int = 0

    def states(self, keys: NDArray[np.uint64], purpose: str) -> NDArray[np.uint64]:
        """Where the stream of each event begins, for kernels.

        Parameters
        ----------
        keys
            Shape (E,): the events' keys.
        purpose
            What the numbers decide; streams of different purposes are independent.

        Returns
        -------
        Shape (E,).
        """
        text = "\0".join((str(self.seed), self.detector, str(self.draw), purpose))
        digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
        mixed = (keys ^ np.uint64(int.from_bytes(digest, "little"))) * _FIRST
        mixed = (mixed ^ (mixed >> np.uint64(29))) * _SECOND
        beginning: NDArray[np.uint64] = mixed ^ (mixed >> np.uint64(32))
        return beginning

    def uniform(
        self, keys: NDArray[np.uint64], purpose: str, counts: NDArray[np.integer]
    ) -> NDArray[np.float64]:
        """Draw as many uniform numbers for each event as `counts`, of shape (E,), says; flat, shape (N,)."""
        return _many(self.states(keys, purpose), np.asarray(counts, dtype=np.int64), False)

    def normal(
        self, keys: NDArray[np.uint64], purpose: str, counts: NDArray[np.integer]
    ) -> NDArray[np.float64]:
        """Draw standard normal numbers; parameters as for `uniform`."""
        return _many(self.states(keys, purpose), np.asarray(counts, dtype=np.int64), True)


@numba.njit(cache=True)
def _many(states, counts, is_normal):
    out = np.empty(counts.sum())
    state = np.empty(1, dtype=np.uint64)
    place = 0
    for event in range(len(states)):
        state[0] = states[event]
        for _ in range(counts[event]):
            out[place] = normal(state) if is_normal else uniform(state)
            place += 1
    return out
