"""Where a gen particle comes from: a compiled walk through its ancestors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flashsim.declarations.gen_collections import StatusFlag
from flashsim.execution.machine_code import compiled

__all__ = ["last_copies", "lepton_origin", "photon_origin"]

Integers = NDArray[np.int64]


def _hadron_flavour(pdg_id: int) -> int:
    """Heaviest quark of a hadron: 5, 4 or 0, by the PDG numbering scheme (RPP, section 46)."""
    code = abs(pdg_id) % 10000
    if code < 100:
        return 0
    for digit in (code // 1000, code // 100 % 10):
        if digit in (4, 5):
            return digit
    return 0


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
    columns = (offsets, pdg_id, status_flags, mother)
    _walk(*(np.ascontiguousarray(column, dtype=np.int64) for column in columns), origin)
    return origin


@compiled(", ".join(5 * ["int64[::1]"]))
def _walk(
    offsets: Integers, pdg_id: Integers, status_flags: Integers, mother: Integers, origin: Integers
) -> None:
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


def last_copies(offsets: Integers, pdg_id: Integers, mother: Integers) -> Integers:
    """Find the row of the last copy of every gen particle, shape (N,).

    Copies are daughters of the same PDG number, as after radiation; of several the first one counts.
    Parameters as for `lepton_origin`.
    """
    counts = np.diff(offsets)
    first = np.repeat(offsets[:-1], counts)
    above = mother.astype(np.int64)
    known = (above >= 0) & (above < np.repeat(counts, counts))
    above = first + np.where(known, above, 0)
    rows = np.arange(len(pdg_id))
    copies = np.flatnonzero(known & (pdg_id[above] == pdg_id) & (above < rows))
    later = rows.copy()
    later[above[copies[::-1]]] = copies[::-1]
    # Each step doubles how far one looks; daughters stand behind their mothers, so there is an end.
    while (later[later] != later).any():
        later = later[later]
    return later


def photon_origin(pdg_id: Integers, status_flags: Integers) -> Integers:
    """Origin of what photons are matched to as ``Photon_genPartFlav`` encodes it from v9 on, shape (N,).

    1 for a prompt photon, 11 for an electron that is prompt or of a prompt tau, 0 for anything else (CMSSW,
    ``CandMCMatchTableProducer``).
    """
    species = np.abs(pdg_id)
    prompt, direct = (_has(status_flags, f) for f in ("isPrompt", "isDirectPromptTauDecayProduct"))
    electron = (species == 11) & (prompt | direct)
    return np.where((species == 22) & prompt, 1, np.where(electron, 11, 0))


def _has(status_flags: Integers, flag: str) -> NDArray[np.bool_]:
    has: NDArray[np.bool_] = (status_flags & int(StatusFlag[flag])) != 0
    return has
