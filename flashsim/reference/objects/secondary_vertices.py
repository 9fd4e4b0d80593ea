"""Secondary vertices: points away from the primary vertex where tracks meet.

The algorithm is CMS's inclusive vertex finder (CMSSW, `RecoVertex/AdaptiveVertexFinder`; CMS, JINST 13
(2018) P05011, section 3.2). Displaced tracks are seeds, which gather the tracks that pass near them; adaptive
fits give vertices; those that share most tracks are merged; each vertex keeps what is nearer to it than
to the primary vertex. Tracks are helices that begin where they are nearest to the primary vertex, the origin
in all kernels.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numba
import numpy as np
from pydantic import Field

from flashsim.events.collection import Collection
from flashsim.reference.objects.clustering import Clustered
from flashsim.reference.particles.helix import BEND
from flashsim.reference.particles.kernel_recipe import KernelRecipe

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.reference.flow.recorded import Recorded

__all__ = ["SecondaryVerticesRecipe", "common_vertices", "secondary_vertices"]

_FARTHEST = 60.0  # cm along a track
_COOLING = (256.0, 32.0, 4.0, 1.0, 1.0)  # temperatures of the adaptive fit


class SecondaryVerticesRecipe(KernelRecipe):
    """How secondary vertices are found; lengths in cm, pT in GeV."""

    field: float = Field(gt=0, description="solenoid, in tesla")
    lever: float = Field(gt=0, description="length over which errors of tracks' angles make those of places")
    tracks: list[float] = Field(description="least pT and largest dz of tracks that make vertices")
    seed: list[float] = Field(description="least impact parameter of seeds in space, and its significance")
    near: list[float] = Field(
        description="of a track and its seed: largest distance, its significance, least ratio of the flight "
        "length to it, and least cosine of the angles to the flight"
    )
    vertex: list[float] = Field(
        description="least cosine of the momentum's angle to the flight, least significance of the "
        "transverse flight length, largest chi-squared per degree of freedom"
    )
    outlier: float = Field(gt=0, description="tracks so many errors away count half in a fit")
    merged: list[float] = Field(
        description="vertices merge that share so much and are no so many errors apart"
    )
    own: list[float] = Field(
        description="of tracks that a vertex takes in the end: least pT, largest dz, distance, its "
        "significance, its share in the flight length, angle to the flight"
    )
    merged_again: list[float] = Field(description="as `merged`, after that")
    kept: list[float] = Field(
        description="of stored vertices: least significance of the flight length, and its largest error"
    )


class _Tracks(NamedTuple):
    """Tracks at their closest approach to the primary vertex, each of shape (N,).

    `bend` is the curvature; errors are those in the transverse plane, and along the beam.
    """

    x: Any
    y: Any
    z: Any
    cosine: Any
    sine: Any
    slope: Any
    bend: Any
    pt: Any
    error: Any
    z_error: Any


_OF_TRACKS = ("phi", "eta", "pt", "dxy", "dz", "dxyErr", "dzErr", "charge", "track")
_COLUMNS = ("x", "y", "z", "chi2", "ndof", "dlen", "dlenSig", "dxy", "dxySig")


def secondary_vertices(recorded: Recorded, recipe: SecondaryVerticesRecipe) -> Clustered:
    """Find secondary vertices.

    Parameters
    ----------
    recorded
        The recorded events.
    recipe
        Parameters.

    Returns
    -------
    Vertices in the order in which they are found, with ``SV`` fields of NanoAOD and ``_stored``, whether it
    stores them, and the candidates of their tracks.
    """
    candidates, first = recorded.candidates, recorded.vertices.offsets[:-1]
    used = (candidates["track"] >= 0) & (candidates["pt"] > min(recipe.tracks[0], recipe.own[0]))
    used &= recorded.tracks["quality"][candidates["track"]] & (np.abs(candidates["dz"]) < recipe.own[1])
    chosen = Collection(candidates.offsets, {name: candidates[name] for name in _OF_TRACKS}).select(used)
    tracks = _tracks(chosen.columns, recorded, recipe)
    errors = np.stack([recorded.vertices[name][first] for name in ("xErr", "xErr", "zErr")], axis=1)
    counts, table, sizes, members = _find(chosen.offsets, tracks, errors, recipe.numbers())
    columns: dict[str, NDArray[Any]] = dict(zip(_COLUMNS, table.T.copy(), strict=True))
    for name in ("x", "y", "z"):
        columns[name] += recorded.vertices[name][np.repeat(first, counts)]
    offsets = np.concatenate(([0], np.cumsum(sizes)))
    spread = columns["dlen"] / columns["dlenSig"]
    columns["_stored"] = (columns["dlenSig"] > recipe.kept[0]) & (spread < recipe.kept[1])
    found = Clustered(Collection.of_counts(counts, columns), offsets, np.flatnonzero(used)[members])
    return _with_momenta(found, candidates, table[:, :3].T)


def common_vertices(
    recorded: Recorded, groups: Clustered, recipe: SecondaryVerticesRecipe
) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]:
    """Fit a vertex to the charged candidates of each group, such as the hadrons of a tau.

    Returns
    -------
    Whether there is one, shape (N,); x, y, z from the primary vertex in cm, chi-squared per degree of freedom
    and degrees of freedom, shape (N, 5); covariance, shape (N, 3, 3).
    """
    charged = recorded.candidates["track"][groups.members] >= 0
    columns = {name: recorded.candidates[name][groups.members[charged]] for name in _OF_TRACKS}
    offsets = np.concatenate(([0], np.cumsum(charged)))[groups.offsets]
    return _fit_groups(offsets, _tracks(columns, recorded, recipe), recipe.numbers())


def _tracks(columns: dict[str, NDArray[Any]], recorded: Recorded, recipe: SecondaryVerticesRecipe) -> _Tracks:
    cosine, sine = np.cos(columns["phi"]), np.sin(columns["phi"])
    return _Tracks(
        -columns["dxy"] * sine,
        columns["dxy"] * cosine,
        columns["dz"],
        cosine,
        sine,
        np.sinh(columns["eta"]),
        -columns["charge"] * BEND * recipe.field / recorded.tracks["pt"][columns["track"]],
        columns["pt"],
        columns["dxyErr"],
        columns["dzErr"],
    )


def _with_momenta(found: Clustered, candidates: Collection, flight: NDArray[np.float64]) -> Clustered:
    """Add what follows from the momenta of a vertex's tracks; `flight` is of shape (3, N)."""
    pt, eta, phi, energy, charge = (
        candidates[name][found.members] for name in ("pt", "eta", "phi", "energy", "charge")
    )
    vector = np.stack([found.total(pt * part) for part in (np.cos(phi), np.sin(phi), np.sinh(eta))])
    momentum, across = np.sqrt((vector**2).sum(axis=0)), np.hypot(vector[0], vector[1])
    cosine = (vector * flight).sum(axis=0) / (momentum * np.sqrt((flight**2).sum(axis=0)))
    columns = found.objects.columns | {
        "pt": across,
        "eta": np.arcsinh(vector[2] / across),
        "phi": np.arctan2(vector[1], vector[0]),
        "mass": np.sqrt(np.maximum(found.total(energy) ** 2 - momentum**2, 0.0)),
        "charge": found.total(charge).astype(np.int64),
        "ntracks": np.diff(found.offsets),
        # CMSSW takes the vector from the secondary to the primary vertex
        "pAngle": np.arccos(np.clip(-cosine, -1.0, 1.0)),
    }
    return Clustered(Collection(found.objects.offsets, columns), found.offsets, found.members)


@numba.njit(cache=True)
def _find(offsets, tracks, errors, recipe):
    """Vertices of all events: number by event; `_COLUMNS` and number of tracks by vertex; the tracks."""
    counts = np.zeros(len(offsets) - 1, dtype=np.int64)
    table, sizes = np.empty((len(tracks.x), 9)), np.zeros(len(tracks.x), dtype=np.int64)
    members = np.empty(64, dtype=np.int64)
    made = placed = 0
    for event in range(len(counts)):
        first, last, error = offsets[event], offsets[event + 1], errors[event]
        weights, places, covariances = _fitted(first, last, tracks, error, recipe)
        kept = _distinct(weights, places, covariances, recipe.merged)
        weights, places, covariances = weights[kept], places[kept], covariances[kept]
        good = np.zeros(len(kept), dtype=np.bool_)
        for v in range(len(kept)):
            _arbitrate(first, last, tracks, error, weights[v], places[v], covariances[v], recipe)
            good[v] = _fit(first, tracks, weights[v], places[v], covariances[v], recipe)
        weights, places, covariances = weights[good], places[good], covariances[good]
        for v in _distinct(weights, places, covariances, recipe.merged_again):
            length, spread = _length(places[v], covariances[v], error, 3)
            across, spread_across = _length(places[v], covariances[v], error, 2)
            table[made, :5] = places[v]
            table[made, 5:] = length, length / spread, across, across / spread_across
            own = np.flatnonzero(weights[v] > 0.5)
            sizes[made] = len(own)
            if placed + len(own) > len(members):
                members = np.concatenate((members, np.empty(len(members) + len(own), dtype=np.int64)))
            members[placed : placed + len(own)] = first + own
            placed += len(own)
            made += 1
            counts[event] += 1
    return counts, table[:made].copy(), sizes[:made].copy(), members[:placed].copy()


@numba.njit(cache=True)
def _fit_groups(offsets, tracks, recipe):
    number = len(offsets) - 1
    good = np.zeros(number, dtype=np.bool_)
    places, covariances = np.zeros((number, 5)), np.zeros((number, 3, 3))
    for g in range(number):
        weight = np.ones(offsets[g + 1] - offsets[g])
        good[g] = len(weight) > 1 and _fit(offsets[g], tracks, weight, places[g], covariances[g], recipe)
    return good, places, covariances


@numba.njit(cache=True)
def _fitted(first, last, tracks, error, recipe):
    """Fit a vertex to what each seed gathers: weights of tracks, `_COLUMNS[:5]` and covariance of each."""
    makes = (tracks.pt[first:last] > recipe.tracks[0]) & (np.abs(tracks.z[first:last]) < recipe.tracks[1])
    number, found = makes.sum(), 0
    weights, places = np.zeros((number, last - first)), np.zeros((number, 5))
    covariances = np.zeros((number, 3, 3))
    for seed in first + np.flatnonzero(makes):
        distance, spread = _impact(tracks, seed, error)
        if distance < recipe.seed[0] or distance < recipe.seed[1] * spread:
            continue
        weight, place, covariance = weights[found], places[found], covariances[found]
        weight[:] = 0.0
        _gather(seed, first, makes, tracks, weight, place, recipe)
        if weight[seed - first] == 0.0 or not _fit(first, tracks, weight, place, covariance, recipe):
            continue
        momentum = np.zeros(3)
        for i in first + np.flatnonzero(weight > 0.5):
            momentum += tracks.pt[i] * np.array([tracks.cosine[i], tracks.sine[i], tracks.slope[i]])
        along = (momentum * place[:3]).sum()
        length = math.sqrt((momentum**2).sum() * (place[:3] ** 2).sum())
        across, spread = _length(place, covariance, error, 2)
        if (
            place[3] < recipe.vertex[2]
            and across > recipe.vertex[1] * spread
            and along > recipe.vertex[0] * length
        ):
            found += 1
    return weights[:found], places[:found], covariances[:found]


@numba.njit(cache=True)
def _impact(tracks, i, error):
    """Distance of a track to the primary vertex in space, and its error."""
    squeeze = 1.0 / (1.0 + tracks.slope[i] ** 2)
    across, along = tracks.x[i] ** 2 + tracks.y[i] ** 2, tracks.z[i] ** 2 * squeeze
    distance = math.sqrt(across + along)
    variance = across * (tracks.error[i] ** 2 + error[0] ** 2)
    variance += along * (tracks.z_error[i] ** 2 + error[2] ** 2) * squeeze
    return distance, math.sqrt(variance) / max(distance, 1e-9)


@numba.njit(cache=True)
def _direction(tracks, i, turn):
    """Cosine and sine of a track's azimuth after it has turned by an angle, which is small."""
    square = turn * turn
    cosine, sine = 1.0 - 0.5 * square * (1.0 - square / 12.0), turn * (1.0 - square / 6.0)
    return (
        tracks.cosine[i] * cosine - tracks.sine[i] * sine,
        tracks.sine[i] * cosine + tracks.cosine[i] * sine,
    )


@numba.njit(cache=True)
def _point(tracks, i, path):
    """Place of a track after a path in the transverse plane, and cosine and sine of its azimuth there."""
    cosine, sine = _direction(tracks, i, 0.5 * tracks.bend[i] * path)
    x, y = tracks.x[i] + path * cosine, tracks.y[i] + path * sine
    cosine, sine = _direction(tracks, i, tracks.bend[i] * path)
    return x, y, tracks.z[i] + path * tracks.slope[i], cosine, sine


@numba.njit(cache=True)
def _off(tracks, i, path, place, lever):
    """How far a place is from a track, across it in the transverse plane and in that of the beam.

    Returns
    -------
    Both distances, their variances, and the directions in which they are measured.
    """
    x, y, z, cosine, sine = _point(tracks, i, path)
    squeeze = 1.0 / math.sqrt(1.0 + tracks.slope[i] ** 2)
    lean, grown = -tracks.slope[i] * squeeze, 1.0 + (path / lever) ** 2
    across, up = (-sine, cosine, 0.0), (lean * cosine, lean * sine, squeeze)
    dx, dy, dz = place[0] - x, place[1] - y, place[2] - z
    off, high = across[0] * dx + across[1] * dy, up[0] * dx + up[1] * dy + up[2] * dz
    one, two = tracks.error[i] ** 2 * grown, (tracks.z_error[i] * squeeze) ** 2 * grown
    return off, high, one, two, across, up


@numba.njit(cache=True)
def _nearest(tracks, i, place):
    """Path of a track to where it is nearest to a place."""
    path = 0.0
    for _ in range(2):
        x, y, z, cosine, sine = _point(tracks, i, path)
        along = (place[0] - x) * cosine + (place[1] - y) * sine + (place[2] - z) * tracks.slope[i]
        path = min(max(path + along / (1.0 + tracks.slope[i] ** 2), -_FARTHEST), _FARTHEST)
    return path


@numba.njit(cache=True)
def _approach(tracks, i, j):
    """Paths of two tracks to where they are nearest to each other."""
    path = other = 0.0
    a, c = 1.0 + tracks.slope[i] ** 2, 1.0 + tracks.slope[j] ** 2
    for _ in range(2):
        xi, yi, zi, cosine_i, sine_i = _point(tracks, i, path)
        xj, yj, zj, cosine_j, sine_j = _point(tracks, j, other)
        dx, dy, dz = xj - xi, yj - yi, zj - zi
        d = dx * cosine_i + dy * sine_i + dz * tracks.slope[i]
        e = dx * cosine_j + dy * sine_j + dz * tracks.slope[j]
        b = cosine_i * cosine_j + sine_i * sine_j + tracks.slope[i] * tracks.slope[j]
        determinant = max(a * c - b * b, 1e-9 * a * c)
        path = min(max(path + (d * c - b * e) / determinant, -_FARTHEST), _FARTHEST)
        other = min(max(other + (b * d - a * e) / determinant, -_FARTHEST), _FARTHEST)
    return path, other


@numba.njit(cache=True)
def _gather(seed, first, makes, tracks, weight, place, recipe):
    """Mark the tracks that pass near a seed, and it if there are any; `place` gets where, on average."""
    near, significance, ratio, least = recipe.near
    total = x = y = z = 0.0
    ratio /= 2.0 * math.sqrt(max(makes.sum() / 20.0, 1.0))
    for i in first + np.flatnonzero(makes):
        path, other = _approach(tracks, seed, i)
        if i == seed or path < 0.0 or other < 0.0:
            continue
        xs, ys, zs, cosine_s, sine_s = _point(tracks, seed, path)
        xi, yi, zi, cosine_i, sine_i = _point(tracks, i, other)
        distance = math.sqrt((xi - xs) ** 2 + (yi - ys) ** 2 + (zi - zs) ** 2)
        flight = math.sqrt(xs * xs + ys * ys + zs * zs)
        if distance > near or distance * ratio > flight:
            continue
        if xs * cosine_s + ys * sine_s + zs * tracks.slope[seed] < least * flight * math.sqrt(
            1.0 + tracks.slope[seed] ** 2
        ) or xi * cosine_i + yi * sine_i + zi * tracks.slope[i] < least * math.sqrt(
            (xi * xi + yi * yi + zi * zi) * (1.0 + tracks.slope[i] ** 2)
        ):
            continue
        off, high, one, two, _, _ = _off(tracks, seed, path, (xi, yi, zi), recipe.lever)
        off_i, high_i, one_i, two_i, _, _ = _off(tracks, i, other, (xs, ys, zs), recipe.lever)
        variance = one * off**2 + two * high**2 + one_i * off_i**2 + two_i * high_i**2
        if distance**4 > significance**2 * variance:
            continue
        weight[i - first] = weight[seed - first] = 1.0
        own = (flight / max(distance, 1e-4)) ** 2
        total += own
        x, y, z = x + own * 0.5 * (xs + xi), y + own * 0.5 * (ys + yi), z + own * 0.5 * (zs + zi)
    place[0], place[1], place[2] = x / max(total, 1e-9), y / max(total, 1e-9), z / max(total, 1e-9)


@numba.njit(cache=True)
def _fit(first, tracks, weight, place, covariance, recipe):
    """Fit a vertex to the tracks of weight above zero, and weigh them; gives whether it is one."""
    part = np.flatnonzero(weight > 0.0)
    chi2 = weights = 0.0
    for temperature in _COOLING:
        matrix, vector = np.zeros((3, 3)), np.zeros(3)
        chi2 = weights = 0.0
        for k in part:
            path = _nearest(tracks, first + k, place)
            off, high, one, two, across, up = _off(tracks, first + k, path, place, recipe.lever)
            own = off * off / one + high * high / two
            weight[k] = 1.0 / (1.0 + math.exp(min((own - recipe.outlier**2) / (2.0 * temperature), 20.0)))
            chi2, weights = chi2 + weight[k] * own, weights + weight[k]
            for r in range(3):
                vector[r] -= weight[k] * (across[r] * off / one + up[r] * high / two)
                for c in range(3):
                    matrix[r, c] += weight[k] * (across[r] * across[c] / one + up[r] * up[c] / two)
        for r in range(3):  # the inverse by cofactors
            a, b = (r + 1) % 3, (r + 2) % 3
            for c in range(3):
                d, e = (c + 1) % 3, (c + 2) % 3
                covariance[c, r] = matrix[a, d] * matrix[b, e] - matrix[a, e] * matrix[b, d]
        determinant = (matrix[0] * covariance[:, 0]).sum()
        if determinant <= 1e-12 * matrix[0, 0] * matrix[1, 1] * matrix[2, 2]:
            return False
        covariance /= determinant
        for r in range(3):
            place[r] += (covariance[r] * vector).sum()
    place[4] = 2.0 * weights - 3.0
    place[3] = chi2 / max(place[4], 1e-9)
    return place[4] > 0.0 and (weight > 0.5).sum() >= 2


@numba.njit(cache=True)
def _length(place, covariance, error, dimensions):
    """Length of a way in the transverse plane or in space, and its error."""
    square = variance = 0.0
    for r in range(dimensions):
        square += place[r] ** 2
        variance += (place[r] * error[r]) ** 2
        for c in range(dimensions):
            variance += place[r] * place[c] * covariance[r, c]
    length = math.sqrt(square)
    return length, max(math.sqrt(max(variance, 0.0)) / max(length, 1e-9), 1e-6)


@numba.njit(cache=True)
def _distinct(weights, places, covariances, merged):
    """Vertices without those that have most of their tracks in common with another one, where it is."""
    number, nowhere = len(places), np.zeros(3)
    gone = np.zeros(number, dtype=np.bool_)
    has = (weights > 0.5).astype(np.float64)
    common = has @ has.T
    for v in range(number):
        for other in range(number):
            share = common[v, other] / common[v, v]
            if other == v or gone[other] or share <= merged[0] or common[v, v] > common[other, other]:
                continue
            both = covariances[v] + covariances[other]
            length, spread = _length(places[v] - places[other], both, nowhere, 3)
            gone[v] |= length < merged[1] * spread
    return np.flatnonzero(~gone)


@numba.njit(cache=True)
def _arbitrate(first, last, tracks, error, weight, place, covariance, recipe):
    """Let a vertex have the tracks that are nearer to it than to the primary vertex."""
    least_pt, _, near, significance, share, cone = recipe.own
    length = math.sqrt((place[:3] ** 2).sum())
    beam = max(math.hypot(place[0], place[1]), 1e-9)
    eta, least = math.asinh(place[2] / beam), math.cos(cone) * beam
    for i in range(first, last):
        k = i - first
        was, weight[k] = weight[k], 0.0
        along = tracks.cosine[i] * place[0] + tracks.sine[i] * place[1]
        if tracks.pt[i] < least_pt or along < least:
            continue
        if math.hypot(math.asinh(tracks.slope[i]) - eta, math.acos(min(along / beam, 1.0))) > cone:
            continue
        off, high, one, two, across, up = _off(tracks, i, _nearest(tracks, i, place), place, recipe.lever)
        distance = math.hypot(off, high)
        for r in range(3):
            for c in range(3):
                one += across[r] * across[c] * covariance[r, c]
                two += up[r] * up[c] * covariance[r, c]
        spread = math.sqrt(off * off * one + high * high * two) / max(distance, 1e-9)
        taken = distance < min(significance * spread, near, share * length) or was > 0.5
        weight[k] = taken and distance <= _impact(tracks, i, error)[0]
