"""Photons: superclusters of ECAL, those of electrons too, as NanoAOD stores them.

Preselection is that of MiniAOD (compact or isolated, little energy behind). The cut-based identification has
CMS's cuts (EGM-17-001, arXiv:2012.06888; CMSSW, cutBasedPhotonID_Fall17_94X_V2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from flashsim.declarations.recipes import Recipe
from flashsim.events.collection import Collection
from flashsim.reference.objects.isolation import Areas, TrackCone, cone_sums, ring_sum, track_sum
from flashsim.reference.objects.showers import (
    EDGE,
    ShowerRecipe,
    calibration,
    crystal,
    hadronic_deposits,
    shapes,
    superclusters,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.reference.flow.recorded import Recorded

__all__ = ["PhotonRecipe", "photons"]

_HOLLOW = TrackCone(radius=0.3, hole=0.04, strip=0.015, least_pt=0.0, dz=0.2, d0=0.1)
_SOLID = TrackCone(radius=0.4, hole=0.0, strip=0.0, least_pt=0.0, dz=0.2, d0=0.1)
_NORMALS, _UNIFORMS = 8, 3


class PhotonCuts(Recipe):
    """Cuts of the loose, medium and tight working points in barrel or endcap."""

    hoe: list[float]
    sieie: list[float]
    charged: list[float] = Field(description="charged isolation in GeV")
    neutral: list[float] = Field(description="neutral isolation, constant part in GeV")
    neutral_pt: tuple[float, float] = Field(description="times pT and its square")
    photon: list[float] = Field(description="photon isolation, constant part in GeV")
    photon_pt: float = Field(description="times pT")


class PhotonRecipe(Recipe):
    """Which photons are stored, and what is measured of them."""

    least_pt: float = Field(gt=0, description="in GeV")
    most_eta: float = Field(gt=0, description="largest |eta| of superclusters")
    largest_hoe: float = Field(gt=0, description="H/E of photons")
    compact: float = Field(gt=0, description="r9 from which on isolation is not asked for")
    isolated: tuple[float, float] = Field(
        description="most charged isolation of others: in GeV, and relative to pT"
    )
    energy: tuple[float, float, float] = Field(
        description="relative energy error: constant, times 1/sqrt(E), times (0.97 - r9)^2"
    )
    pixel_seed: tuple[float, float] = Field(
        description="share with a seed: of electrons, per track of others"
    )
    electron_veto: float = Field(ge=0, le=1, description="share of electrons that do not fail it")
    charged: Areas
    neutral: Areas
    photon: Areas
    barrel: PhotonCuts
    endcap: PhotonCuts


def photons(recorded: Recorded, recipe: PhotonRecipe, showers: ShowerRecipe) -> Collection:
    """Build the photons of E events: NanoAOD's fields, and `_cluster` (row) and `_candidate`.

    Parameters
    ----------
    recorded
        The events.
    recipe, showers
        Parameters.
    """
    made, owner = superclusters(recorded, recipe.least_pt, showers.window)
    u = recorded.streams.uniform(recorded.keys, "photons", _UNIFORMS * made.counts).reshape(-1, _UNIFORMS)
    normal = recorded.streams.normal(recorded.keys, "photon showers", _NORMALS * made.counts)
    normal = normal.reshape(-1, _NORMALS)
    deposits = hadronic_deposits(recorded)
    columns = made.columns | _kinematics(recorded, made, owner, recipe, showers, normal)
    columns["hoe"] = showers.behind(made.directions, made["energy"], deposits, normal[:, 2])
    columns |= _isolation(recorded, deposits, Collection(made.offsets, columns), owner, recipe)
    columns |= _identification(recorded, Collection(made.offsets, columns), recipe, u)
    found = Collection(made.offsets, columns)
    found = found.take(np.lexsort((-found["pt"], found.event_rows)))
    most, relative = recipe.isolated
    quiet = found["pfChargedIso"] < np.maximum(most, relative * found["pt"])
    keep = (found["hoe"] < recipe.largest_hoe) & (np.abs(found["superclusterEta"]) < recipe.most_eta)
    return found.select(keep & (quiet | (found["r9"] > recipe.compact)))


def _kinematics(
    recorded: Recorded,
    made: Collection,
    owner: NDArray[np.int64],
    recipe: PhotonRecipe,
    showers: ShowerRecipe,
    normal: NDArray[np.float64],
) -> dict[str, NDArray[Any]]:
    """Momentum from the primary vertex, and the shape of the shower."""
    eta, phi, energy = made["eta"], made["phi"], made["energy"]
    endcap = np.abs(eta) > EDGE
    radius = np.where(endcap, 317.0 / np.maximum(np.abs(np.sinh(eta)), 1.0), 129.0)
    place = np.stack([radius * np.cos(phi), radius * np.sin(phi), radius * np.sinh(eta)])
    z = recorded.vertices["z"][recorded.vertices.offsets[:-1]][made.event_rows]
    seen = np.arcsinh((place[2] - z) / radius)
    shape = shapes(made, owner, recorded.clusters, normal[:, :2], showers)
    constant, stochastic, open_ = recipe.energy
    relative = (
        np.hypot(constant, stochastic / np.sqrt(energy)) + open_ * np.maximum(0.97 - shape["r9"], 0.0) ** 2
    )
    raw = energy * (1.0 - np.array(showers.raw)[endcap.astype(np.int64)] * np.abs(normal[:, 3]) ** 0.7)
    first, second = crystal(eta, phi)
    preshower = (np.abs(eta) > 1.65) & (np.abs(eta) < 2.6)
    return (
        shape
        | calibration(endcap, normal[:, 4], showers.smearing, 0.08)
        | {
            "pt": energy / np.cosh(seen),
            "eta": seen,
            "mass": np.zeros(len(eta)),
            "pdgId": np.full(len(eta), 22),
            "charge": np.zeros(len(eta), dtype=np.int64),
            "superclusterEta": eta,
            "x_calo": place[0],
            "y_calo": place[1],
            "z_calo": place[2],
            "energyRaw": raw,
            "energyErr": energy * relative * np.exp(0.2 * normal[:, 4]),
            "s4": np.clip(0.93 * shape["r9"] + 0.02 * normal[:, 5] - 0.02, 0.2, 0.96),
            "sieip": shape["sieie"] ** 2 * 0.3 * normal[:, 6],
            "sipip": shape["sieie"] * np.exp(0.1 * normal[:, 7]),
            "etaWidth": np.hypot(made["etaWidth"], 0.7 * shape["sieie"]),
            "phiWidth": np.hypot(made["phiWidth"], shape["sieie"]),
            "esEnergyOverRawE": np.where(preshower, 0.04 * np.exp(0.5 * normal[:, 6]), 0.0),
            "esEffSigmaRR": np.where(preshower, 5.0 + 2.0 * normal[:, 7], 0.0),
            "haloTaggerMVAVal": np.where(endcap, 0.995, 1.0),
            "seedGain": np.where(made["lead"] > 400.0, np.where(made["lead"] > 2000.0, 1, 6), 12),
            "seediEtaOriX": first,
            "seediPhiOriY": second,
            "isScEtaEB": np.abs(eta) < 1.4442,
            "isScEtaEE": (np.abs(eta) > 1.566) & (np.abs(eta) < 2.5),
        }
    )


def _isolation(
    recorded: Recorded,
    deposits: Collection,
    found: Collection,
    owner: NDArray[np.int64],
    recipe: PhotonRecipe,
) -> dict[str, NDArray[np.float64]]:
    """Sum candidates, with rho times effective areas taken off, and of tracks and clusters, in GeV."""
    candidates, pt = recorded.candidates, found["pt"]
    of_cluster = np.append(owner, -1)  # the last one is for candidates without a cluster
    neutral = (candidates["charge"] == 0) | (np.abs(candidates["pdgId"]) == 11)
    own = np.where(neutral, of_cluster[candidates["cluster"]], -1)
    sums = cone_sums(
        found.directions, candidates, own, np.full((len(pt), 1), 0.3), holes=(0.02, 0.0, 0.0, 0.02)
    )
    rho = recorded.rho["FastjetAll"][found.event_rows]
    away = found["superclusterEta"]
    raw = {"charged": sums.charged[:, 0], "neutral": sums.neutral[:, 0], "photon": sums.photon[:, 0]}
    clean = {
        name: np.maximum(raw[name] - areas.pileup(away, rho), 0.0)
        for name, areas in (
            ("charged", recipe.charged),
            ("neutral", recipe.neutral),
            ("photon", recipe.photon),
        )
    }
    all_of = clean["charged"] + clean["neutral"] + clean["photon"]
    pv = recorded.vertices["z"][recorded.vertices.offsets[:-1]][found.event_rows]
    nobody = np.full(len(pt), -1)
    tracks = [track_sum(found.directions, pv, nobody, recorded.tracks, cone) for cone in (_HOLLOW, _SOLID)]
    center = found.offsets, away, found["phi"]
    ecal, hcal = recorded.clusters, deposits
    of_ecal = ring_sum(center, ecal, ecal["energy"] / np.cosh(ecal["eta"]), (0.02, 0.3), owner)
    of_hcal = ring_sum(center, hcal, hcal["energy"] / np.cosh(hcal["eta"]), (0.0, 0.3))
    return {
        "hoe_PUcorr": np.maximum(found["hoe"] - 0.05 * rho / found["energy"], 0.0),
        "hoe_Tower": 0.3 * found["hoe"] * (found["sieip"] > 0.0),
        "pfRelIso03_chg": clean["charged"] / pt,
        "pfRelIso03_all": all_of / pt,
        "pfRelIso03_chg_quadratic": clean["charged"] / pt,
        "pfRelIso03_all_quadratic": all_of / pt,
        "pfChargedIso": raw["charged"],
        "pfChargedIsoPFPV": raw["charged"],
        "pfChargedIsoWorstVtx": raw["charged"] + sums.pileup[:, 0] * 0.5,
        "pfPhoIso03": raw["photon"],
        "ecalPFClusterIso": of_ecal,
        "hcalPFClusterIso": of_hcal,
        "trkSumPtHollowConeDR03": tracks[0],
        "trkSumPtSolidConeDR04": tracks[1],
        "_charged": clean["charged"],
        "_neutral": clean["neutral"],
        "_photon": clean["photon"],
    }


def _identification(
    recorded: Recorded, found: Collection, recipe: PhotonRecipe, u: NDArray[np.float64]
) -> dict[str, NDArray[Any]]:
    """Electron veto, pixel seed, and cut-based identification."""
    clusters, tracks, row = recorded.clusters, recorded.tracks, found["_cluster"]
    electron = np.zeros(len(clusters), dtype=bool)
    hard = np.zeros(len(clusters), dtype=bool)
    linked = tracks["ecal"] >= 0
    electron[tracks["ecal"][linked & tracks["gsf"]]] = True
    energy = np.zeros(len(tracks))
    energy[linked] = clusters["energy"][tracks["ecal"][linked]]
    # A hadron's track of the right momentum looks like an electron's to the seeding.
    close = linked & (tracks["pt"] * np.cosh(tracks["eta"]) > 0.5 * energy) & (tracks["pixelHits"] > 1)
    hard[tracks["ecal"][close]] = True
    of_electrons, of_others = recipe.pixel_seed
    seed = u[:, 0] < np.where(electron[row], of_electrons, np.where(hard[row], of_others, 0.05))
    is_electron = electron[row] | (hard[row] & (u[:, 2] < of_others))
    levels = np.where(found["isScEtaEB"], *(_levels(found, cuts) for cuts in (recipe.barrel, recipe.endcap)))
    return {
        "_candidate": clusters["candidate"][row],
        "electronVeto": ~is_electron | (u[:, 1] < recipe.electron_veto),
        "pixelSeed": seed,
        "hasConversionTracks": (found["_excess"] >= 0.0) & (u[:, 1] > 0.86),
        "cutBased": levels.min(axis=0),
        "vidNestedWPBitmap": (levels << (2 * np.arange(len(levels)))[:, None]).sum(axis=0),
        "cutBased_Fall17V1Bitmap": (1 << levels.min(axis=0)) - 1,
    }


def _levels(found: Collection, cuts: PhotonCuts) -> NDArray[np.int64]:
    """Working points that each of the seven cuts passes, shape (7, N), in the order of NanoAOD's bitmap."""
    pt = found["pt"]
    rows = [np.array(v)[:, None] for v in (cuts.hoe, cuts.sieie, cuts.charged, cuts.neutral, cuts.photon)]
    linear, square = cuts.neutral_pt
    limits = [*rows[:3], rows[3] + linear * pt + square * pt**2, rows[4] + cuts.photon_pt * pt]
    names = ("hoe", "sieie", "_charged", "_neutral", "_photon")
    passed = [(found[name] < limit).sum(axis=0) for name, limit in zip(names, limits, strict=True)]
    inside = np.where(found["isScEtaEB"] | found["isScEtaEE"], 3, 0)
    return np.stack([np.where(pt > 5.0, 3, 0), inside, *passed])
