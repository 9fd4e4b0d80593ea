"""Which generated particles NanoAOD keeps: the two prunings of CMS, rule by rule.

CMS prunes the generator's particles when it makes MiniAOD (CMSSW ``prunedGenParticles``) and again when it
makes NanoAOD (``finalGenParticles``). Each pruning is a list of rules; a later rule overrides an earlier one.
Both are needed: the second acts on the mothers that the first left, and so keeps the soft parton a lepton
descends from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import numba
import numpy as np
from numpy.typing import NDArray

from flashsim.declarations.gen_collections import StatusFlag
from flashsim.gen.record import EventRecord, Genealogy

__all__ = ["MINIAOD_RULES", "NANOAOD_RULES", "Depth", "Rule", "prune", "relink"]

Mask = NDArray[np.bool_]
Flags = NDArray[np.int32]
Selection = Callable[[EventRecord, Flags], Mask]


class Depth(IntEnum):
    """How far a rule reaches beyond the particles it selects."""

    NONE = 0
    ONE = 1
    ALL = 2


@dataclass(frozen=True)
class Rule:
    """One line of a pruning.

    Parameters
    ----------
    select
        Which particles: a function of the record and of the status flags, giving a mask of shape (N,).
    keep
        Whether to keep or to drop them.
    mothers, daughters
        Whether mothers (all ancestors) and daughters (all descendants) share their fate.
    """

    select: Selection
    keep: bool = True
    mothers: Depth = Depth.NONE
    daughters: Depth = Depth.NONE


def _pdg(*codes: int) -> Selection:
    return lambda record, _: np.isin(record.abs_pdg_id, codes)


def _status(low: int, high: int) -> Selection:
    return lambda record, _: (record.status >= low) & (record.status <= high)


def _final_prompt(record: EventRecord, flags: Flags) -> Mask:
    mask: Mask = (record.status == 1) & _has(flags, StatusFlag.isPrompt)
    return mask


def _has(flags: Flags, bits: StatusFlag) -> Mask:
    mask: Mask = (flags & int(bits)) == int(bits)
    return mask


def _visible_final(code: int, pt: float) -> Selection:
    """Select final particles of one kind above `pt` GeV, and the prompt ones at any momentum."""
    return lambda record, flags: (
        (record.abs_pdg_id == code) & (record.status == 1) & ((record.pt > pt) | _final_prompt(record, flags))
    )


def _heavy_hadron(record: EventRecord, _: Flags) -> Mask:
    code = record.abs_pdg_id
    return ((code > 400) & (code < 600)) | ((code > 4000) & (code < 6000))


def _new_particle(record: EventRecord, _: Flags) -> Mask:
    code = record.abs_pdg_id
    return ((code >= 1000001) & (code <= 1000039)) | ((code >= 2000001) & (code <= 2000015))


def _last_parton(*codes: int, pt: float) -> Selection:
    """Select partons that enter hadronization (or, for other generators, that have status 2 or 11)."""
    return lambda record, _: (
        np.isin(record.abs_pdg_id, codes) & np.isin(record.status, (2, 11, 71, 72)) & (record.pt > pt)
    )


def _hard_process(record: EventRecord, flags: Flags) -> Mask:
    """In the hard process, or the final, decayed or last copy of what came from it."""
    from_hard = _has(flags, StatusFlag.fromHardProcess)
    end = record.status == 1
    for bit in (StatusFlag.isDecayedLeptonHadron, StatusFlag.isLastCopy):
        end |= _has(flags, bit)
    mask: Mask = _has(flags, StatusFlag.isHardProcess) | (from_hard & end)
    return mask


def _hard_process_before_fsr(record: EventRecord, flags: Flags) -> Mask:
    return _hard_process(record, flags) | _has(flags, StatusFlag.fromHardProcessBeforeFSR)


def _tau_to_follow(record: EventRecord, flags: Flags) -> Mask:
    prompt_decayed = _has(flags, StatusFlag.isPrompt | StatusFlag.isDecayedLeptonHadron)
    mask: Mask = (record.abs_pdg_id == 15) & ((record.pt > 15) | prompt_decayed)
    return mask


_NEUTRINOS = _pdg(12, 14, 16)
_ORBITALLY_EXCITED = _pdg(
    *(10411, 10421, 10413, 10423, 20413, 20423, 10431, 10433, 20433),
    *(10511, 10521, 10513, 10523, 20513, 20523, 10531, 10533, 20533, 10541, 10543, 20543),
)

MINIAOD_RULES = (
    Rule(_pdg(11, 13, 15), mothers=Depth.ALL),
    Rule(_status(2, 2), keep=False),
    Rule(_heavy_hadron, daughters=Depth.ALL),
    Rule(_status(1, 1), keep=False),
    Rule(_heavy_hadron, daughters=Depth.ONE),
    Rule(_pdg(11, 13, 15)),
    Rule(_NEUTRINOS),
    Rule(_visible_final(22, pt=10), mothers=Depth.ONE),
    Rule(_visible_final(11, pt=3), mothers=Depth.ONE),
    Rule(_pdg(15), daughters=Depth.ALL),
    Rule(_status(31, 69), keep=False),
    Rule(lambda record, _: (record.pdg_id == 21) & (record.pt < 5), keep=False),
    Rule(lambda record, _: (record.pdg_id == 21) & (record.status == 2), keep=False),
    Rule(_pdg(23, 24, 25, 6, 37)),
    Rule(lambda record, _: (record.pdg_id == 310) & (record.pt > 1) & (_abs_eta(record) < 2.5)),
    Rule(_last_parton(4, 5, pt=-1.0)),
    Rule(_last_parton(1, 2, 3, 21, pt=5)),
    Rule(_heavy_hadron),
    Rule(_ORBITALLY_EXCITED),
    Rule(_new_particle),
    Rule(lambda record, _: record.pdg_id == 2212),
    Rule(_status(3, 3)),
    Rule(_status(21, 29)),
    Rule(_status(11, 19)),
    Rule(_hard_process_before_fsr),
)
"""What MiniAOD keeps of the generator's particles."""

NANOAOD_RULES = (
    Rule(_tau_to_follow, daughters=Depth.ALL),
    Rule(_pdg(15), daughters=Depth.ONE),
    Rule(_visible_final(22, pt=10), mothers=Depth.ONE),
    Rule(_pdg(11, 13, 15), mothers=Depth.ONE),
    Rule(lambda record, _: (record.abs_pdg_id == 2212) & (np.abs(record.pz) > 1000), keep=False),
    Rule(_heavy_hadron),
    Rule(_NEUTRINOS),
    Rule(_status(3, 3)),
    Rule(_status(21, 29)),
    Rule(_hard_process),
    Rule(lambda record, _: (record.status > 70) & (record.status < 80) & (record.pt > 15)),
    Rule(_pdg(23, 24, 25, 37)),
    Rule(_new_particle),
)
"""What NanoAOD keeps of the particles of MiniAOD."""


def _abs_eta(record: EventRecord) -> NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        eta: NDArray[np.float64] = np.abs(np.arcsinh(record.pz / record.pt))
    return eta


def prune(
    rules: tuple[Rule, ...], record: EventRecord, flags: Flags, family: Genealogy, present: Mask
) -> Mask:
    """Which of the present particles a list of rules keeps.

    Parameters
    ----------
    rules
        Applied in order; at the start nothing is kept.
    record, flags
        All particles and their status flags.
    family
        Mothers and daughters among the present particles (`relink`).
    present
        Shape (N,): particles that an earlier pruning left.

    Returns
    -------
    Shape (N,).
    """
    kept = np.zeros(len(present), dtype=np.bool_)
    for rule in rules:
        chosen = rule.select(record, flags) & present
        kept[chosen] = rule.keep
        _spread(chosen, kept, rule.keep, rule.mothers.value, family.mother_offsets, family.mothers)
        _spread(chosen, kept, rule.keep, rule.daughters.value, family.daughter_offsets, family.daughters)
    return kept


def relink(family: Genealogy, kept: Mask) -> Genealogy:
    """Mothers and daughters among kept particles only, across the dropped ones.

    Each list holds the nearest kept relatives, depth first. Particles that are not kept get empty lists.
    """
    return Genealogy(
        *_nearest(family.mother_offsets, family.mothers, kept),
        *_nearest(family.daughter_offsets, family.daughters, kept),
    )


@numba.njit(cache=True)
def _spread(chosen, kept, keep, depth, offsets, relatives):  # type: ignore[no-untyped-def]  # numba  # noqa: ANN001, ANN202, PLR0917
    """Give relatives of the chosen particles the same fate, over one generation or over all."""
    if depth == 0:
        return
    seen = np.zeros(len(chosen), dtype=np.bool_)
    stack = [np.int64(0) for _ in range(0)]
    for i in range(len(chosen)):
        if not chosen[i]:
            continue
        stack.append(np.int64(i))
        while len(stack) > 0:
            top = stack.pop()
            for other in relatives[offsets[top] : offsets[top + 1]]:
                kept[other] = keep
                if depth == 2 and not seen[other]:
                    seen[other] = True
                    stack.append(other)


@numba.njit(cache=True)
def _nearest(offsets, relatives, kept):  # type: ignore[no-untyped-def]  # numba  # noqa: ANN001, ANN202
    """Nearest kept relatives of each kept particle, each once, in depth-first order."""
    starts = np.zeros(len(kept) + 1, dtype=np.int64)
    found = [np.int64(0) for _ in range(0)]
    seen_by = np.full(len(kept), -1, dtype=np.int64)
    stack = [np.int64(0) for _ in range(0)]
    for i in range(len(kept)):
        if kept[i]:
            stack.append(np.int64(i))
        while len(stack) > 0:
            top = stack.pop()
            if seen_by[top] == i:
                continue
            seen_by[top] = i
            if kept[top] and top != i:
                found.append(top)
                continue
            for k in range(offsets[top + 1] - 1, offsets[top] - 1, -1):
                stack.append(relatives[k])
        starts[i + 1] = len(found)
    return starts, np.array(found, dtype=np.int64)
