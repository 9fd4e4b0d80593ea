"""Muons and jets of events, reconstructed or generated, in one form that the selection takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
import vector

from flashsim.analysis.concepts import KINEMATICS
from flashsim.analysis.selection import DropStep, FsrStep, any_box, within
from flashsim.declarations.gen_collections import StatusFlag

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flashsim.analysis.concepts import ResolvedSelection

__all__ = ["MUON_MASS", "gen_jets", "gen_muons", "reco_jets", "reco_muons", "separated"]

MUON_MASS = 0.1056583755
"""In GeV (Particle Data Group 2024); NanoAOD does not store the masses of generated muons."""


def reco_muons(events: Any, selection: ResolvedSelection) -> ak.Array:
    """Give the selected muons, sorted by falling pT.

    Fields besides those of the branches: ``relErr``, the relative uncertainty of pT. With a step of
    final-state radiation, momenta and isolation are those with the photon, while pT and eta are cut on
    without it.
    """
    muons = _records(events["Muon"], selection.muon_fields)
    iso = muons["pfRelIso04_all"]
    raw = muons
    for step in selection.steps.values():
        if isinstance(step, FsrStep):
            muons, iso = _radiated(events, muons, step)
    keep = within(selection.recipe.muons.where, lambda name: iso if name == "pfRelIso04_all" else raw[name])
    muons["pfRelIso04_all"], muons["relErr"] = iso, raw["ptErr"] / raw["pt"]
    return _sorted(muons[keep])


def gen_muons(events: Any, selection: ResolvedSelection) -> ak.Array:
    """Give the selected last copies of prompt muons of the generator, sorted by falling pT.

    Only the criteria of pT and eta apply; isolation, uncertainty and score are those of no detector: NaN.
    """
    declared = selection.recipe.muons
    particles = _records(events["GenPart"], {"pt", "eta", "phi", "pdgId", "statusFlags"})
    flags = particles["statusFlags"]
    mask = _bits(declared.gen_flags)
    keep = (abs(particles["pdgId"]) == 13) & ((flags & mask) == mask)
    if declared.gen_any_flags:
        keep = keep & ((flags & _bits(declared.gen_any_flags)) != 0)
    muons = particles[keep]
    muons = muons[within(_kinematic(declared.where), lambda name: muons[name])]
    muons["charge"] = -np.sign(muons["pdgId"])
    muons["mass"] = ak.full_like(muons["pt"], MUON_MASS)
    for name in ("pfRelIso04_all", "relErr"):
        muons[name] = ak.full_like(muons["pt"], np.nan)
    return _sorted(muons)


def reco_jets(events: Any, selection: ResolvedSelection) -> ak.Array:
    """Give the jets that fulfil all but the distance to muons, sorted by falling pT.

    The field ``score`` tells quarks from gluons; it is 0 where the user goes without it.
    """
    jets = _records(events["Jet"], selection.jet_fields)

    def field(name: str) -> ak.Array:
        return jets[name]

    keep = within(selection.recipe.jets.where, field)
    for concept in selection.recipe.jets.require:
        source = selection.sources[concept]
        if source is not None:
            keep = keep & any_box(source.any_of, field)
    for step in selection.steps.values():
        if isinstance(step, DropStep):
            keep = keep & ~any_box(step.where, field)
    jets["score"] = jets[selection.score] if selection.score else ak.zeros_like(jets["pt"])
    return _sorted(jets[keep])


def gen_jets(events: Any, selection: ResolvedSelection) -> ak.Array:
    """Give the generator's jets that fulfil the criteria of pT and eta, sorted by falling pT."""
    jets = _records(events["GenJet"], {*KINEMATICS})
    jets["score"] = ak.full_like(jets["pt"], np.nan)
    return _sorted(jets[within(_kinematic(selection.recipe.jets.where), lambda name: jets[name])])


def separated(jets: ak.Array, muons: ak.Array, distance: float) -> ak.Array:
    """Keep the jets that are farther than a distance in eta and phi from all muons of their event."""
    keep = ak.ones_like(jets["pt"], dtype=bool)
    for rank in range(int(ak.max(ak.num(muons), initial=0, mask_identity=False))):
        muon = ak.pad_none(muons, rank + 1, axis=1)[:, rank]
        eta, phi = ak.fill_none(muon["eta"], np.inf), ak.fill_none(muon["phi"], 0.0)
        turn = np.abs(jets["phi"] - phi)
        turn = np.minimum(turn, 2.0 * np.pi - turn)
        keep = keep & ((jets["eta"] - eta) ** 2 + turn**2 > distance**2)
    return jets[keep]


def _records(collection: Any, fields: Iterable[str]) -> ak.Array:
    """Take some fields of a collection, so that nothing else is read or carried along."""
    return ak.zip({name: collection[name] for name in sorted(fields)})


def _sorted(objects: ak.Array) -> ak.Array:
    return objects[ak.argsort(objects["pt"], axis=1, ascending=False)]


def _bits(flags: Iterable[str]) -> int:
    return sum(int(StatusFlag[flag]) for flag in flags)


def _kinematic(box: dict[str, Any]) -> dict[str, Any]:
    return {name: criterion for name, criterion in box.items() if name in {"pt", "eta"}}


def _radiated(events: Any, muons: ak.Array, step: FsrStep) -> tuple[ak.Array, ak.Array]:
    """Muons with their photon added, and their isolation without it (CMS HIG-19-006, section 5)."""
    photons = _records(events["FsrPhoton"], {"pt", "eta", "phi", *step.photon})
    index = muons["fsrPhotonIdx"]
    there = (index >= 0) & (index < ak.num(photons))
    photon = photons[ak.mask(index, there)]
    used = within(step.photon, lambda name: photon[name]) & (photon["pt"] / muons["pt"] < step.max_share)
    used = ak.fill_none(used, value=False)
    added = {name: ak.where(used, ak.fill_none(photon[name], 0.0), 0.0) for name in ("pt", "eta", "phi")}
    muon_p4 = vector.zip({name: muons[name] for name in KINEMATICS})
    photon_p4 = vector.zip({**added, "mass": ak.zeros_like(muons["pt"])})
    total = muon_p4 + photon_p4
    iso = (muons["pfRelIso04_all"] * muons["pt"] - added["pt"]) / total.pt
    iso = ak.where(used, iso, muons["pfRelIso04_all"])
    changed = ak.zip({name: muons[name] for name in ak.fields(muons)})
    for name in KINEMATICS:
        changed[name] = ak.where(used, getattr(total, name), muons[name])
    return changed, iso
