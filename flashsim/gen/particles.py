"""The ``GenPart`` collection: pruned particles with status flags and mother indices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import awkward as ak
import numpy as np

from flashsim.gen.pruning import MINIAOD_RULES, NANOAOD_RULES, prune, relink
from flashsim.gen.status import status_flags

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.gen.record import EventRecord, Genealogy

__all__ = ["GenParticles", "gen_part", "pseudorapidity", "stored_mass"]

# ROOT gives a vector along the beam this pseudorapidity plus its z; so do real files.
_ETA_ALONG_BEAM = 22756.0


@dataclass(frozen=True)
class GenParticles:
    """Pruned particles of a batch of events, in the generator's order.

    Parameters
    ----------
    branches
        ``GenPart`` branches under their NanoAOD names, one list per event.
    places
        Shape (N,): where each stands in the record.
    flags
        Shape (particles of the record,): status flags of all.
    in_miniaod
        Shape (particles of the record,): those that the first pruning leaves.
    """

    branches: dict[str, ak.Array]
    places: NDArray[np.int64]
    flags: NDArray[np.int32]
    in_miniaod: NDArray[np.bool_]


def gen_part(record: EventRecord) -> GenParticles:
    """``GenPart`` branches of a batch of events.

    Parameters
    ----------
    record
        The generator's particles.

    Returns
    -------
    Momenta in GeV; `genPartIdxMother` is an index in the event's list or -1.
    """
    flags = status_flags(record)
    family = record.genealogy
    everything = np.ones(len(record.pdg_id), dtype=np.bool_)
    in_miniaod = prune(MINIAOD_RULES, record, flags, family, everything)
    family = relink(family, in_miniaod)
    present = prune(NANOAOD_RULES, record, flags, family, in_miniaod)
    family = relink(family, present)

    chosen = np.flatnonzero(present)
    counts = np.bincount(record.event_index[chosen], minlength=record.events)
    pt, pz = record.pt[chosen], record.pz[chosen]
    columns = {
        "pt": pt,
        "eta": pseudorapidity(pt, pz),
        "phi": np.arctan2(record.py[chosen], record.px[chosen]),
        "mass": stored_mass(record.pdg_id[chosen], record.mass[chosen]),
        "genPartIdxMother": _mother_index(
            family.mother_offsets,
            _own_mothers_first(record, family),
            chosen,
            record.event_index[chosen],
            counts,
        ),
        "pdgId": record.pdg_id[chosen],
        "status": record.status[chosen],
        "statusFlags": flags[chosen],
    }
    branches = {f"GenPart_{name}": ak.unflatten(values, counts) for name, values in columns.items()}
    return GenParticles(branches, chosen, flags, in_miniaod)


def pseudorapidity(pt: NDArray[np.float64], pz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pseudorapidity with ROOT's convention for vectors along the beam, pz ± 22756 (pz in GeV)."""
    along = pt < np.finfo(np.float32).tiny  # it is written as 0
    eta = np.arcsinh(pz / np.where(along, 1.0, pt))
    return np.where(along, pz + np.copysign(_ETA_ALONG_BEAM, pz), eta)


def stored_mass(pdg_id: NDArray[np.int32], mass: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mass as NanoAOD v9 stores it: 0 where the PDG number tells it anyway.

    These are quarks but the top, leptons, gluons, photons below 1 GeV, pi0, pi+, D0 and D+ (the title of
    ``GenPart_mass``).
    """
    code = np.abs(pdg_id)
    known = (code <= 5) | ((code >= 11) & (code <= 16)) | np.isin(code, (21, 111, 211, 411, 421))
    known |= (code == 22) & (mass < 1.0)
    return np.where(known, 0.0, mass)


def _own_mothers_first(record: EventRecord, family: Genealogy) -> NDArray[np.int64]:
    """Mothers, where a lepton's own copy goes before others.

    Sherpa lets both leptons of a pair radiate in one vertex: the positron is the daughter of the positron.
    """
    mothers = family.mothers.copy()
    several = (np.diff(family.mother_offsets) > 1) & (record.abs_pdg_id >= 11) & (record.abs_pdg_id <= 16)
    for place in np.flatnonzero(several):
        own = mothers[family.mother_offsets[place] : family.mother_offsets[place + 1]]
        own[:] = own[np.argsort(record.pdg_id[own] != record.pdg_id[place], kind="stable")]
    return mothers


def _mother_index(
    offsets: NDArray[np.int64],
    mothers: NDArray[np.int64],
    chosen: NDArray[np.int64],
    event: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> NDArray[np.int32]:
    """First mother of each chosen particle, as index in its event, -1 if there is none."""
    place = np.full(len(offsets) - 1, -1, dtype=np.int64)
    starts = np.cumsum(counts) - counts
    place[chosen] = np.arange(len(chosen)) - starts[event]
    index = np.full(len(chosen), -1, dtype=np.int32)
    has_mother = offsets[chosen + 1] > offsets[chosen]
    index[has_mother] = place[mothers[offsets[chosen[has_mother]]]]
    return index
