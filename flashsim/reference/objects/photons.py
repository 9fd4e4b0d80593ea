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
from flashsim.reference.objects.isolation import Areas, TrackCone, cone_sums, owners, track_sum
from flashsim.reference.objects.showers import bitmap, passed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.reference.flow.recorded import Recorded
    from flashsim.reference.objects.showers import Showers

__all__ = ["PhotonRecipe", "photons"]

_HOLLOW = TrackCone(radius=0.3, hole=0.04, strip=0.015, least_pt=0.0, dz=0.2, d0=0.1)
_SOLID = TrackCone(radius=0.4, hole=0.0, strip=0.0, least_pt=0.0, dz=0.2, d0=0.1)
_NORMALS, _UNIFORMS = 4, 3


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
    energy: tuple[float, float, float, float] = Field(
        description="relative energy error: constant, times 1/sqrt(E), times (0.97 - r9)^2; its largest"
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


def photons(recorded: Recorded, showers: Showers, recipe: PhotonRecipe) -> Collection:
    """Build the photons of E events: NanoAOD's fields, and `_cluster` (row) and `_candidate`.

    Parameters
    ----------
    recorded, showers
        The events and their superclusters.
    recipe
        Parameters.
    """
    made = Collection(
        showers.found.offsets, {"_shower": np.arange(len(showers.found))} | showers.found.columns
    )
    transverse = made["energy"] / np.cosh(made["eta"])
    made = made.select(
        (transverse > recipe.least_pt)
        & (made["hoe"] < recipe.largest_hoe)
        & (np.abs(made["eta"]) < recipe.most_eta)
    )
    u = recorded.streams.uniform(recorded.keys, "photons", _UNIFORMS * made.counts).reshape(-1, _UNIFORMS)
    normal = recorded.streams.normal(recorded.keys, "photons", _NORMALS * made.counts)
    made.columns.update(_kinematics(recorded, made, recipe, normal.reshape(-1, _NORMALS)))
    made.columns.update(_isolation(recorded, showers, made, recipe))
    made.columns.update(_identification(recorded, made, recipe, u))
    found = made.take(np.lexsort((-made["pt"], made.event_rows)))
    most, relative = recipe.isolated
    quiet = found["pfChargedIso"] < np.maximum(most, relative * found["pt"])
    return found.select(quiet | (found["r9"] > recipe.compact))


def _kinematics(
    recorded: Recorded, made: Collection, recipe: PhotonRecipe, normal: NDArray[np.float64]
) -> dict[str, NDArray[Any]]:
    """Momentum from the primary vertex, and the shape of the shower."""
    eta, phi, energy, endcap = made["eta"], made["phi"], made["energy"], ~made["isEB"]
    radius = np.where(endcap, 317.0 / np.maximum(np.abs(np.sinh(eta)), 1.0), 129.0)
    place = np.stack([radius * np.cos(phi), radius * np.sin(phi), radius * np.sinh(eta)])
    z = recorded.vertices["z"][recorded.vertices.offsets[:-1]][made.event_rows]
    seen = np.arcsinh((place[2] - z) / radius)
    constant, stochastic, open_, worst = recipe.energy
    relative = np.hypot(constant, stochastic / np.sqrt(energy))
    relative += open_ * np.maximum(0.97 - made["r9"], 0.0) ** 2
    return {
        "pt": energy / np.cosh(seen),
        "eta": seen,
        "mass": np.zeros(len(eta)),
        "pdgId": np.full(len(eta), 22),
        "charge": np.zeros(len(eta), dtype=np.int64),
        "x_calo": place[0],
        "y_calo": place[1],
        "z_calo": place[2],
        "energyRaw": made["_raw"],
        "energyErr": energy * np.minimum(relative, worst) * np.exp(0.2 * normal[:, 0]),
        "dEsigmaUp": 0.08 * (made["eCorr"] - 1.0),
        "dEsigmaDown": -0.08 * (made["eCorr"] - 1.0),
        "s4": np.clip(0.93 * made["r9"] + 0.02 * normal[:, 1] - 0.02, 0.2, 0.96),
        "sieip": made["sieie"] ** 2 * 0.3 * normal[:, 2],
        "sipip": made["sieie"] * np.exp(0.1 * normal[:, 3]),
        "esEnergyOverRawE": 0.04 * made["_preshower"],
        "esEffSigmaRR": np.where(made["_preshower"] > 0.0, 5.0 + 2.0 * normal[:, 3], 0.0),
        "haloTaggerMVAVal": np.where(endcap, 0.995, 1.0),
        "isScEtaEB": np.abs(eta) < 1.4442,
        "isScEtaEE": (np.abs(eta) > 1.566) & (np.abs(eta) < 2.5),
    }


def _isolation(
    recorded: Recorded, showers: Showers, found: Collection, recipe: PhotonRecipe
) -> dict[str, NDArray[np.float64]]:
    """Sum candidates, with rho times effective areas taken off, and of tracks and clusters, in GeV."""
    candidates, pt = recorded.candidates, found["pt"]
    of_shower = np.append(owners(found["_shower"], len(showers.found)), -1)
    of_cluster = np.append(of_shower[showers.owner], -1)  # the last one is for candidates without a cluster
    neutral = (candidates["charge"] == 0) | (np.abs(candidates["pdgId"]) == 11)
    own = np.where(neutral, of_cluster[candidates["cluster"]], -1)
    sums = cone_sums(
        found.directions, candidates, own, np.full((len(pt), 1), 0.3), holes=(0.02, 0.0, 0.0, 0.02)
    )
    rho = recorded.rho["FastjetAll"][found.event_rows]
    away = found["superclusterEta"]
    raw = {"charged": sums.charged[:, 0], "neutral": sums.neutral[:, 0], "photon": sums.photon[:, 0]}
    areas = {"charged": recipe.charged, "neutral": recipe.neutral, "photon": recipe.photon}
    clean = {name: np.maximum(raw[name] - area.pileup(away, rho), 0.0) for name, area in areas.items()}
    all_of = clean["charged"] + clean["neutral"] + clean["photon"]
    pv = recorded.vertices["z"][recorded.vertices.offsets[:-1]][found.event_rows]
    nobody = np.full(len(pt), -1)
    tracks = [track_sum(found.directions, pv, nobody, recorded.tracks, cone) for cone in (_HOLLOW, _SOLID)]
    ecal, hcal = showers.around(found["_shower"], found.offsets, recorded.clusters, 0.02, 0.0)
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
        "ecalPFClusterIso": ecal,
        "hcalPFClusterIso": hcal,
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
        "vidNestedWPBitmap": bitmap(levels, 2),
        "cutBased_Fall17V1Bitmap": (1 << levels.min(axis=0)) - 1,
    }


def _levels(found: Collection, cuts: PhotonCuts) -> NDArray[np.int64]:
    """Working points that each of the seven cuts passes, shape (7, N), in the order of NanoAOD's bitmap."""
    pt = found["pt"]
    linear, square = cuts.neutral_pt
    neutral = np.array(cuts.neutral)[:, None] + linear * pt + square * pt**2
    photon = np.array(cuts.photon)[:, None] + cuts.photon_pt * pt
    outside = ~(found["isScEtaEB"] | found["isScEtaEE"])
    values = [-pt, outside, *(found[name] for name in ("hoe", "sieie", "_charged", "_neutral", "_photon"))]
    limits = [[-5.0] * 3, [0.0] * 3, cuts.hoe, cuts.sieie, cuts.charged, neutral, photon]
    return passed(values, limits)
