"""Muons: tracks with segments in the muon chambers, as NanoAOD stores them.

Identification follows CMS's cuts (MUO-16-001, arXiv:1804.04528; CMSSW, DataFormats/MuonReco,
MuonSelectors.cc) on what the chambers and the tracker recorded. Decays in flight, hadrons that reach the
chambers and muons of pileup are muons like the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from flashsim.declarations.recipes import Recipe
from flashsim.events.collection import Collection
from flashsim.reference.objects.impact_parameters import impact_parameters
from flashsim.reference.objects.isolation import (
    Areas,
    TrackCone,
    cone_sums,
    mini_cone,
    owners,
    track_sum,
    work_points,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.reference.flow.recorded import Recorded

__all__ = ["MuonRecipe", "multi_isolation", "muons"]

_MASS = 0.105658
_TRACK_CONE = TrackCone(radius=0.3, hole=0.01, strip=0.0, least_pt=0.0, dz=0.2, d0=0.1)
_PF_CUTS, _TRACK_CUTS = [0.40, 0.25, 0.20, 0.15, 0.10, 0.05], [0.10, 0.05]
_MINI_CUTS, _PUPPI_CUTS = [0.40, 0.20, 0.10, 0.05], [0.27, 0.22, 0.12]
_DRAWS = 6


class MuonRecipe(Recipe):
    """Which muons are stored, and what the chambers tell of them."""

    least_pt: float = Field(gt=0, description="of muons that pass one of the selections, in GeV")
    every_pt: float = Field(gt=0, description="from this pT on all muons are stored, in GeV")
    global_share: list[float] = Field(
        description="share of muons that are global, by number of stations with segments"
    )
    wrong_global_share: list[float] = Field(description="the same of hadrons and decays in flight")
    standalone_share: float = Field(ge=0, le=1, description="of those that are not global")
    tracker_share: tuple[float, float] = Field(
        description="share of global muons that are tracker muons, and of hadrons and decays in flight"
    )
    compatibility: list[float] = Field(
        description="least segment compatibility of muons, by number of stations"
    )
    wrong_compatibility: list[float] = Field(description="largest one of others")
    perfect_share: float = Field(
        ge=0, le=1, description="share of muons in all stations with the highest value"
    )
    tight_segment: float = Field(
        ge=0, le=1, description="share of others whose segment is close in angle, too"
    )
    chi2_tail: float = Field(ge=0, le=1, description="share of others whose global fit is bad")
    out_of_time: float = Field(ge=0, le=1, description="share of others that are out of time")
    trigger_loss: float = Field(ge=0, le=1, description="share of others that fail triggerIdLoose, too")
    areas: Areas = Field(description="effective areas of mini isolation")


def muons(recorded: Recorded, recipe: MuonRecipe) -> Collection:
    """Build the muons of E events: NanoAOD's fields, and `_candidate`, `_track` (rows).

    Parameters
    ----------
    recorded
        The events.
    recipe
        Parameters.
    """
    tracks = recorded.tracks
    rows = np.flatnonzero((tracks["chambers"] != 0) & (tracks["pt"] > recipe.least_pt))
    made = Collection.of_event_rows(tracks.event_rows[rows], {"_track": rows}, tracks.events)
    made = made.take(np.lexsort((-tracks["pt"][rows], made.event_rows)))
    rows = made["_track"]
    u = recorded.streams.uniform(recorded.keys, "muons", _DRAWS * made.counts).reshape(-1, _DRAWS)
    columns = made.columns | _kinematics(recorded, made)
    columns |= _identification(recorded, rows, columns, recipe, u)
    columns |= _isolation(recorded, Collection(made.offsets, columns), recipe)
    found = Collection(made.offsets, columns)
    passed = columns["looseId"] | columns["softId"] | (columns["highPtId"] > 0)
    return found.select(passed | (columns["pt"] > recipe.every_pt))


def multi_isolation(muons: Collection) -> NDArray[np.uint8]:
    """Give ``multiIsoId`` of muons that know their jets, shape (N,): isolated, and hard in it or across."""
    inside = (1.0 + muons["jetRelIso"] < 1.0 / 0.74) | (muons["jetPtRelv2"] > 6.8)
    good = muons["looseId"] & (muons["pt"] > 5.0) & (muons["miniPFRelIso_all"] < 0.11)
    return np.where(good & inside, 2, 0).astype(np.uint8)


def _kinematics(recorded: Recorded, made: Collection) -> dict[str, NDArray[Any]]:
    """Momentum, charge and place of the tracks, and the same with the beam as a constraint."""
    tracks, rows, events = recorded.tracks, made["_track"], made.event_rows
    found = {name: tracks[name][rows] for name in ("pt", "eta", "phi", "ptErr", "charge")}
    place = impact_parameters(tracks, rows, events, recorded.vertices)
    beam = tracks["d0"][rows]
    beam_error = np.hypot(tracks["d0Err"][rows], 0.001)
    normal = recorded.streams.normal(recorded.keys, "muon beam fit", 2 * made.counts).reshape(-1, 2)
    # The curvature and the impact parameter of a fit are anticorrelated by about a third.
    relative = found["ptErr"] / found["pt"]
    curvature = relative / (found["pt"] * np.cosh(found["eta"]))
    shift = 0.3 * relative * np.clip(beam / beam_error, -3.0, 3.0) + 0.1 * relative * normal[:, 0]
    near = np.abs(normal[:, 1]) < 1.55 + 10.0 / found["pt"]  # the tuned momentum is mostly the tracker's
    return (
        found
        | place
        | {
            "mass": np.full(len(rows), _MASS),
            "pdgId": -13 * found["charge"],
            "dxybs": beam,
            "dxybsErr": beam_error,
            "bsConstrainedPt": found["pt"] * (1.0 + shift),
            "bsConstrainedPtErr": 0.95 * found["ptErr"] * (1.0 + shift),
            "bsConstrainedChi2": (beam / beam_error) ** 2 + normal[:, 0] ** 2,
            "VXBS_Cov00": curvature**2,
            "VXBS_Cov03": -0.3 * curvature * beam_error,
            "VXBS_Cov33": beam_error**2,
            "tunepRelPt": np.where(near, 1.0, 1.0 + 0.3 * relative * normal[:, 1]),
            "tuneP_pterr": found["ptErr"],
            "tuneP_charge": found["charge"].astype(np.float64),
            "tightCharge": np.where(relative < 0.2, 2, 0),
        }
    )


def _identification(
    recorded: Recorded,
    rows: NDArray[np.int64],
    found: dict[str, NDArray[Any]],
    recipe: MuonRecipe,
    u: NDArray[np.float64],
) -> dict[str, NDArray[Any]]:
    """Say what found each muon, and apply CMS's selections; `u` are uniform numbers, shape (N, `_DRAWS`)."""
    tracks = recorded.tracks
    stations = np.clip(tracks["chambers"][rows], 0, 4)
    layers, pixels = tracks["layers"][rows], tracks["pixelHits"][rows]
    true = (tracks["kind"][rows] == 13) & ~tracks["inFlight"][rows]
    candidate = owners(recorded.candidates["track"], len(tracks))[rows]
    is_pf = (candidate >= 0) & (np.abs(recorded.candidates["pdgId"])[candidate] == 13)
    share = np.where(
        true, np.array(recipe.global_share)[stations], np.array(recipe.wrong_global_share)[stations]
    )
    is_global = u[:, 0] < share
    is_tracker = (stations > 0) & (~is_global | (u[:, 1] < np.where(true, *recipe.tracker_share)))
    low, high = np.array(recipe.compatibility)[stations], np.array(recipe.wrong_compatibility)[stations]
    perfect = (stations == 4) & (u[:, 3] < recipe.perfect_share)
    # Soft muons scatter more.
    low = low * found["pt"] / (found["pt"] + 4.0)
    right = np.where(perfect, 1.0, 1.0 - (1.0 - low) * u[:, 2] ** (1.0 + np.minimum(found["pt"] / 15.0, 1.0)))
    segment = np.where(true, right, high * u[:, 2]) * is_tracker
    good_fit = is_global & (true | (u[:, 4] > recipe.chi2_tail))
    near = (np.abs(found["dxy"]) < 0.2) & (np.abs(found["dz"]) < 0.5)
    hits = (layers > 5) & (pixels > 0)
    loose = is_pf & (is_global | is_tracker)
    medium = loose & (segment > np.where(good_fit, 0.303, 0.451))
    close_segment = is_tracker & (true | (u[:, 3] < recipe.tight_segment))
    soft = close_segment & hits & tracks["quality"][rows]
    high_pt = (stations > 1) & near & hits & (found["ptErr"] < 0.3 * found["pt"])
    return {
        "_candidate": candidate,
        "_true": true,
        "isPFcand": is_pf,
        "isGlobal": is_global,
        "isTracker": is_tracker,
        "isStandalone": is_global | (is_tracker & (u[:, 5] < recipe.standalone_share)),
        "nStations": np.where(is_tracker, stations, 0),
        "nTrackerLayers": layers,
        "segmentComp": segment,
        "highPurity": tracks["quality"][rows],
        "inTimeMuon": true | (u[:, 5] > recipe.out_of_time),
        "looseId": loose,
        "mediumId": medium,
        "mediumPromptId": medium & (np.abs(found["dxy"]) < 0.02) & (np.abs(found["dz"]) < 0.1),
        "tightId": medium & good_fit & (stations > 1) & near & hits,
        "softId": soft & (np.abs(found["dxy"]) < 0.3) & (np.abs(found["dz"]) < 20.0),
        "highPtId": np.where(high_pt & is_global, 2, np.where(high_pt & is_tracker, 1, 0)),
        "triggerIdLoose": close_segment & hits & (true | (u[:, 5] > recipe.trigger_loss)),
        "bestTrackType": np.ones(len(rows), dtype=np.int64),
    }


def _isolation(recorded: Recorded, made: Collection, recipe: MuonRecipe) -> dict[str, NDArray[Any]]:
    """Relative isolation sums by cone and kind, and their working points."""
    candidates, pt = recorded.candidates, made["pt"]
    owner = owners(made["_candidate"], len(candidates))
    mini = mini_cone(pt)
    radii = np.stack([np.full(len(pt), 0.3), np.full(len(pt), 0.4), mini], axis=1)
    sums = cone_sums(made.directions, candidates, owner, radii)
    z = recorded.tracks["z"][made["_track"]]
    tracks = track_sum(made.directions, z, made["_track"], recorded.tracks, _TRACK_CONE)
    rho = recorded.rho["FastjetAll"][made.event_rows]
    pileup = recipe.areas.pileup(made["eta"], rho) * (mini / 0.3) ** 2
    found = {
        "pfRelIso03_chg": sums.charged[:, 0] / pt,
        "pfRelIso03_all": sums.delta_beta(0) / pt,
        "pfRelIso04_all": sums.delta_beta(1) / pt,
        "miniPFRelIso_chg": sums.charged[:, 2] / pt,
        "miniPFRelIso_all": sums.by_area(2, pileup) / pt,
        "tkRelIso": tracks / (pt * made["tunepRelPt"]),
        "_puppiRelIso": sums.puppi[:, 1] / pt,
    }
    return found | {
        "pfIsoId": work_points(found["pfRelIso04_all"], _PF_CUTS),
        "tkIsoId": work_points(found["tkRelIso"], _TRACK_CUTS),
        "miniIsoId": work_points(found["miniPFRelIso_all"], _MINI_CUTS),
        "puppiIsoId": work_points(found["_puppiRelIso"], _PUPPI_CUTS),
    }
