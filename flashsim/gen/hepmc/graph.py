"""Mends of the graph of particles and vertices, where generators write it unlike a history.

Sherpa writes the hard process beside the event: what comes out of it ends nowhere, and comes out of the
vertex of a shower once more. Sherpa 1 lets that vertex take in what leaves the hard process and give out what
enters it.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from flashsim.gen.status import is_hadron

__all__ = ["continued", "has_loop"]

Index = NDArray[np.int64]

_FINAL = 1
_LIGHT_PARTONS = (1, 2, 3, 4, 5, 21)


def continued(  # noqa: PLR0917
    pdg_id: Index,
    status: Index,
    momentum: NDArray[np.float64],
    production: Index,
    end: Index,
    hard_vertex: int,
) -> list[tuple[int, int]]:
    """Find how particles of the hard process go on that end nowhere.

    Each goes on as the particle with its PDG number and nearest in momentum, among those that are nobody's
    copy and come from no hadron. Quarks and gluons are left out: a shower has many that are alike.

    Parameters
    ----------
    pdg_id, status, production, end
        Shape (N,): of one event.
    momentum
        Shape (N, 3): in GeV.
    hard_vertex
        The vertex of the hard process, -1 if it is not known.

    Returns
    -------
    Pairs of places: the particle of the hard process, and the one that it goes on as.
    """
    if hard_vertex < 0:
        return []
    ends_nowhere = (production == hard_vertex) & (end < 0) & (status != _FINAL)
    leaves = np.flatnonzero(ends_nowhere & ~np.isin(np.abs(pdg_id), _LIGHT_PARTONS))
    alike = np.isin(pdg_id, pdg_id[leaves]) & (production >= 0) & (production != hard_vertex)
    others = np.flatnonzero(alike & _are_first(pdg_id, production, end))
    pairs = [
        (float(np.linalg.norm(momentum[leaf] - momentum[other])), int(leaf), int(other))
        for leaf in leaves
        for other in others
        if pdg_id[leaf] == pdg_id[other]
    ]
    found: dict[int, int] = {}
    taken: set[int] = set()
    for _, leaf, other in sorted(pairs):
        if leaf not in found and other not in taken:
            found[leaf] = other
            taken.add(other)
    return list(found.items())


def _are_first(pdg_id: Index, production: Index, end: Index) -> NDArray[np.bool_]:
    """Whether no mother has the particle's own PDG number, and none is a hadron."""
    ends = end >= 0
    # Of a vertex and a PDG number, which has 32 bits.
    copied = np.isin(production * 2**33 + pdg_id, end[ends] * 2**33 + pdg_id[ends])
    from_hadron = np.isin(production, end[ends & is_hadron(pdg_id.astype(np.int32))])
    first: NDArray[np.bool_] = ~copied & ~from_hadron
    return first


@numba.njit(cache=True)
def has_loop(production, end, vertices):  # type: ignore[no-untyped-def]  # numba  # noqa: ANN001, ANN201
    """Whether vertices cannot be put in an order in which particles begin before they end (Kahn, 1962)."""
    waiting = np.zeros(vertices, dtype=np.int64)
    offsets = np.zeros(vertices + 1, dtype=np.int64)
    for i in range(len(end)):
        if production[i] >= 0 and end[i] >= 0:
            waiting[end[i]] += 1
            offsets[production[i] + 1] += 1
    offsets = np.cumsum(offsets)
    place = offsets[:-1].copy()
    following = np.empty(offsets[-1], dtype=np.int64)
    for i in range(len(end)):
        if production[i] >= 0 and end[i] >= 0:
            following[place[production[i]]] = end[i]
            place[production[i]] += 1
    ready = np.empty(vertices, dtype=np.int64)
    found = 0
    for vertex in range(vertices):
        if waiting[vertex] == 0:
            ready[found] = vertex
            found += 1
    done = 0
    while done < found:
        vertex = ready[done]
        done += 1
        for other in following[offsets[vertex] : offsets[vertex + 1]]:
            waiting[other] -= 1
            if waiting[other] == 0:
                ready[found] = other
                found += 1
    return found < vertices
