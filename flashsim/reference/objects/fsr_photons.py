"""Photons that leptons radiate: candidates of particle flow near them (CMSSW, CommonTools/RecoUtils, FSR)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from flashsim.declarations.recipes import Recipe
from flashsim.events.collection import Collection
from flashsim.events.neighbours import closest
from flashsim.reference.objects.isolation import ring_sum

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
    muon, far = _nearest(recorded, rows, muons, recipe)
    electron, farther = np.full(len(rows), -1), np.full(len(rows), math.inf)
    if electrons is not None:
        electron, farther = _nearest(recorded, rows, electrons, recipe)
    distance, is_muon = np.minimum(far, farther), far <= farther
    stretched = distance / candidates["pt"][rows] ** 2
    near = stretched < recipe.stretched
    rows, stretched, is_muon = rows[near], stretched[near], is_muon[near]
    counts = (code == 211) & (candidates["pt"] > 0.2)
    counts |= ((code == 22) | (code == 130)) & (candidates["pt"] > 0.5)
    place = {name: candidates[name] for name in ("pt", "eta", "phi")}
    around = Collection(candidates.offsets, place).select(counts)
    columns = {name: column[rows] for name, column in place.items()}
    photons = Collection.of_event_rows(candidates.event_rows[rows], columns, candidates.events)
    isolation = ring_sum(photons.directions, around, around["pt"], (1e-4, 0.3)) / photons["pt"]
    keep = isolation < recipe.isolation
    columns = photons.columns | {
        "relIso03": isolation,
        "dROverEt2": stretched,
        "_muon": np.where(is_muon, muon[near], -1),
        "_electron": np.where(is_muon, -1, electron[near]),
        "_candidate": rows,
    }
    return Collection(photons.offsets, columns).select(keep)


def _nearest(
    recorded: Recorded, rows: NDArray[np.int64], leptons: Collection, recipe: FsrRecipe
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Nearest lepton of each photon and its distance, infinite if there is none in reach."""
    candidates = recorded.candidates
    place = {name: candidates[name][rows] for name in ("eta", "phi")}
    photons = Collection.of_event_rows(candidates.event_rows[rows], place, candidates.events)
    hard = np.flatnonzero(leptons["pt"] > recipe.lepton_pt)
    least, most = recipe.distance
    chosen = leptons.select(leptons["pt"] > recipe.lepton_pt)
    found, distance = closest(photons.directions, chosen.directions, 1, most)
    near = (found >= 0) & (distance > least)
    if len(hard) == 0:
        return found, np.full(len(rows), math.inf)
    return np.where(near, hard[found], -1), np.where(near, distance, math.inf)
