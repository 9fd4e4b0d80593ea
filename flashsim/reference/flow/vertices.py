"""Primary vertices from tracks, and which vertex each track belongs to.

Vertices are maxima of the density of tracks along the beam, each track as wide as its uncertainty: close
interactions merge, and those with few tracks are not found. A track is used in the fit of the nearest vertex if it is
good and near enough; others only have a nearest one, as in MiniAOD's `pvAssociationQuality`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numba
import numpy as np
from pydantic import Field

from flashsim.declarations.recipes import Recipe
from flashsim.reference.particles.particle import PRIMARY
from flashsim.reference.particles.streams import gamma, normal

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["VERTEX", "VertexRecipe", "Vertexing", "vertices"]

VERTEX = np.dtype(
    [
        ("x", "f8"),
        ("y", "f8"),
        ("z", "f8"),
        ("xErr", "f8"),
        ("zErr", "f8"),
        ("ndof", "f8"),
        ("chi2", "f8"),
        ("score", "f8"),
        ("tracks", "i4"),
        ("interaction", "i4"),
    ]
)
"""Those of an event stand by falling score; `interaction` is the one that most tracks are from."""

_REACH, _BIN = 25.0, 0.01  # cm
_BEAM = 0.005  # cm, several times the width of the beam spot


class VertexRecipe(Recipe):
    """How vertices are found."""

    min_pt: float = Field(ge=0, description="of tracks that make vertices, in GeV")
    max_d0_significance: float = Field(gt=0, description="of tracks that make vertices")
    min_pixel_hits: int = Field(ge=0, description="of tracks that make vertices")
    window: float = Field(gt=0, description="least distance of vertices in cm")
    width: float = Field(gt=0, description="least width of a track's density in cm")
    least_density: float = Field(ge=0, description="least density at a vertex, in tracks of the least width")
    reach: float = Field(gt=0, description="tracks so many errors away are not used in the fit")
    score_power: float = Field(gt=0, description="power of pT that is summed to the score")

    def vertexing(self) -> Vertexing:
        """Numbers for kernels."""
        return Vertexing(**self.model_dump())


class Vertexing(NamedTuple):
    """A `VertexRecipe` as kernels take it."""

    min_pt: float
    max_d0_significance: float
    min_pixel_hits: int
    window: float
    width: float
    least_density: float
    reach: float
    score_power: float


def vertices(
    offsets: NDArray[np.int64],
    tracks: NDArray[Any],
    hits: NDArray[Any],
    states: NDArray[np.uint64],
    vertexing: Vertexing,
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Find the vertices of E events; `tracks` learn their vertex and with which weight they are used in its fit.

    An event without one gets a vertex at the beam spot, as in CMS.

    Parameters
    ----------
    offsets, tracks
        Of type `TRACK`.
    hits
        What the tracks are of: the true place goes into the fitted one.
    states
        Shape (E,): a random stream for each event.
    vertexing
        Parameters.
    """
    return _vertices(offsets, tracks, hits, states, vertexing)


@numba.njit(cache=True)
def _vertices(offsets, tracks, hits, states, vertexing):
    events = len(offsets) - 1
    out = np.zeros(len(tracks) + events, dtype=VERTEX)
    counts = np.zeros(events + 1, dtype=np.int64)
    density = np.zeros(int(2.0 * _REACH / _BIN))
    state = np.empty(1, dtype=np.uint64)
    place = 0
    for event in range(events):
        state[0] = states[event]
        first, last = offsets[event], offsets[event + 1]
        density[:] = 0.0
        for i in range(first, last):
            if _makes(tracks[i], vertexing):
                _spread(density, tracks[i], vertexing)
        peaks = _peaks(density, vertexing)
        found = _fit(tracks, first, last, hits, peaks, out[place : place + len(peaks) + 1], state, vertexing)
        place += found
        counts[event + 1] = place
    return counts, out[:place].copy()


@numba.njit(cache=True)
def _makes(track, vertexing):
    return (
        track.pt > vertexing.min_pt
        and track.quality
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
    window = int(vertexing.window / _BIN)
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
def _fit(tracks, first, last, hits, peaks, out, state, vertexing):
    """Fit the vertices of an event, sort them, and tell tracks where they belong; gives their number."""
    size = len(peaks)
    sums = np.zeros((size, 8))
    nearest = np.full(last - first, -1, dtype=np.int64)
    votes = np.full((size, 2), -1, dtype=np.int64)
    for i in range(first, last):
        track = tracks[i]
        best, off = -1, 1e9
        for v in range(size):
            distance = abs(track.z - peaks[v]) / math.hypot(track.zErr, 0.003)
            if distance < off:
                best, off = v, distance
        nearest[i - first] = best
        track.vertexWeight = 0.0
        if best < 0 or off > vertexing.reach or not _makes(track, vertexing):
            continue
        weight = 1.0 / (1.0 + math.exp(0.5 * (off * off - 9.0)))
        track.vertexWeight = weight
        own = weight / (track.zErr**2 + 1e-8)
        across = weight / (track.d0Err**2 + 1e-8)
        row = sums[best]
        row[0] += weight
        row[1] += own
        row[2] += own * track.z
        row[3] += across
        row[4] += track.pt**vertexing.score_power
        row[5] += 1.0
        # Those from the beam spot say where the vertex is across the beam, decays of B hadrons do not.
        direct = track.hit >= 0 and hits[track.hit].source == PRIMARY
        direct = direct and math.hypot(hits[track.hit].x, hits[track.hit].y) < _BEAM
        if direct and track.pt > votes[best, 1] / 1e3:
            votes[best, 0], votes[best, 1] = track.hit, int(1e3 * track.pt)
    kept = np.array([v for v in range(size) if sums[v, 5] >= 2.0 and 2.0 * sums[v, 0] - 3.0 > 0.0])
    order = kept[np.argsort(-sums[kept, 4])] if len(kept) else kept
    place = np.full(size, -1, dtype=np.int64)
    for number in range(len(order)):
        v = order[number]
        place[v] = number
        _vertex(out[number], sums[v], votes[v, 0], hits, state)
    for i in range(first, last):
        best = nearest[i - first]
        tracks[i].vertex = place[best] if best >= 0 else -1
        if tracks[i].vertex < 0:
            tracks[i].vertexWeight = 0.0
            tracks[i].vertex = _closest(tracks[i].z, out, len(order))
    if len(order) == 0:
        empty = out[0]
        empty.xErr, empty.zErr, empty.interaction = 0.001, 3.5, -1
    return max(len(order), 1)


@numba.njit(cache=True)
def _vertex(vertex, sums, hit, hits, state):
    vertex.zErr, vertex.xErr = (
        math.hypot(1.0 / math.sqrt(sums[1]), 2e-4),
        math.hypot(1.4 / math.sqrt(sums[3]), 2e-4),
    )
    vertex.z = sums[2] / sums[1]
    if hit >= 0:
        vertex.x, vertex.y = hits[hit].x, hits[hit].y
        vertex.interaction = hits[hit].interaction
    else:
        vertex.interaction = -1
    vertex.x += vertex.xErr * normal(state)
    vertex.y += vertex.xErr * normal(state)
    vertex.ndof = 2.0 * sums[0] - 3.0
    vertex.chi2 = 0.76 * gamma(state, 0.5 * vertex.ndof + 0.5) / (0.5 * vertex.ndof + 0.5)
    vertex.score, vertex.tracks = sums[4], int(sums[5])


@numba.njit(cache=True)
def _closest(z, vertices, number):
    best, off = 0, 1e9
    for v in range(number):
        if abs(vertices[v].z - z) < off:
            best, off = v, abs(vertices[v].z - z)
    return best
