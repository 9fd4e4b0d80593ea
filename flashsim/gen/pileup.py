"""Pileup of generated events: the true number of interactions, and what follows from it.

`nTrueInt` is normal with mean 33 and width 11, kept within 5 and 75: ttbar and Drell-Yan 2018 have means 33.9
and 34.2, widths 10.2. As in v9 the branch holds the integer part. All else is of `flashsim.events.pileup`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flashsim.events.noise import Stream
from flashsim.events.pileup import gen_vertex, pileup_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["pileup"]

_MEAN, _WIDTH, _LEAST, _MOST = 33.0, 11.0, 5.0, 75.0


def pileup(seed: int, key: NDArray[np.uint64]) -> dict[str, NDArray[np.generic]]:
    """``Pileup`` branches, a function of the seed and the event's key; parameters as for `gen_vertex`.

    Returns
    -------
    Branches under their NanoAOD names, shape (events,).
    """
    first = np.zeros(len(key), dtype=np.int64)
    true = _MEAN + _WIDTH * Stream(seed, "Pileup", "nTrueInt").normal(key, first, 1)[:, 0]
    true = np.clip(true, _LEAST, _MOST)
    own = gen_vertex(seed, key)["GenVtx_z"]
    return {"Pileup_nTrueInt": np.floor(true), **pileup_of(seed, key, true, own)}
