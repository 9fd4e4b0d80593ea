"""All objects of recorded events, linked to each other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.nanoaod.assembly import ordered
from flashsim.reference.objects.electrons import electrons
from flashsim.reference.objects.fat_jets import fat_jets
from flashsim.reference.objects.fsr_photons import fsr_photons
from flashsim.reference.objects.jets import Kind, soft_jets, weights
from flashsim.reference.objects.jets import jets as ak4_jets
from flashsim.reference.objects.met import met
from flashsim.reference.objects.muons import multi_isolation, muons
from flashsim.reference.objects.photons import photons
from flashsim.reference.objects.secondary_vertices import secondary_vertices
from flashsim.reference.objects.soft_activity import soft_activity
from flashsim.reference.objects.taus import newer_taus, taus
from flashsim.reference.output.event_values import densities, flags, other_vertices, primary_vertex
from flashsim.reference.output.links import (
    clean_marks,
    lepton_jets,
    link_clusters,
    link_jets,
    link_radiated,
    link_taus,
    link_vertices,
)
from flashsim.reference.taggers.constituents import jet_features, with_members
from flashsim.reference.taggers.scores import object_features

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.events.collection import Collection
    from flashsim.reference.flow.recorded import Recorded
    from flashsim.reference.objects.clustering import Clustered
    from flashsim.reference.recipe import DetectorRecipe
    from flashsim.reference.taggers.scores import Taggers

__all__ = ["objects"]

_KINDS: tuple[Kind, Kind] = ("CHS", "Puppi")


def objects(
    recorded: Recorded, recipe: DetectorRecipe, taggers: Taggers
) -> tuple[dict[str, Collection], dict[str, NDArray[Any]]]:
    """Build all objects of recorded events.

    Returns
    -------
    Collections by name in the order of the file, linked to each other, and branches of one value per event.
    """
    version = recipe.generation.nanoaod
    found = _leptons(recorded, recipe)
    chs, puppi = (ak4_jets(recorded, recipe.jets, kind) for kind in _KINDS)
    jets = _of_hard_event(chs if version == "v9" else puppi, recorded)
    fat = fat_jets(recorded, recipe.fat_jets, recipe.jets, found)
    vertices = secondary_vertices(recorded, recipe.secondary_vertices)
    stored = vertices.objects.select(vertices.objects["_stored"])
    subjets = with_members(fat.subjets, fat.jets, recorded.candidates)
    scored = {
        name: taggers.scored(name, some.objects, _features(recorded, some, kind, stored, radius))
        for name, some, kind, radius in (
            ("Jet", jets, _KINDS[version != "v9"], recipe.jets.radius),
            ("FatJet", fat.jets, "Puppi", recipe.fat_jets.radius),
            ("SubJet", subjets, "Puppi", recipe.jets.radius),
        )
    }
    jets = replace(jets, objects=scored.pop("Jet"))
    for name in ("Muon", "Electron"):
        found[name] = _beside(found[name], jets, recorded)
    found["Muon"].columns["multiIsoId"] = multi_isolation(found["Muon"])
    kept = jets.select(jets.objects["pt"] >= recipe.jets.pt)
    if version == "v9":
        tau = taus(recorded, chs, recipe.taus)
    else:
        tau = newer_taus(recorded, chs, kept.objects, recipe.taus, recipe.secondary_vertices)
    found |= scored | {
        "Jet": kept.objects,
        "CorrT1METJet": soft_jets(jets.objects, recipe.jets.pt),
        "SV": stored,
        "Tau": tau.objects,
        "OtherPV": other_vertices(recorded),
    }
    found["SoftActivityJet"], values = soft_activity(recorded, recipe.soft_activity)
    leptons = [found[name] for name in ("Muon", "Electron", "Photon")]
    missing = met(recorded, chs, puppi, leptons, recipe.met)
    # Where CMS has PFMET there is no MET, not even of gen particles: half a collection confuses readers.
    values |= {k: v for k, v in missing.items() if version == "v9" or not k.startswith("MET_")}
    values |= densities(recorded)
    values |= primary_vertex(recorded, recipe.recording.pileup) | flags(version, len(recorded.keys))
    for name in ("Muon", "Electron", "Photon", "Tau"):
        found[name] = taggers.scored(name, found[name], object_features(recorded, found[name]))
    number = len(recorded.candidates)
    link_jets(found, kept, number)
    link_taus(found, tau, number)
    link_vertices(found, vertices, {"Jet": kept, "Tau": tau}, number)
    clean_marks(found)
    return found, values


def _leptons(recorded: Recorded, recipe: DetectorRecipe) -> dict[str, Collection]:
    """Muons, electrons, photons and those that leptons radiate, linked to each other, by falling pT."""
    showers = recipe.showers.showers(recorded)
    found = {
        "Muon": muons(recorded, recipe.muons),
        "Electron": electrons(recorded, showers, recipe.electrons),
        "Photon": photons(recorded, showers, recipe.photons),
    }
    found = {name: ordered(objects) for name, objects in found.items()}
    radiating = None if recipe.generation.nanoaod == "v9" else found["Electron"]
    found["FsrPhoton"] = ordered(fsr_photons(recorded, found["Muon"], radiating, recipe.fsr_photons))
    link_clusters(found)
    link_radiated(found)
    return found


def _features(
    recorded: Recorded, jets: Clustered, kind: Kind, vertices: Collection, radius: float
) -> dict[str, NDArray[Any]]:
    """Features of jets of a kind for taggers: their columns, and what their members tell."""
    weight = weights(recorded.candidates, kind)
    of_members = jet_features(recorded, jets, weight, vertices, radius=radius)
    return object_features(recorded, jets.objects) | of_members


def _beside(leptons: Collection, jets: Clustered, recorded: Recorded) -> Collection:
    """Leptons with their relations to the jets that they are in, too soft ones among these."""
    isolation = leptons["pfRelIso04_all" if "pfRelIso04_all" in leptons.columns else "pfRelIso03_all"]
    return leptons.with_columns(lepton_jets(leptons, jets, recorded.candidates, recorded.tracks, isolation))


def _of_hard_event(jets: Clustered, recorded: Recorded) -> Clustered:
    """Jets with the mark ``_hard`` of those that a particle of the hard event is in."""
    particle = recorded.candidates["particle"][jets.members]
    interaction = np.append(recorded.particles["interaction"], -1)
    hard = jets.total(interaction[particle] == 0) > 0
    return replace(jets, objects=jets.objects.with_columns({"_hard": hard}))
