"""Where a gen particle comes from: a compiled walk through its ancestors."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["lepton_origin"]

Integers = NDArray[np.int64]


@numba.njit(cache=True)
def _hadron_flavour(pdg_id: int) -> int:
    """Heaviest quark of a hadron: 5, 4 or 0, by the PDG numbering scheme (RPP, section 46)."""
    code = abs(pdg_id) % 10000
    if code < 100:
        return 0
    for digit in (code // 1000, code // 100 % 10):
        if digit in (4, 5):
            return digit
    return 0


@numba.njit(cache=True)
def lepton_origin(offsets: Integers, pdg_id: Integers, status_flags: Integers, mother: Integers) -> Integers:
    """Origin of every gen particle as ``Muon_genPartFlav`` encodes it, shape (N,).

    1 for prompt, 15 for the decay of a prompt tau, 5 and 4 for a b or c hadron among the ancestors, 3 for
    anything else.

    Parameters
    ----------
    offsets, pdg_id, status_flags
        The whole GenPart collection.
    mother
        ``GenPart_genPartIdxMother``: index in the event, or -1.
    """
    origin = np.full(len(pdg_id), 3, dtype=np.int64)
    for event in range(len(offsets) - 1):
        first, last = offsets[event], offsets[event + 1]
        for i in range(first, last):
            if status_flags[i] & 1:
                origin[i] = 1
                continue
            if status_flags[i] & 8:
                origin[i] = 15
                continue
            above = mother[i]
            for _ in range(last - first):  # bounded: a damaged file may hold a loop
                if above < 0 or above >= last - first:
                    break
                flavour = _hadron_flavour(pdg_id[first + above])
                if flavour == 5 or (flavour == 4 and origin[i] == 3):
                    origin[i] = flavour
                above = mother[first + above]
    return origin
