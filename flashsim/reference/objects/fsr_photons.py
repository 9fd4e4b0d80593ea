"""Photons that leptons radiate: candidates of particle flow near them (CMSSW, CommonTools/RecoUtils, FSR)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from flashsim.declarations.recipes import Recipe
from flashsim.events.collection import Collection
from flashsim.events.neighbours import closest
from flashsim.reference.objects.isolation import ring_sum

if TYPE_CHECKING:
    from flashsim.reference.flow.recorded import Recorded

__all__ = ["FsrRecipe", "fsr_photons"]


class FsrRecipe(Recipe):
    """Which photons near which leptons count as radiated."""

    least_pt: float = Field(gt=0, description="of photons, in GeV")
    most_eta: float = Field(gt=0, description="largest |eta| of photons")
    lepton_pt: float = Field(gt=0, description="least pT of leptons, in GeV")
    distance: tuple[float, float] = Field(description="least and largest distance to the lepton")
    isolation: float = Field(gt=0, description="largest relative isolation in a cone of 0.3")
    stretched: float = Field(gt=0, description="largest distance over the square of the photon's pT")


def fsr_photons(
    recorded: Recorded, muons: Collection, electrons: Collection | None, recipe: FsrRecipe
) -> Collection:
    """Find the photons that leptons radiated: pt, eta, phi, relIso03, dROverEt2, `_muon`, `_electron`.

    The last two are rows of the nearest lepton, -1 if it is of the other kind.

    Parameters
    ----------
    recorded, muons
        The events and their muons.
    electrons
        Those that count, too (from NanoAOD v12 on), or none.
    recipe
        Parameters.
    """
    candidates = recorded.candidates
    code = np.abs(candidates["pdgId"])
    photon = (code == 22) & (candidates["pt"] > recipe.least_pt)
    rows = np.flatnonzero(photon & (np.abs(candidates["eta"]) < recipe.most_eta))
    place = {name: candidates[name] for name in ("pt", "eta", "phi")}
    columns = {name: column[rows] for name, column in place.items()} | {"_candidate": rows}
    photons = Collection.of_event_rows(candidates.event_rows[rows], columns, candidates.events)
    leptons = Collection.merged(
        [
            _radiating(kind, number, recipe)
            for number, kind in enumerate((muons, electrons))
            if kind is not None
        ]
    )
    lepton, distance = closest(photons.directions, leptons.directions, 1, recipe.distance[1])
    photons.columns["dROverEt2"] = distance / photons["pt"] ** 2
    for number, name in enumerate(("_muon", "_electron")):
        own = np.append(np.where(leptons["kind"] == number, leptons["row"], -1), -1)
        photons.columns[name] = own[lepton]
    photons = photons.select(
        (lepton >= 0) & (distance > recipe.distance[0]) & (photons["dROverEt2"] < recipe.stretched)
    )
    counts = (code == 211) & (candidates["pt"] > 0.2)
    counts |= ((code == 22) | (code == 130)) & (candidates["pt"] > 0.5)
    around = Collection(candidates.offsets, place).select(counts)
    isolation = ring_sum(photons.directions, around, around["pt"], (1e-4, 0.3)) / photons["pt"]
    photons.columns["relIso03"] = isolation
    return photons.select(isolation < recipe.isolation)


def _radiating(leptons: Collection, kind: int, recipe: FsrRecipe) -> Collection:
    """Place, row and kind of the leptons that are hard enough."""
    columns = {"eta": leptons["eta"], "phi": leptons["phi"], "row": np.arange(len(leptons))}
    columns["kind"] = np.full(len(leptons), kind)
    return Collection(leptons.offsets, columns).select(leptons["pt"] > recipe.lepton_pt)
