"""The ``GenVisTau`` collection: what is visible of the hadronic decays of taus.

Definitions are those of CMS (CMSSW: PhysicsTools/NanoAOD, taus_cff and ``GenVisTauProducer``;
PhysicsTools/JetMCAlgos, ``TauGenJetProducer``; PhysicsTools/JetMCUtils, ``genTauDecayMode``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import awkward as ak
import numba
import numpy as np

from flashsim.declarations.gen_collections import StatusFlag
from flashsim.gen.particles import pseudorapidity
from flashsim.gen.status import is_charged

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.gen.particles import GenParticles
    from flashsim.gen.record import EventRecord

__all__ = ["gen_visible_taus"]

_MIN_PT = 10.0
_TAU = 15
_ELECTRON, _MUON, _PHOTON, _CHARGED, _NEUTRAL = range(5)
_ONE_PRONG, _THREE_PRONGS, _OTHER = 0, 10, 15


def gen_visible_taus(record: EventRecord, particles: GenParticles) -> dict[str, ak.Array]:
    """``GenVisTau`` branches: sums of the visible final descendants of taus, pT above 10 GeV, by falling pT.

    A tau that decays to an electron or a muon is left out. The decay mode counts charged hadrons and pairs of
    photons; where a decay has any other neutral hadron, or another number of them, it is 15.

    Parameters
    ----------
    record
        The generator's particles.
    particles
        The pruned ones made of them, which `genPartIdxMother` points to.
    """
    taus, product, tau_of = _decays(record, particles.flags)
    sums = np.stack(
        [
            np.bincount(tau_of, weights=getattr(record, name)[product], minlength=len(taus))
            for name in ("px", "py", "pz", "energy")
        ]
    )
    px, py, pz, energy = sums
    number = _kinds(record, product, tau_of, len(taus))
    pt = np.hypot(px, py)
    hadronic = (number[_ELECTRON] != 1) & (number[_MUON] != 1)
    chosen = np.flatnonzero(hadronic & (pt > _MIN_PT))
    event = record.event_index[taus]
    chosen = chosen[np.lexsort((-pt[chosen], event[chosen]))]
    columns = {
        "pt": pt,
        "eta": pseudorapidity(pt, pz),
        "phi": np.arctan2(py, px),
        "mass": np.sqrt(np.maximum(energy**2 - pt**2 - pz**2, 0.0)),
        "charge": -np.sign(record.pdg_id[taus]),
        "status": _decay_mode(number),
        "genPartIdxMother": _index_in_event(record, particles)[taus],
    }
    counts = np.bincount(event[chosen], minlength=record.events)
    return {f"GenVisTau_{name}": ak.unflatten(values[chosen], counts) for name, values in columns.items()}


def _decays(
    record: EventRecord, flags: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Taus that decay; visible final particles that come from them, and the place of the tau of each."""
    is_tau = (record.abs_pdg_id == _TAU) & (record.status == 2)
    is_tau &= (flags & int(StatusFlag.isLastCopy)) > 0
    taus = np.flatnonzero(is_tau)
    place = np.full(len(record.pdg_id), -1, dtype=np.int64)
    place[taus] = np.arange(len(taus))
    seen = (record.status == 1) & ~np.isin(record.abs_pdg_id, (12, 14, 16))
    seen &= (flags & int(StatusFlag.isTauDecayProduct)) > 0
    product = np.flatnonzero(seen)
    family = record.genealogy
    tau_of = _tau_ancestor(product, place, family.mother_offsets, family.mothers)
    found = tau_of >= 0
    return taus, product[found], tau_of[found]


@numba.njit(cache=True)
def _tau_ancestor(product, place, mother_offsets, mothers):  # type: ignore[no-untyped-def]  # numba  # noqa: ANN001, ANN202
    """Place of the nearest tau along first mothers, or -1."""
    result = np.full(len(product), -1, dtype=np.int64)
    for k in range(len(product)):
        i = product[k]
        for _ in range(len(place)):
            if place[i] >= 0 or mother_offsets[i + 1] == mother_offsets[i]:
                break
            i = mothers[mother_offsets[i]]
        result[k] = place[i]
    return result


def _kinds(
    record: EventRecord, product: NDArray[np.int64], tau_of: NDArray[np.int64], taus: int
) -> NDArray[np.int64]:
    """How many products of each kind a tau has, shape (5, taus)."""
    code = record.abs_pdg_id[product]
    hadron = np.where(is_charged(record.pdg_id[product]), _CHARGED, _NEUTRAL)
    kind = np.select([code == 11, code == 13, code == 22], [_ELECTRON, _MUON, _PHOTON], hadron)
    return np.bincount(kind * taus + tau_of, minlength=5 * taus).reshape(5, taus)


def _decay_mode(number: NDArray[np.int64]) -> NDArray[np.int64]:
    """CMS's number of the decay mode: 5 times the charged hadrons less one, and the neutral pions."""
    photons, charged = number[_PHOTON], number[_CHARGED]
    pions = photons // 2
    known = (number[_NEUTRAL] == 0) & (photons % 2 == 0)
    one, three = known & (charged == 1) & (pions <= 2), known & (charged == 3) & (pions <= 1)
    return np.select([one, three], [_ONE_PRONG + pions, _THREE_PRONGS + pions], _OTHER)


def _index_in_event(record: EventRecord, particles: GenParticles) -> NDArray[np.int64]:
    """Index in GenPart of each particle of the record, -1 of those that are not there."""
    index = np.full(len(record.pdg_id), -1, dtype=np.int64)
    index[particles.places] = ak.to_numpy(ak.flatten(ak.local_index(particles.branches["GenPart_pt"])))
    return index
