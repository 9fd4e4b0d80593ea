"""Electrons of a parametrised detector: found or not, measured, isolated, identified.

Gen electrons and those that are no electrons (`flashsim.reference.detector.unmatched_leptons`) go the same
way, with other showers, tracks and scores. Hidden causes: bremsstrahlung, true impact parameters, particles
around the electron, the energy density of pileup, and the place of the primary vertex.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from flashsim.declarations.recipes import Recipe
from flashsim.events.angles import wrap_angle
from flashsim.events.collection import Collection
from flashsim.reference.detector import electron_identification as ids
from flashsim.reference.detector import electron_showers as showers
from flashsim.reference.detector import isolation as iso
from flashsim.reference.detector import tracks
from flashsim.reference.detector.efficiency import Efficiency
from flashsim.reference.detector.forms import counts
from flashsim.reference.detector.unmatched_leptons import UnmatchedLeptons, unmatched_leptons

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.reference.detector.truth import Noise, Truth

    Floats = NDArray[np.float64]

__all__ = ["ElectronResponse", "ElectronsOf", "electrons"]

_ELECTRON = 11
_MASS = 0.00051099895  # GeV
_OWN_NORMALS, _OWN_UNIFORMS = 3, 5
_NORMALS = (tracks.DRAWS, showers.NORMALS, iso.NORMALS, ids.NORMALS, _OWN_NORMALS)
_UNIFORMS = (_OWN_UNIFORMS, showers.UNIFORMS, iso.UNIFORMS)


class ElectronsOf(Recipe):
    """What differs between electrons and what is taken for one."""

    quality: tuple[float, float] = Field(
        description="factor to all uncertainties of the track, and how much f = 1 adds to it"
    )
    energy: float = Field(gt=0, description="factor to the uncertainty of the energy")
    hadron: tuple[float, float] = Field(
        description="median of hadronic over electromagnetic energy besides leakage, spread of its logarithm"
    )
    conversions: tuple[float, float, float] = Field(
        description="share that comes from converted photons, what they multiply the track's uncertainties "
        "by (the median), and spread of its logarithm"
    )
    hits: tuple[float, float] = Field(description="mean number of lost hits, and that of conversions")
    vetoed: tuple[float, float] = Field(
        description="share that fails the veto of conversions: others, conversions"
    )
    counted: float = Field(
        ge=0, le=1, description="share that is among the particles of its own mini isolation"
    )
    scores: ids.Scores


class ElectronResponse(Recipe):
    """Electrons."""

    threshold: float = Field(
        ge=0, description="smallest pT in GeV, before the last calibration of the energy"
    )
    acceptance: float = Field(gt=0, description="largest reconstructed |eta|")
    efficiency: Efficiency = Field(description="inside the acceptance")
    crowded: tuple[float, float] = Field(
        description="share that charged particles around them hide at most, and scale of their sum over pT"
    )
    track: tracks.TrackResponse
    azimuth: tuple[float, float] = Field(
        description="resolution of phi that bremsstrahlung adds for f = 1, and a part of it over pT in GeV"
    )
    shower: showers.ShowerResponse
    isolation: iso.IsolationResponse
    mini: iso.MiniCone
    cuts: ids.Cuts
    genuine: ElectronsOf
    unmatched: ElectronsOf
    sources: UnmatchedLeptons = Field(description="where electrons without a gen electron come from")


def electrons(
    truth: Truth, noise: Noise, response: ElectronResponse, *, rho: Floats, vertex: Floats
) -> Collection:
    """Reconstruct the electrons of every event.

    Parameters
    ----------
    truth, noise
        The events and the detector's random numbers.
    response
        The parameters.
    rho
        Energy density of each event, shape (E,), GeV per unit of area.
    vertex
        Displacement of the primary vertex, shape (E, 3), in cm.

    Returns
    -------
    The fields of NanoAOD's ``Electron`` that the project simulates, genPartIdx (index in the event, -1 for
    none) and genPartFlav; in no order inside an event, in full precision.
    """
    gen = truth.leptons.select(np.abs(truth.leptons["pdgId"]) == _ELECTRON)
    # Most gen electrons are far too soft to be found; only the others are measured.
    gen = gen.select(noise.uniform(truth, gen, "Electron", "efficiency", 1)[:, 0] < _chance(gen, response))
    other = unmatched_leptons(truth, noise, response.sources, "electron")
    parts = []
    for name, kind, true in (
        ("Electron", response.genuine, gen),
        ("UnmatchedElectron", response.unmatched, other),
    ):
        columns = _measured(
            true,
            response,
            kind,
            rho=rho[true.event_rows],
            vertex=vertex[true.event_rows],
            place=truth.event["GenVtx_z"][true.event_rows],
            normal=noise.normal(truth, true, name, "normal", sum(_NORMALS)),
            uniform=noise.uniform(truth, true, name, "uniform", sum(_UNIFORMS)),
        )
        parts.append(Collection(true.offsets, columns))
    made = Collection.merged([part.select(_inside(part, response)) for part in parts])
    return Collection(made.offsets, {name: made[name] for name in made.columns if name != "rawPt"})


def _chance(gen: Collection, response: ElectronResponse) -> Floats:
    """Probability that each gen electron is found, shape (N,)."""
    hidden, scale = response.crowded
    crowd = gen["charged03"] / (gen["pt"] * scale)
    chance: Floats = response.efficiency.of(gen) * (1.0 + hidden * np.expm1(-crowd))
    return chance


def _inside(electrons: Collection, response: ElectronResponse) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = (electrons["rawPt"] > response.threshold) & (
        np.abs(electrons["eta"]) < response.acceptance
    )
    return inside


def _measured(
    true: Collection,
    response: ElectronResponse,
    kind: ElectronsOf,
    *,
    rho: Floats,
    vertex: Floats,
    place: Floats,
    normal: Floats,
    uniform: Floats,
) -> dict[str, NDArray[Any]]:
    """All fields of electrons; every row belongs to one."""
    z_track, z_shower, z_isolation, z_id, z_own = np.split(normal, np.cumsum(_NORMALS)[:-1], axis=1)
    u_own, u_shower, u_isolation = np.split(uniform, np.cumsum(_UNIFORMS)[:-1], axis=1)
    lost = showers.radiated(true["eta"], u_own[:, 0], response.shower)
    share, worse, spread = kind.conversions
    converted = u_own[:, 1] < share
    factor = kind.quality[0] * (1.0 + kind.quality[1] * lost)
    factor = factor * np.where(converted, worse * np.exp(spread * z_own[:, 1]), 1.0)
    track = tracks.measured_track(true, z_track, response.track, vertex, factor)
    bend = lost * (response.azimuth[0] + response.azimuth[1] / true["pt"])
    track["phi"] = wrap_angle(track["phi"] + bend * z_own[:, 2])
    shower = showers.shower(
        true,
        lost,
        place,
        rho,
        response.shower,
        uncertainty=kind.energy,
        hadron=kind.hadron[0] * np.exp(kind.hadron[1] * z_own[:, 0]),
        normal=z_shower,
        uniform=u_shower,
    )
    around = iso.area_isolation(
        true, shower["pt"], rho, response.isolation, response.mini, normal=z_isolation, uniform=u_isolation
    )
    around["miniPFRelIso_all"] = around["miniPFRelIso_all"] + (u_own[:, 4] < kind.counted)
    hits = counts(np.where(converted, kind.hits[1], kind.hits[0]), u_own[:, 2])
    vetoed = u_own[:, 3] < np.where(converted, kind.vetoed[1], kind.vetoed[0])
    # The calorimeter measures the momentum, and its cluster the charge; the track all the rest.
    seen = {**track, **shower, **around, "lostHits": hits}
    flags = ids.identification(seen, rho, kind.scores, response.cuts, converted=vetoed, normal=z_id)
    columns = {name: values for name, values in seen.items() if name not in {"ptErr", "quality", "shape"}}
    return {
        **columns,
        **flags,
        "convVeto": (~vetoed).astype(np.int64),
        "mass": np.full(len(true), _MASS),
        "pdgId": -_ELECTRON * columns["charge"],
        "genPartIdx": true["genPartIdx"],
        "genPartFlav": true["origin"],
    }
