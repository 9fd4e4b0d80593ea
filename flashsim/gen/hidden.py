"""Hidden variables of the reference simulation: what a detector sees and NanoAOD does not tell.

A network that is given gen-level NanoAOD cannot know them, so what depends on them is random to it, as in a
real detector. They are branches of a file beside the gen-level one, ``hidden.root``: ``HiddenJet`` has one
entry for every GenJet, ``HiddenLepton`` one for every stable electron and muon in GenPart, and
``HiddenEvent`` one for the event.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import awkward as ak
import numba
import numpy as np

from flashsim.declarations.gen_collections import StatusFlag
from flashsim.events.angles import delta_phi
from flashsim.gen.gen_jets import visible
from flashsim.gen.status import is_charged
from flashsim.nanoaod.hidden import HIDDEN_EVENT, HIDDEN_JET, HIDDEN_LEPTON

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.gen.gen_jets import GenJets
    from flashsim.gen.particles import GenParticles
    from flashsim.gen.record import EventRecord

__all__ = ["hidden"]

_delta_phi = numba.njit(cache=True)(delta_phi)

_CONE = 0.4
_MIN_NEUTRAL_PT = 0.5  # as in CMS muon isolation
_TRACK_PT, _TRACK_ETA = 0.5, 2.5
_HADRON_PT, _HADRON_ETA = 3.0, 2.4
_CALORIMETER_ETA = 5.0
_TAG_PT = 1.0
_CHARGED_HADRON, _NEUTRAL_HADRON, _ELECTRON, _PHOTON, _MUON, _OTHER = range(6)


def hidden(record: EventRecord, jets: GenJets, particles: GenParticles) -> dict[str, Any]:
    """Hidden variables of a batch of events.

    Parameters
    ----------
    record
        The generator's particles, with the places where they are produced.
    jets, particles
        The gen jets and the pruned particles made from the record.

    Returns
    -------
    Branches under the names of `flashsim.nanoaod.hidden.HIDDEN_BRANCHES`, one value or list per event.
    """
    kind = _kind(record)
    return _jets(record, jets, kind) | _leptons(record, particles, kind) | _events(record, kind)


def _kind(record: EventRecord) -> NDArray[np.int8]:
    """Name what a detector takes each visible particle for."""
    code = record.abs_pdg_id
    hadronic = np.where(is_charged(record.pdg_id), _CHARGED_HADRON, _NEUTRAL_HADRON)
    kind = np.select([code == 11, code == 13, code == 22], [_ELECTRON, _MUON, _PHOTON], hadronic)
    return np.where(visible(record), kind, _OTHER).astype(np.int8)


def _directions(record: EventRecord) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.arcsinh(record.pz / np.maximum(record.pt, 1e-9)), np.arctan2(record.py, record.px)


def _jets(record: EventRecord, jets: GenJets, kind: NDArray[np.int8]) -> dict[str, ak.Array]:
    members = ak.flatten(jets.constituents, axis=1)
    counts = ak.to_numpy(ak.num(members))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    eta, phi = _directions(record)
    impact = np.abs(_transverse_impact(record)) * 0.1
    radius = np.hypot(record.x, record.y) * 0.1
    model = jets.branches["GenJet_pt"]
    jet_eta, jet_phi = (ak.to_numpy(ak.flatten(jets.branches[f"GenJet_{name}"])) for name in ("eta", "phi"))
    flat = _jet_sums(
        offsets,
        ak.to_numpy(ak.flatten(members)).astype(np.int64),
        jet_eta,
        jet_phi,
        kind,
        record.pt,
        record.energy,
        eta,
        phi,
        radius,
        impact,
    )
    neutrinos = np.flatnonzero((record.status == 1) & np.isin(record.abs_pdg_id, (12, 14, 16)))
    missing = _cone_sums(
        np.repeat(np.arange(record.events), ak.to_numpy(ak.num(model))),
        jet_eta,
        jet_phi,
        np.searchsorted(record.event_index[neutrinos], np.arange(record.events + 1)),
        record.pt[neutrinos],
        eta[neutrinos],
        phi[neutrinos],
        _CONE,
    )
    columns = dict(zip((name for name in HIDDEN_JET if name != "neutrinoPt"), flat.T, strict=True))
    columns["neutrinoPt"] = missing
    number = ak.num(model)
    return {
        f"HiddenJet_{name}": ak.unflatten(columns[name].astype(dtype), number)
        for name, (dtype, _) in HIDDEN_JET.items()
    }


def _leptons(record: EventRecord, particles: GenParticles, kind: NDArray[np.int8]) -> dict[str, ak.Array]:
    branches = particles.branches
    code = np.abs(branches["GenPart_pdgId"])
    chosen = (
        ((code == 11) | (code == 13))
        & (branches["GenPart_status"] == 1)
        & ((branches["GenPart_statusFlags"] & int(StatusFlag.isLastCopy)) > 0)
    )
    index = ak.local_index(branches["GenPart_pdgId"])[chosen]
    place = particles.places[ak.to_numpy(ak.flatten(chosen))]
    eta, phi = _directions(record)
    event = record.event_index[place]
    # At the point where the transverse distance is least, with CMS's sign of dxy.
    along = (record.x * record.px + record.y * record.py)[place] / np.square(record.pt[place])
    columns = {
        "genPartIdx": ak.to_numpy(ak.flatten(index)),
        "dxy": _transverse_impact(record)[place] * 0.1,
        "dz": (record.z[place] - along * record.pz[place]) * 0.1,
    }
    sources = {"charged": (_CHARGED_HADRON, 0.0), "neutral": (_NEUTRAL_HADRON, _MIN_NEUTRAL_PT)}
    sources["photon"] = (_PHOTON, _MIN_NEUTRAL_PT)
    for name, (wanted, least) in sources.items():
        other = np.flatnonzero((kind == wanted) & (record.pt > least))
        bounds = np.searchsorted(record.event_index[other], np.arange(record.events + 1))
        for suffix, cone in (("03", 0.3), ("04", 0.4)):
            columns[name + suffix] = _cone_sums(
                event, eta[place], phi[place], bounds, record.pt[other], eta[other], phi[other], cone
            )
    number = ak.num(index)
    return {
        f"HiddenLepton_{name}": ak.unflatten(columns[name].astype(dtype), number)
        for name, (dtype, _) in HIDDEN_LEPTON.items()
    }


def _events(record: EventRecord, kind: NDArray[np.int8]) -> dict[str, NDArray[Any]]:
    eta = np.abs(_directions(record)[0])
    charged = is_charged(record.pdg_id) & (kind != _OTHER)
    track = charged & (record.pt > _TRACK_PT) & (eta < _TRACK_ETA)
    hadron = (kind == _CHARGED_HADRON) & (record.pt > _HADRON_PT) & (eta < _HADRON_ETA)
    seen = (kind != _OTHER) & (eta < _CALORIMETER_ETA)

    def total(mask: NDArray[np.bool_], values: NDArray[np.float64]) -> NDArray[np.float64]:
        sums = np.bincount(record.event_index[mask], weights=values[mask], minlength=record.events)
        return sums.astype(np.float64)

    one = np.ones(len(record.pt))
    columns = {
        "nTracks": total(track, one),
        "nHadrons": total(hadron, one),
        "sumPt2": total(track, np.square(record.pt)),
        "sumEt": total(seen, record.pt),
    }
    return {f"HiddenEvent_{name}": columns[name].astype(dtype) for name, (dtype, _) in HIDDEN_EVENT.items()}


def _transverse_impact(record: EventRecord) -> NDArray[np.float64]:
    """Transverse impact parameter of a straight line, in mm."""
    impact: NDArray[np.float64] = (record.y * record.px - record.x * record.py) / np.maximum(record.pt, 1e-9)
    return impact


@numba.njit(cache=True)
def _distance(eta, phi, other_eta, other_phi):  # type: ignore[no-untyped-def]  # numba  # noqa: ANN001, ANN202
    return math.sqrt((eta - other_eta) ** 2 + _delta_phi(phi, other_phi) ** 2)


@numba.njit(cache=True)
def _cone_sums(event, eta, phi, bounds, other_pt, other_eta, other_phi, cone):  # type: ignore[no-untyped-def]  # numba  # noqa: ANN001, ANN202, PLR0917
    """Scalar pT sum of others around each object; those of event e are from bounds[e] on."""
    result = np.zeros(len(event))
    for i in range(len(event)):
        for j in range(bounds[event[i]], bounds[event[i] + 1]):
            if _distance(eta[i], phi[i], other_eta[j], other_phi[j]) < cone:
                result[i] += other_pt[j]
    return result


@numba.njit(cache=True)
def _jet_sums(  # type: ignore[no-untyped-def]  # numba  # noqa: ANN202, PLR0917
    offsets,  # noqa: ANN001
    members,  # noqa: ANN001
    jet_eta,  # noqa: ANN001
    jet_phi,  # noqa: ANN001
    kind,  # noqa: ANN001
    pt,  # noqa: ANN001
    energy,  # noqa: ANN001
    eta,  # noqa: ANN001
    phi,  # noqa: ANN001
    radius,  # noqa: ANN001
    impact,  # noqa: ANN001
):
    """One row a jet, in the order of the declaration without the neutrinos."""
    result = np.zeros((len(jet_eta), 13))
    for jet in range(len(jet_eta)):
        row = result[jet]
        fractions = np.zeros(6)
        total = squares = moment = hardest = 0.0
        largest = np.zeros(3)
        for k in range(offsets[jet], offsets[jet + 1]):
            i = members[k]
            total += pt[i]
            squares += pt[i] ** 2
            moment += pt[i] * _distance(jet_eta[jet], jet_phi[jet], eta[i], phi[i])
            hardest = max(hardest, pt[i])
            fractions[kind[i]] += energy[i]
            if kind[i] in {_NEUTRAL_HADRON, _PHOTON}:
                continue
            row[1] += 1
            row[10] = max(row[10], radius[i])
            if pt[i] > _TAG_PT:
                for place in range(3):
                    if impact[i] > largest[place]:
                        largest[place + 1 :] = largest[place:-1].copy()
                        largest[place] = impact[i]
                        break
        row[0] = offsets[jet + 1] - offsets[jet]
        seen = fractions.sum()
        row[2] = fractions[_CHARGED_HADRON] / seen
        row[3] = fractions[_NEUTRAL_HADRON] / seen
        row[4] = fractions[_ELECTRON] / seen
        row[5] = fractions[_PHOTON] / seen
        row[6] = fractions[_MUON] / seen
        row[7] = math.sqrt(squares) / total
        row[8] = moment / total
        row[9] = hardest / total
        row[11], row[12] = largest[1], largest[2]
    return result
