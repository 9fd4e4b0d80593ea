"""Showers in the calorimeters: superclusters of ECAL, their shape, and what lies behind and around them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numba
import numpy as np
from pydantic import Field

from flashsim.declarations.recipes import Recipe
from flashsim.events.collection import Collection
from flashsim.reference.objects.isolation import owners, ring_sum

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from flashsim.reference.flow.recorded import Recorded

__all__ = ["ShowerRecipe", "Showers", "bitmap", "passed"]

_EDGE = 1.479  # |eta| between barrel and endcap of ECAL
_TURN = 0.735  # GeV: half of the radius of ECAL's face over that of a track of 1 GeV in 3.8 T
_BLOCK = 0.0436  # half of the width of 5x5 crystals
_CALIBRATED = 5.0  # GeV: CMSSW, EgammaAnalysis/ElectronTools, minEtToCalibrate
_GAINS = (400.0, 2000.0)  # GeV in a crystal, beyond which ECAL's electronics take a lower gain
_NORMALS = 6


class Showers(NamedTuple):
    """Superclusters of E events and what surrounds them.

    Parameters
    ----------
    found
        Their energy, eta, phi, lead (energy of the seed), shape and other columns that NanoAOD has of
        electrons and photons alike; `_cluster` is the row of the seed, `_excess` the width beyond that of one
        particle.
    owner
        Shape (clusters,): the supercluster of each cluster, -1 of none.
    deposits
        Energy in HCAL by place: eta, phi, energy.
    """

    found: Collection
    owner: NDArray[np.int64]
    deposits: Collection

    def around(
        self,
        rows: NDArray[np.int64],
        offsets: NDArray[np.int64],
        clusters: Collection,
        hole: float,
        behind: float,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Transverse energy in ECAL and HCAL around those at `rows`, between a hole in each and 0.3."""
        center = offsets, self.found["eta"][rows], self.found["phi"][rows]
        of_ecal, of_hcal = (some["energy"] / np.cosh(some["eta"]) for some in (clusters, self.deposits))
        own = np.append(owners(rows, len(self.found)), -1)[self.owner]
        ecal = ring_sum(center, clusters, of_ecal, (hole, 0.3), own)
        return ecal, ring_sum(center, self.deposits, of_hcal, (behind, 0.3))


class ShowerRecipe(Recipe):
    """How superclusters are made and what is measured of them; barrel before endcap."""

    seed: float = Field(gt=0, description="least transverse energy of a supercluster's seed, in GeV")
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

    def showers(self, recorded: Recorded) -> Showers:
        """Find the superclusters of E events."""
        made, owner = self._superclusters(recorded.clusters)
        normal = recorded.streams.normal(recorded.keys, "showers", _NORMALS * made.counts)
        normal = normal.reshape(-1, _NORMALS)
        deposits = _hadronic_deposits(recorded)
        columns = made.columns | self._shape(made, owner, recorded.clusters, normal)
        radius, share = self.hadronic
        behind = ring_sum(made.directions, deposits, deposits["energy"], (0.0, radius)) / made["energy"]
        columns["hoe"] = share * behind + self.leakage * np.maximum(normal[:, 2], 0.0) ** 2
        return Showers(Collection(made.offsets, columns), owner, deposits)

    def _superclusters(self, clusters: Collection) -> tuple[Collection, NDArray[np.int64]]:
        """Superclusters, and that of each cluster; electrons have theirs with what they radiate already."""
        columns = tuple(clusters[name] for name in ("energy", "eta", "phi"))
        found = clusters["width"] == 0.0
        seed, sums = _superclusters(clusters.offsets, columns, found, self.seed, *self.window)
        rows = np.flatnonzero(seed == np.arange(len(seed)))
        energy, eta, phi, eta2, phi2 = sums[rows].T
        columns_of = {
            "energy": energy,
            "eta": eta / energy,
            "phi": np.mod(columns[2][rows] + phi / energy + math.pi, 2.0 * math.pi) - math.pi,
            "lead": np.where(found[rows], clusters["seed"][rows], columns[0][rows]),
            "etaWidth": np.sqrt(np.maximum(eta2 / energy - (eta / energy) ** 2, 0.0)),
            "phiWidth": np.sqrt(np.maximum(phi2 / energy - (phi / energy) ** 2, 0.0)),
            "_cluster": rows,
        }
        made = Collection.of_event_rows(clusters.event_rows[rows], columns_of, clusters.events)
        return made, np.append(owners(rows, len(seed)), -1)[seed]

    def _shape(
        self, made: Collection, owner: NDArray[np.int64], clusters: Collection, normal: NDArray[np.float64]
    ) -> dict[str, NDArray[Any]]:
        """Width and compactness of N superclusters, crystal of the seed, and calibration."""
        offsets, eta, phi = made.directions
        others = (clusters["eta"], clusters["phi"], clusters["energy"], owner)
        around = _spread(offsets, eta, phi, clusters.offsets, others) / made["lead"]
        excess = np.sqrt(np.maximum(clusters["width"][made["_cluster"]] ** 2 - self.intrinsic**2, 0.0))
        in_endcap = np.abs(eta) > _EDGE
        endcap = in_endcap.astype(np.int64)
        base = np.array(self.sieie)[endcap] * np.exp(np.array(self.sieie_spread)[endcap] * normal[:, 0])
        own, near = self.widening
        wider = np.hypot(own * excess, near * np.sqrt(around)) * np.where(in_endcap, self.endcap, 1.0)
        sieie = np.minimum(np.hypot(base, wider), self.widest)
        inside = self.contained + self.contained_spread * normal[:, 1] * np.hypot(0.6, excess / 0.01)
        raw = made["energy"] * (1.0 - np.array(self.raw)[endcap] * np.abs(normal[:, 3]) ** 0.7)
        smeared = np.array(self.smearing)[endcap] * normal[:, 4]
        smeared *= made["energy"] > _CALIBRATED * np.cosh(eta)
        first, second = _crystal(eta, phi)
        return {
            "sieie": sieie,
            "r9": inside / np.hypot(1.0, excess / 0.018) * made["lead"] / made["energy"],
            "etaWidth": np.hypot(made["etaWidth"], 0.7 * sieie),
            "phiWidth": np.hypot(made["phiWidth"], sieie),
            "_excess": excess,
            "_raw": raw,
            "_preshower": np.where(
                (np.abs(eta) > 1.65) & (np.abs(eta) < 2.6), np.exp(0.4 * normal[:, 5]), 0.0
            ),
            "superclusterEta": eta,
            "eCorr": 1.0 + smeared,
            "dEscaleUp": np.zeros(len(eta)),
            "dEscaleDown": np.zeros(len(eta)),
            "seedGain": np.array([12, 6, 1])[np.searchsorted(_GAINS, made["lead"])],
            "seediEtaOriX": first,
            "seediPhiOriY": second,
            "isEB": ~in_endcap,
        }


def passed(values: Sequence[NDArray[Any]], limits: Sequence[Any]) -> NDArray[np.int64]:
    """Count the nested working points that each of C cuts passes, shape (C, N).

    Parameters
    ----------
    values
        What is cut on, shape (N,) each.
    limits
        Largest values of each cut: a list of the W working points, or an array of shape (W, N).
    """
    rows = [np.asarray(limit, dtype=np.float64).reshape(len(limit), -1) for limit in limits]
    return np.stack([(value <= limit).sum(axis=0) for value, limit in zip(values, rows, strict=True)])


def bitmap(levels: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    """NanoAOD's bitmap, shape (N,), of what `passed` gives, with so many bits for each cut."""
    return (levels << (bits * np.arange(len(levels)))[:, None]).sum(axis=0)


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


def _hadronic_deposits(recorded: Recorded) -> Collection:
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


def _crystal(
    eta: NDArray[np.float64], phi: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the crystal at a direction: ieta and iphi of the barrel, ix and iy of the endcap."""
    size = math.pi / 180.0
    across = 317.0 / np.sinh(np.maximum(np.abs(eta), _EDGE)) / 2.9
    ieta = np.where(eta > 0, 1, -1) * np.minimum(np.abs(eta) // size + 1, 85)
    barrel = np.abs(eta) < _EDGE
    first = np.where(barrel, ieta, 50.5 + across * np.cos(phi))
    second = np.where(barrel, np.mod(phi, 2.0 * math.pi) // size + 1, 50.5 + across * np.sin(phi))
    return first.astype(np.int64), second.astype(np.int64)
