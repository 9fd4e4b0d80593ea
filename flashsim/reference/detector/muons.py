"""Muons of a parametrised detector: found or not, measured, isolated, identified.

Gen muons and those that are no muons (`flashsim.reference.detector.unmatched_leptons`) go the same way, with
other probabilities of identification. Hidden causes: true impact parameters, particles around the muon, the
energy density of pileup, the displacement of the primary vertex, and a latent quality of the track.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from flashsim.declarations.recipes import Recipe
from flashsim.events.collection import Collection
from flashsim.reference.detector import identification as ids
from flashsim.reference.detector import isolation as iso
from flashsim.reference.detector import muon_jets, tracks
from flashsim.reference.detector.efficiency import Efficiency
from flashsim.reference.detector.unmatched_leptons import UnmatchedLeptons, unmatched_leptons

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.reference.detector.truth import Noise, Truth

__all__ = ["MuonResponse", "MuonsOf", "muons"]

_MUON = 13
_MASS = 0.10565837  # GeV, as NanoAOD stores it
_FIRST_NORMALS = np.cumsum([tracks.DRAWS, iso.NORMALS, ids.NORMALS])
_NORMALS = tracks.DRAWS + iso.NORMALS + ids.NORMALS + muon_jets.NORMALS
_UNIFORMS = iso.UNIFORMS + ids.UNIFORMS


class MuonsOf(Recipe):
    """What differs between muons and what is taken for one."""

    quality: float = Field(gt=0, description="factor to all uncertainties of the track")
    identification: ids.Identification


class MuonResponse(Recipe):
    """Muons."""

    threshold: float = Field(ge=0, description="smallest reconstructed pT in GeV")
    acceptance: float = Field(gt=0, description="largest reconstructed |eta|")
    efficiency: Efficiency = Field(description="inside the acceptance")
    track: tracks.TrackResponse
    isolation: iso.IsolationResponse
    jet: muon_jets.JetRelation
    cuts: ids.Cuts
    genuine: MuonsOf
    unmatched: MuonsOf
    sources: UnmatchedLeptons = Field(description="where muons without a gen muon come from")


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
    other = unmatched_leptons(truth, noise, response.sources, "muon")
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
    chance = response.efficiency.of(gen)
    found = noise.uniform(truth, gen, "Muon", "efficiency", 1)[:, 0] < chance
    parts[0] = parts[0].select(found)
    return Collection.merged([part.select(_inside(part, response)) for part in parts])


def _inside(muons: Collection, response: MuonResponse) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = (muons["pt"] > response.threshold) & (
        np.abs(muons["eta"]) < response.acceptance
    )
    return inside


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
