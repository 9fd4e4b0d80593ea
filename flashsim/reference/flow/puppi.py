"""PUPPI: how likely a candidate is of the primary interaction.

After Bertolini et al., JHEP 10 (2014) 059, arXiv:1407.6013, with the rules of CMSSW's
CommonTools/PileupAlgos. The measure alpha of a candidate sums (pT / distance)^2 of its neighbours, within the
tracker of charged ones of the primary vertex, beyond of all; its weight is the probability that pileup has a
smaller one. Median and spread of alpha in pileup are measured with charged candidates of pileup vertices, and
scaled beyond the tracker.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from pydantic import Field

from flashsim.reference.particles.kernel_recipe import KernelRecipe

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PuppiRecipe", "puppi_weights"]

_CONE, _LEAST_DISTANCE = 0.4, 0.01
_ROWS, _COLUMNS = 28, 15  # cells not smaller than the cone
_UNDECIDED, _PRIMARY, _PILEUP, _LEPTON = range(4)


class PuppiRecipe(KernelRecipe):
    """Thresholds by region: |eta| below 2.5, below 3, and beyond."""

    central: float = Field(gt=0, description="|eta| up to which alpha sums charged candidates")
    endcap: float = Field(gt=0, description="|eta| of the border of the next region")
    offset: list[float] = Field(description="least weighted pT of neutrals by region, in GeV")
    slope: list[float] = Field(description="the same per vertex, in GeV")
    median: list[float] = Field(description="factor of the median of alpha by region")
    spread: list[float] = Field(description="factor of the spread of alpha by region")
    pileup_eta: float = Field(gt=0, description="|eta| below which charged candidates measure pileup")
    pileup_pt: list[float] = Field(description="their least pT, for the tracker and beyond, in GeV")
    least_weight: float = Field(ge=0, description="weights below it are 0")
    charged_pt: float = Field(
        gt=0, description="charged candidates in no vertex fit are primary above this pT, in GeV"
    )
    tight_pt: float = Field(gt=0, description="the same if the primary vertex is nearest, in GeV")
    near: list[float] = Field(
        description="|eta|, and |dz| in cm: beyond and below them those in no fit are primary"
    )
    split: list[float] = Field(
        description="number of next vertices, and |dz| in cm below which their candidates are primary"
    )
    hard_pt: list[float] = Field(
        description="pT from which neutrals have a least weight, and at which it is 1, in GeV"
    )


def puppi_weights(
    offsets: NDArray[np.int64], columns: dict[str, NDArray[Any]], vertices: NDArray[np.int64], puppi: Any
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights between 0 and 1, shape (N,), and those without leptons, which then weigh 1 and enter no sum.

    Parameters
    ----------
    offsets
        Of E events.
    columns
        Of N candidates: pt, eta, phi, pdgId, charge, fromPV, dz, rank (of the vertex in its event).
    vertices
        Shape (E,): how many good vertices there are.
    puppi
        Numbers of a `PuppiRecipe`.
    """
    pt, eta, near = columns["pt"], np.abs(columns["eta"]), np.abs(columns["dz"])
    used, other = columns["fromPV"] == 3, columns["fromPV"] == 0
    unfitted = (pt > puppi.charged_pt) | ((columns["fromPV"] == 2) & (pt > puppi.tight_pt))
    unfitted |= (eta >= puppi.near[0]) & (near < puppi.near[1])
    split = other & (columns["rank"] <= puppi.split[0]) & (near < puppi.split[1])
    kinds = np.where(used | split | (unfitted & ~other), _PRIMARY, np.where(other, _PILEUP, _UNDECIDED))
    kinds = np.where(columns["charge"] != 0, kinds, _UNDECIDED)
    lepton = np.isin(np.abs(columns["pdgId"]), (11, 13))
    hard = np.clip((pt - puppi.hard_pt[0]) / (puppi.hard_pt[1] - puppi.hard_pt[0]), 0.0, 1.0)
    hard = np.where((columns["pdgId"] == 22) & (eta < puppi.central) & (pt > puppi.hard_pt[0]), 1.0, hard)
    region = np.searchsorted([puppi.central, puppi.endcap], eta, side="right")
    weights = np.zeros((2, len(pt)))
    arguments = pt, columns["eta"], columns["phi"], kinds, lepton, region, hard
    _weights(offsets, *arguments, vertices, puppi, weights)
    return weights[0], weights[1]


@numba.njit(cache=True)
def _weights(offsets, pt, eta, phi, kinds, lepton, region, hard, vertices, puppi, weights):
    for event in range(len(offsets) - 1):
        own = slice(offsets[event], offsets[event + 1])
        kind, where = kinds[own], region[own]
        tells = (kind != _UNDECIDED) & (np.abs(eta[own]) < puppi.pileup_eta)
        far = tells & (pt[own] > puppi.pileup_pt[1])
        sums = _sums(pt[own], eta[own], phi[own], kind, lepton[own], where, far)
        for which in range(2):
            if which == 1:
                kind = np.where(lepton[own], _LEPTON, kind)
            told = np.zeros((2, 2))
            for beyond in range(2):
                used = tells & (pt[own] > puppi.pileup_pt[beyond])
                alpha = sums[which, beyond]
                told[beyond] = _pileup(alpha[used & (kind == _PILEUP)], alpha[used & (kind == _PRIMARY)])
            for row in range(len(kind)):
                out, at = offsets[event] + row, where[row]
                if kind[row] != _UNDECIDED:
                    weights[which, out] = 0.0 if kind[row] == _PILEUP else 1.0
                    continue
                beyond = min(at, 1)
                median, spread = told[beyond, 0] * puppi.median[at], told[beyond, 1] * puppi.spread[at]
                alpha = sums[which, beyond, row]
                weight = 0.0
                if alpha > median and alpha != 0.0:
                    weight = math.erf((alpha - median) / spread / math.sqrt(2.0))
                least = puppi.offset[at] + puppi.slope[at] * vertices[event]
                if weight < puppi.least_weight or weight * pt[out] < least:
                    weight = 0.0
                weights[which, out] = max(weight, hard[out])


@numba.njit(cache=True)
def _sums(pt, eta, phi, kind, lepton, region, tells):
    """Alpha of candidates, shape (2, 2, N): with and without leptons, of primary neighbours and of all.

    Sums of all neighbours are made only beyond the tracker, and for candidates that measure pileup.
    """
    heads, after = np.full(_ROWS * _COLUMNS, -1, dtype=np.int64), np.full(len(pt), -1, dtype=np.int64)
    for i in range(len(pt)):
        row, column = _cell(eta[i], phi[i])
        after[i], heads[row * _COLUMNS + column] = heads[row * _COLUMNS + column], i
    sums = np.zeros((2, 2, len(pt)))
    for i in range(len(pt)):
        beyond = region[i] > 0 or tells[i]
        row, column = _cell(eta[i], phi[i])
        for step in range(max(row - 1, 0), min(row + 2, _ROWS)):
            for side in (-1, 0, 1):
                j = heads[step * _COLUMNS + (column + side) % _COLUMNS]
                while j >= 0:
                    if (kind[j] == _PRIMARY or beyond) and abs(eta[i] - eta[j]) < _CONE:
                        off = phi[i] - phi[j]
                        off -= 2.0 * math.pi * round(off / (2.0 * math.pi))
                        distance = (eta[i] - eta[j]) ** 2 + off * off
                        if _LEAST_DISTANCE**2 <= distance < _CONE * _CONE:
                            part = pt[j] * pt[j] / distance
                            for which in range(1 if lepton[j] else 2):
                                sums[which, 1, i] += part
                                sums[which, 0, i] += part if kind[j] == _PRIMARY else 0.0
                    j = after[j]
    return np.where(sums > 0.0, np.log(np.maximum(sums, 1e-300)), 0.0)


@numba.njit(cache=True)
def _cell(eta, phi):
    row = min(max(int((eta + 5.6) / 0.4), 0), _ROWS - 1)
    return row, min(max(int((phi + math.pi) / (2.0 * math.pi) * _COLUMNS), 0), _COLUMNS - 1)


@numba.njit(cache=True)
def _pileup(alphas, primary):
    """Median and lower spread of the alphas of pileup, less what primary ones below the median add."""
    told = np.array([0.0, 1.0])
    values = alphas[alphas != 0.0]
    if len(values) > 0:
        median = np.median(values)
        below = values[values <= median] - median
        spread = max(math.sqrt((below * below).sum() / len(below)), 0.1)
        wrong = (primary <= median).sum()
        share = wrong / (wrong + 0.5 * len(alphas))
        shift = math.sqrt(0.5 * math.pi * spread) * share  # of chi-squared quantiles, for small shares
        told[0], told[1] = median - shift, max(spread - shift, 0.1)
    return told
