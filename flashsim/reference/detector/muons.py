"""Muons of a parametrised detector: found or not, measured, isolated, identified.

Gen muons and those that are no muons (`flashsim.reference.detector.unmatched_muons`) go the same way, with
other probabilities of identification. Hidden causes: true impact parameters, particles around the muon, the
energy density of pileup, the displacement of the primary vertex, and a latent quality of the track.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from flashsim.collection import Collection
from flashsim.recipes import Recipe
from flashsim.reference.detector import identification as ids
from flashsim.reference.detector import isolation as iso
from flashsim.reference.detector import muon_jets, tracks
from flashsim.reference.detector.distributions import interpolated
from flashsim.reference.detector.unmatched_muons import UnmatchedMuons, unmatched_muons

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.reference.detector.truth import Noise, Truth

__all__ = ["MuonResponse", "MuonsOf", "muons"]

_MUON = 13
_MASS = 0.10565837  # GeV, as NanoAOD stores it
_FIRST_NORMALS = np.cumsum([tracks.DRAWS, iso.NORMALS, ids.NORMALS])
_NORMALS = tracks.DRAWS + iso.NORMALS + ids.NORMALS + muon_jets.NORMALS
_UNIFORMS = iso.UNIFORMS + ids.UNIFORMS


class Efficiency(Recipe):
    """Probability that a muon inside the acceptance is found."""

    barrel: list[tuple[float, float]] = Field(description="rows of pT in GeV and efficiency, |eta| < edge")
    endcap: list[tuple[float, float]] = Field(description="the same beyond")
    edge: float = Field(gt=0, description="|eta| where the endcap begins")
    gap: tuple[float, float, float] = Field(
        description="|eta| of the gap between barrel wheels, its width, and the loss there"
    )


class MuonsOf(Recipe):
    """What differs between muons and what is taken for one."""

    quality: float = Field(gt=0, description="factor to all uncertainties of the track")
    identification: ids.Identification


class MuonResponse(Recipe):
    """Muons."""

    threshold: float = Field(ge=0, description="smallest reconstructed pT in GeV")
    acceptance: float = Field(gt=0, description="largest reconstructed |eta|")
    efficiency: Efficiency
    track: tracks.TrackResponse
    isolation: iso.IsolationResponse
    jet: muon_jets.JetRelation
    cuts: ids.Cuts
    genuine: MuonsOf
    unmatched: MuonsOf
    sources: UnmatchedMuons = Field(description="where muons without a gen muon come from")


def muons(
    truth: Truth,
    noise: Noise,
    response: MuonResponse,
    *,
    rho: NDArray[np.float64],
    vertex: NDArray[np.float64],
    jets: Collection,
) -> Collection:
    """Reconstruct the muons of every event.

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
    jets
        Reconstructed jets: pt, eta, phi, rawFactor.

    Returns
    -------
    The fields of NanoAOD's ``Muon`` that the project simulates, genPartIdx (index in the event, -1 for
    none) and genPartFlav; in no order inside an event, in full precision.
    """
    gen = truth.leptons.select(np.abs(truth.leptons["pdgId"]) == _MUON)
    other = unmatched_muons(truth, noise, response.sources)
    parts = []
    for name, kind, true in (("Muon", response.genuine, gen), ("UnmatchedMuon", response.unmatched, other)):
        columns = _measured(
            true,
            response,
            kind,
            rho=rho[true.event_rows],
            vertex=vertex[true.event_rows],
            jets=jets,
            normal=noise.normal(truth, true, name, "normal", _NORMALS),
            uniform=noise.uniform(truth, true, name, "uniform", _UNIFORMS),
        )
        parts.append(Collection(true.offsets, columns))
    chance = _efficiency(gen, response.efficiency)
    found = noise.uniform(truth, gen, "Muon", "efficiency", 1)[:, 0] < chance
    parts[0] = parts[0].select(found)
    return _together([part.select(_inside(part, response)) for part in parts])


def _inside(muons: Collection, response: MuonResponse) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = (muons["pt"] > response.threshold) & (
        np.abs(muons["eta"]) < response.acceptance
    )
    return inside


def _efficiency(gen: Collection, response: Efficiency) -> NDArray[np.float64]:
    logarithm, eta = np.log(gen["pt"]), np.abs(gen["eta"])

    def curve(points: list[tuple[float, float]]) -> NDArray[np.float64]:
        return interpolated(logarithm, [(float(np.log(pt)), value) for pt, value in points])

    value = np.where(eta < response.edge, curve(response.barrel), curve(response.endcap))
    place, width, loss = response.gap
    efficiency: NDArray[np.float64] = value * (1.0 - loss * np.exp(-0.5 * np.square((eta - place) / width)))
    return efficiency


def _measured(
    true: Collection,
    response: MuonResponse,
    kind: MuonsOf,
    *,
    rho: NDArray[np.float64],
    vertex: NDArray[np.float64],
    jets: Collection,
    normal: NDArray[np.float64],
    uniform: NDArray[np.float64],
) -> dict[str, NDArray[Any]]:
    """All fields of muons; every row belongs to one, of `jets` apart."""
    z_track, z_isolation, z_id, z_jet = np.split(normal, _FIRST_NORMALS, axis=1)
    u_isolation, u_id = np.split(uniform, [iso.UNIFORMS], axis=1)
    track = tracks.measured_track(true, z_track, response.track, vertex, kind.quality)
    around = iso.isolation(
        true, track["pt"], rho, response.isolation, normal=z_isolation, uniform=u_isolation
    )
    relation = muon_jets.jet_relation(
        true.offsets, track, around.pop("noJetIso"), jets, response.jet, normal=z_jet
    )
    activity = around["pfRelIso04_all"]
    flags = ids.identification(track, activity, kind.identification, response.cuts, normal=z_id, uniform=u_id)
    del track["quality"]
    return {
        **track,
        **around,
        **relation,
        **flags,
        "mass": np.full(len(true), _MASS),
        "pdgId": -_MUON * track["charge"],
        "genPartIdx": true["genPartIdx"],
        "genPartFlav": true["origin"],
    }


def _together(parts: list[Collection]) -> Collection:
    """Join collections of the same events, event by event."""
    rows = np.concatenate([part.event_rows for part in parts])
    order = np.argsort(rows, kind="stable")
    columns = {name: np.concatenate([part[name] for part in parts])[order] for name in parts[0].columns}
    counts = np.sum([part.counts for part in parts], axis=0)
    return Collection.of_counts(counts, columns)
