"""Anti-kT jets of candidates, with their active areas.

Jets are those of fastjet (M. Cacciari, G. Salam, G. Soyez, arXiv:0802.1189, arXiv:1111.6097), found by
nearest neighbours in tiles. fastjet gets areas from 6300 ghosts that are clustered with the particles, which
takes several times as long as the jets. A ghost decides nothing, so its jet follows from the history of the
others: it joins the protojet with the least ΔR²/pT² once protojets merge at larger distances.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numba
import numpy as np

from flashsim.events.collection import Collection
from flashsim.reference.particles.streams import uniform

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Columns = Collection | Mapping[str, NDArray[Any]]

__all__ = ["Clustered", "anti_kt", "kinematics", "momenta_of", "separation2"]

GHOST_RAPIDITY = 5.0
"""Ghosts lie within this rapidity (CMSSW, `RecoJets/JetProducers`: Ghost_EtaMax)."""

GHOST_SPACING = 0.1
"""Square root of a ghost's nominal area, 0.01 in CMSSW."""

_PHI_CELLS = math.ceil(2 * math.pi / GHOST_SPACING)
_RAPIDITY_CELLS = 2 * math.ceil(GHOST_RAPIDITY / GHOST_SPACING)
_CELL = 2 * math.pi / _PHI_CELLS
GHOST_AREA = _CELL * GHOST_SPACING
"""Area of a ghost once a whole number of them fits around the axis: 0.00997."""

_STRIDE = np.uint64(0xD1342543DE82EF95)  # between the random states of ghosts
_FAR = 5.2  # rapidity from which on all share the outer tiles
_SOFT_RIVAL = 400.0  # a protojet of a twentieth of the pT takes no ghosts of note
_WITHIN = 0.95  # of the radius: what is nearer to a protojet stays near enough when it moves


@dataclass(frozen=True)
class Clustered:
    """Jets and the candidates that they are made of.

    Parameters
    ----------
    objects
        Jets by falling pT in each event.
    offsets
        Shape (N + 1,): the members of jet j are ``members[offsets[j]:offsets[j + 1]]``.
    members
        Rows of the candidates.
    """

    objects: Collection
    offsets: NDArray[np.int64]
    members: NDArray[np.int64]

    @property
    def jet_of_member(self) -> NDArray[np.int64]:
        """Row of the jet that each member belongs to."""
        return np.repeat(np.arange(len(self.objects)), np.diff(self.offsets))

    def total(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Sum of a quantity of the members, shape (M,), over each jet, shape (N,)."""
        total = np.bincount(self.jet_of_member, values, minlength=len(self.objects))
        return total.astype(np.float64)  # counts, if there are no members

    def with_columns(self, columns: dict[str, NDArray[Any]]) -> Clustered:
        """Jets with more columns."""
        objects = Collection(self.objects.offsets, self.objects.columns | columns)
        return Clustered(objects, self.offsets, self.members)

    def select(self, keep: NDArray[np.bool_]) -> Clustered:
        """Jets for which `keep`, of shape (N,), is true."""
        counts = np.diff(self.offsets)
        offsets = np.concatenate(([0], np.cumsum(counts[keep])))
        return Clustered(self.objects.select(keep), offsets, self.members[np.repeat(keep, counts)])

    def take(self, rows: NDArray[np.int64]) -> Clustered:
        """Jets in another order inside their events; `rows`, of shape (N,), is a permutation."""
        counts = np.diff(self.offsets)[rows]
        offsets = np.concatenate(([0], np.cumsum(counts)))
        places = np.arange(offsets[-1]) + np.repeat(self.offsets[rows] - offsets[:-1], counts)
        return Clustered(self.objects.take(rows), offsets, self.members[places])


def anti_kt(
    candidates: Collection,
    weights: NDArray[np.float64],
    states: NDArray[np.uint64],
    *,
    radius: float,
    min_pt: float,
) -> Clustered:
    """Cluster candidates, momenta added up (E-scheme).

    Parameters
    ----------
    candidates
        With pt, eta, phi and energy.
    weights
        Factors of their momenta, shape (N,); those of weight zero are left out.
    states
        Random state of each event, shape (E,): shifts each ghost within its cell.
    radius
        Of the jets, at most 1.
    min_pt
        Least pT of jets in GeV.

    Returns
    -------
    Jets with pt, eta, phi, mass, energy, rapidity and area.
    """
    momenta = momenta_of(candidates, weights)
    counts, jets, area, label = _cluster(candidates.offsets, momenta, states, radius, min_pt)
    found = Collection.of_counts(counts, {"pt": np.hypot(jets[:, 0], jets[:, 1])})
    order = np.lexsort((-found["pt"], found.event_rows))
    members = np.flatnonzero(label >= 0)
    place = np.argsort(order)[label[members]]
    offsets = np.concatenate(([0], np.cumsum(np.bincount(place, minlength=len(order)))))
    members = members[np.argsort(place, kind="stable")]
    return Clustered(
        Collection(found.offsets, kinematics(jets[order]) | {"area": area[order]}), offsets, members
    )


def momenta_of(candidates: Columns, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give weighted px, py, pz and energy, shape (N, 4)."""
    pt, phi = candidates["pt"] * weights, candidates["phi"]
    momenta = np.empty((len(pt), 4))
    momenta[:, 0] = pt * np.cos(phi)
    momenta[:, 1] = pt * np.sin(phi)
    momenta[:, 2] = pt * np.sinh(candidates["eta"])
    momenta[:, 3] = candidates["energy"] * weights
    return momenta


def kinematics(momenta: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    """Columns pt, eta, phi, mass and energy of momenta of shape (N, 4)."""
    px, py, pz, energy = momenta.T
    pt = np.hypot(px, py)
    mass_squared = energy**2 - pt**2 - pz**2
    return {
        "pt": pt,
        "eta": np.arcsinh(pz / np.maximum(pt, 1e-9)),
        "phi": np.arctan2(py, px),
        "mass": np.sqrt(np.maximum(mass_squared, 0.0)),
        "energy": energy,
    }


_NUMBERS = ("px", "py", "pz", "energy", "rapidity", "phi", "inverse", "distance")
_COUNTS = ("neighbour", "seen", "version", "tile", "after", "before", "ghosts", "row", "parent", "jet")
_PROTOJET = np.dtype([(name, "f8") for name in _NUMBERS] + [(name, "i8") for name in _COUNTS])
"""What is being merged.

`inverse` is 1 / pT²; `neighbour` the nearest softer protojet within the radius or -1, `distance` ΔR² to it
(or the radius squared), `seen` its `version` then, which counts changes; protojets of a tile are linked by
`after` and `before`; `row` is the candidate, `parent` what it was merged into, `jet` what it became.
"""


class _Tiling(NamedTuple):
    radius: float
    min_pt: float
    around: int
    along: int


@numba.njit(cache=True)
def _cluster(offsets, momenta, states, radius, min_pt):
    """Jets of all events: number by event; momentum and area by jet; number of the jet by candidate."""
    events = len(offsets) - 1
    label = np.full(len(momenta), -1, np.int64)
    jets, area = np.empty((len(momenta), 4)), np.empty(len(momenta))
    counts = np.zeros(events, np.int64)
    tiling = _Tiling(radius, min_pt, max(int(2 * math.pi / radius), 3), int(2 * _FAR / radius))
    near = _touching(tiling)
    most = 1
    for e in range(events):
        most = max(most, offsets[e + 1] - offsets[e])
    rows, least = np.zeros(most, _PROTOJET), np.empty(4 * most)
    # The last tile stays empty.
    first, taken = np.empty(len(near) + 1, np.int64), np.empty((_RAPIDITY_CELLS, _PHI_CELLS), np.bool_)
    rival, draw = np.empty(most, np.int64), np.empty(1, np.uint64)
    found = 0
    for e in range(events):
        n = _fill(rows, first, momenta, offsets[e], offsets[e + 1], tiling)
        taken[:] = False
        leaves = _start(rows, first, near, least, n, radius)
        while least[1] < np.inf:
            i = _first(least, leaves)
            j = rows[i].neighbour
            if j >= 0 and rows[i].seen != rows[j].version:
                # The neighbour is gone, and the distance to it was a lower limit: often nobody asks for more.
                _look_around(rows, first, near, least, i, leaves, radius, False)
            elif j >= 0:
                if rows[i].inverse * min_pt * min_pt < 2.0:
                    _take_before_merger(rows, first, taken, i, j, tiling, rival, draw, states[e])
                _merge(rows, first, i, j, tiling)
                _set(least, leaves + j, np.inf)
                _look_around(rows, first, near, least, i, leaves, radius, True)
            else:
                if rows[i].inverse * min_pt * min_pt <= 1.0:
                    _take_ghosts(rows, first, taken, i, np.inf, tiling, rival, draw, states[e])
                    jet = rows[i]
                    jets[found] = jet.px, jet.py, jet.pz, jet.energy
                    area[found] = jet.ghosts * GHOST_AREA
                    jet.jet = found
                    found += 1
                    counts[e] += 1
                _leave(rows, first, i)
                _set(least, leaves + i, np.inf)
        for k in range(n):
            root = k
            while rows[root].parent >= 0:
                root = rows[root].parent
            label[rows[k].row] = rows[root].jet
    return counts, jets[:found], area[:found], label


@numba.njit(cache=True)
def _touching(tiling):
    """Each tile and those that touch it, shape (tiles, 9)."""
    near = np.full((tiling.along * tiling.around, 9), tiling.along * tiling.around, np.int64)
    for tile in range(len(near)):
        for k in range(9):
            down, across = tile // tiling.around + k // 3 - 1, tile % tiling.around + k % 3 - 1
            if 0 <= down < tiling.along:
                near[tile, k] = down * tiling.around + across % tiling.around
    return near


@numba.njit(cache=True)
def _fill(rows, first, momenta, begin, end, tiling):
    """Make protojets of the candidates that have a weight, and count them."""
    n = 0
    first[:] = -1
    for k in range(begin, end):
        if momenta[k, 0] != 0.0 or momenta[k, 1] != 0.0:
            new = rows[n]
            new.px, new.py, new.pz, new.energy = momenta[k, 0], momenta[k, 1], momenta[k, 2], momenta[k, 3]
            new.ghosts, new.version, new.row, new.parent, new.jet = 0, 0, k, -1, -1
            _enter(rows, first, n, tiling)
            n += 1
    return n


@numba.njit(cache=True)
def _enter(rows, first, i, tiling):
    """Work out where a protojet points, and put it into its tile."""
    own = rows[i]
    pt2 = own.px * own.px + own.py * own.py
    m2 = max((own.energy + own.pz) * (own.energy - own.pz) - pt2, 0.0)
    rapidity = 0.5 * math.log((pt2 + m2) / (own.energy + abs(own.pz)) ** 2)
    phi = math.atan2(own.py, own.px)
    own.rapidity = -rapidity if own.pz > 0.0 else rapidity
    own.phi = phi if phi >= 0.0 else phi + 2 * math.pi
    own.inverse = 1.0 / pt2
    across = min(int(own.phi * (tiling.around / (2 * math.pi))), tiling.around - 1)
    down = min(max(math.floor((own.rapidity + _FAR) / (2 * _FAR) * tiling.along), 0), tiling.along - 1)
    own.tile = down * tiling.around + across
    own.before, own.after = -1, first[own.tile]
    if own.after >= 0:
        rows[own.after].before = i
    first[own.tile] = i


@numba.njit(cache=True)
def _leave(rows, first, i):
    own = rows[i]
    if own.before >= 0:
        rows[own.before].after = own.after
    else:
        first[own.tile] = own.after
    if own.after >= 0:
        rows[own.after].before = own.before
    own.version += 1


@numba.njit(cache=True)
def _start(rows, first, near, least, n, radius):
    """Find all neighbours; `least` is a binary tree whose node k has the lesser of 2 k and 2 k + 1."""
    leaves = 1
    while leaves < n:
        leaves *= 2
    least[: 2 * leaves] = np.inf
    for i in range(n):
        _look_around(rows, first, near, least, i, leaves, radius, False)
    return leaves


@numba.njit(cache=True)
def _first(least, leaves):
    k = 1
    while k < leaves:
        k = 2 * k + int(least[2 * k + 1] < least[2 * k])
    return k - leaves


@numba.njit(cache=True)
def _set(least, leaf, value):
    least[leaf] = value
    leaf //= 2
    while leaf >= 1:
        smaller = min(least[2 * leaf], least[2 * leaf + 1])
        if least[leaf] == smaller:
            break
        least[leaf] = smaller
        leaf //= 2


@numba.njit(cache=True)
def separation2(rapidity, phi, other_rapidity, other_phi):
    """Square of the distance of two directions."""
    turn = math.pi - abs(math.pi - abs(phi - other_phi))
    return (rapidity - other_rapidity) ** 2 + turn * turn


@numba.njit(cache=True)
def _look_around(rows, first, near, least, i, leaves, radius, moved):
    """Find the neighbour of i and, if it has moved, those that i is now the nearest neighbour of."""
    # Of two protojets the harder one sets their distance, so each needs to look at softer ones only.
    own = rows[i]
    rapidity, phi, inverse = own.rapidity, own.phi, own.inverse
    best, nearest = radius * radius, -1
    for side in range(9):
        k = first[near[own.tile, side]]
        while k >= 0:
            other = rows[k]
            separation = separation2(other.rapidity, other.phi, rapidity, phi)
            if other.inverse > inverse or (other.inverse == inverse and k > i):
                if separation < best:
                    best, nearest = separation, k
            elif moved and k != i and separation < other.distance:
                other.distance, other.neighbour, other.seen = separation, i, own.version
                _set(least, leaves + k, separation * other.inverse)
            k = other.after
    own.distance, own.neighbour = best, nearest
    if nearest >= 0:
        own.seen = rows[nearest].version
    _set(least, leaves + i, best * inverse)


@numba.njit(cache=True)
def _merge(rows, first, i, j, tiling):
    """Merge j into i, which is harder."""
    own, other = rows[i], rows[j]
    _leave(rows, first, i)
    _leave(rows, first, j)
    own.px, own.py, own.pz = own.px + other.px, own.py + other.py, own.pz + other.pz
    own.energy += other.energy
    own.ghosts += other.ghosts
    other.parent = i
    _enter(rows, first, i, tiling)


@numba.njit(cache=True)
def _take_before_merger(rows, first, taken, i, j, tiling, rival, draw, state):
    """Give protojets that merge their ghosts, if some may lie beyond the radius of what they become."""
    share, apart = math.sqrt(rows[i].inverse / rows[j].inverse), math.sqrt(rows[i].distance)
    least = rows[i].distance * rows[i].inverse
    if apart * (1.0 + share / (1.0 + share)) > _WITHIN * tiling.radius:
        _take_ghosts(rows, first, taken, i, least, tiling, rival, draw, state)
    if apart * (share + 1.0 / (1.0 + share)) > _WITHIN * tiling.radius:
        _take_ghosts(rows, first, taken, j, least, tiling, rival, draw, state)


@numba.njit(cache=True)
def _take_ghosts(rows, first, taken, i, least, tiling, rival, draw, state):
    """Give protojet i the free ghosts at distances below `least`, and to rivals those closer to them."""
    own = rows[i]
    rivals = _find_rivals(rows, first, i, tiling, rival)
    reach = math.sqrt(min(least / own.inverse, tiling.radius**2))
    low = max(math.floor((own.rapidity - reach + GHOST_RAPIDITY) / GHOST_SPACING), 0)
    high = min(math.floor((own.rapidity + reach + GHOST_RAPIDITY) / GHOST_SPACING), _RAPIDITY_CELLS - 1)
    left, right = math.floor((own.phi - reach) / _CELL), math.floor((own.phi + reach) / _CELL)
    for y in range(low, high + 1):
        for turn in range(left, right + 1):
            x = turn % _PHI_CELLS
            if taken[y, x]:
                continue
            draw[0] = state + np.uint64(y * _PHI_CELLS + x) * _STRIDE
            ghost_y = (y + uniform(draw)) * GHOST_SPACING - GHOST_RAPIDITY
            ghost_phi = (x + uniform(draw)) * _CELL
            separation = separation2(own.rapidity, own.phi, ghost_y, ghost_phi)
            if separation > reach * reach:
                continue
            owner, best = i, separation * own.inverse
            for r in range(rivals):
                other = rows[rival[r]]
                separation = separation2(other.rapidity, other.phi, ghost_y, ghost_phi)
                if separation < tiling.radius**2 and separation * other.inverse < best:
                    owner, best = rival[r], separation * other.inverse
            taken[y, x] = True
            rows[owner].ghosts += 1


@numba.njit(cache=True)
def _find_rivals(rows, first, i, tiling, rival):
    """Protojets hard and near enough to take ghosts from i: how many."""
    own = rows[i]
    down, across = own.tile // tiling.around, own.tile % tiling.around
    found = 0
    for y in range(max(down - 2, 0), min(down + 3, tiling.along)):
        for step in range(-2, 3):
            k = first[y * tiling.around + (across + step) % tiling.around]
            while k >= 0:
                other = rows[k]
                separation = separation2(other.rapidity, other.phi, own.rapidity, own.phi)
                near = separation < 4 * tiling.radius**2
                if near and k != i and other.inverse < _SOFT_RIVAL * own.inverse:
                    rival[found] = k
                    found += 1
                k = other.after
    return found
