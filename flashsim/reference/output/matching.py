"""What NanoAOD derives from the generator: which gen particle or jet an object belongs to, and flavours.

The rules are those of CMSSW: ``CommonTools/UtilAlgos`` (``PhysObjectMatcher``), ``PhysicsTools/NanoAOD``
(``CandMCMatchTableProducer``, the ``_cff`` of each object) and ``PhysicsTools/JetMCAlgos``. Rows are those of
the chunk; collections that are matched are in the order of the file.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numba
import numpy as np

from flashsim.declarations.gen_collections import StatusFlag
from flashsim.events.angles import delta_phi
from flashsim.events.collection import Collection
from flashsim.events.neighbours import closest

if TYPE_CHECKING:
    from collections.abc import Mapping

    import awkward as ak
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]
    Mask = NDArray[np.bool_]
    Columns = dict[str, NDArray[Any]]

__all__ = ["gen_collections", "match_objects", "matched"]

_FIELDS = {
    "GenPart": ("pt", "eta", "phi", "pdgId", "status", "statusFlags", "genPartIdxMother"),
    "GenJet": ("pt", "eta", "phi", "partonFlavour", "hadronFlavour"),
    "GenJetAK8": ("pt", "eta", "phi"),
    "SubGenJetAK8": ("pt", "eta", "phi"),
    "GenVisTau": ("pt", "eta", "phi"),
}
_CONE, _REL_PT, _TAU_REL_PT, _JET_REL_PT = 0.3, 0.5, 1.0, 3.0
_DRESSING, _LEAST_DRESSED = 0.1, 3.0  # ParticleLevelProducer: lepConeSize, lepMinPt
_SAME_CONE, _SAME_PT = 0.01, 0.01  # two copies of an electron
_GLUON = 21
_MOMENTUM = ("pt", "eta", "phi")
_JETS = {
    "Jet": ("GenJet", "genJetIdx", 0.4),
    "FatJet": ("GenJetAK8", "genJetAK8Idx", 0.8),
    "SubJet": ("SubGenJetAK8", "subGenJetAK8Idx", 0.8),
}

_delta_phi = numba.njit(cache=True)(delta_phi)


def gen_collections(gen: Mapping[str, ak.Array]) -> dict[str, Collection]:
    """Give gen collections with what matching needs; those without branches have no objects.

    Real numbers are of 64 bits, and whole ones, too.
    """
    found = {}
    for name, fields in _FIELDS.items():
        if f"{name}_pt" in gen:
            made = Collection.of_branches(gen, name, fields)
        else:
            none = np.zeros(len(gen["GenPart_pt"]), np.int64)
            made = Collection.of_counts(none, dict.fromkeys(fields, np.zeros(0)))
        wide = {k: v.astype(np.float64 if k in _MOMENTUM else np.int64) for k, v in made.columns.items()}
        found[name] = Collection(made.offsets, wide)
    return found


def match_objects(
    collections: Mapping[str, Collection], gen: Mapping[str, Collection]
) -> dict[str, Collection]:
    """Add rows of gen objects (``genPartIdx``, ``genJetIdx``, ...) and flavours to collections.

    Parameters
    ----------
    collections
        Reconstructed collections by name, in the order of the file; ``_hard`` of jets says whether any
        particle of the hard event is in them.
    gen
        What `gen_collections` gives.
    """
    rules = {"Muon": _muons, "Electron": _electrons, "Photon": _photons, "Tau": _taus}
    rules |= {name: partial(_jets, name) for name in _JETS}
    return {
        name: c.with_columns(rules[name](c, gen)) if name in rules else c for name, c in collections.items()
    }


def matched(
    objects: Collection,
    others: Collection,
    allowed: Mask | None = None,
    *,
    cone: float = _CONE,
    rel_pt: float = _REL_PT,
    in_order: bool = False,
) -> Integers:
    """Row of the other object that each one belongs to, or -1, shape (N,).

    Parameters
    ----------
    objects, others
        With pt, eta and phi; N and M of them.
    allowed
        Which others may be matched, shape (M,); by default all.
    cone
        Largest distance.
    rel_pt
        Largest difference in pT, relative to that of the other object.
    in_order
        Whether the first object takes its nearest, then the second, and so on; otherwise the nearest pairs
        come first.
    """
    rows = np.full(len(objects), -1)
    allowed = np.ones(len(others), dtype=np.bool_) if allowed is None else allowed
    one, other = ((*c.directions, c["pt"]) for c in (objects, others))
    _match(one, other, allowed, cone, rel_pt, in_order, rows)
    return rows


@numba.njit(cache=True)
def _match(objects, others, allowed, cone, rel_pt, in_order, rows):
    offsets, eta, phi, pt = objects
    offsets2, eta2, phi2, pt2 = others
    taken = np.zeros(len(pt2), np.bool_)
    for event in range(len(offsets) - 1):
        first, last = offsets[event], offsets[event + 1]
        start = first
        for _ in range(first, last):
            best, one, other = cone, -1, -1
            for i in range(start, start + 1 if in_order else last):
                if rows[i] >= 0:
                    continue
                for j in range(offsets2[event], offsets2[event + 1]):
                    if not allowed[j] or taken[j] or abs(pt[i] - pt2[j]) >= rel_pt * pt2[j]:
                        continue
                    distance = np.hypot(eta[i] - eta2[j], _delta_phi(phi[i], phi2[j]))
                    if distance < best:
                        best, one, other = distance, i, j
            start += in_order
            if one >= 0:
                rows[one] = other
                taken[other] = True


def _has(particles: Collection, rows: Integers | slice, flag: StatusFlag) -> Mask:
    """Whether stable particles at rows have a flag; false where the row is -1."""
    has = (particles["status"] == 1) & (particles["statusFlags"] & int(flag) > 0)
    return np.append(has, False)[rows]


def _code(particles: Collection, rows: Integers | slice = slice(-1)) -> Integers:
    return np.append(np.abs(particles["pdgId"]), 0)[rows]


def _stable(particles: Collection, *ids: int) -> Mask:
    return np.isin(_code(particles), ids) & (particles["status"] == 1)


def _of_leptons(particles: Collection, rows: Integers) -> Integers:
    """``genPartFlav`` of a lepton: 1 prompt, 15 from a prompt tau, 5 from b, 4 from c, 3 from others."""
    heavy = np.full(len(rows), 3)
    _heaviest(_mothers(particles), particles["pdgId"], particles["status"], rows, heavy)
    prompt = _has(particles, rows, StatusFlag.isPrompt)
    tau = _has(particles, rows, StatusFlag.isDirectPromptTauDecayProduct)
    return np.select([rows < 0, prompt, tau], [0, 1, 15], heavy)


def _mothers(particles: Collection) -> Integers:
    mother = particles["genPartIdxMother"]
    return np.where(mother >= 0, mother + particles.offsets[particles.event_rows], -1)


@numba.njit(cache=True)
def _heaviest(mother, pdg_id, status, rows, found):
    for k in range(len(rows)):
        row = mother[rows[k]] if rows[k] >= 0 else -1
        while row >= 0:
            code = abs(pdg_id[row])
            for quark in (5, 4):
                if code // 1000 == quark or code // 100 == quark or code == quark:
                    found[k] = max(found[k], quark)
            if found[k] == 5 or status[row] != 2:
                break
            row = mother[row]


def _muons(muons: Collection, gen: Mapping[str, Collection]) -> Columns:
    particles = gen["GenPart"]
    rows = matched(muons, particles, _stable(particles, 13))
    return {"genPartIdx": rows, "genPartFlav": _of_leptons(particles, rows)}


def _photons(photons: Collection, gen: Mapping[str, Collection]) -> Columns:
    particles = gen["GenPart"]
    rows = matched(photons, particles, _stable(particles, 11, 22))
    code, prompt = _code(particles, rows), _has(particles, rows, StatusFlag.isPrompt)
    either = prompt | _has(particles, rows, StatusFlag.isDirectPromptTauDecayProduct)
    return {
        "genPartIdx": rows,
        "genPartFlav": np.select([(code == 22) & prompt, (code == 11) & either], [1, 11], 0),
    }


def _electrons(electrons: Collection, gen: Mapping[str, Collection]) -> Columns:
    """Electrons belong to prompt dressed ones and prompt photons first, then to any stable one."""
    particles = gen["GenPart"]
    rows = matched(electrons, particles, _stable(particles, 11, 22))
    flavour = _of_leptons(particles, rows)
    flavour[_has(particles, rows, StatusFlag.isPrompt) & (_code(particles, rows) == 22)] = 22
    best = matched(electrons, *_dressed(particles))
    is_photon = _code(particles, best) == 22
    tau = _has(particles, best, StatusFlag.isPromptTauDecayProduct)
    flavour = np.where(best >= 0, np.select([is_photon, tau], [22, 15], 1), flavour)
    first = _first_copies((*particles.directions, particles["pt"]), _code(particles) == 11, best)
    return {"genPartIdx": np.where((best >= 0) & ~is_photon, first, rows), "genPartFlav": flavour}


def _dressed(particles: Collection) -> tuple[Collection, Mask]:
    """Particles with pT of electrons that includes photons around them, and which of them are prompt."""
    prompt, tau = (
        _has(particles, slice(-1), flag) for flag in (StatusFlag.isPrompt, StatusFlag.isPromptTauDecayProduct)
    )
    lepton = _stable(particles, 11, 13) & (prompt | tau)
    photon = _stable(particles, 22) & prompt
    leptons, photons = particles.select(lepton), particles.select(photon)
    owner, _ = closest(photons.directions, leptons.directions, 1, _DRESSING)
    near, pt = owner >= 0, particles["pt"].copy()
    np.add.at(pt, np.flatnonzero(lepton)[owner[near]], photons["pt"][near])
    chosen = lepton & (_code(particles) == 11)
    chosen[np.flatnonzero(photon)[~near]] = True
    return particles.with_columns({"pt": pt}), chosen & (pt > _LEAST_DRESSED)


@numba.njit(cache=True)
def _first_copies(particles, electron, rows):
    """First electron of the event that has the momentum of another one."""
    offsets, eta, phi, pt = particles
    first = rows.copy()
    for k in range(len(rows)):
        row = rows[k]
        if row < 0:
            continue
        event = np.searchsorted(offsets, row, "right") - 1
        for j in range(offsets[event], row):
            near = np.hypot(eta[j] - eta[row], _delta_phi(phi[j], phi[row])) < _SAME_CONE
            if electron[j] and near and abs(pt[j] - pt[row]) < _SAME_PT * pt[row]:
                first[k] = j
                break
    return first


def _taus(taus: Collection, gen: Mapping[str, Collection]) -> Columns:
    particles, visible = gen["GenPart"], gen["GenVisTau"]
    # Unlike the others, taus take copies of any status.
    rows = matched(taus, particles, np.isin(_code(particles), (11, 13)))
    hadronic = matched(taus, visible, rel_pt=_TAU_REL_PT)
    prompt = np.append(particles["statusFlags"], 0)[rows] & int(StatusFlag.isPrompt) > 0
    decay = _has(particles, rows, StatusFlag.isDirectPromptTauDecayProduct)
    is_electron, is_muon = (_code(particles, rows) == code for code in (11, 13))
    flavour = np.select(
        [prompt & is_electron, prompt & is_muon, decay & is_electron, decay & is_muon, hadronic >= 0],
        [1, 2, 3, 4, 5],
        0,
    )
    # One column holds indices of two collections, so these are indices already.
    event = taus.event_rows
    index = np.where(rows >= 0, rows - particles.offsets[event], hadronic - visible.offsets[event])
    return {"genPartIdx": np.where((rows >= 0) | (hadronic >= 0), index, -1), "genPartFlav": flavour}


def _jets(name: str, jets: Collection, gen: Mapping[str, Collection]) -> Columns:
    partner, field, radius = _JETS[name]
    rows = matched(jets, gen[partner], cone=radius, rel_pt=_JET_REL_PT, in_order=True)
    columns = {field: rows} | _hadrons(jets, gen["GenPart"], radius)
    if name == "Jet":
        columns["partonFlavour"] = np.append(gen[partner]["partonFlavour"], 0)[rows]
        if "_hard" in jets.columns:
            # CMS takes the last partons however soft they are: nearly all of the many are gluons.
            columns["partonFlavour"][(rows < 0) & jets["_hard"]] = _GLUON
    return columns


def _hadrons(jets: Collection, particles: Collection, radius: float) -> Columns:
    """Flavour and numbers of B and C hadrons, each of which belongs to the nearest jet within the radius."""
    counts = []
    for quark in (5, 4):
        hadrons = particles.select(_last_hadrons(particles, quark))
        owner, _ = closest(hadrons.directions, jets.directions, 1, radius)
        counts.append(np.bincount(owner[owner >= 0], minlength=len(jets)))
    flavour = np.select([counts[0] > 0, counts[1] > 0], [5, 4], 0)
    return {"hadronFlavour": flavour, "nBHadrons": counts[0], "nCHadrons": counts[1]}


def _last_hadrons(particles: Collection, quark: int) -> Mask:
    """Hadrons with a heavy quark of a kind that have no daughter with one."""
    code, mother = _code(particles), _mothers(particles)
    meson = (code // 100 % 10 == quark) & (code // 1000 % 10 == 0)
    holds = (meson | (code // 1000 % 10 == quark)) & (code > 100) & (code < 1_000_000_000)
    last = np.append(holds, False)
    last[mother[holds]] = False
    return last[:-1]
