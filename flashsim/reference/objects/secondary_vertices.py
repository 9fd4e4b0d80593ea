"""Secondary vertices: points away from the primary vertex where tracks meet.

The algorithm is CMS's inclusive vertex finder (CMSSW, `RecoVertex/AdaptiveVertexFinder`; CMS, JINST 13
(2018) P05011, section 3.2). Displaced tracks are seeds, which gather the tracks that pass near them; adaptive
fits give vertices; those that share most tracks are merged; each vertex keeps what is nearer to it than
to the primary vertex. Tracks are helices that begin where they are nearest to the primary vertex, the origin
in all kernels.
"""

from __future__ import annotations

import math
from collections import namedtuple
from typing import TYPE_CHECKING, Any, NamedTuple

import numba
import numpy as np
from pydantic import Field

from flashsim.declarations.recipes import Recipe
from flashsim.events.collection import Collection
from flashsim.reference.objects.clustering import Clustered
from flashsim.reference.particles.helix import BEND

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.reference.flow.recorded import Recorded

__all__ = ["SecondaryVerticesRecipe", "secondary_vertices"]

_FARTHEST = 60.0  # cm along a track
_COOLING = (256.0, 32.0, 4.0, 1.0, 1.0)  # temperatures of the adaptive fit


class SecondaryVerticesRecipe(Recipe):
    """How secondary vertices are found; lengths in cm."""

    field: float = Field(gt=0, description="solenoid, in tesla")
    lever: float = Field(gt=0, description="length over which errors of tracks' angles make those of places")
    min_pt: float = Field(ge=0, description="of tracks that make vertices, in GeV")
    max_dz: float = Field(gt=0, description="of tracks that make vertices")
    seed_distance: float = Field(ge=0, description="least impact parameter of seeds in space")
    seed_significance: float = Field(ge=0, description="its least significance")
    near: float = Field(gt=0, description="largest distance of a track to its seed")
    near_significance: float = Field(gt=0, description="its largest significance")
    near_ratio: float = Field(gt=0, description="least ratio of the flight length to that distance")
    near_cosine: float = Field(ge=-1, le=1, description="least cosine of a track's angle to the flight")
    cosine: float = Field(ge=-1, le=1, description="least cosine of the momentum's angle to the flight")
    significance: float = Field(ge=0, description="least significance of the transverse flight length")
    max_chi2: float = Field(gt=0, description="largest chi-squared per degree of freedom")
    outlier: float = Field(gt=0, description="tracks so many errors away count half in a fit")
    shared: tuple[float, float] = Field(description="share of common tracks that merges, before, after")
    apart: tuple[float, float] = Field(description="significance of the distance that keeps apart")
    own_pt: float = Field(ge=0, description="of tracks that a vertex takes in the end, in GeV")
    own_dz: float = Field(gt=0, description="their largest distance along the beam to the primary vertex")
    own_distance: float = Field(gt=0, description="their largest distance")
    own_significance: float = Field(gt=0, description="the largest significance of that")
    own_fraction: float = Field(gt=0, description="the largest share of that in the flight length")
    own_cone: float = Field(gt=0, description="their largest angle to the flight")
    least: float = Field(
        ge=0, description="least significance of the flight length of vertices that are kept"
    )
    widest: float = Field(gt=0, description="the largest error of that: other fits do not converge")

    def finding(self) -> Any:
        """Numbers for kernels."""
        return _Finding(**self.model_dump())


_Finding = namedtuple("_Finding", list(SecondaryVerticesRecipe.model_fields))  # type: ignore[misc]  # noqa: PYI024
"""A `SecondaryVerticesRecipe` as kernels take it."""


class _Tracks(NamedTuple):
    """Tracks at their closest approach to the primary vertex, each of shape (N,).

    Errors are those across the track: in the transverse plane, and along the beam.
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
    Vertices in the order in which they are found, with ``SV`` fields of NanoAOD, and the candidates of their
    tracks.
    """
    candidates = recorded.candidates
    used = (candidates["track"] >= 0) & (candidates["pt"] > min(recipe.min_pt, recipe.own_pt))
    used &= recorded.tracks["quality"][candidates["track"]] & (np.abs(candidates["dz"]) < recipe.own_dz)
    names = ("phi", "eta", "pt", "dxy", "dz", "dxyErr", "dzErr", "charge", "track")
    chosen = Collection(candidates.offsets, {name: candidates[name] for name in names}).select(used)
    phi, dxy = chosen["phi"], chosen["dxy"]
    tracks = _Tracks(
        -dxy * np.sin(phi),
        dxy * np.cos(phi),
        chosen["dz"],
        np.cos(phi),
        np.sin(phi),
        np.sinh(chosen["eta"]),
        -chosen["charge"] * BEND * recipe.field / recorded.tracks["pt"][chosen["track"]],
        chosen["pt"],
        chosen["dxyErr"],
        chosen["dzErr"],
    )
    first = recorded.vertices.offsets[:-1]
    errors = np.stack([recorded.vertices[name][first] for name in ("xErr", "xErr", "zErr")], axis=1)
    counts, table, sizes, members = _find(chosen.offsets, tracks, errors, recipe.finding())
    rows = np.flatnonzero(used)[members]
    found = Clustered(
        Collection.of_counts(counts, _places(table, recorded, counts)),
        np.concatenate(([0], np.cumsum(sizes))),
        rows,
    )
    return _with_momenta(found, candidates, table[:, :3])


_COLUMNS = ("x", "y", "z", "chi2", "ndof", "dlen", "dlenSig", "dxy", "dxySig")


def _places(
    table: NDArray[np.float64], recorded: Recorded, counts: NDArray[np.int64]
) -> dict[str, NDArray[Any]]:
    columns: dict[str, NDArray[Any]] = dict(zip(_COLUMNS, table.T.copy(), strict=True))
    first = np.repeat(recorded.vertices.offsets[:-1], counts)
    for name in ("x", "y", "z"):
        columns[name] = columns[name] + recorded.vertices[name][first]
    return columns


def _with_momenta(found: Clustered, candidates: Collection, flight: NDArray[np.float64]) -> Clustered:
    """Add what follows from the momenta of a vertex's tracks; `flight` is of shape (N, 3)."""
    member = found.members
    pt, eta, phi = (candidates[name][member] for name in ("pt", "eta", "phi"))
    px, py, pz = found.total(pt * np.cos(phi)), found.total(pt * np.sin(phi)), found.total(pt * np.sinh(eta))
    energy = found.total(candidates["energy"][member])
    momentum = np.sqrt(px**2 + py**2 + pz**2)
    length = np.sqrt((flight**2).sum(axis=1))
    cosine = (px * flight[:, 0] + py * flight[:, 1] + pz * flight[:, 2]) / (momentum * length)
    columns = found.objects.columns | {
        "pt": np.hypot(px, py),
        "eta": np.arcsinh(pz / np.hypot(px, py)),
        "phi": np.arctan2(py, px),
        "mass": np.sqrt(np.maximum(energy**2 - momentum**2, 0.0)),
        "charge": found.total(candidates["charge"][member]).astype(np.int64),
        "ntracks": np.diff(found.offsets),
        # CMSSW takes the vector from the secondary to the primary vertex
        "pAngle": np.arccos(np.clip(-cosine, -1.0, 1.0)),
    }
    return Clustered(Collection(found.objects.offsets, columns), found.offsets, found.members)


@numba.njit(cache=True)
def _find(offsets, tracks, errors, finding):
    """Vertices of all events: number by event; `_COLUMNS` and number of tracks by vertex; the tracks."""
    events = len(offsets) - 1
    counts = np.zeros(events, dtype=np.int64)
    table = np.empty((len(tracks.x), 9))
    sizes = np.zeros(len(tracks.x), dtype=np.int64)
    members = np.empty(max(len(tracks.x), 64), dtype=np.int64)
    made = placed = 0
    for event in range(events):
        first, last = offsets[event], offsets[event + 1]
        error = errors[event]
        weights, places, covariances = _candidates(first, last, tracks, error, finding)
        kept = _merged(weights, places, covariances, finding.shared[0], finding.apart[0])
        weights, places, covariances = weights[kept], places[kept], covariances[kept]
        good = np.zeros(len(kept), dtype=np.bool_)
        for v in range(len(kept)):
            good[v] = _arbitrate(first, last, tracks, error, weights[v], places[v], covariances[v], finding)
        weights, places, covariances = weights[good], places[good], covariances[good]
        for v in _merged(weights, places, covariances, finding.shared[1], finding.apart[1]):
            flight = _flight(places[v], covariances[v], error)
            if flight[0] < finding.least * flight[1] or flight[1] > finding.widest:
                continue
            table[made, :5] = places[v]
            table[made, 5], table[made, 6] = flight[0], flight[0] / flight[1]
            table[made, 7], table[made, 8] = flight[2], flight[2] / flight[3]
            for k in range(last - first):
                if weights[v, k] > 0.5:
                    if placed == len(members):
                        members = np.concatenate((members, np.empty_like(members)))
                    members[placed] = first + k
                    placed += 1
                    sizes[made] += 1
            made += 1
            counts[event] += 1
    return counts, table[:made].copy(), sizes[:made].copy(), members[:placed].copy()


@numba.njit(cache=True)
def _candidates(first, last, tracks, error, finding):
    """Fit a vertex to what each seed gathers: weights of tracks, `_COLUMNS[:5]` and covariance of each."""
    number = last - first
    makes = np.zeros(number, dtype=np.bool_)
    seeds = np.empty(number, dtype=np.int64)
    found = tried = 0
    for i in range(first, last):
        makes[i - first] = tracks.pt[i] > finding.min_pt and abs(tracks.z[i]) < finding.max_dz
        if makes[i - first]:
            distance, spread = _impact(tracks, i, error)
            if distance > finding.seed_distance and distance > finding.seed_significance * spread:
                seeds[tried] = i
                tried += 1
    weights = np.zeros((tried, number))
    gathered = np.zeros((tried, number))
    places, covariances = np.zeros((tried, 5)), np.zeros((tried, 3, 3))
    for k in range(tried):
        weight, place, covariance = weights[found], places[found], covariances[found]
        weight[:] = 0.0
        if not _gather(seeds[k], first, last, makes, tracks, weight, place, finding):
            continue
        gathered[k] = weight
        if _is_known(gathered[:k], weight) or not _fit(first, tracks, weight, place, covariance, finding):
            continue
        px = py = pz = 0.0
        for i in range(first, last):
            if weight[i - first] > 0.5:
                px += tracks.pt[i] * tracks.cosine[i]
                py += tracks.pt[i] * tracks.sine[i]
                pz += tracks.pt[i] * tracks.slope[i]
        flight = _flight(place, covariance, error)
        along = px * place[0] + py * place[1] + pz * place[2]
        if (
            place[3] < finding.max_chi2
            and flight[2] > finding.significance * flight[3]
            and along > finding.cosine * flight[0] * math.sqrt(px * px + py * py + pz * pz)
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
    cosine, sine = (
        1.0 - 0.5 * square * (1.0 - square / 12.0),
        turn * (1.0 - square / 6.0 * (1.0 - square / 20.0)),
    )
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
def _axes(tracks, i, path, cosine, sine, lever):
    """Directions across a track, in the transverse plane and in that of the beam, and the variances there."""
    squeeze = 1.0 / math.sqrt(1.0 + tracks.slope[i] ** 2)
    lean = -tracks.slope[i] * squeeze
    grown = 1.0 + (path / lever) ** 2
    return (
        (-sine, cosine, 0.0),
        (lean * cosine, lean * sine, squeeze),
        tracks.error[i] ** 2 * grown,
        (tracks.z_error[i] * squeeze) ** 2 * grown,
    )


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
        determinant = a * c - b * b
        if determinant < 1e-9 * a * c:
            break
        path = min(max(path + (d * c - b * e) / determinant, -_FARTHEST), _FARTHEST)
        other = min(max(other + (b * d - a * e) / determinant, -_FARTHEST), _FARTHEST)
    return path, other


@numba.njit(cache=True)
def _gather(seed, first, last, makes, tracks, weight, place, finding):
    """Mark the tracks that pass near a seed; `place` gets where, on average. Gives whether there are any."""
    total = x = y = z = 0.0
    density = 2.0 * math.sqrt(max(makes.sum() / 20.0, 1.0))
    for i in range(first, last):
        if i == seed or not makes[i - first]:
            continue
        path, other = _approach(tracks, seed, i)
        if path < 0.0 or other < 0.0:
            continue
        xs, ys, zs, cosine_s, sine_s = _point(tracks, seed, path)
        xi, yi, zi, cosine_i, sine_i = _point(tracks, i, other)
        dx, dy, dz = xi - xs, yi - ys, zi - zs
        distance = math.sqrt(dx * dx + dy * dy + dz * dz)
        flight = math.sqrt(xs * xs + ys * ys + zs * zs)
        if distance > finding.near or distance * finding.near_ratio > density * flight:
            continue
        variance = 0.0
        for track, way, cosine, sine in ((seed, path, cosine_s, sine_s), (i, other, cosine_i, sine_i)):
            across, along, one, two = _axes(tracks, track, way, cosine, sine, finding.lever)
            variance += one * (across[0] * dx + across[1] * dy) ** 2
            variance += two * (along[0] * dx + along[1] * dy + along[2] * dz) ** 2
        if distance**4 > finding.near_significance**2 * variance:
            continue
        if (
            _cosine(tracks.slope[seed], cosine_s, sine_s, xs, ys, zs) < finding.near_cosine
            or _cosine(tracks.slope[i], cosine_i, sine_i, xi, yi, zi) < finding.near_cosine
        ):
            continue
        weight[i - first] = 1.0
        own = (flight / max(distance, 1e-4)) ** 2
        total += own
        x, y, z = x + own * 0.5 * (xs + xi), y + own * 0.5 * (ys + yi), z + own * 0.5 * (zs + zi)
    if total == 0.0:
        return False
    weight[seed - first] = 1.0
    place[0], place[1], place[2] = x / total, y / total, z / total
    return True


@numba.njit(cache=True)
def _cosine(slope, cosine, sine, x, y, z):
    """Cosine of the angle between a track and the way from the primary vertex to a place on it."""
    along = x * cosine + y * sine + z * slope
    return along / math.sqrt((1.0 + slope**2) * max(x * x + y * y + z * z, 1e-12))


@numba.njit(cache=True)
def _residual(tracks, i, place, lever):
    """Where a track is nearest to a place, its axes there, and its chi-squared."""
    path = 0.0
    x, y, z, cosine, sine = _point(tracks, i, path)
    for _ in range(2):
        along = (place[0] - x) * cosine + (place[1] - y) * sine
        along = (along + (place[2] - z) * tracks.slope[i]) / (1.0 + tracks.slope[i] ** 2)
        path = min(max(path + along, -_FARTHEST), _FARTHEST)
        x, y, z, cosine, sine = _point(tracks, i, path)
    across, up, one, two = _axes(tracks, i, path, cosine, sine, lever)
    dx, dy, dz = place[0] - x, place[1] - y, place[2] - z
    off = across[0] * dx + across[1] * dy
    high = up[0] * dx + up[1] * dy + up[2] * dz
    return (x, y, z), across, up, one, two, off, high


@numba.njit(cache=True)
def _fit(first, tracks, weight, place, covariance, finding):
    """Fit a vertex to the tracks of weight above zero, and weigh them; gives whether it is one."""
    part = np.flatnonzero(weight > 0.0)
    cut = finding.outlier**2
    chi2 = weights = 0.0
    for temperature in _COOLING:
        matrix, vector = np.zeros((3, 3)), np.zeros(3)
        for k in part:
            point, across, up, one, two, off, high = _residual(tracks, first + k, place, finding.lever)
            own = off * off / one + high * high / two
            share = 1.0 / (1.0 + math.exp(min((own - cut) / (2.0 * temperature), 50.0)))
            weight[k] = max(share, 1e-9)
            for axis, variance in ((across, one), (up, two)):
                along = axis[0] * point[0] + axis[1] * point[1] + axis[2] * point[2]
                for r in range(3):
                    vector[r] += share / variance * axis[r] * along
                    for c in range(3):
                        matrix[r, c] += share / variance * axis[r] * axis[c]
        if not _invert(matrix, covariance):
            return False
        place[:3] = covariance @ vector
    for k in part:
        _, _, _, one, two, off, high = _residual(tracks, first + k, place, finding.lever)
        chi2 += weight[k] * (off * off / one + high * high / two)
        weights += weight[k]
    place[4] = 2.0 * weights - 3.0
    place[3] = chi2 / max(place[4], 1e-9)
    return place[4] > 0.0 and (weight > 0.5).sum() >= 2


@numba.njit(cache=True)
def _invert(matrix, out):
    """Invert a symmetric matrix of shape (3, 3); gives whether that is possible."""
    determinant = 0.0
    for r in range(3):
        for c in range(3):
            out[c, r] = (
                matrix[(r + 1) % 3, (c + 1) % 3] * matrix[(r + 2) % 3, (c + 2) % 3]
                - matrix[(r + 1) % 3, (c + 2) % 3] * matrix[(r + 2) % 3, (c + 1) % 3]
            )
    determinant = matrix[0, 0] * out[0, 0] + matrix[0, 1] * out[1, 0] + matrix[0, 2] * out[2, 0]
    if determinant <= 1e-12 * matrix[0, 0] * matrix[1, 1] * matrix[2, 2]:
        return False
    out /= determinant
    return True


@numba.njit(cache=True)
def _flight(place, covariance, error):
    """Flight length and its error, and both in the transverse plane."""
    out = np.zeros(4)
    for dimensions in (2, 3):
        square = variance = 0.0
        for r in range(dimensions):
            square += place[r] ** 2
            for c in range(dimensions):
                both = covariance[r, c] + (error[r] ** 2 if r == c else 0.0)
                variance += place[r] * place[c] * both
        where = 0 if dimensions == 3 else 2
        out[where] = math.sqrt(square)
        out[where + 1] = max(math.sqrt(max(variance, 0.0)) / max(out[where], 1e-9), 1e-6)
    return out


@numba.njit(cache=True)
def _is_known(others, weight):
    """Whether another seed has gathered the same tracks."""
    for v in range(len(others)):
        k = 0
        while k < len(weight) and others[v, k] == weight[k]:
            k += 1
        if k == len(weight):
            return True
    return False


@numba.njit(cache=True)
def _shares(weights, others):
    """Shares of the tracks of each of two vertices that both have."""
    common = own = other = 0
    for k in range(len(weights)):
        own += weights[k] > 0.5
        other += others[k] > 0.5
        common += weights[k] > 0.5 and others[k] > 0.5
    return common / own, common / other


@numba.njit(cache=True)
def _merged(weights, places, covariances, share, apart):
    """Vertices that are left without those that have most of their tracks in common with another one."""
    number = len(places)
    gone = np.zeros(number, dtype=np.bool_)
    for v in range(number):
        for other in range(number):
            if other == v or gone[other]:
                continue
            own, rival = _shares(weights[v], weights[other])
            if own > share and own >= rival:
                between = places[v] - places[other]
                both = covariances[v] + covariances[other]
                off = _flight(between, both, np.zeros(3))
                gone[v] |= off[0] < apart * off[1]
    return np.flatnonzero(~gone)


@numba.njit(cache=True)
def _arbitrate(first, last, tracks, error, weight, place, covariance, finding):
    """Let a vertex have the tracks that are nearer to it than to the primary vertex, and fit it anew."""
    length = math.sqrt(place[0] ** 2 + place[1] ** 2 + place[2] ** 2)
    across_beam = max(math.hypot(place[0], place[1]), 1e-9)
    eta, least = math.asinh(place[2] / across_beam), math.cos(finding.own_cone) * across_beam
    for i in range(first, last):
        k = i - first
        was, weight[k] = weight[k], 0.0
        if tracks.pt[i] < finding.own_pt:
            continue
        turn = tracks.cosine[i] * place[0] + tracks.sine[i] * place[1]  # cosine times the length
        if turn < least:
            continue
        turn = math.acos(min(turn / across_beam, 1.0))
        if math.hypot(math.asinh(tracks.slope[i]) - eta, turn) > finding.own_cone:
            continue
        _, across, up, one, two, off, high = _residual(tracks, i, place, finding.lever)
        distance = math.hypot(off, high)
        if distance > _impact(tracks, i, error)[0]:
            continue
        for r in range(3):
            for c in range(3):
                one += across[r] * across[c] * covariance[r, c]
                two += up[r] * up[c] * covariance[r, c]
        spread = math.sqrt(off * off * one + high * high * two) / max(distance, 1e-9)
        taken = (
            distance < finding.own_significance * spread
            and distance < finding.own_distance
            and distance < finding.own_fraction * length
        )
        weight[k] = 1.0 if taken or was > 0.5 else 0.0
    return (weight > 0.0).sum() >= 2 and _fit(first, tracks, weight, place, covariance, finding)
