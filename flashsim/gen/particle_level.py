"""The ``GenDressedLepton`` and ``GenIsolatedPhoton`` collections.

Definitions are those of CMS (CMSSW: PhysicsTools/NanoAOD, particlelevel_cff; ``RivetAnalysis``), which takes
them of Rivet (``DressedLeptons``, ``PromptFinalState``).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import awkward as ak
import numba
import numpy as np

from flashsim.declarations.gen_collections import StatusFlag
from flashsim.events.angles import delta_phi
from flashsim.gen.particles import pseudorapidity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from flashsim.gen.record import EventRecord

__all__ = ["dressed_leptons", "isolated_photons"]

_delta_phi = numba.njit(cache=True)(delta_phi)

_LEPTON_PT, _LEPTON_ETA, _DRESSING_CONE = 15.0, 2.5, 0.1
_PHOTON_PT, _PHOTON_ETA, _ISOLATION_CONE, _ISOLATION = 10.0, 2.5, 0.4, 0.5
_PARTICLE_ETA = 5.0
_PHOTON = 22


def dressed_leptons(record: EventRecord, flags: NDArray[np.int32]) -> dict[str, ak.Array]:
    """``GenDressedLepton`` branches: prompt electrons and muons with prompt photons within 0.1.

    Each photon goes to the nearest lepton. Those of prompt taus count as prompt, those of hadrons do not.
    Leptons have pT above 15 GeV and |eta| below 2.5, with their photons, and are ordered by falling pT.

    Parameters
    ----------
    record
        The generator's particles.
    flags
        Shape (N,): their status flags.
    """
    prompt = (flags & int(StatusFlag.isPrompt | StatusFlag.isDirectPromptTauDecayProduct)) > 0
    prompt &= (record.status == 1) & _inside(record)
    leptons = np.flatnonzero(prompt & np.isin(record.abs_pdg_id, (11, 13)))
    photons = np.flatnonzero(prompt & (record.pdg_id == _PHOTON))
    momenta = np.stack([getattr(record, name)[leptons] for name in ("px", "py", "pz", "energy")], axis=1)
    _dress(
        momenta,
        _directions(record, leptons),
        _bounds(record, leptons),
        np.stack([getattr(record, name)[photons] for name in ("px", "py", "pz", "energy")], axis=1),
        _directions(record, photons),
        _bounds(record, photons),
    )
    px, py, pz, energy = momenta.T
    pt = np.hypot(px, py)
    columns = {
        "pt": pt,
        "eta": pseudorapidity(pt, pz),
        "phi": np.arctan2(py, px),
        "mass": np.sqrt(np.maximum(energy**2 - pt**2 - pz**2, 0.0)),
        "pdgId": record.pdg_id[leptons],
        "hasTauAnc": (flags[leptons] & int(StatusFlag.isTauDecayProduct)) > 0,
    }
    chosen = (pt > _LEPTON_PT) & (np.abs(columns["eta"]) < _LEPTON_ETA)
    return _by_pt("GenDressedLepton", columns, chosen, record, leptons)


def isolated_photons(record: EventRecord) -> dict[str, ak.Array]:
    """``GenIsolatedPhoton`` branches: final photons of any origin with little beside them, by falling pT.

    They have pT above 10 GeV and |eta| below 2.5; the pT of all other final particles within 0.4, neutrinos
    included, adds up to half of theirs at most.

    Parameters
    ----------
    record
        The generator's particles.
    """
    final = (record.status == 1) & _inside(record)
    hard = final & (record.pdg_id == _PHOTON) & (record.pt > _PHOTON_PT)
    photons, others = np.flatnonzero(hard), np.flatnonzero(final)
    direction = _directions(record, photons)
    beside = _cone_sums(
        direction,
        _bounds(record, photons),
        record.pt[others],
        _directions(record, others),
        _bounds(record, others),
    )
    chosen = (np.abs(direction[:, 0]) < _PHOTON_ETA) & (beside <= _ISOLATION * record.pt[photons])
    columns = {
        "pt": record.pt[photons],
        "eta": direction[:, 0],
        "phi": direction[:, 1],
        "mass": np.zeros(len(photons)),
    }
    return _by_pt("GenIsolatedPhoton", columns, chosen, record, photons)


def _inside(record: EventRecord) -> NDArray[np.bool_]:
    """Tell which particles have |eta| below 5."""
    inside: NDArray[np.bool_] = np.abs(record.pz) < math.sinh(_PARTICLE_ETA) * record.pt
    return inside


def _directions(record: EventRecord, index: NDArray[np.int64]) -> NDArray[np.float64]:
    """Pseudorapidity and azimuth, shape (N, 2)."""
    eta = pseudorapidity(record.pt[index], record.pz[index])
    return np.stack([eta, np.arctan2(record.py[index], record.px[index])], axis=1)


def _bounds(record: EventRecord, index: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where the particles of each event begin in `index`, and the end of the last."""
    return np.searchsorted(record.event_index[index], np.arange(record.events + 1))


def _by_pt(
    name: str,
    columns: Mapping[str, NDArray[Any]],
    chosen: NDArray[np.bool_],
    record: EventRecord,
    index: NDArray[np.int64],
) -> dict[str, ak.Array]:
    """Branches of the chosen ones, ordered by falling pT in each event."""
    event = record.event_index[index]
    order = np.flatnonzero(chosen)
    order = order[np.lexsort((-columns["pt"][order], event[order]))]
    counts = np.bincount(event[order], minlength=record.events)
    return {f"{name}_{field}": ak.unflatten(values[order], counts) for field, values in columns.items()}


@numba.njit(cache=True)
def _squared_distance(a, b):  # type: ignore[no-untyped-def]  # numba  # noqa: ANN001, ANN202
    return (a[0] - b[0]) ** 2 + _delta_phi(a[1], b[1]) ** 2


@numba.njit(cache=True)
def _dress(momenta, leptons, bounds, photon_momenta, photons, photon_bounds):  # type: ignore[no-untyped-def]  # numba  # noqa: ANN001, ANN202, PLR0917
    """Add to each lepton's momentum those of the photons to which it is the nearest."""
    for event in range(len(bounds) - 1):
        for k in range(photon_bounds[event], photon_bounds[event + 1]):
            nearest, least = -1, _DRESSING_CONE**2
            for i in range(bounds[event], bounds[event + 1]):
                distance = _squared_distance(leptons[i], photons[k])
                if distance < least:
                    nearest, least = i, distance
            if nearest >= 0:
                momenta[nearest] += photon_momenta[k]


@numba.njit(cache=True)
def _cone_sums(photons, bounds, other_pt, others, other_bounds):  # type: ignore[no-untyped-def]  # numba  # noqa: ANN001, ANN202
    """Sum of the pT of others around each photon; what lies on it is the photon itself."""
    result = np.zeros(len(photons))
    for event in range(len(bounds) - 1):
        for i in range(bounds[event], bounds[event + 1]):
            for k in range(other_bounds[event], other_bounds[event + 1]):
                distance = _squared_distance(photons[i], others[k])
                if 0.0 < distance <= _ISOLATION_CONE**2:
                    result[i] += other_pt[k]
    return result
