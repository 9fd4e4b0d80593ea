"""Showers in the calorimeters: superclusters of ECAL, their width, and what lies behind and around them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numba
import numpy as np
from pydantic import Field

from flashsim.declarations.recipes import Recipe
from flashsim.events.collection import Collection
from flashsim.reference.objects.isolation import owners, ring_sum

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.events.collection import Directions
    from flashsim.reference.flow.recorded import Recorded

__all__ = ["EDGE", "ShowerRecipe", "calibration", "crystal", "hadronic_deposits", "shapes", "superclusters"]

EDGE = 1.479
"""|eta| between barrel and endcap of ECAL."""

_TURN = 0.735  # GeV: half of the radius of ECAL's face over that of a track of 1 GeV in 3.8 T
_BLOCK = 0.0436  # half of the width of 5x5 crystals


class ShowerRecipe(Recipe):
    """How superclusters are made and what is measured of them; barrel before endcap."""

    window: tuple[float, float] = Field(
        description="how far in eta and phi clusters belong to a supercluster"
    )
    intrinsic: float = Field(ge=0, description="width of a cluster of one particle, as the recorder gives it")
    sieie: tuple[float, float] = Field(description="width of one particle's shower, in units of NanoAOD")
    sieie_spread: tuple[float, float] = Field(description="its relative spread")
    widening: tuple[float, float] = Field(
        description="how much the cluster's own width and that of what is around widen it"
    )
    endcap: float = Field(gt=0, description="how much more it does in the endcaps")
    widest: float = Field(gt=0, description="largest value")
    contained: float = Field(gt=0, le=1, description="share of a photon's energy in 3x3 crystals")
    contained_spread: float = Field(ge=0, description="its spread")
    smearing: tuple[float, float] = Field(description="relative spread of what simulation is smeared by")
    raw: tuple[float, float] = Field(description="mean share of the energy that the regression adds")
    hadronic: tuple[float, float] = Field(
        description="radius of the cone behind a shower, and share of a hadron's energy that is seen there"
    )
    leakage: float = Field(ge=0, description="spread of the share of a shower that leaks into HCAL")

    def behind(
        self,
        directions: Directions,
        energy: NDArray[np.float64],
        deposits: Collection,
        normal: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """H/E of N showers, shape (N,); `normal`, of the same shape, says what leaks into HCAL."""
        radius, share = self.hadronic
        hadronic = share * ring_sum(directions, deposits, deposits["energy"], (0.0, radius)) / energy
        leaked: NDArray[np.float64] = self.leakage * np.maximum(normal, 0.0) ** 2
        return hadronic + leaked


def superclusters(
    recorded: Recorded, least: float, window: tuple[float, float]
) -> tuple[Collection, NDArray[np.int64]]:
    """Superclusters from a seed of `least` GeV of transverse energy on.

    Returns
    -------
    Superclusters: energy, eta, phi, lead (energy of the seed), etaWidth, phiWidth, `_cluster` (row of the
    seed); and the supercluster of each cluster, -1 of none.
    """
    clusters = recorded.clusters
    columns = tuple(clusters[name] for name in ("energy", "eta", "phi"))
    found = clusters["width"] == 0.0  # electrons have theirs with what they radiate
    seed, sums = _superclusters(clusters.offsets, columns, found, least, *window)
    rows = np.flatnonzero(seed == np.arange(len(seed)))
    energy, eta, phi, eta2, phi2 = sums[rows].T
    center = columns[2][rows]
    owner = owners(rows, len(seed))
    made = Collection.of_event_rows(
        clusters.event_rows[rows],
        {
            "energy": energy,
            "eta": eta / energy,
            "phi": np.mod(center + phi / energy + math.pi, 2.0 * math.pi) - math.pi,
            "lead": np.where(found[rows], clusters["seed"][rows], columns[0][rows]),
            "etaWidth": np.sqrt(np.maximum(eta2 / energy - (eta / energy) ** 2, 0.0)),
            "phiWidth": np.sqrt(np.maximum(phi2 / energy - (phi / energy) ** 2, 0.0)),
            "_cluster": rows,
        },
        clusters.events,
    )
    return made, np.where(seed >= 0, owner[np.maximum(seed, 0)], -1)


@numba.njit(cache=True)
def _superclusters(offsets, columns, found, least, near_eta, near_phi):
    """Seed of each cluster, -1 without one; sums of energy and of its moments in eta and phi."""
    energy, eta, phi = columns
    seed = np.full(len(energy), -1, dtype=np.int64)
    sums = np.zeros((len(energy), 5))
    for event in range(len(offsets) - 1):
        first, last = offsets[event], offsets[event + 1]
        transverse = energy[first:last] / np.cosh(eta[first:last])
        for place in np.argsort(-transverse):
            i = first + place
            if transverse[place] < least:
                break
            if seed[i] >= 0:
                continue
            for j in range(first, last):
                off = abs(eta[j] - eta[i])
                if off > near_eta or seed[j] >= 0 or (i != j and (found[i] or found[j])):
                    continue
                turn = phi[j] - phi[i]
                turn -= 2.0 * math.pi * round(turn / (2.0 * math.pi))
                if abs(turn) > near_phi:
                    continue
                seed[j] = i
                for k, part in enumerate((1.0, eta[j], turn, eta[j] ** 2, turn**2)):
                    sums[i, k] += energy[j] * part
    return seed, sums


def hadronic_deposits(recorded: Recorded) -> Collection:
    """Energy in HCAL by place: eta, phi, energy. Tracks hold no more of it than their momentum."""
    tracks, candidates, clusters = recorded.tracks, recorded.candidates, recorded.clusters
    momentum = tracks["pt"] * np.cosh(tracks["eta"])
    energy = np.minimum(tracks["hcalEnergy"], momentum)
    of_tracks = np.flatnonzero(energy > 0.5)
    neutral = np.flatnonzero((candidates["charge"] == 0) & (candidates["hcalFraction"] > 0.0))
    ecal = tracks["ecal"][of_tracks]
    turn = np.arcsin(np.minimum(_TURN / tracks["pt"][of_tracks], 1.0))
    phi = tracks["phi"][of_tracks] - tracks["charge"][of_tracks] * turn
    has = ecal >= 0
    columns = {
        "eta": np.where(has, clusters["eta"][ecal], tracks["eta"][of_tracks]),
        "phi": np.where(has, clusters["phi"][ecal], phi),
        "energy": energy[of_tracks],
    }
    share = candidates["hcalFraction"][neutral] * candidates["energy"][neutral]
    others = {"eta": candidates["eta"][neutral], "phi": candidates["phi"][neutral], "energy": share}
    parts = (
        Collection.of_event_rows(tracks.event_rows[of_tracks], columns, tracks.events),
        Collection.of_event_rows(candidates.event_rows[neutral], others, candidates.events),
    )
    return Collection.merged(parts)


def shapes(
    showers: Collection,
    owner: NDArray[np.int64],
    clusters: Collection,
    normal: NDArray[np.float64],
    recipe: ShowerRecipe,
) -> dict[str, NDArray[np.float64]]:
    """Width and compactness of N showers: sieie, r9, `_excess` (width beyond that of one particle).

    Parameters
    ----------
    showers
        eta, phi, energy, lead and `_cluster`.
    owner
        Shape (clusters,): the shower that a cluster is a part of.
    clusters
        Recorded ones.
    normal
        Normal numbers, shape (N, 2).
    recipe
        Parameters.
    """
    rows = showers["_cluster"]
    offsets, eta, phi = showers.directions
    columns = (clusters["eta"], clusters["phi"], clusters["energy"], owner)
    around = _spread(offsets, eta, phi, clusters.offsets, columns) / showers["lead"]
    excess = np.sqrt(np.maximum(clusters["width"][rows] ** 2 - recipe.intrinsic**2, 0.0))
    endcap = (np.abs(showers["eta"]) > EDGE).astype(np.int64)
    base = np.array(recipe.sieie)[endcap] * np.exp(np.array(recipe.sieie_spread)[endcap] * normal[:, 0])
    own, others = recipe.widening
    wider = np.hypot(own * excess, others * np.sqrt(around)) * np.where(endcap, recipe.endcap, 1.0)
    inside = recipe.contained + recipe.contained_spread * normal[:, 1] * np.hypot(0.6, excess / 0.01)
    return {
        "sieie": np.minimum(np.hypot(base, wider), recipe.widest),
        "r9": inside / np.hypot(1.0, excess / 0.018) * showers["lead"] / showers["energy"],
        "_excess": excess,
    }


@numba.njit(cache=True)
def _spread(offsets, eta, phi, other_offsets, columns):
    """Sum energy times squared distance in eta, of the clusters of others in the block of crystals."""
    other_eta, other_phi, energy, owner = columns
    out = np.zeros(len(eta))
    for event in range(len(offsets) - 1):
        for i in range(offsets[event], offsets[event + 1]):
            for j in range(other_offsets[event], other_offsets[event + 1]):
                off = other_eta[j] - eta[i]
                turn = abs(other_phi[j] - phi[i])
                if abs(off) < _BLOCK and min(turn, 2.0 * math.pi - turn) < _BLOCK and owner[j] != i:
                    out[i] += energy[j] * off * off
    return out


def calibration(
    endcap: NDArray[np.bool_], normal: NDArray[np.float64], spread: tuple[float, float], error: float
) -> dict[str, NDArray[np.float64]]:
    """Smear energies of simulation by `spread` in barrel and endcap, which has a relative `error`."""
    smeared = np.array(spread)[endcap.astype(np.int64)] * normal
    none = np.zeros(len(normal))
    return {
        "eCorr": 1.0 + smeared,
        "dEscaleUp": none,
        "dEscaleDown": none,
        "dEsigmaUp": error * smeared,
        "dEsigmaDown": -error * smeared,
    }


def crystal(
    eta: NDArray[np.float64], phi: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the crystal at a direction: ieta and iphi of the barrel, ix and iy of the endcap."""
    size = math.pi / 180.0
    across = 317.0 / np.sinh(np.maximum(np.abs(eta), EDGE)) / 2.9
    ieta = np.where(eta > 0, 1, -1) * np.minimum(np.abs(eta) // size + 1, 85)
    barrel = np.abs(eta) < EDGE
    first = np.where(barrel, ieta, 50.5 + across * np.cos(phi))
    second = np.where(barrel, np.mod(phi, 2.0 * math.pi) // size + 1, 50.5 + across * np.sin(phi))
    return first.astype(np.int64), second.astype(np.int64)
