"""Compiled loops over the objects of an event: neighbours, activity, jets that are leptons.

All take offsets, eta and phi, see `flashsim.events.collection.Collection.directions`; distances are
``sqrt(deta^2 + dphi^2)`` with dphi wrapped into [-pi, pi].
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from flashsim.events.angles import delta_phi
from flashsim.execution.machine_code import Kernel, compiled

if TYPE_CHECKING:
    from flashsim.events.collection import Directions

__all__ = ["closest", "closest_earlier", "jets_that_are_leptons", "ring_sum", "waves"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Offsets, eta and phi.
_OBJECTS = "int64[::1], float64[::1], float64[::1]"


def closest(
    objects: Directions, others: Directions, rank: int, cone: float, *, same: bool = False
) -> tuple[Integers, Floats]:
    """Find the `rank`-th closest of the other objects inside a cone.

    The other objects are ordered by distance, ties by their index, so the second closest does not depend on
    the order of the collection (the prototype's did).

    Parameters
    ----------
    objects, others
        The objects, N of them, and their possible neighbours in the same events.
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
    single = all(column.dtype == np.float32 for column in (*objects[1:], *others[1:]))
    kernel, dtype = (_find_closest_single, np.float32) if single else (_find_closest, np.float64)
    # No object has a place in an order: none is after another one.
    turn = np.zeros(len(objects[1]) if same else 0, dtype=np.int64)
    return _found(kernel, _places(objects, dtype), _places(others, dtype), rank, cone, same, turn)


def closest_earlier(
    objects: Directions, pt: NDArray[Any], rank: int, reach: float
) -> tuple[Integers, Floats]:
    """Find the `rank`-th closest object of higher pT in the same event within reach.

    Of equal pT the first in the collection is the earlier one. Parameters and result as for `closest`.
    """
    places, turn = _places(objects), np.zeros(len(pt), dtype=np.int64)
    turn[_falling(places[0], pt)] = np.arange(len(pt))
    return _found(_find_closest, places, places, rank, reach, True, turn)


def _found(  # noqa: PLR0917
    kernel: Kernel, places: Any, others: Any, rank: int, cone: float, same: bool, turn: Integers
) -> tuple[Integers, Floats]:
    found = np.full(len(places[1]), -1, dtype=np.int64)
    distance = np.full(len(places[1]), cone, dtype=np.float64)
    kernel(*places, *others, rank, cone, int(same), turn, found, distance)
    return found, distance


def _places(directions: Directions, dtype: DTypeLike = np.float64) -> tuple[Any, Any, Any]:
    offsets, eta, phi = directions
    return _column(offsets, np.int64), _column(eta, dtype), _column(phi, dtype)


def _column(values: NDArray[Any], dtype: DTypeLike = np.float64) -> NDArray[Any]:
    return np.ascontiguousarray(values, dtype=dtype)


def _falling(offsets: Integers, pt: NDArray[Any]) -> Integers:
    """Rows by falling pT inside of events, equal ones in their order, shape (N,)."""
    event_rows = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    return np.lexsort((-np.asarray(pt, dtype=np.float64), event_rows)).astype(np.int64)


def _find(  # noqa: PLR0917
    offsets: Integers,
    eta: Floats,
    phi: Floats,
    other_offsets: Integers,
    other_eta: Floats,
    other_phi: Floats,
    rank: int,
    cone: float,
    same: int,
    turn: Integers,
    found: Integers,
    distance: Floats,
) -> None:
    """Find neighbours; those of one collection (`same`) have a turn each, and are not after the object."""
    for event in range(len(offsets) - 1):
        for i in range(offsets[event], offsets[event + 1]):
            last_distance, last_row = -1.0, -1
            for _ in range(rank):
                best_distance, best_row = np.inf, -1
                for j in range(other_offsets[event], other_offsets[event + 1]):
                    if same and (i == j or turn[j] > turn[i]):
                        continue
                    deta = eta[i] - other_eta[j]
                    if abs(deta) > cone:
                        continue
                    d = math.hypot(deta, delta_phi(phi[i], other_phi[j]))
                    after_last = d > last_distance or (d == last_distance and j > last_row)
                    if d < cone and after_last and d < best_distance:
                        best_distance, best_row = d, j
                last_distance, last_row = best_distance, best_row
                if best_row < 0:
                    break
            if last_row >= 0:
                found[i], distance[i] = last_row, last_distance


_ARGUMENTS = f"{_OBJECTS}, {_OBJECTS}, int64, float64, int64, int64[::1], int64[::1], float64[::1]"
_find_closest = Kernel(_find, _ARGUMENTS)
# Differences of stored numbers are taken in their own precision.
_find_closest_single = Kernel(_find, _ARGUMENTS.replace("float64[::1]", "float32[::1]", 4))


def waves(objects: Directions, pt: NDArray[Any], reach: float) -> Integers:
    """Give the number of the wave in which each object is drawn, shape (N,).

    Each is drawn after all of higher pT within reach. Objects of one wave are out of reach of each other.
    """
    wave = np.zeros(len(pt), dtype=np.int64)
    places = _places(objects)
    _number_waves(*places, _falling(places[0], pt), reach, wave)
    return wave


@compiled(f"{_OBJECTS}, int64[::1], float64, int64[::1]")
def _number_waves(  # noqa: PLR0917
    offsets: Integers, eta: Floats, phi: Floats, order: Integers, reach: float, wave: Integers
) -> None:
    for event in range(len(offsets) - 1):
        for k in range(offsets[event], offsets[event + 1]):
            i = order[k]
            for earlier in range(offsets[event], k):
                j = order[earlier]
                if wave[j] >= wave[i]:
                    d = math.hypot(eta[i] - eta[j], delta_phi(phi[i], phi[j]))
                    if d < reach:
                        wave[i] = wave[j] + 1


def ring_sum(
    objects: Directions, others: Directions, value: NDArray[Any], inner: float, outer: float
) -> Floats:
    """Sum of a value, such as pT, of the other objects at distances in [inner, outer), shape (N,)."""
    total = np.zeros(len(objects[1]), dtype=np.float64)
    _add_ring(*_places(objects), *_places(others), _column(value), inner, outer, total)
    return total


@compiled(f"{_OBJECTS}, {_OBJECTS}, float64[::1], float64, float64, float64[::1]")
def _add_ring(  # noqa: PLR0917
    offsets: Integers,
    eta: Floats,
    phi: Floats,
    other_offsets: Integers,
    other_eta: Floats,
    other_phi: Floats,
    value: Floats,
    inner: float,
    outer: float,
    total: Floats,
) -> None:
    for event in range(len(offsets) - 1):
        for i in range(offsets[event], offsets[event + 1]):
            for j in range(other_offsets[event], other_offsets[event + 1]):
                d = math.hypot(eta[i] - other_eta[j], delta_phi(phi[i], other_phi[j]))
                if inner <= d < outer:
                    total[i] += value[j]


def jets_that_are_leptons(
    jets: Directions,
    jet_pt: NDArray[Any],
    leptons: Directions,
    lepton_pt: NDArray[Any],
    *,
    cone: float,
    min_share: float,
) -> NDArray[np.bool_]:
    """Tell which jets have a lepton in the cone with at least `min_share` of their pT, shape (N,)."""
    marks = np.zeros(len(jet_pt), dtype=np.uint8)
    columns = (*_places(jets), _column(jet_pt), *_places(leptons), _column(lepton_pt))
    _mark_leptons(*columns, cone, min_share, marks)
    return marks.view(np.bool_)


@compiled(f"{_OBJECTS}, float64[::1], {_OBJECTS}, float64[::1], float64, float64, uint8[::1]")
def _mark_leptons(  # noqa: PLR0917
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
    is_lepton: NDArray[np.uint8],
) -> None:
    for event in range(len(offsets) - 1):
        for i in range(offsets[event], offsets[event + 1]):
            for j in range(lepton_offsets[event], lepton_offsets[event + 1]):
                d = math.hypot(eta[i] - lepton_eta[j], delta_phi(phi[i], lepton_phi[j]))
                if d < cone and lepton_pt[j] >= min_share * pt[i]:
                    is_lepton[i] = 1
