"""Electrons: superclusters with a track, as NanoAOD stores them.

Seeds come from ECAL, where hits in the pixels fit to a supercluster, or from tracks with the energy of one.
Those of particle flow are its candidates; others are mostly hadrons with photons beside them. Cut-based
identification has CMS's cuts (EGM-17-001, arXiv:2012.06888; CMSSW, RecoEgamma/ElectronIdentification).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from flashsim.declarations.recipes import Recipe
from flashsim.events.angles import delta_phi
from flashsim.events.collection import Collection
from flashsim.events.neighbours import closest
from flashsim.reference.objects.impact_parameters import impact_parameters
from flashsim.reference.objects.isolation import Areas, TrackCone, cone_sums, mini_cone, owners, track_sum
from flashsim.reference.objects.showers import bitmap, passed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.reference.flow.recorded import Recorded
    from flashsim.reference.objects.showers import Showers

__all__ = ["ElectronRecipe", "electrons"]

_TRACK_CONE = TrackCone(radius=0.3, hole=0.04, strip=0.015, least_pt=0.7, dz=0.2, d0=1.0)
_HEEP_CONE = TrackCone(radius=0.3, hole=0.001, strip=0.005, least_pt=1.0, dz=0.1, d0=1.0)
_LEAST_PT_OF_SUMS = 35.0  # GeV; NanoAOD's dr03 sums are 0 below
_LEAST_ET, _LARGEST_HOE = 4.0, 0.15  # GeV, of seeds from ECAL (CMSSW, ecalDrivenElectronSeeds)
_TURN = 0.735  # GeV: half of the radius of ECAL's face over that of a track of 1 GeV in 3.8 T
_NORMALS, _UNIFORMS = 7, 5


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
    window: tuple[float, float, float, float] = Field(
        description="how far in eta and phi tracks may point from a supercluster, how far in phi its hits in "
        "the pixels may be from where a track of its energy has them, and within what superclusters are one"
    )
    ratio: tuple[float, float] = Field(
        description="energy of the supercluster over momentum of seeds from tracks: least and largest"
    )
    fake_share: tuple[float, float, float] = Field(
        description="share of hadrons that become electrons: seeds from ECAL, from tracks; of both without "
        "hits in the innermost layers"
    )
    seeding: float = Field(ge=0, description="transverse energy at which half of them have a seed, in GeV")
    energy: tuple[float, float, float, float] = Field(
        description="relative energy error: constant, times 1/sqrt(E), times the radiated share, times "
        "(0.97 - r9)^2"
    )
    fake_resolution: float = Field(ge=1, description="how much worse it is of hadrons")
    fake_momentum: tuple[float, float] = Field(
        description="bias and spread of the logarithm of the momentum that hadrons are measured with"
    )
    fake_errors: float = Field(ge=1, description="how much worse the fit finds d0 of hadrons")
    fake_radiation: float = Field(gt=0, description="power of a uniform number that is a hadron's fbrem")
    worst: float = Field(gt=0, description="largest relative energy error")
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


def electrons(recorded: Recorded, showers: Showers, recipe: ElectronRecipe) -> Collection:
    """Build the electrons of E events: NanoAOD's fields, and `_candidate`, `_track`, `_cluster` (rows).

    Parameters
    ----------
    recorded, showers
        The events and their superclusters.
    recipe
        Parameters.
    """
    found, u = _chosen(recorded, showers, recipe)
    normal = recorded.streams.normal(recorded.keys, "electrons", _NORMALS * found.counts)
    normal = normal.reshape(-1, _NORMALS)
    found.columns.update(_kinematics(recorded, found, recipe, u, normal))
    found.columns.update(_isolation(recorded, showers, found, recipe))
    found.columns.update(_identification(recorded, found, recipe, u, normal))
    found = found.take(np.lexsort((-found["pt"], found.event_rows)))
    return found.select(found["pt"] > recipe.least_pt)


def _chosen(
    recorded: Recorded, showers: Showers, recipe: ElectronRecipe
) -> tuple[Collection, NDArray[np.float64]]:
    """Tracks that are electrons, at most one for each supercluster, with its columns and uniform numbers."""
    tracks, clusters, found = recorded.tracks, recorded.clusters, showers.found
    shower = np.append(showers.owner, -1)[tracks["ecal"]]
    off_eta = np.abs(clusters["eta"][tracks["ecal"]] - found["eta"][shower])
    off_phi = np.abs(delta_phi(clusters["phi"][tracks["ecal"]], found["phi"][shower]))
    near_eta, near_phi, near_pixels, merged = recipe.window
    # Electrons and muons that are not found as such are not found here.
    points = (off_eta < near_eta) & (off_phi < near_phi) & (tracks["kind"] == 211) & (tracks["ecal"] >= 0)
    rows = np.flatnonzero((shower >= 0) & (tracks["gsf"] | points))
    made = Collection.of_event_rows(tracks.event_rows[rows], {"_track": rows}, tracks.events)
    rows, u = made["_track"], recorded.streams.uniform(recorded.keys, "electrons", _UNIFORMS * made.counts)
    u, shower = u.reshape(-1, _UNIFORMS), shower[rows]
    gsf, pt = tracks["gsf"][rows], tracks["pt"][rows]
    transverse = found["energy"][shower] / np.cosh(found["eta"][shower])
    in_pixels = _TURN * np.abs(1.0 / pt - 1.0 / transverse)
    from_ecal = (transverse > _LEAST_ET) & (found["hoe"][shower] < _LARGEST_HOE) & (in_pixels < near_pixels)
    least, most = recipe.ratio
    from_track = (transverse > least * pt) & (transverse < most * pt)
    of_ecal, of_tracks, without_hits = recipe.fake_share
    chance = np.where(from_ecal, of_ecal, np.where(from_track, of_tracks, 0.0))
    chance *= np.where(tracks["lostInnerHits"][rows] > 1, without_hits, 1.0)
    chance /= 1.0 + (recipe.seeding / transverse) ** 3
    rank = 10.0 * gsf - np.abs(np.log(transverse / pt))  # GsfElectronAlgo, too, prefers by E/p
    kept = np.flatnonzero(gsf | (u[:, 0] < chance))
    kept = kept[np.lexsort((-rank[kept], shower[kept]))]
    kept = np.sort(kept[np.unique(shower[kept], return_index=True)[1]])
    # CMSSW gathers superclusters beside each other in one: the better electron has it.
    places = np.searchsorted(kept, made.offsets), found["eta"][shower[kept]], found["phi"][shower[kept]]
    rival, _ = closest(places, places, 1, merged, same=True)
    kept = kept[(rival < 0) | (rank[kept] >= rank[kept][rival])]
    shower = shower[kept]
    columns = {name: column[shower] for name, column in found.columns.items()}
    columns |= {"_track": rows[kept], "_shower": shower}
    return Collection.of_event_rows(made.event_rows[kept], columns, made.events), u[kept]


def _kinematics(
    recorded: Recorded,
    found: Collection,
    recipe: ElectronRecipe,
    u: NDArray[np.float64],
    normal: NDArray[np.float64],
) -> dict[str, NDArray[Any]]:
    """Momentum from supercluster and track, charge, and place."""
    tracks, candidates, rows = recorded.tracks, recorded.candidates, found["_track"]
    names = ("pt", "eta", "phi", "ptErr", "charge", "brem", "gsf")
    track = {name: tracks[name][rows] for name in names}
    candidate = owners(candidates["track"], len(tracks))[rows]
    is_pf = (candidate >= 0) & (np.abs(candidates["pdgId"])[candidate] == 11)
    energy, slope = found["energy"], np.cosh(track["eta"])
    # The fit expects radiation: it measures hadrons badly, and too low.
    particle = tracks["particle"][rows]
    real = (particle >= 0) & (np.abs(recorded.particles["pdg"])[particle] == 11)
    bias, spread = recipe.fake_momentum
    momentum = track["pt"] * slope * np.where(real, 1.0, np.exp(spread * normal[:, 1] - bias))
    constant, stochastic, radiated, outside = recipe.energy
    relative = np.hypot(constant + radiated * track["brem"], stochastic / np.sqrt(energy))
    relative += outside * np.maximum(0.97 - found["r9"], 0.0) ** 2
    relative *= np.where(real, 1.0, recipe.fake_resolution) * np.exp(0.2 * normal[:, 0])
    relative = np.minimum(relative, recipe.worst)
    of_track = np.maximum(track["ptErr"] / track["pt"], np.where(real, 1e-3, 0.1))
    weight = relative**2 / (relative**2 + of_track**2)
    off = np.abs(energy - momentum) > 4.0 * momentum * np.hypot(relative, of_track)
    combined = np.where(off, np.maximum(energy, momentum), weight * momentum + (1.0 - weight) * energy)
    flowed = candidates["pt"][candidate] * (1.0 + recipe.regression * normal[:, 1])
    pt = np.where(is_pf, flowed, combined / slope)
    base, per_brem, hadrons = recipe.inconsistent
    disagree = u[:, 1] < np.where(real, base + per_brem * track["brem"], hadrons)
    charge = np.where(disagree & (u[:, 2] < recipe.flipped), -track["charge"], track["charge"])
    brem = track["brem"] + 0.03 * np.abs(normal[:, 2]) - 0.01
    tail = np.where(real, 1.0, np.exp(0.9 * np.maximum(normal[:, 2], 0.0) ** 2))
    worse = np.where(real, 1.0, recipe.fake_errors) * tail
    measured = {name: tracks[name][rows] for name in ("pt", "eta", "phi", "d0", "d0Err", "z", "zErr")}
    for name, factor, drawn in (("d0", worse, normal[:, 5]), ("z", tail, normal[:, 6])):
        measured[name] += measured[f"{name}Err"] * np.sqrt(factor**2 - 1.0) * drawn
        measured[f"{name}Err"] *= factor
    refit = Collection(found.offsets, measured)
    return impact_parameters(refit, np.arange(len(refit)), found.event_rows, recorded.vertices) | {
        "pt": pt,
        "eta": track["eta"],
        "phi": track["phi"],
        "mass": recipe.mass_rounding * pt * slope * normal[:, 3],
        "charge": charge,
        "pdgId": -11 * charge,
        "tightCharge": np.where(disagree, np.where(u[:, 2] > 0.7, 1, 0), 2),
        "ecalEnergy": energy,
        "energyErr": pt * slope / np.sqrt(1.0 / relative**2 + np.where(real, 1.0 / of_track**2, 0.0)),
        "ecalEnergyError": energy * relative,
        "eInvMinusPInv": 1.0 / energy - 1.0 / momentum,
        "fbrem": np.where(real, np.minimum(brem, 0.98), u[:, 4] ** recipe.fake_radiation),
        "gsfTrkpMode": momentum,
        "gsfTrkpModeErr": momentum * of_track,
        "gsfTrketaMode": track["eta"],
        "gsfTrkphiMode": track["phi"],
        "lostHits": tracks["lostInnerHits"][rows],
        "isPFcand": is_pf,
        "deltaEtaSC": found["superclusterEta"] - track["eta"],
        "rawEnergy": found["_raw"],
        "scEtOverPt": found["_raw"] / np.cosh(found["superclusterEta"]) / pt - 1.0,
        "PreshowerEnergy": 0.06 * energy * found["_preshower"],
        "dEsigmaUp": 0.3 * (found["eCorr"] - 1.0),
        "dEsigmaDown": -0.3 * (found["eCorr"] - 1.0),
        "isEcalDriven": (found["hoe"] < _LARGEST_HOE) & (energy > _LEAST_ET * np.cosh(track["eta"])),
        "_candidate": candidate,
        "_brem": track["brem"],
        "_gsf": track["gsf"],
    }


def _isolation(
    recorded: Recorded, showers: Showers, found: Collection, recipe: ElectronRecipe
) -> dict[str, NDArray[np.float64]]:
    """Relative sums of candidates by cone and kind, and CMS's detector-based sums."""
    candidates, pt = recorded.candidates, found["pt"]
    # Particle flow's footprint: the electron's own candidate, and the photons of its supercluster.
    own = owners(found["_candidate"], len(candidates))
    of_shower = np.append(owners(found["_shower"], len(showers.found)), -1)
    of_cluster = np.append(of_shower[showers.owner], -1)[candidates["cluster"]]
    owner = np.where((own < 0) & (candidates["charge"] == 0), of_cluster, own)
    nobody = np.full(len(candidates), -1, dtype=np.int64)
    mini, two = mini_cone(pt), np.tile([0.3, 0.4], (len(pt), 1))
    endcap = ~found["isEB"]
    hole = np.where(endcap, 0.015, 0.0), 0.0, np.where(endcap, 0.08, 0.0), 0.0
    sums = cone_sums(found.directions, candidates, owner, two, holes=hole)
    around = cone_sums(found.directions, candidates, nobody, mini[:, None], holes=hole)
    pileup = recipe.areas.pileup(found["superclusterEta"], recorded.rho["FastjetAll"][found.event_rows])
    z = recorded.tracks["z"][found["_track"]]
    tracks = [
        track_sum(found.directions, z, found["_track"], recorded.tracks, cone)
        for cone in (_TRACK_CONE, _HEEP_CONE)
    ]
    ecal, hcal = showers.around(found["_shower"], found.offsets, recorded.clusters, 0.06, 0.15)
    high = pt > _LEAST_PT_OF_SUMS
    return {
        "pfRelIso03_chg": sums.charged[:, 0] / pt,
        "pfRelIso03_all": sums.by_area(0, pileup) / pt,
        "pfRelIso04_all": sums.by_area(1, pileup * (0.4 / 0.3) ** 2) / pt,
        "miniPFRelIso_chg": around.charged[:, 0] / pt,
        "miniPFRelIso_all": around.by_area(0, pileup * (mini / 0.3) ** 2) / pt,
        "dr03TkSumPt": np.where(high, tracks[0], 0.0),
        "dr03TkSumPtHEEP": np.where(high, tracks[1], 0.0),
        "dr03EcalRecHitSumEt": np.where(high, ecal, 0.0),
        "dr03HcalDepth1TowerSumEt": np.where(high, 0.6 * hcal, 0.0),
    }


def _identification(
    recorded: Recorded,
    found: Collection,
    recipe: ElectronRecipe,
    u: NDArray[np.float64],
    normal: NDArray[np.float64],
) -> dict[str, NDArray[Any]]:
    """Veto conversions, and count the working points that each cut of the identification passes."""
    near_eta, near_phi, radiated = recipe.angles
    # A hadron's cluster holds what came near it, too.
    wide = np.where(found["_gsf"], 1.0, 3.0)
    deta = np.abs(near_eta * wide * normal[:, 3])
    dphi = np.abs((near_phi * wide + radiated * found["_brem"]) * normal[:, 4])
    particle = recorded.tracks["particle"][found["_track"]]
    photon = (particle >= 0) & (recorded.particles["pdg"][particle] == 22)
    veto = ~(photon & (u[:, 3] < recipe.conversion_veto))
    rho = recorded.rho["FastjetAll"][found.event_rows]
    levels = np.where(
        found["isEB"],
        *(_levels(found, cuts, deta, dphi, veto, rho) for cuts in (recipe.barrel, recipe.endcap)),
    )
    heep = _heep(found, deta, dphi, rho)
    return {
        "convVeto": veto,
        "cutBased": levels.min(axis=0),
        "vidNestedWPBitmap": bitmap(levels, 3),
        "cutBased_HEEP": heep.all(axis=0),
        "vidNestedWPBitmapHEEP": bitmap(heep.astype(np.int64), 1),
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
    constant, energy, density = (
        np.array(part)[:, None] for part in (cuts.hoe, cuts.hoe_energy, cuts.hoe_rho)
    )
    hoe = constant + (energy + density * rho) / found["ecalEnergy"]
    isolation = np.array(cuts.isolation)[:, None] + cuts.isolation_pt / found["pt"]
    values = [-found["pt"], np.abs(found["superclusterEta"]), deta, dphi, found["sieie"], found["hoe"]]
    values += [np.abs(found["eInvMinusPInv"]), found["pfRelIso03_all"], ~veto, found["lostHits"]]
    limits = [[-5.0] * 4, [2.5] * 4, cuts.deta, cuts.dphi, cuts.sieie, hoe, cuts.inverse, isolation]
    return passed(values, [*limits, [0.0] * 4, cuts.hits])


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
