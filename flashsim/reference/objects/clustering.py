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
    from numpy.typing import NDArray

__all__ = ["Clustered", "anti_kt", "momenta_of"]

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
_WIDE_MERGER = (
    0.6  # of the radius: protojets that merge closer to each other reach no ghost beyond the radius
)


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
    offsets, members = _members(label, order)
    return Clustered(Collection(found.offsets, _columns(jets[order], area[order])), offsets, members)


def momenta_of(candidates: Collection, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give weighted px, py, pz and energy, shape (N, 4)."""
    pt, phi = candidates["pt"] * weights, candidates["phi"]
    momenta = np.empty((len(candidates), 4))
    momenta[:, 0] = pt * np.cos(phi)
    momenta[:, 1] = pt * np.sin(phi)
    momenta[:, 2] = pt * np.sinh(candidates["eta"])
    momenta[:, 3] = candidates["energy"] * weights
    return momenta


def _columns(jets: NDArray[np.float64], area: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    px, py, pz, energy = jets.T
    pt = np.hypot(px, py)
    mass_squared = energy**2 - pt**2 - pz**2
    return {
        "pt": pt,
        "eta": np.arcsinh(pz / pt),
        "phi": np.arctan2(py, px),
        "mass": np.sqrt(np.maximum(mass_squared, 0.0)),
        "energy": energy,
        "area": area,
    }


class _Protojets(NamedTuple):
    """What is being merged in an event, and the lists of those in each tile."""

    momentum: Any
    """px, py, pz, E, shape (n, 4)."""
    place: Any
    """Rapidity, azimuth and 1 / pT², shape (n, 3)."""
    neighbour: Any
    """Nearest softer protojet within the radius, or -1."""
    distance: Any
    """ΔR² to it, or the radius squared."""
    seen: Any
    """The neighbour's version when it was found."""
    version: Any
    """How often a protojet has changed."""
    tile: Any
    after: Any
    before: Any
    first: Any
    """First protojet of each tile, or -1; the last tile stays empty."""
    near: Any
    """Tiles that touch a tile, and itself, shape (tiles, 9)."""
    least: Any
    """Binary tree of the least anti-kT distances: 1 is the root, the children of k are 2 k and 2 k + 1."""
    ghosts: Any
    """Ghosts that each protojet holds."""
    taken: Any
    """Whether a ghost is in a protojet already, by cell."""
    rivals: Any
    draw: Any
    """Random state, shape (1,)."""


@numba.njit(cache=True)
def _cluster(offsets, momenta, states, radius, min_pt):
    """Jets of all events: number by event; momentum and area by jet; number of the jet by candidate."""
    total = len(momenta)
    label = np.full(total, -1, np.int64)
    jets, area = np.empty((total, 4)), np.empty(total)
    counts = np.zeros(len(offsets) - 1, np.int64)
    most = 1
    for e in range(len(counts)):
        most = max(most, offsets[e + 1] - offsets[e])
    around = max(int(2 * math.pi / radius), 3)
    every = _scratch(most, around, int(2 * _FAR / radius))
    parent, row, jet_of = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.int64)
    found = 0
    for e in range(len(counts)):
        n = _fill(every, momenta, offsets[e], offsets[e + 1], row, around)
        leaves = _start(every, n, radius)
        parent[:n] = -1
        jet_of[:n] = -1
        while every.least[1] < np.inf:
            i = _first(every.least, leaves)
            j = every.neighbour[i]
            if j >= 0 and every.seen[i] != every.version[j]:
                # The neighbour is gone, and the distance to it was a lower limit: often nobody asks for more.
                _find_neighbour(every, i, radius)
                _set(every.least, leaves + i, every.distance[i] * every.place[i, 2])
            elif j >= 0:
                parent[j] = i
                _merge(every, i, j, leaves, radius, around, min_pt, states[e])
            else:
                if every.place[i, 2] * min_pt * min_pt <= 1.0:
                    _take_ghosts(every, i, np.inf, radius, around, states[e])
                    jets[found] = every.momentum[i]
                    area[found] = every.ghosts[i] * GHOST_AREA
                    jet_of[i] = found
                    found += 1
                    counts[e] += 1
                _leave(every, i)
                _set(every.least, leaves + i, np.inf)
        for k in range(n):
            root = k
            while parent[root] >= 0:
                root = parent[root]
            label[row[k]] = jet_of[root]
    return counts, jets[:found], area[:found], label


@numba.njit(cache=True)
def _scratch(most, around, along):
    leaves = 1
    while leaves < most:
        leaves *= 2
    near = np.full((along * around, 9), along * around, np.int64)
    for tile in range(along * around):
        down, across = tile // around, tile % around
        for k in range(9):
            if 0 <= down + k // 3 - 1 < along:
                near[tile, k] = (down + k // 3 - 1) * around + (across + k % 3 - 1) % around
    return _Protojets(
        np.empty((most, 4)),
        np.empty((most, 3)),
        np.empty(most, np.int64),
        np.empty(most),
        np.empty(most, np.int64),
        np.empty(most, np.int64),
        np.empty(most, np.int64),
        np.empty(most, np.int64),
        np.empty(most, np.int64),
        np.empty(along * around + 1, np.int64),
        near,
        np.empty(2 * leaves),
        np.empty(most, np.int64),
        np.empty((_RAPIDITY_CELLS, _PHI_CELLS), np.bool_),
        np.empty(most, np.int64),
        np.empty(1, np.uint64),
    )


@numba.njit(cache=True)
def _fill(every, momenta, begin, end, row, around):
    every.first[:] = -1
    every.taken[:] = False
    n = 0
    for k in range(begin, end):
        if momenta[k, 0] != 0.0 or momenta[k, 1] != 0.0:
            _locate(every.place, n, momenta[k])
            every.tile[n] = _tile_of(every, n, around)
            every.seen[n] = k
            n += 1
    # In the order of tiles, so that what is near lies near in memory, too.
    order = np.argsort(every.tile[:n], kind="mergesort")
    for i in range(n):
        row[i] = every.seen[order[i]]
        for component in range(4):
            every.momentum[i, component] = momenta[row[i], component]
        _locate(every.place, i, every.momentum[i])
        every.ghosts[i], every.version[i] = 0, 0
    for i in range(n - 1, -1, -1):
        _enter(every, i, around)
    return n


@numba.njit(cache=True)
def _start(every, n, radius):
    leaves = 1
    while leaves < n:
        leaves *= 2
    for i in range(n):
        _find_neighbour(every, i, radius)
        every.least[leaves + i] = every.distance[i] * every.place[i, 2]
    every.least[leaves + n : 2 * leaves] = np.inf
    for k in range(leaves - 1, 0, -1):
        every.least[k] = min(every.least[2 * k], every.least[2 * k + 1])
    if n == 0:
        every.least[1] = np.inf
    return leaves


@numba.njit(cache=True)
def _locate(place, i, momentum):
    px, py, pz, energy = momentum[0], momentum[1], momentum[2], momentum[3]
    pt2 = px * px + py * py
    m2 = max((energy + pz) * (energy - pz) - pt2, 0.0)
    rapidity = 0.5 * math.log((pt2 + m2) / (energy + abs(pz)) ** 2)
    phi = math.atan2(py, px)
    place[i, 0] = -rapidity if pz > 0.0 else rapidity
    place[i, 1] = phi if phi >= 0.0 else phi + 2 * math.pi
    place[i, 2] = 1.0 / pt2


@numba.njit(cache=True)
def _tile_of(every, i, around):
    along = len(every.near) // around
    across = int(every.place[i, 1] * (around / (2 * math.pi)))
    down = math.floor((every.place[i, 0] + _FAR) / (2 * _FAR) * along)
    return min(max(down, 0), along - 1) * around + min(across, around - 1)


@numba.njit(cache=True)
def _enter(every, i, around):
    tile = _tile_of(every, i, around)
    head = every.first[tile]
    every.tile[i], every.before[i], every.after[i] = tile, -1, head
    if head >= 0:
        every.before[head] = i
    every.first[tile] = i


@numba.njit(cache=True)
def _leave(every, i):
    before, after = every.before[i], every.after[i]
    if before >= 0:
        every.after[before] = after
    else:
        every.first[every.tile[i]] = after
    if after >= 0:
        every.before[after] = before
    every.version[i] += 1


@numba.njit(cache=True)
def _separation(rapidity, phi, other_rapidity, other_phi):
    turn = math.pi - abs(math.pi - abs(phi - other_phi))
    return (rapidity - other_rapidity) ** 2 + turn * turn


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
def _find_neighbour(every, i, radius):
    # Of two protojets the harder one sets their distance, so each needs to look at softer ones only.
    place, after = every.place, every.after  # taken out of the tuple once: numba counts references
    rapidity, phi, inverse = place[i, 0], place[i, 1], place[i, 2]
    best, nearest = radius * radius, -1
    for side in range(9):
        k = every.first[every.near[every.tile[i], side]]
        while k >= 0:
            separation = _separation(place[k, 0], place[k, 1], rapidity, phi)
            if separation < best and (place[k, 2] > inverse or (place[k, 2] == inverse and k > i)):
                best, nearest = separation, k
            k = after[k]
    every.distance[i], every.neighbour[i] = best, nearest
    if nearest >= 0:
        every.seen[i] = every.version[nearest]


@numba.njit(cache=True)
def _merge(every, i, j, leaves, radius, around, min_pt, state):
    """Merge j into i, which is harder."""
    inverse = every.place[i, 2]
    wide = every.distance[i] > (_WIDE_MERGER * radius) ** 2
    if wide and every.place[j, 2] < _SOFT_RIVAL * inverse and 0.25 * inverse * min_pt * min_pt < 1.0:
        least = every.distance[i] * inverse
        _take_ghosts(every, i, least, radius, around, state)
        _take_ghosts(every, j, least, radius, around, state)
    _leave(every, i)
    _leave(every, j)
    for component in range(4):
        every.momentum[i, component] += every.momentum[j, component]
    every.ghosts[i] += every.ghosts[j]
    _set(every.least, leaves + j, np.inf)
    _locate(every.place, i, every.momentum[i])
    _enter(every, i, around)
    _join(every, i, leaves, radius)


@numba.njit(cache=True)
def _join(every, i, leaves, radius):
    """Find the neighbour of i, and those that i is now the nearest neighbour of."""
    place, after, distance = every.place, every.after, every.distance
    rapidity, phi, inverse = place[i, 0], place[i, 1], place[i, 2]
    best, nearest = radius * radius, -1
    for side in range(9):
        k = every.first[every.near[every.tile[i], side]]
        while k >= 0:
            separation = _separation(place[k, 0], place[k, 1], rapidity, phi)
            if place[k, 2] > inverse or (place[k, 2] == inverse and k > i):
                if separation < best:
                    best, nearest = separation, k
            elif k != i and separation < distance[k]:
                distance[k], every.neighbour[k], every.seen[k] = separation, i, every.version[i]
                _set(every.least, leaves + k, separation * place[k, 2])
            k = after[k]
    distance[i], every.neighbour[i] = best, nearest
    if nearest >= 0:
        every.seen[i] = every.version[nearest]
    _set(every.least, leaves + i, best * inverse)


@numba.njit(cache=True)
def _take_ghosts(every, i, least, radius, around, state):
    """Give protojet i the free ghosts at distances below `least`, and to rivals those closer to them."""
    place, rival, taken, ghosts, draw = every.place, every.rivals, every.taken, every.ghosts, every.draw
    rapidity, phi, inverse = place[i, 0], place[i, 1], place[i, 2]
    rivals = _find_rivals(every, i, radius, around)
    reach = math.sqrt(min(least / inverse, radius * radius))
    low = math.floor((rapidity - reach + GHOST_RAPIDITY) / GHOST_SPACING)
    high = math.floor((rapidity + reach + GHOST_RAPIDITY) / GHOST_SPACING)
    left, right = math.floor((phi - reach) / _CELL), math.floor((phi + reach) / _CELL)
    for y in range(max(low, 0), min(high + 1, _RAPIDITY_CELLS)):
        for turn in range(left, right + 1):
            x = turn % _PHI_CELLS
            if taken[y, x]:
                continue
            draw[0] = state + np.uint64(y * _PHI_CELLS + x) * _STRIDE
            ghost_y = (y + uniform(draw)) * GHOST_SPACING - GHOST_RAPIDITY
            ghost_phi = (x + uniform(draw)) * _CELL
            separation = _separation(rapidity, phi, ghost_y, ghost_phi)
            if separation > reach * reach:
                continue
            owner, best = i, separation * inverse
            for r in range(rivals):
                k = rival[r]
                separation = _separation(place[k, 0], place[k, 1], ghost_y, ghost_phi)
                if separation < radius * radius and separation * place[k, 2] < best:
                    owner, best = k, separation * place[k, 2]
            taken[y, x] = True
            ghosts[owner] += 1


@numba.njit(cache=True)
def _find_rivals(every, i, radius, around):
    """Protojets hard and near enough to take ghosts from i: how many."""
    place, after = every.place, every.after
    along, down, across = len(every.near) // around, every.tile[i] // around, every.tile[i] % around
    rapidity, phi, softest = place[i, 0], place[i, 1], _SOFT_RIVAL * place[i, 2]
    found = 0
    for y in range(max(down - 2, 0), min(down + 3, along)):
        for step in range(-2, 3):
            k = every.first[y * around + (across + step) % around]
            while k >= 0:
                close = _separation(place[k, 0], place[k, 1], rapidity, phi) < 4 * radius * radius
                if close and k != i and place[k, 2] < softest:
                    every.rivals[found] = k
                    found += 1
                k = after[k]
    return found


@numba.njit(cache=True)
def _members(label, order):
    """Members of the jets as sorted, and where each jet's begin."""
    place = np.empty(len(order), np.int64)
    for rank in range(len(order)):
        place[order[rank]] = rank
    offsets = np.zeros(len(order) + 1, np.int64)
    for jet in label:
        if jet >= 0:
            offsets[place[jet] + 1] += 1
    for rank in range(len(order)):
        offsets[rank + 1] += offsets[rank]
    free = offsets[:-1].copy()
    members = np.empty(offsets[-1], np.int64)
    for row in range(len(label)):
        if label[row] >= 0:
            jet = place[label[row]]
            members[free[jet]] = row
            free[jet] += 1
    return offsets, members
