"""CMS generator status flags of every particle.

The fifteen bits of ``GenPart_statusFlags`` as CMS defines them (CMSSW `MCTruthHelper` and `GenStatusFlags`;
checked against the values that occur in real NanoAOD).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.gen.record import EventRecord

__all__ = ["is_charged", "is_hadron", "status_flags"]


def is_hadron(pdg_id: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Whether PDG numbers are those of hadrons (PDG, "Monte Carlo particle numbering scheme").

    Diquarks, nuclei, quarks and leptons are not; K0S and K0L are, although their numbers break the rule.
    """
    code = np.abs(pdg_id)
    spin = code % 10
    quark3, quark2 = code // 10 % 10, code // 100 % 10
    regular = (code > 100) & (code < 10_000_000) & (spin > 0) & (quark3 > 0) & (quark2 > 0)
    exotic = (code >= 1_000_000) & (code < 9_000_000)  # supersymmetry and other new particles
    result: NDArray[np.bool_] = (regular & ~exotic) | np.isin(code, (130, 310))
    return result


def is_charged(pdg_id: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Whether leptons and hadrons have electric charge, from the quark content in the PDG number."""
    code = np.abs(pdg_id).astype(np.int64)
    first, second, third = code // 1000 % 10, code // 100 % 10, code // 10 % 10

    def thirds(quark: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.where(quark % 2 == 0, 2, -1)

    meson = thirds(second) != thirds(third)
    baryon = thirds(first) + thirds(second) + thirds(third) != 0
    hadron = is_hadron(pdg_id) & np.where(first == 0, meson, baryon)
    charged: NDArray[np.bool_] = hadron | np.isin(code, (11, 13, 15, 24, 37))
    return charged


def status_flags(record: EventRecord) -> NDArray[np.int32]:
    """Status flags of every particle of a record, see `StatusFlag`.

    Notes
    -----
    ``isLastCopyBeforeFSR`` and ``fromHardProcessBeforeFSR`` keep a quirk of the CMS code: the walk
    along copies ends with nothing when it reaches a last copy that radiates no gluon or photon, so prompt
    leptons without radiation do not carry these bits.

    Returns
    -------
    Shape (N,), as in `record`.
    """
    family = record.genealogy
    before, after = _copies(
        record.pdg_id, family.mother_offsets, family.mothers, family.daughter_offsets, family.daughters
    )
    decays = (record.status == 2) & (is_hadron(record.pdg_id) | np.isin(record.abs_pdg_id, (13, 15)))
    decays &= after < 0
    first_mother = np.full(len(record.pdg_id), -1, dtype=np.int64)
    has_mother = np.diff(family.mother_offsets) > 0
    first_mother[has_mother] = family.mothers[family.mother_offsets[:-1][has_mother]]
    flags: NDArray[np.int32] = _flags(
        record.pdg_id,
        record.status,
        first_mother,
        before,
        after,
        decays,
        is_hadron(record.pdg_id),
        _no_particles(record) if record.hard_process is None else record.hard_process,
        _radiates(record.pdg_id, family.daughter_offsets, family.daughters),
    )
    return flags


def _no_particles(record: EventRecord) -> NDArray[np.bool_]:
    return np.zeros(len(record.pdg_id), dtype=np.bool_)


@numba.njit(cache=True)
def _copies(pdg_id, mother_offsets, mothers, daughter_offsets, daughters):  # type: ignore[no-untyped-def]  # numba  # noqa: ANN001, ANN202
    """First mother and first daughter with a particle's own PDG number, -1 if none."""
    before = np.full(len(pdg_id), -1, dtype=np.int64)
    after = np.full(len(pdg_id), -1, dtype=np.int64)
    for i in range(len(pdg_id)):
        for mother in mothers[mother_offsets[i] : mother_offsets[i + 1]]:
            if pdg_id[mother] == pdg_id[i]:
                before[i] = mother
                break
        for daughter in daughters[daughter_offsets[i] : daughter_offsets[i + 1]]:
            if pdg_id[daughter] == pdg_id[i]:
                after[i] = daughter
                break
    return before, after


@numba.njit(cache=True)
def _radiates(pdg_id, daughter_offsets, daughters):  # type: ignore[no-untyped-def]  # numba  # noqa: ANN001, ANN202
    result = np.zeros(len(pdg_id), dtype=np.bool_)
    for i in range(len(pdg_id)):
        for daughter in daughters[daughter_offsets[i] : daughter_offsets[i + 1]]:
            if pdg_id[daughter] in (21, 22):
                result[i] = True
                break
    return result


@numba.njit(cache=True)
def _end_of_chain(i, step):  # type: ignore[no-untyped-def]  # numba  # noqa: ANN001, ANN202
    """Follow `step` to its end; -1 for a chain that closes on itself, as some generators write."""
    for _ in range(len(step)):
        if step[i] < 0:
            return i
        i = step[i]
    return -1


@numba.njit(cache=True)
def _radiating_copy(i, after, radiates):  # type: ignore[no-untyped-def]  # numba  # noqa: ANN001, ANN202
    """Find the first radiating copy from `i` on, -1 if none radiates (the quirk of the CMS code)."""
    for _ in range(len(after)):
        if radiates[i] or after[i] < 0:
            break
        i = after[i]
    return i if radiates[i] else -1


@numba.njit(cache=True)
def _decayed_ancestor(i, first_mother, decays, pdg_id, wanted):  # type: ignore[no-untyped-def]  # numba  # noqa: ANN001, ANN202
    """Nearest ancestor along first mothers that decays (of |PDG number| `wanted`, 0 for any), or -1."""
    i = first_mother[i]
    for _ in range(len(first_mother)):
        if i < 0 or (decays[i] and (wanted == 0 or abs(pdg_id[i]) == wanted)):
            return i
        i = first_mother[i]
    return -1


@numba.njit(cache=True)
def _unlike_ancestor(i, first_mother, pdg_id):  # type: ignore[no-untyped-def]  # numba  # noqa: ANN001, ANN202
    """Nearest ancestor along first mothers with another PDG number, or -1."""
    own = pdg_id[i]
    for _ in range(len(first_mother)):
        if i < 0 or pdg_id[i] != own:
            return i
        i = first_mother[i]
    return -1


@numba.njit(cache=True)
def _is_hard(i, status, first_mother, before, after):  # type: ignore[no-untyped-def]  # numba  # noqa: ANN001, ANN202
    """Part of the hard process; Pythia gives no status 23 to an unradiating child of a resonance."""
    if status[i] == 3 or 20 < status[i] < 30:
        return True
    mother = first_mother[i]
    if status[i] not in (1, 2) or mother < 0:
        return False
    first = _end_of_chain(mother, before)
    branching = after[mother] >= 0 and 50 < status[after[mother]] < 60
    return first >= 0 and status[first] == 22 and not branching


@numba.njit(cache=True)
def _hard_copy(i, hard, before):  # type: ignore[no-untyped-def]  # numba  # noqa: ANN001, ANN202
    """Find the particle or its nearest earlier copy in the hard process, or -1."""
    for _ in range(len(before)):
        if i < 0 or hard[i]:
            return i
        i = before[i]
    return -1


@numba.njit(cache=True)
def _tau_flags(tau, decayed, from_hard, prompt):  # type: ignore[no-untyped-def]  # numba  # noqa: ANN001, ANN202
    direct = tau == decayed
    return (
        1 << 2
        | prompt << 3
        | direct << 4
        | (direct and prompt) << 5
        | from_hard << 9
        | (direct and from_hard) << 10
    )


@numba.njit(cache=True)
def _flags(pdg_id, status, first_mother, before, after, decays, hadron, known_hard, radiates):  # type: ignore[no-untyped-def]  # numba  # noqa: ANN001, ANN202, PLR0917
    n = len(pdg_id)
    hard = np.zeros(n, dtype=np.bool_)
    hard_copy = np.empty(n, dtype=np.int64)
    decayed = np.empty(n, dtype=np.int64)
    for i in range(n):
        hard[i] = known_hard[i] or _is_hard(i, status, first_mother, before, after)
        decayed[i] = _decayed_ancestor(i, first_mother, decays, pdg_id, 0)
    for i in range(n):
        hard_copy[i] = _hard_copy(i, hard, before)

    flags = np.zeros(n, dtype=np.int32)
    for i in range(n):
        flag = (decayed[i] < 0) << 0 | decays[i] << 1
        tau = _decayed_ancestor(i, first_mother, decays, pdg_id, 15)
        if tau >= 0:
            flag |= _tau_flags(tau, decayed[i], hard_copy[tau] >= 0, decayed[tau] < 0)
        unlike = _unlike_ancestor(i, first_mother, pdg_id)
        flag |= (unlike >= 0 and hadron[unlike] and decays[unlike]) << 6
        flag |= hard[i] << 7 | (hard_copy[i] >= 0) << 8
        flag |= _is_before_fsr(i, hard_copy[i], status, after, radiates) << 11
        flag |= (before[i] < 0) << 12 | (after[i] < 0) << 13
        first = _end_of_chain(i, before)
        flag |= (first >= 0 and _radiating_copy(first, after, radiates) == i) << 14
        flags[i] = flag
    return flags


@numba.njit(cache=True)
def _is_before_fsr(i, hard, status, after, radiates):  # type: ignore[no-untyped-def]  # numba  # noqa: ANN001, ANN202
    if hard < 0:
        return False
    if status[i] == 3 or (status[hard] == 21 and hard == i) or (status[hard] == 22 and after[i] < 0):
        return True
    return status[hard] in (1, 23) and _radiating_copy(hard, after, radiates) == i
