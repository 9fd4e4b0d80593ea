"""Isolation of leptons and photons: sums of what particle flow found in cones around them.

The sums are CMS's. Charged candidates of the primary vertex count whole, neutral ones from 0.5 GeV on.
Pileup among the neutrals is taken off as half of the charged pileup of muons (delta beta; MUO-16-001,
arXiv:1804.04528) and as rho times an effective area of electrons and photons (EGM-17-001, arXiv:2012.06888).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numba
import numpy as np
from pydantic import Field

from flashsim.declarations.recipes import Recipe
from flashsim.events.collection import Collection

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from flashsim.events.collection import Directions

__all__ = [
    "Areas",
    "Sums",
    "TrackCone",
    "cone_sums",
    "mini_cone",
    "owners",
    "ring_sum",
    "track_sum",
    "work_points",
]

_CHARGED, _NEUTRAL, _PHOTON, _PILEUP, _PUPPI = range(5)  # the order in `Sums`

_LEAST_NEUTRAL = 0.5  # GeV
_HALF = 0.5  # neutral pileup per charged pileup
_MINI_SCALE, _MINI_LEAST, _MINI_MOST = 10.0, 0.05, 0.2  # K. Rehermann, B. Tweedie, arXiv:1007.2221


class Areas(Recipe):
    """Effective areas by |eta|: rho times the area is the pileup in a cone of 0.3."""

    eta: list[float] = Field(description="upper edges in |eta|")
    area: list[float] = Field(description="area in each bin")

    def pileup(self, eta: NDArray[np.float64], rho: NDArray[np.float64]) -> NDArray[np.float64]:
        """Pileup in GeV in a cone of 0.3 around objects at `eta`, shape (N,), in events of density `rho`."""
        rows = np.minimum(np.searchsorted(self.eta, np.abs(eta)), len(self.area) - 1)
        return np.asarray(self.area)[rows] * rho


class TrackCone(NamedTuple):
    """Which tracks a sum takes.

    Parameters
    ----------
    radius, hole
        Outer and inner radius.
    strip
        Tracks closer in eta are left out.
    least_pt
        In GeV.
    dz, d0
        Largest distances in cm, to the object along the beam and to the beam line.
    """

    radius: float
    hole: float
    strip: float
    least_pt: float
    dz: float
    d0: float


class Sums(NamedTuple):
    """Sums of transverse momenta in GeV around N objects, in K cones each, shapes (N, K)."""

    charged: NDArray[np.float64]
    neutral: NDArray[np.float64]
    photon: NDArray[np.float64]
    pileup: NDArray[np.float64]
    puppi: NDArray[np.float64]

    def delta_beta(self, cone: int) -> NDArray[np.float64]:
        """All of a cone, with half of the charged pileup taken off the neutral part, shape (N,)."""
        return self.by_area(cone, _HALF * self.pileup[:, cone])

    def by_area(self, cone: int, pileup: NDArray[np.float64]) -> NDArray[np.float64]:
        """All of a cone, with a `pileup` of shape (N,) taken off the neutral part, shape (N,)."""
        return self.charged[:, cone] + np.maximum(self.neutral[:, cone] + self.photon[:, cone] - pileup, 0.0)


def owners(rows: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Tell each of `size` things which of N objects names it in `rows` (-1 names none); -1 if none does."""
    found = np.full(size, -1, dtype=np.int64)
    named = rows >= 0
    found[rows[named]] = np.flatnonzero(named)
    return found


def mini_cone(pt: NDArray[np.float64]) -> NDArray[np.float64]:
    """Radius of the cone of mini isolation, shape (N,)."""
    return np.clip(_MINI_SCALE / pt, _MINI_LEAST, _MINI_MOST)


def work_points(value: NDArray[np.float64], cuts: list[float]) -> NDArray[np.uint8]:
    """Count the falling `cuts` that each value, shape (N,), lies below."""
    return (value[:, None] < np.asarray(cuts)).sum(axis=1).astype(np.uint8)


def cone_sums(
    directions: Directions,
    candidates: Collection,
    owner: NDArray[np.int64],
    radii: NDArray[np.float64],
    *,
    holes: tuple[ArrayLike, ...] = (0.0001, 0.01, 0.01, 0.01),
) -> Sums:
    """Sum the candidates around objects.

    Parameters
    ----------
    directions
        Of N objects.
    candidates
        pt, eta, phi, pdgId, fromPV, puppi.
    owner
        Shape (candidates,): row of the object that a candidate is a part of, -1 of none; it does not count
        there.
    radii
        Shape (N, K).
    holes
        Inner radii for charged candidates of the primary vertex, neutral hadrons, photons and charged pileup:
        each a number or of shape (N,).
    """
    size = len(directions[1])
    inner = np.stack([np.broadcast_to(np.asarray(hole, float), (size,)) for hole in holes], axis=1)
    code = np.abs(candidates["pdgId"])
    primary = candidates["fromPV"] > 1
    kind = np.full(len(code), -1, dtype=np.int8)
    kind[code == 211] = _PILEUP
    kind[(code == 211) & primary] = _CHARGED
    kind[(code == 130) | (code == 1)] = _NEUTRAL
    kind[(code == 22) | (code == 2)] = _PHOTON
    kind[(candidates["pt"] < _LEAST_NEUTRAL) & (kind != _CHARGED)] = -1
    columns = tuple(candidates[name] for name in ("pt", "eta", "phi", "puppi"))
    out = _cone_sums(*directions, candidates.offsets, columns, kind, owner, radii, inner)
    return Sums(*np.moveaxis(out, 2, 0))


@numba.njit(cache=True)
def _cone_sums(offsets, eta, phi, candidate_offsets, columns, kind, owner, radii, inner):
    pt, candidate_eta, candidate_phi, puppi = columns
    out = np.zeros((*radii.shape, 5))
    for event in range(len(offsets) - 1):
        for i in range(offsets[event], offsets[event + 1]):
            most = radii[i].max()
            for j in range(candidate_offsets[event], candidate_offsets[event + 1]):
                off = candidate_eta[j] - eta[i]
                if kind[j] < 0 or abs(off) > most or owner[j] == i:
                    continue
                turn = abs(candidate_phi[j] - phi[i])
                distance = math.hypot(off, min(turn, 2.0 * math.pi - turn))
                if distance > most or distance < inner[i, kind[j]]:
                    continue
                for k in range(radii.shape[1]):
                    if distance < radii[i, k]:
                        out[i, k, kind[j]] += pt[j]
                        if kind[j] != _PILEUP:
                            out[i, k, _PUPPI] += pt[j] * puppi[j]
    return out


def track_sum(
    directions: Directions,
    z: NDArray[np.float64],
    own: NDArray[np.int64],
    tracks: Collection,
    cone: TrackCone,
) -> NDArray[np.float64]:
    """Sum the pT of tracks around N objects, shape (N,), in GeV.

    Parameters
    ----------
    directions
        Of the objects.
    z
        Shape (N,): where each comes from along the beam, in cm.
    own
        Shape (N,): row of the object's own track, -1 without one.
    tracks, cone
        Recorded ones, and which of them count.
    """
    keep = (tracks["pt"] > cone.least_pt) & (np.abs(tracks["d0"]) < cone.d0) & tracks["quality"]
    kept = Collection(tracks.offsets, {n: tracks[n] for n in ("eta", "phi", "pt", "z")}).select(keep)
    columns = (kept["eta"], kept["phi"], kept["pt"], kept["z"], owners(own, len(tracks))[keep])
    ring = (cone.hole, cone.radius, cone.strip, cone.dz)
    return _ring_sum(*directions, z, kept.offsets, columns, ring)


def ring_sum(
    directions: Directions,
    deposits: Collection,
    values: NDArray[np.float64],
    ring: tuple[float, float],
    owner: NDArray[np.int64] | None = None,
) -> NDArray[np.float64]:
    """Sum what lies between two radii around N objects, shape (N,).

    Parameters
    ----------
    directions
        Of the objects.
    deposits, values
        eta and phi, and what is summed, shape (M,).
    ring
        Inner and outer radius.
    owner
        Shape (M,): the object that a deposit belongs to and does not count for.
    """
    nowhere = np.zeros(len(values))
    own = np.full(len(values), -1, dtype=np.int64) if owner is None else owner
    columns = (deposits["eta"], deposits["phi"], values, nowhere, own)
    return _ring_sum(*directions, np.zeros(len(directions[1])), deposits.offsets, columns, (*ring, 0.0, 1.0))


@numba.njit(cache=True)
def _ring_sum(offsets, eta, phi, z, other_offsets, columns, ring):
    other_eta, other_phi, values, other_z, owner = columns
    inner, outer, strip, along = ring
    out = np.zeros(len(eta))
    for event in range(len(offsets) - 1):
        for i in range(offsets[event], offsets[event + 1]):
            for j in range(other_offsets[event], other_offsets[event + 1]):
                off = abs(other_eta[j] - eta[i])
                if off >= outer or off < strip or owner[j] == i or abs(other_z[j] - z[i]) > along:
                    continue
                turn = abs(other_phi[j] - phi[i]) % (2.0 * math.pi)
                if inner <= math.hypot(off, min(turn, 2.0 * math.pi - turn)) < outer:
                    out[i] += values[j]
    return out
