"""Pileup and vertex of each event, without simulating any pileup collision.

Distributions follow real CMS files:

- `nTrueInt` is normal with mean 33 and width 11, kept within 5 and 75: ttbar and Drell-Yan 2018 have means
  33.9 and 34.2, widths 10.2. As in v9 the branch holds the integer part.
- `nPU` is Poisson with mean nTrueInt, `sumEOOT` Poisson with mean 12 nTrueInt and `sumLOOT` with mean
  3 nTrueInt: twelve bunch crossings before and three after are overlaid. The ratios measured in those
  files and in W+jets 2015 are 12.2 to 12.5 and 3.04 to 3.10 (a little above 12 and 3, since the branch is
  truncated), with the widths of a Poisson distribution.
- Vertices of the event and of pileup lie along the beam with a normal distribution of width 3.5 cm (`PV_z`
  in ttbar 2018: 3.43 cm) around 0.02 cm; x, y and time of the event are normal as in a 2018 v9 file.
- `pudensity` counts pileup vertices within 1 mm of the event's; `gpudensity` counts those in the event's bin
  of |z| (edges 0, 1.7, 2.6, 3, 3.5, 4.2, 5.2, 6, 7.5, 9, 12 cm) per mm (CMSSW ``NPUTablesProducer``; it
  takes the reconstructed vertex, here the generated one stands for it). Mean values in real ttbar 2018: 0.58
  and 0.27.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import poisson

from flashsim.events.noise import Stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["gen_vertex", "pileup"]

_MEAN, _WIDTH, _LEAST, _MOST = 33.0, 11.0, 5.0, 75.0
_EARLY_CROSSINGS, _LATE_CROSSINGS = 12, 3
_Z_CENTRE, _Z_WIDTH = 0.02, 3.5
_VERTEX = {"x": (0.0108, 0.0005), "y": (0.0416, 0.0005), "z": (_Z_CENTRE, _Z_WIDTH), "t0": (0.0, 0.11)}
_Z_EDGES = np.array([0.0, 1.7, 2.6, 3.0, 3.5, 4.2, 5.2, 6.0, 7.5, 9.0, 12.0])
_NEAR = 0.1  # cm, to either side


def gen_vertex(seed: int, key: NDArray[np.uint64]) -> dict[str, NDArray[np.float64]]:
    """``GenVtx`` branches: position in cm and time in ns, a function of the seed and the event's key.

    Parameters
    ----------
    seed
        Any integer.
    key
        Shape (events,): what the random numbers of each event belong to.

    Returns
    -------
    Branches under their NanoAOD names, shape (events,).
    """
    draws = Stream(seed, "GenVtx", "position").normal(key, np.zeros(len(key), dtype=np.int64), len(_VERTEX))
    return {
        f"GenVtx_{name}": centre + width * draws[:, column]
        for column, (name, (centre, width)) in enumerate(_VERTEX.items())
    }


def pileup(seed: int, key: NDArray[np.uint64]) -> dict[str, NDArray[np.generic]]:
    """``Pileup`` branches, a function of the seed and the event's key; parameters as for `gen_vertex`.

    Returns
    -------
    Branches under their NanoAOD names, shape (events,).
    """
    first = np.zeros(len(key), dtype=np.int64)
    true = _MEAN + _WIDTH * Stream(seed, "Pileup", "nTrueInt").normal(key, first, 1)[:, 0]
    true = np.clip(true, _LEAST, _MOST)
    quantiles = Stream(seed, "Pileup", "interactions").uniform(key, first, 3)
    means = np.stack([true, _EARLY_CROSSINGS * true, _LATE_CROSSINGS * true], axis=1)
    counts: NDArray[np.int64] = np.asarray(poisson.ppf(quantiles, means)).astype(np.int64)
    interactions, early, late = counts[:, 0], counts[:, 1], counts[:, 2]
    near, same_bin = _densities(seed, key, interactions, gen_vertex(seed, key))
    return {
        "Pileup_nTrueInt": np.floor(true),
        "Pileup_nPU": interactions,
        "Pileup_sumEOOT": early,
        "Pileup_sumLOOT": late,
        "Pileup_pudensity": near,
        "Pileup_gpudensity": same_bin,
    }


def _densities(
    seed: int,
    key: NDArray[np.uint64],
    interactions: NDArray[np.int64],
    vertex: dict[str, NDArray[np.float64]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pileup vertices within 1 mm, and per mm in the bin of |z|, for each event."""
    event = np.repeat(np.arange(len(key)), interactions)
    index = np.arange(len(event)) - np.repeat(np.cumsum(interactions) - interactions, interactions)
    z = _Z_CENTRE + _Z_WIDTH * Stream(seed, "Pileup", "z").normal(key[event], index, 1)[:, 0]
    own = vertex["GenVtx_z"]
    near = np.bincount(event[np.abs(z - own[event]) < _NEAR], minlength=len(key))
    own_bin = _z_bin(own)
    same = np.bincount(event[_z_bin(z) == own_bin[event]], minlength=len(key))
    width_mm = 10.0 * np.diff(_Z_EDGES)[own_bin]
    return near.astype(np.float64), same / (2.0 * width_mm)


def _z_bin(z: NDArray[np.float64]) -> NDArray[np.int64]:
    """Bin of |z|; all beyond the last edge counts as the last bin."""
    index: NDArray[np.int64] = np.searchsorted(_Z_EDGES[1:-1], np.abs(z))
    return index
