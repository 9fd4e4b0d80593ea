"""Soft drop: the two hard subjets of a jet (Larkoski et al., arXiv:1402.2657), with beta = 0."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numba
import numpy as np

from flashsim.events.angles import delta_phi

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["soft_drop"]

_delta_phi = numba.njit(cache=True)(delta_phi)


def soft_drop(
    offsets: NDArray[np.int64], momenta: NDArray[np.float64], *, z_cut: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Subjets of jets: each is clustered again by angles, and its soft branches are dropped.

    Parameters
    ----------
    offsets
        Shape (jets + 1,): constituents of jet j, one at least, are rows ``offsets[j]`` to
        ``offsets[j + 1] - 1`` of `momenta`.
    momenta
        Shape (N, 4): px, py, pz and energy, in GeV.
    z_cut
        Share of the pT of both that the softer branch must have at least, or it is dropped.

    Returns
    -------
    Number of subjets of each jet, shape (jets,): two, or one where a single constituent is left; and their
    momenta, shape (subjets, 4), the harder one of a jet first.
    """
    counts = np.zeros(len(offsets) - 1, dtype=np.int64)
    found = np.zeros((len(offsets) - 1, 2, 4))
    _soft_drop(offsets, momenta, z_cut, counts, found)
    return counts, found[np.arange(2) < counts[:, None]]


@numba.njit(cache=True)
def _soft_drop(offsets, momenta, z_cut, counts, found):  # type: ignore[no-untyped-def]  # numba  # noqa: ANN001, ANN202
    for jet in range(len(offsets) - 1):
        n = offsets[jet + 1] - offsets[jet]
        p = np.zeros((2 * n - 1, 4))
        p[:n] = momenta[offsets[jet] : offsets[jet + 1]]
        branches = _history(p, n)
        node = 2 * n - 2
        while node >= n:
            hard, soft = branches[node - n]
            hard_pt, soft_pt = _pt(p[hard]), _pt(p[soft])
            if soft_pt > hard_pt:
                hard, soft, hard_pt, soft_pt = soft, hard, soft_pt, hard_pt
            if soft_pt > z_cut * (hard_pt + soft_pt):
                counts[jet] = 2
                found[jet, 0], found[jet, 1] = p[hard], p[soft]
                break
            node = hard
        if node < n:
            counts[jet] = 1
            found[jet, 0] = p[node]


@numba.njit(cache=True)
def _pt(p):  # type: ignore[no-untyped-def]  # numba  # noqa: ANN001, ANN202
    return math.hypot(p[0], p[1])


@numba.njit(cache=True)
def _history(p, n):  # type: ignore[no-untyped-def]  # numba  # noqa: ANN001, ANN202
    """Join n momenta by angles (Cambridge/Aachen) to one; sums are put behind them, in the order of joining.

    Gives the two places that each sum is made of.
    """
    branches = np.zeros((max(n - 1, 0), 2), dtype=np.int64)
    place = np.arange(n)  # in `p` of those that are left
    rapidity, phi = np.empty(n), np.empty(n)
    for i in range(n):
        rapidity[i], phi[i] = _direction(p[i])
    nearest = np.zeros(n, dtype=np.int64)
    distance = np.full(n, np.inf)
    for i in range(n):
        _look(i, n, rapidity, phi, nearest, distance)
    for left in range(n, 1, -1):
        first = np.argmin(distance[:left])
        i, j = min(first, nearest[first]), max(first, nearest[first])
        new = 2 * n - left
        branches[new - n] = place[i], place[j]
        p[new] = p[place[i]] + p[place[j]]
        place[i] = new
        rapidity[i], phi[i] = _direction(p[new])
        last = left - 1
        place[j], rapidity[j], phi[j] = place[last], rapidity[last], phi[last]
        nearest[j], distance[j] = nearest[last], distance[last]
        for k in range(last):
            if k == i or nearest[k] in (i, j):
                _look(k, last, rapidity, phi, nearest, distance)
                continue
            if nearest[k] == last:
                nearest[k] = j
            apart = _apart(k, i, rapidity, phi)
            if apart < distance[k]:
                nearest[k], distance[k] = i, apart
    return branches


@numba.njit(cache=True)
def _look(i, n, rapidity, phi, nearest, distance):  # type: ignore[no-untyped-def]  # numba  # noqa: ANN001, ANN202, PLR0917
    """Find the nearest of the others."""
    distance[i] = np.inf
    for k in range(n):
        if k != i:
            apart = _apart(i, k, rapidity, phi)
            if apart < distance[i]:
                nearest[i], distance[i] = k, apart


@numba.njit(cache=True)
def _apart(i, k, rapidity, phi):  # type: ignore[no-untyped-def]  # numba  # noqa: ANN001, ANN202
    return (rapidity[i] - rapidity[k]) ** 2 + _delta_phi(phi[i], phi[k]) ** 2


@numba.njit(cache=True)
def _direction(p):  # type: ignore[no-untyped-def]  # numba  # noqa: ANN001, ANN202
    transverse = math.sqrt(max(p[3] ** 2 - p[2] ** 2, 1e-300))
    return math.asinh(p[2] / transverse), math.atan2(p[1], p[0])
