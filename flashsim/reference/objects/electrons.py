"""Electrons: superclusters with a track, as NanoAOD stores them.

Those of particle flow are its candidates; others are hadrons whose cluster in ECAL fits to their track.
Cut-based identification has CMS's cuts (EGM-17-001, arXiv:2012.06888; CMSSW,
RecoEgamma/ElectronIdentification).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from flashsim.declarations.recipes import Recipe
from flashsim.events.collection import Collection
from flashsim.events.neighbours import closest
from flashsim.reference.objects.impact_parameters import impact_parameters
from flashsim.reference.objects.isolation import (
    Areas,
    TrackCone,
    cone_sums,
    mini_cone,
    owners,
    ring_sum,
    track_sum,
)
from flashsim.reference.objects.showers import (
    EDGE,
    ShowerRecipe,
    calibration,
    crystal,
    hadronic_deposits,
    shapes,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.reference.flow.recorded import Recorded

__all__ = ["ElectronRecipe", "electrons"]

_TRACK_CONE = TrackCone(radius=0.3, hole=0.04, strip=0.015, least_pt=0.7, dz=0.2, d0=1.0)
_HEEP_CONE = TrackCone(radius=0.3, hole=0.001, strip=0.005, least_pt=1.0, dz=0.1, d0=1.0)
_LEAST_PT_OF_SUMS = 35.0  # GeV; NanoAOD's dr03 sums are 0 below
_NORMALS, _UNIFORMS = 8, 4


class Cuts(Recipe):
    """Cuts of the four nested working points in barrel or endcap, from veto to tight."""

    deta: list[float] = Field(description="|eta| of seed minus track")
    dphi: list[float] = Field(description="|phi| of supercluster minus track")
    sieie: list[float]
    hoe: list[float] = Field(description="constant part of H/E")
    hoe_energy: list[float] = Field(description="times 1/E")
    hoe_rho: list[float] = Field(description="times rho/E")
    inverse: list[float] = Field(description="|1/E - 1/p|")
    isolation: list[float] = Field(description="constant part of relative isolation")
    isolation_pt: float = Field(description="times 1/pT")
    hits: list[int] = Field(description="missing inner hits")


class ElectronRecipe(Recipe):
    """Which electrons are stored, and what is measured of them."""

    least_pt: float = Field(gt=0, description="in GeV")
    fake_share: tuple[float, float] = Field(
        description="share of hadrons with a fitting cluster that become electrons: H/E below and above 0.15"
    )
    fake_ratio: float = Field(gt=0, description="least ratio of the cluster's energy to their momentum")
    reach: float = Field(ge=0, description="radius in which a supercluster gathers clusters of others")
    gathered: float = Field(ge=0, le=1, description="share of their energy that it gathers")
    energy: tuple[float, float, float] = Field(
        description="relative energy resolution: constant, times 1/sqrt(E), times the radiated share"
    )
    fake_momentum: tuple[float, float] = Field(
        description="bias and spread of the logarithm of the momentum that hadrons are measured with"
    )
    gathered_error: float = Field(ge=0, description="relative error of energy per share that is gathered")
    worst: float = Field(gt=0, description="largest relative energy error")
    fake_resolution: float = Field(ge=1, description="how much worse it is of hadrons")
    regression: float = Field(ge=0, description="spread of pT around that of particle flow")
    angles: tuple[float, float, float] = Field(
        description="spread of the seed in eta and phi around the track; the same in phi per radiated share"
    )
    inconsistent: tuple[float, float, float] = Field(
        description="share with charges that disagree: constant, per radiated share, of hadrons"
    )
    flipped: float = Field(ge=0, le=1, description="share of those that have the wrong charge")
    conversion_veto: float = Field(ge=0, le=1, description="share of conversions that are recognised")
    mass_rounding: float = Field(
        ge=0, description="spread of NanoAOD's mass per GeV of energy, from rounding"
    )
    areas: Areas = Field(description="effective areas of isolation")
    barrel: Cuts
    endcap: Cuts


def electrons(recorded: Recorded, recipe: ElectronRecipe, showers: ShowerRecipe) -> Collection:
    """Build the electrons of E events: NanoAOD's fields, and `_candidate`, `_track`, `_cluster` (rows).

    Parameters
    ----------
    recorded
        The events.
    recipe, showers
        Parameters.
    """
    deposits = hadronic_deposits(recorded)
    made, u, normal = _chosen(recorded, deposits, recipe, showers)
    columns = made.columns | _kinematics(recorded, made, recipe, u, normal)
    columns |= _showers(recorded, Collection(made.offsets, columns), showers, normal)
    columns |= _isolation(recorded, deposits, Collection(made.offsets, columns), recipe)
    columns |= _identification(recorded, Collection(made.offsets, columns), recipe, u)
    found = Collection(made.offsets, columns)
    found = found.take(np.lexsort((-found["pt"], found.event_rows)))
    return found.select((found["pt"] > recipe.least_pt) & (found["_cluster"] >= 0))


def _chosen(
    recorded: Recorded, deposits: Collection, recipe: ElectronRecipe, showers: ShowerRecipe
) -> tuple[Collection, NDArray[np.float64], NDArray[np.float64]]:
    """Tracks that are electrons, with uniform and normal numbers for each."""
    tracks, clusters = recorded.tracks, recorded.clusters
    has = tracks["ecal"] >= 0
    energy = np.where(has, clusters["energy"][tracks["ecal"]], 0.0)
    transverse = energy / np.cosh(tracks["eta"])
    hadron = ~tracks["gsf"] & has & (tracks["kind"] != 13) & (tracks["pt"] > 0.5 * recipe.least_pt)
    hadron &= (transverse > recipe.least_pt) & (transverse > recipe.fake_ratio * tracks["pt"])
    rows = np.flatnonzero(hadron | (tracks["gsf"] & has))
    made = Collection.of_event_rows(tracks.event_rows[rows], {"_track": rows}, tracks.events)
    rows = made["_track"]
    u = recorded.streams.uniform(recorded.keys, "electrons", _UNIFORMS * made.counts)
    normal = recorded.streams.normal(recorded.keys, "electron showers", _NORMALS * made.counts)
    u, normal = u.reshape(-1, _UNIFORMS), normal.reshape(-1, _NORMALS)
    ecal = tracks["ecal"][rows]
    place = made.offsets, clusters["eta"][ecal], clusters["phi"][ecal]
    place_of = {name: clusters[name] for name in ("eta", "phi", "energy")}
    unlinked = Collection(clusters.offsets, place_of).select(clusters["tracks"] == 0)
    around = ring_sum(place, unlinked, unlinked["energy"], (0.0, recipe.reach))
    near = np.where(tracks["gsf"][rows], around, 0.0)
    total = energy[rows] + recipe.gathered * near
    hoe = showers.behind(place, total, deposits, normal[:, 7])
    good, poor = recipe.fake_share
    chance = np.where(hoe < 0.15, good, poor) / (1.0 + 2.0 * around / energy[rows])
    keep = tracks["gsf"][rows] | (u[:, 0] < chance)
    # One electron for each shower: that of particle flow before others, and the hardest.
    rank = np.where(keep, 1e5 * tracks["gsf"][rows] + transverse[rows], 0.0)
    shown = Collection(made.offsets, {"eta": place[1], "phi": place[2], "row": np.arange(len(rows))}).select(
        keep
    )
    neighbour, _ = closest(shown.directions, shown.directions, 1, recipe.reach, same=True)
    other = shown["row"][neighbour] if len(shown) else neighbour
    keep[shown["row"][(neighbour >= 0) & (rank[other] > rank[shown["row"]])]] = False
    columns = {"_track": rows, "_cluster": ecal, "hoe": hoe, "ecalEnergy": total, "_near": near}
    kept = Collection(made.offsets, columns).select(keep)
    return kept, u[keep], normal[keep]


def _kinematics(
    recorded: Recorded,
    made: Collection,
    recipe: ElectronRecipe,
    u: NDArray[np.float64],
    normal: NDArray[np.float64],
) -> dict[str, NDArray[Any]]:
    """Momentum from supercluster and track, charge, and place."""
    tracks, candidates, rows = recorded.tracks, recorded.candidates, made["_track"]
    names = ("pt", "eta", "phi", "ptErr", "charge", "brem", "gsf")
    track = {name: tracks[name][rows] for name in names}
    candidate = owners(candidates["track"], len(tracks))[rows]
    is_pf = (candidate >= 0) & (np.abs(candidates["pdgId"])[candidate] == 11)
    energy, slope = made["ecalEnergy"], np.cosh(track["eta"])
    # The fit expects radiation: it measures hadrons badly, and too low.
    particle = tracks["particle"][rows]
    real = (particle >= 0) & (np.abs(recorded.particles["pdg"])[particle] == 11)
    bias, spread = recipe.fake_momentum
    momentum = track["pt"] * slope * np.where(real, 1.0, np.exp(spread * normal[:, 1] - bias))
    constant, stochastic, radiated = recipe.energy
    relative = np.hypot(constant + radiated * track["brem"], stochastic / np.sqrt(energy))
    relative = relative + recipe.gathered_error * np.minimum(made["_near"] / energy, 0.5)
    relative = relative * np.where(real, 1.0, recipe.fake_resolution) * np.exp(0.2 * normal[:, 0])
    relative = np.minimum(relative, recipe.worst)
    of_track = np.maximum(track["ptErr"] / track["pt"], np.where(real, 1e-3, 0.1))
    weight = relative**2 / (relative**2 + of_track**2)
    off = np.abs(energy - momentum) > 4.0 * momentum * np.hypot(relative, of_track)
    combined = (
        np.where(off, np.maximum(energy, momentum), weight * momentum + (1.0 - weight) * energy) / slope
    )
    flowed = candidates["pt"][candidate] * (1.0 + recipe.regression * normal[:, 1])
    pt = np.where(is_pf, flowed, combined)
    base, per_brem, hadrons = recipe.inconsistent
    disagree = u[:, 1] < np.where(track["gsf"], base + per_brem * track["brem"], hadrons)
    wrong = disagree & (u[:, 2] < recipe.flipped)
    charge = np.where(wrong, -track["charge"], track["charge"])
    brem = track["brem"] + np.where(track["gsf"], 0.03, 0.15) * np.abs(normal[:, 2]) - 0.01
    place = impact_parameters(tracks, rows, made.event_rows, recorded.vertices)
    worse = np.where(real, 1.0, 2.0 * np.exp(0.6 * np.maximum(normal[:, 2], 0.0) ** 2))
    for name in ("dxyErr", "dzErr"):
        place[name] = place[name] * worse
    for name in ("sip3d", "ipLengthSig"):
        place[name] = place[name] / worse
    return place | {
        "pt": pt,
        "eta": track["eta"],
        "phi": track["phi"],
        "mass": recipe.mass_rounding * pt * slope * normal[:, 3],
        "charge": charge,
        "pdgId": -11 * charge,
        "tightCharge": np.where(disagree, np.where(u[:, 2] > 0.7, 1, 0), 2),
        "energyErr": pt * slope / np.sqrt(1.0 / relative**2 + np.where(real, 1.0 / of_track**2, 0.0)),
        "ecalEnergyError": energy * relative,
        "eInvMinusPInv": 1.0 / energy - 1.0 / momentum,
        "fbrem": np.minimum(brem, 0.98),
        "gsfTrkpMode": momentum,
        "gsfTrkpModeErr": momentum * of_track,
        "gsfTrketaMode": track["eta"],
        "gsfTrkphiMode": track["phi"],
        "lostHits": tracks["lostInnerHits"][rows],
        "isPFcand": is_pf,
        "_candidate": candidate,
        "_brem": track["brem"],
        "_gsf": track["gsf"],
    }


def _showers(
    recorded: Recorded,
    found: Collection,
    showers: ShowerRecipe,
    normal: NDArray[np.float64],
) -> dict[str, NDArray[Any]]:
    """Shape of the supercluster and how the track points at it."""
    clusters, row = recorded.clusters, found["_cluster"]
    eta, phi, energy = clusters["eta"][row], clusters["phi"][row], found["ecalEnergy"]
    owner = owners(row, len(clusters))
    lead = np.where(found["_gsf"], clusters["seed"][row], clusters["energy"][row])
    shower = {"eta": eta, "phi": phi, "energy": energy, "lead": lead, "_cluster": row}
    shape = shapes(Collection(found.offsets, shower), owner, clusters, normal[:, 4:6], showers)
    endcap = np.abs(eta) > EDGE
    raw = energy * (1.0 - np.array(showers.raw)[endcap.astype(np.int64)] * np.abs(normal[:, 6]) ** 0.7)
    first, second = crystal(eta, phi)
    preshower = (np.abs(eta) > 1.65) & (np.abs(eta) < 2.6)
    return (
        shape
        | calibration(endcap, normal[:, 2], showers.smearing, 0.3)
        | {
            "superclusterEta": eta,
            "deltaEtaSC": eta - found["eta"],
            "rawEnergy": raw,
            "scEtOverPt": raw / np.cosh(eta) / found["pt"] - 1.0,
            "PreshowerEnergy": np.where(preshower, 0.06 * energy * np.exp(0.4 * normal[:, 3]), 0.0),
            "seedGain": np.where(lead > 400.0, np.where(lead > 2000.0, 1, 6), 12),
            "seediEtaOriX": first,
            "seediPhiOriY": second,
            "isEB": ~endcap,
            "isEcalDriven": (found["hoe"] < 0.15) & (energy > 4.0 * np.cosh(eta)),
        }
    )


def _isolation(
    recorded: Recorded, deposits: Collection, found: Collection, recipe: ElectronRecipe
) -> dict[str, NDArray[np.float64]]:
    """Relative sums of candidates by cone and kind, and CMS's detector-based sums."""
    candidates, clusters, pt, row = recorded.candidates, recorded.clusters, found["pt"], found["_cluster"]
    of_cluster = owners(row, len(clusters))
    own = owners(found["_candidate"], len(candidates))
    owner = np.where(own >= 0, own, np.append(of_cluster, -1)[candidates["cluster"]])
    mini = mini_cone(pt)
    radii = np.stack([np.full(len(pt), 0.3), np.full(len(pt), 0.4), mini], axis=1)
    endcap = ~found["isEB"]
    hole = np.where(endcap, 0.015, 0.0), 0.0, np.where(endcap, 0.08, 0.0), 0.0
    sums = cone_sums(found.directions, candidates, owner, radii, holes=hole)
    pileup = recipe.areas.pileup(found["superclusterEta"], recorded.rho["FastjetAll"][found.event_rows])
    z = recorded.tracks["z"][found["_track"]]
    tracks = [
        track_sum(found.directions, z, found["_track"], recorded.tracks, cone)
        for cone in (_TRACK_CONE, _HEEP_CONE)
    ]
    center = found.offsets, clusters["eta"][row], clusters["phi"][row]
    ecal = ring_sum(center, clusters, clusters["energy"] / np.cosh(clusters["eta"]), (0.06, 0.3), of_cluster)
    hcal = ring_sum(center, deposits, deposits["energy"] / np.cosh(deposits["eta"]), (0.15, 0.3))
    high = pt > _LEAST_PT_OF_SUMS
    return {
        "pfRelIso03_chg": sums.charged[:, 0] / pt,
        "pfRelIso03_all": sums.by_area(0, pileup) / pt,
        "pfRelIso04_all": sums.by_area(1, pileup * (0.4 / 0.3) ** 2) / pt,
        "miniPFRelIso_chg": sums.charged[:, 2] / pt,
        "miniPFRelIso_all": sums.by_area(2, pileup * (mini / 0.3) ** 2) / pt,
        "dr03TkSumPt": np.where(high, tracks[0], 0.0),
        "dr03TkSumPtHEEP": np.where(high, tracks[1], 0.0),
        "dr03EcalRecHitSumEt": np.where(high, ecal, 0.0),
        "dr03HcalDepth1TowerSumEt": np.where(high, 0.6 * hcal, 0.0),
    }


def _identification(
    recorded: Recorded, found: Collection, recipe: ElectronRecipe, u: NDArray[np.float64]
) -> dict[str, NDArray[Any]]:
    """Veto conversions, and count the working points that each cut of the identification passes."""
    normal = recorded.streams.normal(recorded.keys, "electron angles", 2 * found.counts).reshape(-1, 2)
    near_eta, near_phi, radiated = recipe.angles
    # A hadron's cluster holds what came near it, too.
    wide = np.where(found["_gsf"], 1.0, 3.0)
    deta = np.abs(near_eta * wide * normal[:, 0])
    dphi = np.abs((near_phi * wide + radiated * found["_brem"]) * normal[:, 1])
    particle = recorded.tracks["particle"][found["_track"]]
    photon = (particle >= 0) & (recorded.particles["pdg"][particle] == 22)
    veto = ~(photon & (u[:, 3] < recipe.conversion_veto))
    rho = recorded.rho["FastjetAll"][found.event_rows]
    levels = np.where(
        found["isEB"],
        *(_levels(found, cuts, deta, dphi, veto, rho) for cuts in (recipe.barrel, recipe.endcap)),
    )
    bits = (levels << (3 * np.arange(len(levels)))[:, None]).sum(axis=0)
    heep = _heep(found, deta, dphi, rho)
    return {
        "convVeto": veto,
        "cutBased": levels.min(axis=0),
        "vidNestedWPBitmap": bits,
        "cutBased_HEEP": heep.all(axis=0),
        "vidNestedWPBitmapHEEP": (heep.astype(np.int64) << np.arange(len(heep))[:, None]).sum(axis=0),
        "_deta": deta,
        "_dphi": dphi,
    }


def _levels(
    found: Collection,
    cuts: Cuts,
    deta: NDArray[np.float64],
    dphi: NDArray[np.float64],
    veto: NDArray[np.bool_],
    rho: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Working points that each of the ten cuts passes, shape (10, N), in the order of NanoAOD's bitmap."""

    def passed(value: NDArray[Any], largest: Any) -> NDArray[np.int64]:
        return (value <= np.asarray(largest)).sum(axis=0)

    def column(values: list[float]) -> NDArray[np.float64]:
        return np.array(values)[:, None]

    energy = found["ecalEnergy"]
    hoe = column(cuts.hoe) + (column(cuts.hoe_energy) + column(cuts.hoe_rho) * rho) / energy
    isolation = column(cuts.isolation) + cuts.isolation_pt / found["pt"]
    all_of = np.full(len(energy), 4)
    return np.stack(
        [
            np.where(found["pt"] > 5.0, 4, 0),
            np.where(np.abs(found["superclusterEta"]) < 2.5, 4, 0),
            passed(deta, column(cuts.deta)),
            passed(dphi, column(cuts.dphi)),
            passed(found["sieie"], column(cuts.sieie)),
            passed(found["hoe"], hoe),
            passed(np.abs(found["eInvMinusPInv"]), column(cuts.inverse)),
            passed(found["pfRelIso03_all"], isolation),
            np.where(veto, all_of, 0),
            passed(found["lostHits"], column([float(hit) for hit in cuts.hits])),
        ]
    )


def _heep(
    found: Collection, deta: NDArray[np.float64], dphi: NDArray[np.float64], rho: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Cuts of HEEP V7, shape (12, N), in the order of NanoAOD's bitmap."""
    barrel, energy = found["isEB"], found["ecalEnergy"]
    transverse = energy / np.cosh(found["superclusterEta"])
    calorimeter = found["dr03EcalRecHitSumEt"] + found["dr03HcalDepth1TowerSumEt"]
    limit = np.where(barrel, 2.0 + 0.03 * transverse, 2.5 + 0.03 * np.maximum(transverse - 50.0, 0.0))
    away = np.abs(found["superclusterEta"])
    return np.stack(
        [
            transverse > 35.0,
            (away < 1.4442) | ((away > 1.566) & (away < 2.5)),
            deta < np.where(barrel, 0.004, 0.006),
            dphi < 0.06,
            barrel | (found["sieie"] < 0.03),
            ~barrel | (found["r9"] > 0.8) | (found["sieie"] < 0.0105),
            found["hoe"] < np.where(barrel, 1.0, 5.0) / energy + 0.05,
            found["dr03TkSumPtHEEP"] < 5.0,
            calorimeter < limit + 0.28 * rho,
            np.abs(found["dxy"]) < np.where(barrel, 0.02, 0.05),
            found["lostHits"] <= 1,
            found["isEcalDriven"],
        ]
    )
