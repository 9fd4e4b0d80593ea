"""Status codes of any generator, in the terms that CMS rules know.

HepMC fixes the codes 1 (final), 2 (decayed), 3 (documentation) and 4 (beam) only. The status flags, the
prunings and the jet flavours of CMS go by the codes of Pythia 8, so the records of other generators are given
those: by what a particle is and by the vertices where it begins and ends.

- Herwig 7 (ThePEG's converter) writes 11 for all that is neither final nor a decayed hadron, muon or tau, and
  names the vertex of the hard process.
- Sherpa writes 3 for what goes into and comes out of the hard process, 20 for particles kept as documentation
  of hard decays, 2 for decayed hadrons, 11 for the rest.
- Pythia 6 and older Herwig write 3 for the hard process.
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
_BRANCHING, _RESONANCE_RECOIL = 51, 62
_LAST_PARTON = 71
_FROM_HADRONIZATION, _UNDECAYED_HADRON = 81, 91
_MARKED_HARD = (3, 20)


def with_pythia_status(record: EventRecord, hard_vertex: NDArray[np.int64]) -> EventRecord:
    """Give Pythia 8's status codes to the particles of events that have others.

    An event that has a code from 21 to 69 is taken as Pythia 8's and kept as it is. In others

    - status 1 stays; particles without a production vertex become beams (4); hadrons, muons and taus that do
      not go on as themselves are decayed (2);
    - the hard process is what the generator marks (3 or 20, or the vertex that it names): incoming 21,
      outgoing 23;
    - t, W, Z, H and heavier particles are intermediate resonances in it (22) at their first copy; what their
      last copy decays to is outgoing (23);
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
    status = np.where(foreign, _translated(record, hard_vertex), record.status)
    return replace(record, status=status.astype(np.int32))


def _pythia_events(record: EventRecord) -> NDArray[np.bool_]:
    own = (record.status > 20) & (record.status < 70)
    result: NDArray[np.bool_] = np.bincount(record.event_index[own], minlength=record.events) > 0
    return result


def _translated(record: EventRecord, hard_vertex: NDArray[np.int64]) -> NDArray[np.int64]:
    """Status as if all events were of a foreign generator; later lines go before earlier ones."""
    code, family = record.abs_pdg_id, record.genealogy
    ends = record.end_vertex >= 0
    produced = record.production_vertex >= 0
    hadron = is_hadron(record.pdg_id)
    resonance = _is_resonance(code)
    # A vertex with several incoming particles (a whole shower as one) does not tell whose daughter is whose.
    mother = np.where(np.diff(family.mother_offsets) == 1, _first(family.mother_offsets, family.mothers), -1)
    from_copy = _any_alike(record.pdg_id, family.mother_offsets, family.mothers)
    goes_on = _any_alike(record.pdg_id, family.daughter_offsets, family.daughters)
    makes_hadrons = _any_of(hadron | _is_prehadron(code), family.daughter_offsets, family.daughters)

    own_vertex = hard_vertex[record.event_index]
    enters = (own_vertex >= 0) & (record.end_vertex == own_vertex)
    leaves = (own_vertex >= 0) & (record.production_vertex == own_vertex)
    marked = np.isin(record.status, _MARKED_HARD) & produced & ends
    before_marked = marked & _any_of(marked, family.daughter_offsets, family.daughters)
    decay = (mother >= 0) & resonance[mother] & ~goes_on[mother]

    status = np.full(len(code), _BRANCHING, dtype=np.int64)
    status[hadron] = _UNDECAYED_HADRON
    status[_is_prehadron(code)] = _FROM_HADRONIZATION
    status[marked | leaves | decay] = _HARD_OUTGOING
    status[before_marked | enters] = _HARD_INCOMING
    # Such codes on hadrons or strings are the generator's documentation, and no hard process.
    status[_is_prehadron(code)] = _FROM_HADRONIZATION
    alone = np.diff(family.daughter_offsets)[np.maximum(mother, 0)] == 1
    status[resonance] = np.where(from_copy & alone, _RESONANCE_RECOIL, _BRANCHING)[resonance]
    status[resonance & ~from_copy] = _HARD_RESONANCE
    status[_is_parton(code) & makes_hadrons] = _LAST_PARTON
    status[(hadron | np.isin(code, (13, 15))) & ends & ~goes_on] = _DECAYED
    status[ends & ~produced] = _BEAM
    # What has neither an end nor status 1 is documentation; it must not enter jets.
    status[(record.status == _BEAM)] = _BEAM
    status[record.status == _FINAL] = _FINAL
    return status


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
def _any_of(chosen, offsets, relatives):  # type: ignore[no-untyped-def]  # numba  # noqa: ANN001, ANN202
    """Whether any relative is one of the chosen."""
    result = np.zeros(len(chosen), dtype=np.bool_)
    for i in range(len(chosen)):
        for other in relatives[offsets[i] : offsets[i + 1]]:
            if chosen[other]:
                result[i] = True
    return result
