"""Pileup of generated events: the true number of interactions, and what follows from it.

The number has the distribution of the era (`flashsim.declarations.eras`); all else is of
`flashsim.events.pileup`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flashsim.declarations.eras import NormalPileup
from flashsim.declarations.pileup import load_profile
from flashsim.events.noise import Stream
from flashsim.events.pileup import gen_vertex, pileup_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.declarations.eras import GenEra

__all__ = ["pileup", "vertex"]


def vertex(seed: int, key: NDArray[np.uint64], era: GenEra) -> dict[str, NDArray[np.float64]]:
    """``GenVtx`` branches, a function of the seed and the event's key; parameters as for `pileup`."""
    return gen_vertex(seed, key, era.beam_spot.model_dump())


def pileup(seed: int, key: NDArray[np.uint64], era: GenEra) -> dict[str, NDArray[np.generic]]:
    """``Pileup`` branches, a function of the seed and the event's key.

    Parameters
    ----------
    seed
        Any integer.
    key
        Shape (events,): what the random numbers of each event belong to.
    era
        Which distributions.

    Returns
    -------
    Branches under their NanoAOD names, shape (events,).
    """
    true, whole_numbers = _true_number(seed, key, era.pileup)
    own = vertex(seed, key, era)["GenVtx_z"]
    stored = np.floor(true) if whole_numbers else true
    return {"Pileup_nTrueInt": stored, **pileup_of(seed, key, true, own, along_z=era.beam_spot.z)}


def _true_number(
    seed: int, key: NDArray[np.uint64], wanted: str | NormalPileup
) -> tuple[NDArray[np.float64], bool]:
    """Draw the true number of interactions, and tell whether the branch has its integer part."""
    first = np.zeros(len(key), dtype=np.int64)
    if isinstance(wanted, NormalPileup):
        normal = Stream(seed, "Pileup", "nTrueInt").normal(key, first, 1)[:, 0]
        true = np.clip(wanted.mean + wanted.width * normal, wanted.least, wanted.most)
        return true, wanted.whole_numbers
    profile = load_profile(wanted)
    uniform = Stream(seed, "Pileup", "profile").uniform(key, first, 1)[:, 0]
    true = np.interp(uniform, profile.cumulative, np.arange(len(profile.cumulative)))
    return true, profile.whole_numbers
