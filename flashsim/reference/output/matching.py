"""What NanoAOD derives from the generator: which gen particle or jet an object belongs to, and flavours.

The rules are those of CMSSW: ``CommonTools/UtilAlgos`` (``PhysObjectMatcher``), ``PhysicsTools/NanoAOD``
(``CandMCMatchTableProducer``, the ``_cff`` of each object) and ``PhysicsTools/JetMCAlgos``. Rows are those of
the chunk; collections that are matched are in the order of the file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba
import numpy as np

from flashsim.declarations.gen_collections import StatusFlag
from flashsim.events.angles import delta_phi
from flashsim.events.collection import Collection

if TYPE_CHECKING:
    from collections.abc import Mapping

    import awkward as ak
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]
    Mask = NDArray[np.bool_]

__all__ = ["gen_collections", "match_objects", "matched_in_order", "matched_nearest"]

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
_JETS = {"Jet": 0.4, "FatJet": 0.8, "SubJet": 0.8}

_delta_phi = numba.njit(cache=True)(delta_phi)


def gen_collections(gen: Mapping[str, ak.Array]) -> dict[str, Collection]:
    """Give gen collections with what matching needs; those without branches have no objects."""
    events = len(gen["GenPart_pt"])
    found = {}
    for name, fields in _FIELDS.items():
        if f"{name}_pt" in gen:
            found[name] = Collection.of_branches(gen, name, fields)
        else:
            found[name] = Collection.of_counts(np.zeros(events, np.int64), {f: np.zeros(0) for f in fields})
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
    rules = {
        "Muon": _muons,
        "Electron": _electrons,
        "Photon": _photons,
        "Tau": _taus,
        "Jet": _jets,
        "FatJet": _fat_jets,
        "SubJet": _subjets,
    }
    return {
        name: Collection(c.offsets, c.columns | rules[name](c, gen)) if name in rules else c
        for name, c in collections.items()
    }


def matched_nearest(
    objects: Collection, others: Collection, allowed: Mask, *, cone: float, rel_pt: float
) -> Integers:
    """Row of the other object that each one belongs to, or -1, shape (N,): the nearest pairs come first.

    Parameters
    ----------
    objects, others
        With pt, eta and phi; N and M of them.
    allowed
        Which others may be matched, shape (M,).
    cone
        Largest distance.
    rel_pt
        Largest difference in pT, relative to that of the other object.
    """
    rows = np.full(len(objects), -1, dtype=np.int64)
    _match(_places(objects), _places(others), allowed, cone, rel_pt, False, rows)
    return rows


def matched_in_order(objects: Collection, others: Collection, *, cone: float) -> Integers:
    """Row of the other object, or -1, shape (N,): the first object takes its nearest, then the second.

    `objects`, `others` and `cone` as for `matched_nearest`; pT may differ by a factor of four.
    """
    rows = np.full(len(objects), -1, dtype=np.int64)
    every = np.ones(len(others), dtype=np.bool_)
    _match(_places(objects), _places(others), every, cone, _JET_REL_PT, True, rows)
    return rows


def _places(objects: Collection) -> tuple[Any, ...]:
    return objects.offsets, *(objects[name].astype(np.float64) for name in ("pt", "eta", "phi"))


def _directions(objects: Collection) -> tuple[Any, ...]:
    return objects.offsets, objects["eta"].astype(np.float64), objects["phi"].astype(np.float64)


@numba.njit(cache=True)
def _match(objects, others, allowed, cone, rel_pt, in_order, rows):
    offsets, pt, eta, phi = objects
    offsets2, pt2, eta2, phi2 = others
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


def _has(particles: Collection, *flags: StatusFlag) -> Mask:
    bits = sum(int(flag) for flag in flags)
    return (particles["status"] == 1) & (particles["statusFlags"].astype(np.int64) & bits > 0)


def _of(values: NDArray[Any], rows: Integers) -> NDArray[Any]:
    """Values at rows; zero or false where the row is -1."""
    padded = np.append(values, np.zeros(1, values.dtype))
    return np.where(rows >= 0, padded[rows], padded[-1])


def _stable(particles: Collection, *ids: int) -> Mask:
    return np.isin(np.abs(particles["pdgId"]), ids) & (particles["status"] == 1)


def _of_leptons(particles: Collection, rows: Integers) -> NDArray[np.uint8]:
    """``genPartFlav`` of a lepton: 1 prompt, 15 from a prompt tau, 5 from b, 4 from c, 3 from others."""
    mother = particles["genPartIdxMother"].astype(np.int64)
    start = particles.offsets[particles.event_rows]
    heavy = np.full(len(rows), 3, dtype=np.int64)
    _heaviest(
        np.where(mother >= 0, mother + start, -1),
        particles["pdgId"].astype(np.int64),
        particles["status"].astype(np.int64),
        rows,
        heavy,
    )
    prompt = _of(_has(particles, StatusFlag.isPrompt), rows)
    tau = _of(_has(particles, StatusFlag.isDirectPromptTauDecayProduct), rows)
    return np.select([rows < 0, prompt, tau], [0, 1, 15], heavy).astype(np.uint8)


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


def _muons(muons: Collection, gen: Mapping[str, Collection]) -> dict[str, NDArray[Any]]:
    particles = gen["GenPart"]
    rows = matched_nearest(muons, particles, _stable(particles, 13), cone=_CONE, rel_pt=_REL_PT)
    return {"genPartIdx": rows, "genPartFlav": _of_leptons(particles, rows)}


def _photons(photons: Collection, gen: Mapping[str, Collection]) -> dict[str, NDArray[Any]]:
    particles = gen["GenPart"]
    rows = matched_nearest(photons, particles, _stable(particles, 11, 22), cone=_CONE, rel_pt=_REL_PT)
    code = _of(np.abs(particles["pdgId"]), rows)
    prompt = _of(_has(particles, StatusFlag.isPrompt), rows)
    tau = _of(_has(particles, StatusFlag.isDirectPromptTauDecayProduct), rows)
    flavour = np.select([(code == 22) & prompt, (code == 11) & (prompt | tau)], [1, 11], 0)
    return {"genPartIdx": rows, "genPartFlav": flavour.astype(np.uint8)}


def _electrons(electrons: Collection, gen: Mapping[str, Collection]) -> dict[str, NDArray[Any]]:
    """Electrons belong to prompt dressed ones and prompt photons first, then to any stable one."""
    particles = gen["GenPart"]
    rows = matched_nearest(electrons, particles, _stable(particles, 11, 22), cone=_CONE, rel_pt=_REL_PT)
    flavour = _of_leptons(particles, rows)
    prompt = _of(_has(particles, StatusFlag.isPrompt), rows)
    flavour[prompt & (_of(particles["pdgId"], rows) == 22)] = 22
    dressed, chosen = _dressed(particles)
    best = matched_nearest(electrons, dressed, chosen, cone=_CONE, rel_pt=_REL_PT)
    is_photon = _of(particles["pdgId"], best) == 22
    tau = _of(_has(particles, StatusFlag.isPromptTauDecayProduct), best)
    flavour = np.where(best >= 0, np.select([is_photon, tau], [22, 15], 1), flavour).astype(np.uint8)
    first = _first_copies(_places(particles), np.abs(particles["pdgId"]) == 11, best)
    return {"genPartIdx": np.where((best >= 0) & ~is_photon, first, rows), "genPartFlav": flavour}


def _dressed(particles: Collection) -> tuple[Collection, Mask]:
    """Particles with pT of electrons that includes photons around them, and which of them are prompt."""
    lepton = _stable(particles, 11, 13) & _has(
        particles, StatusFlag.isPrompt, StatusFlag.isPromptTauDecayProduct
    )
    photon = _stable(particles, 22) & _has(particles, StatusFlag.isPrompt)
    pt = particles["pt"].astype(np.float64)
    owner = np.full(len(particles), -1, dtype=np.int64)
    _nearest(_directions(particles), _directions(particles), lepton, _DRESSING, owner)
    owner[~photon] = -1
    pt += np.bincount(owner[owner >= 0], pt[owner >= 0], minlength=len(pt))
    chosen = (lepton & (np.abs(particles["pdgId"]) == 11)) | (photon & (owner < 0))
    return Collection(particles.offsets, particles.columns | {"pt": pt}), chosen & (pt > _LEAST_DRESSED)


@numba.njit(cache=True)
def _first_copies(particles, electron, rows):
    """First electron of the event that has the momentum of another one."""
    offsets, pt, eta, phi = particles
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


def _taus(taus: Collection, gen: Mapping[str, Collection]) -> dict[str, NDArray[Any]]:
    particles, visible = gen["GenPart"], gen["GenVisTau"]
    # Unlike the others, taus take copies of any status.
    lepton = np.isin(np.abs(particles["pdgId"]), (11, 13))
    rows = matched_nearest(taus, particles, lepton, cone=_CONE, rel_pt=_REL_PT)
    every = np.ones(len(visible), dtype=np.bool_)
    hadronic = matched_nearest(taus, visible, every, cone=_CONE, rel_pt=_TAU_REL_PT)
    code = _of(np.abs(particles["pdgId"]), rows)
    flags = _of(particles["statusFlags"].astype(np.int64), rows)
    prompt = flags & int(StatusFlag.isPrompt) > 0
    decay = _of(_has(particles, StatusFlag.isDirectPromptTauDecayProduct), rows)
    is_electron, is_muon = code == 11, code == 13
    flavour = np.select(
        [prompt & is_electron, prompt & is_muon, decay & is_electron, decay & is_muon, hadronic >= 0],
        [1, 2, 3, 4, 5],
        0,
    )
    # One column holds indices of two collections, so these are indices already.
    index = np.where(
        rows >= 0,
        rows - particles.offsets[taus.event_rows],
        np.where(hadronic >= 0, hadronic - visible.offsets[taus.event_rows], -1),
    )
    return {"genPartIdx": index, "genPartFlav": flavour.astype(np.uint8)}


def _jets(jets: Collection, gen: Mapping[str, Collection]) -> dict[str, NDArray[Any]]:
    rows = matched_in_order(jets, gen["GenJet"], cone=_JETS["Jet"])
    parton = _of(gen["GenJet"]["partonFlavour"], rows).astype(np.int64)
    if "_hard" in jets.columns:
        # CMS takes the last partons however soft they are: nearly all of the many are gluons.
        parton[(rows < 0) & jets["_hard"]] = _GLUON
    return {"genJetIdx": rows, "partonFlavour": parton} | _hadrons(jets, gen["GenPart"], _JETS["Jet"])


def _fat_jets(jets: Collection, gen: Mapping[str, Collection]) -> dict[str, NDArray[Any]]:
    rows = matched_in_order(jets, gen["GenJetAK8"], cone=_JETS["FatJet"])
    return {"genJetAK8Idx": rows} | _hadrons(jets, gen["GenPart"], _JETS["FatJet"])


def _subjets(jets: Collection, gen: Mapping[str, Collection]) -> dict[str, NDArray[Any]]:
    rows = matched_in_order(jets, gen["SubGenJetAK8"], cone=_JETS["SubJet"])
    return {"subGenJetAK8Idx": rows} | _hadrons(jets, gen["GenPart"], _JETS["SubJet"])


def _hadrons(jets: Collection, particles: Collection, radius: float) -> dict[str, NDArray[Any]]:
    """Flavour and numbers of B and C hadrons, each of which belongs to the nearest jet within the radius."""
    counts = {}
    for quark in (5, 4):
        hadron = _last_hadrons(particles, quark)
        owner = np.full(len(particles), -1, dtype=np.int64)
        every = np.ones(len(jets), dtype=np.bool_)
        _nearest(_directions(particles), _directions(jets), every, radius, owner)
        counts[quark] = np.bincount(owner[hadron & (owner >= 0)], minlength=len(jets))
    flavour = np.select([counts[5] > 0, counts[4] > 0], [5, 4], 0)
    return {"hadronFlavour": flavour, "nBHadrons": counts[5], "nCHadrons": counts[4]}


def _last_hadrons(particles: Collection, quark: int) -> Mask:
    """Hadrons with a heavy quark of a kind that have no daughter with one."""
    code = np.abs(particles["pdgId"].astype(np.int64))
    holds = ((code // 100 % 10 == quark) & (code // 1000 % 10 == 0) | (code // 1000 % 10 == quark)) & (
        code > 100
    )
    holds &= code < 1_000_000_000
    mother = particles["genPartIdxMother"].astype(np.int64)
    rows = (mother + particles.offsets[particles.event_rows])[holds & (mother >= 0)]
    last = holds.copy()
    last[rows] = False
    return last


@numba.njit(cache=True)
def _nearest(objects, others, allowed, radius, owner):
    """Row of the nearest of the others that are allowed within a radius, or -1."""
    (offsets, eta, phi), (offsets2, eta2, phi2) = objects, others
    for event in range(len(offsets) - 1):
        for i in range(offsets[event], offsets[event + 1]):
            best = radius
            for j in range(offsets2[event], offsets2[event + 1]):
                if allowed[j] and abs(eta[i] - eta2[j]) < best:
                    distance = np.hypot(eta[i] - eta2[j], _delta_phi(phi[i], phi2[j]))
                    if distance < best:
                        best, owner[i] = distance, j
