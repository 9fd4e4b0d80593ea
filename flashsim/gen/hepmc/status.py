"""Status codes of any generator, in the terms that CMS rules know.

HepMC fixes the codes 1 (final), 2 (decayed), 3 (documentation) and 4 (beam) only, and generators differ even
in these. The status flags, the prunings and the jet flavours of CMS go by the codes of Pythia 8, so the
records of other generators are given those: by what a particle is and by the vertices where it begins and
ends.

- Herwig 7 (ThePEG's converter) writes 11 for all that is neither final nor a decayed hadron, muon or tau, and
  names the vertex of the hard process.
- Sherpa names that vertex too, and writes 3 for what goes into and comes out of it, 20 for particles kept as
  documentation of hard decays, 2 for decayed hadrons, 11 for the rest. Each beam is written twice: with 4,
  and as a daughter with 11 or 2.
- Pythia 6 and older Herwig write 3 for the beams and for the hard process.
- Generators of hadron and nuclear collisions (EPOS, SIBYLL) have no hard process: nuclei break up into
  nucleons that collide.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numba
import numpy as np

from flashsim.gen.status import is_hadron

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.gen.record import EventRecord

__all__ = ["with_pythia_status"]

_FINAL, _DECAYED, _BEAM = 1, 2, 4
_HARD_INCOMING, _HARD_RESONANCE, _HARD_OUTGOING = 21, 22, 23
_OTHER_INCOMING = 31
_BRANCHING, _RESONANCE_RECOIL = 51, 62
_LAST_PARTON = 71
_FROM_HADRONIZATION, _UNDECAYED_HADRON = 81, 91
_MARKED_HARD = (3, 20)
_NEVER_PYTHIA = (11, 20)
_NUCLEI = 1_000_000_000
_NUCLEONS = (2212, 2112)
_BEAMS = 2
# The tangent of the largest angle between a beam lepton and its copy: more is a scattering.
_BEAM_SPREAD = 0.05


def with_pythia_status(record: EventRecord, hard_vertex: NDArray[np.int64]) -> EventRecord:
    """Give Pythia 8's status codes to the particles of events that have others.

    An event that has a code from 21 to 69, and none of 11 and 20, is taken as Pythia 8's and kept as it is.
    In others

    - status 1 stays;
    - beams (4) are what the generator says, else hadrons without mother, else leptons and photons without
      mother; and what a beam goes on as before it collides: itself, or the nucleons of a nucleus;
    - hadrons, muons and taus that do not go on as themselves are decayed (2), but for beams;
    - the hard process is the vertex that the generator names, else what it marks (3 or 20), else the leptons
      and resonances that come out of a collision of partons, photons or beam leptons: incoming 21, outgoing
      23. What comes out of it is never incoming, whatever it goes into;
    - t, W, Z, H and heavier particles are intermediate resonances in it (22) at their first copy; what their
      last copy decays to is outgoing (23);
    - other partons without mother enter further scatterings (31);
    - partons whose end vertex makes a hadron, cluster or string are the last ones (71);
    - other partons and leptons come from a branching (51), which CMS prunes.

    Parameters
    ----------
    record
        With the generator's codes.
    hard_vertex
        Shape (events,): vertex of the hard process, -1 where it is not known.
    """
    foreign = ~_pythia_events(record)[record.event_index]
    if not foreign.any():
        return record
    translated, hard = _translated(record, hard_vertex)
    status = np.where(foreign, translated, record.status)
    return replace(record, status=status.astype(np.int32), hard_process=foreign & hard)


def _pythia_events(record: EventRecord) -> NDArray[np.bool_]:
    own = (record.status > 20) & (record.status < 70)
    return _events_with(record, own) & ~_events_with(record, np.isin(record.status, _NEVER_PYTHIA))


def _events_with(record: EventRecord, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Shape (events,): whether any particle is one of the chosen."""
    result: NDArray[np.bool_] = np.bincount(record.event_index[chosen], minlength=record.events) > 0
    return result


def _translated(
    record: EventRecord, hard_vertex: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Status and hard process as if all events were of a foreign generator; later lines go before earlier."""
    code, family = record.abs_pdg_id, record.genealogy
    ends, produced = record.end_vertex >= 0, record.production_vertex >= 0
    hadron, resonance = is_hadron(record.pdg_id), _is_resonance(code)
    # A vertex with several incoming particles (a whole shower as one) does not tell whose daughter is whose.
    mother = np.where(np.diff(family.mother_offsets) == 1, _first(family.mother_offsets, family.mothers), -1)
    from_copy = _any_alike(record.pdg_id, family.mother_offsets, family.mothers)
    goes_on = _any_alike(record.pdg_id, family.daughter_offsets, family.daughters)
    makes_hadrons = _any_of(hadron | _is_prehadron(code), family.daughter_offsets, family.daughters)
    decay = (mother >= 0) & resonance[mother] & ~goes_on[mother]
    beam = _beams(record, hard_vertex)
    enters, leaves = _hard_process(record, hard_vertex, beam)

    status = np.full(len(code), _BRANCHING, dtype=np.int64)
    status[hadron] = _UNDECAYED_HADRON
    status[ends & ~produced] = _OTHER_INCOMING
    status[leaves | decay] = _HARD_OUTGOING
    status[enters] = _HARD_INCOMING
    # Such codes on hadrons or strings are the generator's documentation, and no hard process.
    status[_is_prehadron(code)] = _FROM_HADRONIZATION
    alone = np.diff(family.daughter_offsets)[np.maximum(mother, 0)] == 1
    status[resonance] = np.where(from_copy & alone, _RESONANCE_RECOIL, _BRANCHING)[resonance]
    status[resonance & ~from_copy] = _HARD_RESONANCE
    status[_is_parton(code) & makes_hadrons] = _LAST_PARTON
    status[(hadron | _decaying_lepton(record, mother)) & ends & ~goes_on] = _DECAYED
    # What has neither an end nor status 1 is documentation; it must not enter jets.
    status[beam] = _BEAM
    status[record.status == _FINAL] = _FINAL
    return status, leaves & ~hadron & ~_is_prehadron(code)


def _beams(record: EventRecord, hard_vertex: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Beams, and what they go on as before they collide."""
    code, family = record.abs_pdg_id, record.genealogy
    named = record.status == _BEAM
    heavy = is_hadron(record.pdg_id) | (code >= _NUCLEI)
    light = _is_lepton(code) | (code == 22)
    stable = np.isin(code, _NUCLEONS) | (code >= _NUCLEI)
    root = (record.production_vertex < 0) & (record.end_vertex >= 0)
    # Where many hadrons have no mother, the beams are not written and these decay.
    many = np.bincount(record.event_index[root & heavy], minlength=record.events) > _BEAMS
    root &= stable | ~heavy | ~many[record.event_index]
    hadronic = _events_with(record, root & heavy)[record.event_index]
    unnamed = ~_events_with(record, named)[record.event_index]
    beam = named | (unnamed & root & (heavy | (light & ~hadronic)))
    own_vertex = hard_vertex[record.event_index]
    may_be = (record.end_vertex >= 0) & (record.status != _FINAL) & (heavy | light)
    may_be &= (own_vertex < 0) | (record.production_vertex != own_vertex)
    may_be &= heavy | (record.pt <= _BEAM_SPREAD * np.abs(record.pz))
    copies: NDArray[np.bool_] = _beam_copies(
        beam, may_be, stable, record.pdg_id, family.mother_offsets, family.mothers
    )
    return copies


def _hard_process(
    record: EventRecord, hard_vertex: NDArray[np.int64], beam: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell what enters the hard process, and what leaves it with all that is marked after it."""
    code, family = record.abs_pdg_id, record.genealogy
    ends, produced = record.end_vertex >= 0, record.production_vertex >= 0
    own_vertex = hard_vertex[record.event_index]
    named = own_vertex >= 0
    enters = named & (record.end_vertex == own_vertex)
    leaves = named & (record.production_vertex == own_vertex)

    marked = np.isin(record.status, _MARKED_HARD) & ~beam
    collide = marked | (beam & _is_lepton(code))
    in_collision = _count_mothers(collide, family.mother_offsets, family.mothers) >= 2
    after = _descending(
        leaves | (~named & marked & produced & in_collision),
        marked & produced,
        marked & _is_resonance(code),
        family.mother_offsets,
        family.mothers,
    )
    before = marked & ends & ~after & _any_of(marked, family.daughter_offsets, family.daughters)

    silent = ~named & ~_events_with(record, marked)[record.event_index]
    charged_or_not = _is_lepton(code) | _is_resonance(code)
    meet = _is_parton(code) | (code == 22) | (beam & _is_lepton(code))
    all_meet = _count_mothers(meet, family.mother_offsets, family.mothers) == np.diff(family.mother_offsets)
    made = _any_of(is_hadron(record.pdg_id) | _is_prehadron(code), family.daughter_offsets, family.daughters)
    hadronizes = _any_of(made, family.mother_offsets, family.mothers)
    several = np.diff(family.mother_offsets) >= 2
    out = silent & charged_or_not & ~beam & several & all_meet & ~hadronizes
    into = silent & ends & meet & ~beam & _any_of(out, family.daughter_offsets, family.daughters)
    return enters | before | into, after | out


def _decaying_lepton(record: EventRecord, mother: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Muons and taus whose end vertex is a decay: it has their neutrino, or no other incoming particle."""
    code, family = record.abs_pdg_id, record.genealogy
    alone = np.zeros(len(code), dtype=np.bool_)
    alone[mother[mother >= 0]] = True
    result = np.zeros(len(code), dtype=np.bool_)
    for lepton in (13, 15):
        neutrino = _any_of(code == lepton + 1, family.daughter_offsets, family.daughters)
        result |= (code == lepton) & (neutrino | alone)
    return result


def _is_lepton(code: NDArray[np.int32]) -> NDArray[np.bool_]:
    mask: NDArray[np.bool_] = (code >= 11) & (code <= 16)
    return mask


def _is_resonance(code: NDArray[np.int32]) -> NDArray[np.bool_]:
    new = ((code >= 1000001) & (code <= 1000039)) | ((code >= 2000001) & (code <= 2000015))
    heavy: NDArray[np.bool_] = np.isin(code, (6, 23, 24, 25, 32, 33, 34, 35, 36, 37)) | new
    return heavy


def _is_parton(code: NDArray[np.int32]) -> NDArray[np.bool_]:
    diquark = (code > 1000) & (code < 10000) & (code // 10 % 10 == 0)
    parton: NDArray[np.bool_] = ((code >= 1) & (code <= 5)) | (code == 21) | diquark
    return parton


def _is_prehadron(code: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Clusters, strings and the like: generators' own particles 81 to 100."""
    mask: NDArray[np.bool_] = (code >= 81) & (code <= 100)
    return mask


def _first(offsets: NDArray[np.int64], relatives: NDArray[np.int64]) -> NDArray[np.int64]:
    first = np.full(len(offsets) - 1, -1, dtype=np.int64)
    some = np.diff(offsets) > 0
    first[some] = relatives[offsets[:-1][some]]
    return first


@numba.njit(cache=True)
def _any_alike(pdg_id, offsets, relatives):  # type: ignore[no-untyped-def]  # numba  # noqa: ANN001, ANN202
    """Whether any relative has the particle's own PDG number."""
    result = np.zeros(len(pdg_id), dtype=np.bool_)
    for i in range(len(pdg_id)):
        for other in relatives[offsets[i] : offsets[i + 1]]:
            if pdg_id[other] == pdg_id[i]:
                result[i] = True
    return result


@numba.njit(cache=True)
def _count_mothers(chosen, offsets, mothers):  # type: ignore[no-untyped-def]  # numba  # noqa: ANN001, ANN202
    """Count how many mothers are among the chosen."""
    result = np.zeros(len(chosen), dtype=np.int64)
    for i in range(len(chosen)):
        for mother in mothers[offsets[i] : offsets[i + 1]]:
            result[i] += chosen[mother]
    return result


@numba.njit(cache=True)
def _beam_copies(beam, may_be, stable, pdg_id, offsets, mothers):  # type: ignore[no-untyped-def]  # numba  # noqa: ANN001, ANN202, PLR0917
    """Add to the beams what has beams alone as mothers, and is one of them or a part of a nucleus."""
    beam = beam.copy()
    changed = True
    while changed:
        changed = False
        for i in range(len(beam)):
            if beam[i] or not may_be[i] or offsets[i] == offsets[i + 1]:
                continue
            alike, all_beams = stable[i], True
            for mother in mothers[offsets[i] : offsets[i + 1]]:
                alike |= pdg_id[mother] == pdg_id[i]
                all_beams &= beam[mother]
            if alike and all_beams:
                beam[i] = changed = True
    return beam


@numba.njit(cache=True)
def _descending(first, may_be, origin, offsets, mothers):  # type: ignore[no-untyped-def]  # numba  # noqa: ANN001, ANN202
    """Add to the first ones what may be and has one of them, or of the origins, for a mother."""
    found = first.copy()
    changed = True
    while changed:
        changed = False
        for i in range(len(found)):
            if found[i] or not may_be[i]:
                continue
            for mother in mothers[offsets[i] : offsets[i + 1]]:
                if found[mother] or origin[mother]:
                    found[i] = changed = True
    return found


@numba.njit(cache=True)
def _any_of(chosen, offsets, relatives):  # type: ignore[no-untyped-def]  # numba  # noqa: ANN001, ANN202
    """Whether any relative is one of the chosen."""
    result = np.zeros(len(chosen), dtype=np.bool_)
    for i in range(len(chosen)):
        for other in relatives[offsets[i] : offsets[i + 1]]:
            if chosen[other]:
                result[i] = True
    return result
