"""Pileup and vertex of each event, without simulating any pileup collision.

Distributions follow real CMS files:

- `nPU` is Poisson with mean nTrueInt, `sumEOOT` Poisson with mean 12 nTrueInt and `sumLOOT` with mean
  3 nTrueInt: twelve bunch crossings before and three after are overlaid. The ratios measured in ttbar and
  Drell-Yan 2018 and in W+jets 2015 are 12.2 to 12.5 and 3.04 to 3.10 (a little above 12 and 3, since the
  branch nTrueInt is truncated), with the widths of a Poisson distribution.
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
from scipy.special import pdtr, pdtrik

from flashsim.events.noise import Stream

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = [
    "BEAM_SPOT",
    "PILEUP",
    "gen_vertex",
    "interactions",
    "neighbouring_vertices",
    "pileup_of",
    "vertex_densities",
]

PILEUP = (
    "Pileup_nTrueInt",
    "Pileup_nPU",
    "Pileup_sumEOOT",
    "Pileup_sumLOOT",
    "Pileup_pudensity",
    "Pileup_gpudensity",
)
"""Branches that say what pileup an event has; the first is what the others follow from."""

_EARLY_CROSSINGS, _LATE_CROSSINGS = 12, 3
BEAM_SPOT = {"x": (0.0108, 0.0005), "y": (0.0416, 0.0005), "z": (0.02, 3.5), "t0": (0.0, 0.11)}
"""Mean and width of vertices in cm and ns, as in simulation of 2018."""

_Z_EDGES = np.array([0.0, 1.7, 2.6, 3.0, 3.5, 4.2, 5.2, 6.0, 7.5, 9.0, 12.0])
_NEAR = 0.1  # cm, to either side


def gen_vertex(
    seed: int, key: NDArray[np.uint64], beam_spot: Mapping[str, tuple[float, float]] = BEAM_SPOT
) -> dict[str, NDArray[np.float64]]:
    """``GenVtx`` branches: position in cm and time in ns, a function of the seed and the event's key.

    Parameters
    ----------
    seed
        Any integer.
    key
        Shape (events,): what the random numbers of each event belong to.
    beam_spot
        Mean and width of x, y, z in cm and of t0 in ns.

    Returns
    -------
    Branches under their NanoAOD names, shape (events,).
    """
    first = np.zeros(len(key), dtype=np.int64)
    draws = Stream(seed, "GenVtx", "position").normal(key, first, len(BEAM_SPOT))
    return {
        f"GenVtx_{name}": centre + width * draws[:, column]
        for column, (name, (centre, width)) in enumerate((name, beam_spot[name]) for name in BEAM_SPOT)
    }


def interactions(seed: int, key: NDArray[np.uint64], true: NDArray[np.float64]) -> NDArray[np.int64]:
    """Numbers of interactions in the event's bunch crossing, in those before and in those after it.

    Parameters
    ----------
    seed, key
        As for `gen_vertex`.
    true
        Shape (events,): the mean number of interactions of a crossing.

    Returns
    -------
    Shape (events, 3).
    """
    quantiles = Stream(seed, "Pileup", "interactions").uniform(key, np.zeros(len(key), dtype=np.int64), 3)
    means = np.stack([true, _EARLY_CROSSINGS * true, _LATE_CROSSINGS * true], axis=1)
    return _poisson(quantiles, means)


def vertex_densities(
    seed: int,
    key: NDArray[np.uint64],
    numbers: NDArray[np.int64],
    own: NDArray[np.float64],
    *,
    along_z: tuple[float, float] = BEAM_SPOT["z"],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pileup vertices within 1 mm of the event's, and per mm in its bin of |z|, shape (events,) each.

    Parameters
    ----------
    seed, key
        As for `gen_vertex`.
    numbers
        Shape (events,): interactions besides the event's.
    own
        Shape (events,): z of the event's vertex in cm.
    along_z
        Mean and width of the z of pileup vertices, in cm.
    """
    event = np.repeat(np.arange(len(key)), numbers)
    index = np.arange(len(event)) - np.repeat(np.cumsum(numbers) - numbers, numbers)
    z = along_z[0] + along_z[1] * Stream(seed, "Pileup", "z").normal(key[event], index, 1)[:, 0]
    near = np.bincount(event[np.abs(z - own[event]) < _NEAR], minlength=len(key))
    own_bin = _z_bin(own)
    same = np.bincount(event[_z_bin(z) == own_bin[event]], minlength=len(key))
    width_mm = 10.0 * np.diff(_Z_EDGES)[own_bin]
    return near.astype(np.float64), same / (2.0 * width_mm)


def neighbouring_vertices(
    near: NDArray[np.float64], same_bin: NDArray[np.float64], own: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Pileup vertices that `vertex_densities` has counted.

    Parameters
    ----------
    near, same_bin
        ``Pileup_pudensity`` and ``Pileup_gpudensity``, shape (events,) each.
    own
        Shape (events,): z of the event's vertex in cm.

    Returns
    -------
    How many are within 1 mm of the event's vertex, and how many in its bin of |z|, shape (events,) each;
    edges of the bin in cm, shape (events, 2), the last one without end.
    """
    own_bin = _z_bin(own)
    edges = np.stack([_Z_EDGES[own_bin], _Z_EDGES[own_bin + 1]], axis=1)
    width_mm = 10.0 * (edges[:, 1] - edges[:, 0])
    same = np.rint(same_bin * 2.0 * width_mm).astype(np.int64)
    edges[own_bin == len(_Z_EDGES) - 2, 1] = np.inf
    return np.rint(near).astype(np.int64), same, edges


def pileup_of(
    seed: int,
    key: NDArray[np.uint64],
    true: NDArray[np.float64],
    own: NDArray[np.float64],
    numbers: NDArray[np.int64] | None = None,
    *,
    along_z: tuple[float, float] = BEAM_SPOT["z"],
) -> dict[str, NDArray[np.generic]]:
    """``Pileup`` branches that follow from the true number of interactions.

    Parameters
    ----------
    seed, key, true, own, along_z
        As for `interactions` and `vertex_densities`.
    numbers
        Shape (events,): interactions besides the event's, where they are known.

    Returns
    -------
    Branches under their NanoAOD names, shape (events,).
    """
    counts = interactions(seed, key, true)
    numbers = counts[:, 0] if numbers is None else numbers
    near, same_bin = vertex_densities(seed, key, numbers, own, along_z=along_z)
    return {
        "Pileup_nPU": numbers,
        "Pileup_sumEOOT": counts[:, 1],
        "Pileup_sumLOOT": counts[:, 2],
        "Pileup_pudensity": near,
        "Pileup_gpudensity": same_bin,
    }


def _poisson(quantiles: NDArray[np.float64], means: NDArray[np.float64]) -> NDArray[np.int64]:
    """Quantiles of Poisson distributions, as of `scipy.stats`, which takes long to import."""
    above = np.ceil(pdtrik(quantiles, np.maximum(means, np.finfo(np.float64).tiny)))
    below = np.maximum(above - 1.0, 0.0)
    counts: NDArray[np.int64] = np.where(pdtr(below, means) >= quantiles, below, above).astype(np.int64)
    return counts


def _z_bin(z: NDArray[np.float64]) -> NDArray[np.int64]:
    """Bin of |z|; all beyond the last edge counts as the last bin."""
    index: NDArray[np.int64] = np.searchsorted(_Z_EDGES[1:-1], np.abs(z))
    return index
