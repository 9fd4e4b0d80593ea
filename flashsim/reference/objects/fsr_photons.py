"""Photons that leptons radiate: candidates of particle flow near them (CMSSW, CommonTools/RecoUtils, FSR)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numba
import numpy as np
from pydantic import Field

from flashsim.declarations.recipes import Recipe
from flashsim.events.collection import Collection

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
    photon = (candidates["pdgId"] == 22) & (candidates["pt"] > recipe.least_pt)
    rows = np.flatnonzero(photon & (np.abs(candidates["eta"]) < recipe.most_eta))
    muon, far = _nearest(recorded, rows, muons, recipe)
    electron, farther = np.full(len(rows), -1), np.full(len(rows), math.inf)
    if electrons is not None:
        electron, farther = _nearest(recorded, rows, electrons, recipe)
    distance, is_muon = np.minimum(far, farther), far <= farther
    stretched = distance / candidates["pt"][rows] ** 2
    near = stretched < recipe.stretched
    rows, stretched, is_muon = rows[near], stretched[near], is_muon[near]
    code = np.abs(candidates["pdgId"])
    counts = (code == 211) & (candidates["pt"] > 0.2)
    counts |= ((code == 22) | (code == 130)) & (candidates["pt"] > 0.5)
    columns = (*(candidates[name] for name in ("pt", "eta", "phi")), counts)
    isolation = _isolation(candidates.offsets, rows, candidates.event_rows[rows], columns)
    keep = isolation < recipe.isolation
    found = {name: candidates[name][rows] for name in ("pt", "eta", "phi")} | {
        "relIso03": isolation,
        "dROverEt2": stretched,
        "_muon": np.where(is_muon, muon[near], -1),
        "_electron": np.where(is_muon, -1, electron[near]),
        "_candidate": rows,
    }
    kept = {name: column[keep] for name, column in found.items()}
    return Collection.of_event_rows(candidates.event_rows[rows][keep], kept, candidates.events)


def _nearest(recorded: Recorded, rows, leptons: Collection, recipe: FsrRecipe):
    """Nearest lepton of each photon and its distance, infinite if there is none in reach."""
    candidates = recorded.candidates
    eta, phi = candidates["eta"][rows], candidates["phi"][rows]
    columns = (leptons["pt"], leptons["eta"], leptons["phi"])
    least, most = recipe.distance
    return _near(
        eta, phi, candidates.event_rows[rows], leptons.offsets, columns, recipe.lepton_pt, least, most
    )


@numba.njit(cache=True)
def _near(eta, phi, events, offsets, leptons, least_pt, least, most):
    lepton_pt, lepton_eta, lepton_phi = leptons
    best, far = np.full(len(eta), -1), np.full(len(eta), np.inf)
    for i in range(len(eta)):
        for j in range(offsets[events[i]], offsets[events[i] + 1]):
            turn = abs(lepton_phi[j] - phi[i])
            distance = math.hypot(lepton_eta[j] - eta[i], min(turn, 2.0 * math.pi - turn))
            if lepton_pt[j] > least_pt and least < distance < min(most, far[i]):
                best[i], far[i] = j, distance
    return best, far


@numba.njit(cache=True)
def _isolation(offsets, rows, events, columns):
    """Sum pT of hadrons and photons in a cone of 0.3, those of pileup too, over the photon's."""
    pt, eta, phi, counts = columns
    out = np.zeros(len(rows))
    for place in range(len(rows)):
        i = rows[place]
        for j in range(offsets[events[place]], offsets[events[place] + 1]):
            turn = abs(phi[j] - phi[i])
            off = eta[j] - eta[i]
            if i != j and counts[j] and math.hypot(off, min(turn, 2.0 * math.pi - turn)) < 0.3:
                out[place] += pt[j]
        out[place] /= pt[i]
    return out
