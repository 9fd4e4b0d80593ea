"""Event weights: which is the nominal one, and what their branches are called."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["nominal_index", "similar_names", "unstorable", "weight_branches"]

# What Rivet takes for the nominal weight (`AnalysisHandler::setWeightNames`, case does not matter): an empty
# name goes before all others. Herwig, Pythia and Sherpa use these.
_NOMINAL = {"weight", "0", "default", "nominal"}
# Others that generators write for it. MadGraph appends the merging scale, which is 0 for no merging.
_SIMILAR = {
    "baseline",
    "central",
    "nominalweight",
    "nominal_weight",
    "central_weight",
    "mur1_muf1",
    "mur1.0_muf1.0",
}
_MERGING = re.compile(r"_?merging=0*\.?0*$", re.IGNORECASE)
_NEAR, _SHOWN = 0.3, 5


def nominal_index(names: Sequence[str]) -> int | None:
    """Find the nominal weight by its name.

    Parameters
    ----------
    names
        In the generator's order, which may be alphabetical: the place of a weight says nothing.

    Returns
    -------
    Its index; None if no name is one of those that generators give to it.
    """
    plain = [name.strip().lower() for name in names]
    short = [_MERGING.sub("", name) for name in plain]
    for known, candidates in (({""}, plain), (_NOMINAL, plain), (_NOMINAL | {""}, short), (_SIMILAR, short)):
        for index, name in enumerate(candidates):
            if name in known:
                return index
    return None


def similar_names(names: Sequence[str], wanted: str) -> list[str]:
    """Names that a user may have meant, the nearest first; the first ones where none is near."""
    by_lower = {name.lower(): name for name in reversed(names)}
    near = difflib.get_close_matches(wanted.lower(), list(by_lower), n=_SHOWN, cutoff=_NEAR)
    return [by_lower[name] for name in near] or list(names[:_SHOWN])


def weight_branches(names: Sequence[str]) -> list[str]:
    """Branch names of weights: what is no letter or digit becomes an underscore, twins get a number."""
    branches: list[str] = []
    taken = set()
    for number, name in enumerate(names, start=1):
        stem = "GenWeight_" + (re.sub(r"[^0-9A-Za-z]+", "_", name).strip("_") or str(number))
        branch, twin = stem, 2
        while branch in taken:
            branch, twin = f"{stem}_{twin}", twin + 1
        branches.append(branch)
        taken.add(branch)
    return branches


def unstorable(weights: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which weights a branch of type float32 cannot hold.

    These are infinite ones and those that are not a number, too large ones, and those that are so small
    that digits are lost; 0 is none of them.
    """
    size, limits = np.abs(weights), np.finfo(np.float32)
    mask: NDArray[np.bool_] = ~(size <= limits.max) | ((size > 0) & (size < limits.tiny))
    return mask
