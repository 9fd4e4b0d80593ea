"""Compiled loops over the objects of an event: neighbours, activity, jets that are leptons.

All take flat columns with offsets, see `flashsim.events.collection.Collection`; distances are
``sqrt(deta^2 + dphi^2)`` with dphi wrapped into [-pi, pi].
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

from flashsim.events.angles import delta_phi

__all__ = ["closest", "jets_that_are_leptons", "ring_sum"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@numba.njit(cache=True)
def closest(  # noqa: PLR0917  # numba has no keyword-only arguments
    offsets: Integers,
    eta: Floats,
    phi: Floats,
    other_offsets: Integers,
    other_eta: Floats,
    other_phi: Floats,
    rank: int,
    cone: float,
    same: bool,
) -> tuple[Integers, Floats]:
    """Find the `rank`-th closest of the other objects inside a cone.

    The other objects are ordered by distance, ties by their index, so the second closest does not depend on
    the order of the collection (the prototype's did).

    Parameters
    ----------
    offsets, eta, phi
        The objects: shapes (E + 1,), (N,), (N,).
    other_offsets, other_eta, other_phi
        Their possible neighbours in the same events.
    rank
        1 for the closest.
    cone
        Largest distance.
    same
        Whether both are one collection; an object is then not its own neighbour.

    Returns
    -------
    Row of the neighbour among the others, or -1, and its distance, or `cone`; shapes (N,).
    """
    found = np.full(len(eta), -1, dtype=np.int64)
    distance = np.full(len(eta), cone, dtype=np.float64)
    for event in range(len(offsets) - 1):
        for i in range(offsets[event], offsets[event + 1]):
            last_distance, last_row = -1.0, -1
            for _ in range(rank):
                best_distance, best_row = np.inf, -1
                for j in range(other_offsets[event], other_offsets[event + 1]):
                    if same and i == j:
                        continue
                    d = math.hypot(eta[i] - other_eta[j], delta_phi(phi[i], other_phi[j]))
                    after_last = d > last_distance or (d == last_distance and j > last_row)
                    if d < cone and after_last and d < best_distance:
                        best_distance, best_row = d, j
                last_distance, last_row = best_distance, best_row
                if best_row < 0:
                    break
            if last_row >= 0:
                found[i], distance[i] = last_row, last_distance
    return found, distance


@numba.njit(cache=True)
def ring_sum(  # noqa: PLR0917
    offsets: Integers,
    eta: Floats,
    phi: Floats,
    other_offsets: Integers,
    other_eta: Floats,
    other_phi: Floats,
    value: Floats,
    inner: float,
    outer: float,
) -> Floats:
    """Sum of a value, such as pT, of the other objects at distances in [inner, outer), shape (N,)."""
    total = np.zeros(len(eta), dtype=np.float64)
    for event in range(len(offsets) - 1):
        for i in range(offsets[event], offsets[event + 1]):
            for j in range(other_offsets[event], other_offsets[event + 1]):
                d = math.hypot(eta[i] - other_eta[j], delta_phi(phi[i], other_phi[j]))
                if inner <= d < outer:
                    total[i] += value[j]
    return total


@numba.njit(cache=True)
def jets_that_are_leptons(  # noqa: PLR0917
    offsets: Integers,
    eta: Floats,
    phi: Floats,
    pt: Floats,
    lepton_offsets: Integers,
    lepton_eta: Floats,
    lepton_phi: Floats,
    lepton_pt: Floats,
    cone: float,
    min_share: float,
) -> NDArray[np.bool_]:
    """Tell which jets have a lepton in the cone with at least `min_share` of their pT, shape (N,)."""
    is_lepton = np.zeros(len(eta), dtype=np.bool_)
    for event in range(len(offsets) - 1):
        for i in range(offsets[event], offsets[event + 1]):
            for j in range(lepton_offsets[event], lepton_offsets[event + 1]):
                d = math.hypot(eta[i] - lepton_eta[j], delta_phi(phi[i], lepton_phi[j]))
                if d < cone and lepton_pt[j] >= min_share * pt[i]:
                    is_lepton[i] = True
    return is_lepton
