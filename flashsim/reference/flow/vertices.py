"""Primary vertices from tracks, and which vertex each track belongs to.

Vertices are maxima of the density of tracks along the beam, each track as wide as its uncertainty: close
interactions merge, and those with few tracks are not found. A track is used in the fit of the nearest vertex
if it is good and near enough; others only have a nearest one, as in MiniAOD's `pvAssociationQuality`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from pydantic import Field

from flashsim.reference.particles.kernel_recipe import KernelRecipe
from flashsim.reference.particles.particle import PRIMARY, Rows
from flashsim.reference.particles.streams import gamma, normal, uniform

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.reference.particles.overlay import Interactions

__all__ = ["VERTEX", "VertexRecipe", "vertices"]

VERTEX = np.dtype(
    [(name, "f8") for name in ("x", "y", "z", "xErr", "zErr", "ndof", "chi2", "score")]
    + [("tracks", "i4"), ("interaction", "i4")]
)
"""Those of an event stand by falling score; `interaction` is the one of the hardest track."""

_REACH, _BIN = 25.0, 0.005  # cm
_ROWS, _COLUMNS = 10, 12  # tiles of the score, about as large as jets
_WEIGHT, _WEIGHT_Z, _Z, _WEIGHT_D0, _NUMBER, _HARDEST, _HIT = range(7)


class VertexRecipe(KernelRecipe):
    """How vertices are found."""

    min_pt: float = Field(ge=0, description="of tracks that make vertices, in GeV")
    max_eta: float = Field(gt=0, description="of tracks that make vertices")
    max_d0_significance: float = Field(gt=0, description="of tracks that make vertices")
    min_pixel_hits: int = Field(ge=0, description="of tracks that make vertices")
    window: float = Field(gt=0, description="least distance of vertices in cm")
    width: float = Field(gt=0, description="least width of a track's density in cm")
    least_density: float = Field(ge=0, description="least density at a vertex, in tracks of the least width")
    reach: float = Field(gt=0, description="at so many errors a track has half of its weight in the fit")
    efficiency: float = Field(gt=0, le=1, description="of tracks to be used in a fit")
    score_pt: float = Field(ge=0, description="tracks above it make the score, in GeV")


def vertices(
    tracks: Rows, hits: Rows, interactions: Interactions, states: NDArray[np.uint64], vertexing: Any
) -> Rows:
    """Find the vertices of E events; `tracks` learn their vertex and their weight in its fit.

    An event without one gets a vertex at the beam spot, as in CMS.

    Parameters
    ----------
    tracks, hits
        Of type `TRACK`, and the particles that they are of.
    interactions
        Where the vertices truly are.
    states
        Shape (E,): a random stream for each event.
    vertexing
        Numbers of a `VertexRecipe`.

    Returns
    -------
    Vertices of type `VERTEX`.
    """
    return Rows(*_vertices(tracks, hits.rows, interactions, states, vertexing))


@numba.njit(cache=True)
def _vertices(tracks, hits, interactions, states, vertexing):
    events = len(states)
    out = np.zeros(len(tracks.rows) + events, dtype=VERTEX)
    counts = np.zeros(events + 1, dtype=np.int64)
    density = np.zeros(int(2.0 * _REACH / _BIN))
    state = np.empty(1, dtype=np.uint64)
    place = 0
    for event in range(events):
        state[0] = states[event]
        found = tracks.rows[tracks.offsets[event] : tracks.offsets[event + 1]]
        used = np.zeros(len(found), dtype=np.bool_)
        density[:] = 0.0
        for i in range(len(found)):
            used[i] = _makes(found[i], vertexing)
            if used[i]:
                _spread(density, found[i], vertexing)
        peaks = _peaks(density, vertexing)
        sums, nearest = _sums(found, used, hits, peaks, state, vertexing)
        place += _fit(found, nearest, sums, hits, interactions, event, out[place:], state)
        counts[event + 1] = place
    return counts, out[:place].copy()


@numba.njit(cache=True)
def _makes(track, vertexing):
    return (
        track.pt > vertexing.min_pt
        and abs(track.eta) < vertexing.max_eta
        and track.pixelHits >= vertexing.min_pixel_hits
        and abs(track.d0) < vertexing.max_d0_significance * math.hypot(track.d0Err, 0.001)
        and abs(track.z) < _REACH - 0.5
        and track.zErr < 0.5
    )


@numba.njit(cache=True)
def _spread(density, track, vertexing):
    sigma = math.hypot(track.zErr, vertexing.width)
    first = max(int((track.z - 3.0 * sigma + _REACH) / _BIN), 0)
    last = min(int((track.z + 3.0 * sigma + _REACH) / _BIN) + 1, len(density))
    for place in range(first, last):
        off = ((place + 0.5) * _BIN - _REACH - track.z) / sigma
        density[place] += vertexing.width / sigma * math.exp(-0.5 * off * off)


@numba.njit(cache=True)
def _peaks(density, vertexing):
    window = int(vertexing.window / _BIN + 0.5)
    peaks = np.empty(400)
    number = 0
    for place in range(window, len(density) - window):
        here = density[place]
        if here < vertexing.least_density or number == len(peaks):
            continue
        highest = True
        for other in range(place - window, place + window + 1):
            if density[other] > here or (density[other] == here and other < place):
                highest = False
                break
        if highest:
            peaks[number] = (place + 0.5) * _BIN - _REACH
            number += 1
    return peaks[:number].copy()


@numba.njit(cache=True)
def _sums(tracks, used, hits, peaks, state, vertexing):
    """Sum over the tracks of each vertex, last its score, and find the nearest vertex of each track."""
    sums = np.zeros((len(peaks), 8))
    tiles = np.zeros((len(peaks), _ROWS * _COLUMNS))
    nearest = np.full(len(tracks), -1, dtype=np.int64)
    for i in range(len(tracks)):
        track = tracks[i]
        best, off = -1, 1e9
        for v in range(len(peaks)):
            distance = abs(track.z - peaks[v])
            if distance < off:
                best, off = v, distance
        off /= math.hypot(track.zErr, 0.003)
        nearest[i] = best
        track.vertexWeight = 0.0
        if best < 0 or off > 2.0 * vertexing.reach or not used[i]:
            continue
        weight = 1.0 / (1.0 + math.exp(0.5 * (off * off - vertexing.reach**2)))
        if uniform(state) > vertexing.efficiency:
            weight = 0.0
        track.vertexWeight = weight
        row = sums[best]
        row[_WEIGHT] += weight
        row[_WEIGHT_Z] += weight / (track.zErr**2 + 1e-8)
        row[_Z] += weight / (track.zErr**2 + 1e-8) * track.z
        row[_WEIGHT_D0] += weight / (track.d0Err**2 + 1e-8)
        row[_NUMBER] += 1.0
        if track.pt > vertexing.score_pt:
            column = int((track.phi + math.pi) / (2.0 * math.pi) * _COLUMNS) % _COLUMNS
            tile = min(max(int((track.eta + 2.6) / 0.52), 0), _ROWS - 1) * _COLUMNS + column
            tiles[best, tile] += track.pt
        if track.hit >= 0 and hits[track.hit].source == PRIMARY and track.pt > row[_HARDEST]:
            row[_HARDEST], row[_HIT] = track.pt, track.hit + 1.0
    sums[:, 7] = (tiles * tiles).sum(axis=1)
    return sums, nearest


@numba.njit(cache=True)
def _fit(tracks, nearest, sums, hits, interactions, event, out, state):
    """Make the vertices of an event, sort them, and tell tracks where they belong; gives their number."""
    kept = np.flatnonzero((sums[:, _NUMBER] >= 2.0) & (2.0 * sums[:, _WEIGHT] > 3.0))
    order = kept[np.argsort(-sums[kept, 7] - 1e-6 * sums[kept, _NUMBER])]
    place = np.full(len(sums), -1, dtype=np.int64)
    for number in range(len(order)):
        place[order[number]] = number
        _vertex(out[number], sums[order[number]], hits, interactions, event, state)
    for i in range(len(tracks)):
        track = tracks[i]
        track.vertex = place[nearest[i]] if nearest[i] >= 0 else -1
        if track.vertex < 0:
            track.vertexWeight = 0.0
            track.vertex, off = 0, 1e9
            for v in range(len(order)):
                if abs(out[v].z - track.z) < off:
                    track.vertex, off = v, abs(out[v].z - track.z)
    if len(order) == 0:
        out[0].xErr, out[0].zErr, out[0].interaction = 0.001, 3.5, -1
    return max(len(order), 1)


@numba.njit(cache=True)
def _vertex(vertex, sums, hits, interactions, event, state):
    vertex.zErr = math.hypot(1.0 / math.sqrt(sums[_WEIGHT_Z]), 2e-4)
    vertex.xErr = math.hypot(1.4 / math.sqrt(sums[_WEIGHT_D0]), 2e-4)
    vertex.z = sums[_Z] / sums[_WEIGHT_Z]
    hit = int(sums[_HIT]) - 1
    vertex.interaction = hits[hit].interaction if hit >= 0 else -1
    if vertex.interaction == 0:
        vertex.x, vertex.y = interactions.vertex[event, 0], interactions.vertex[event, 1]
    vertex.x += vertex.xErr * normal(state)
    vertex.y += vertex.xErr * normal(state)
    vertex.ndof = 2.0 * sums[_WEIGHT] - 3.0
    vertex.chi2 = 0.76 * gamma(state, 0.5 * vertex.ndof + 0.5) / (0.5 * vertex.ndof + 0.5)
    vertex.score, vertex.tracks = sums[7], int(sums[_NUMBER])
