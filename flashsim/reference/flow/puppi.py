"""PUPPI: how likely a candidate is of the primary interaction.

After Bertolini et al., JHEP 10 (2014) 059, arXiv:1407.6013. As in CMS (JINST 15 (2020) P09018,
arXiv:2003.00503), the measure alpha of a candidate sums (pT / distance)^2 of its neighbours, within the
tracker of charged ones of the primary vertex only; its weight is the probability that pileup has a smaller
one. Charged candidates have weights 0 or 1.
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

_CONE = 0.4
_ROWS, _COLUMNS = 28, 15  # cells not smaller than the cone


class PuppiRecipe(KernelRecipe):
    """Thresholds by region: |eta| below 2.5, below 3, and beyond."""

    central: float = Field(gt=0, description="|eta| to which charged candidates tell")
    endcap: float = Field(gt=0, description="|eta| of the border of the next region")
    offset: list[float] = Field(description="least weighted pT of neutrals by region, in GeV")
    slope: list[float] = Field(description="the same per vertex, in GeV")
    median: list[float] = Field(description="factor of the median of alpha by region")
    spread: list[float] = Field(description="factor of the spread of alpha by region")
    least_weight: float = Field(ge=0, description="weights below it are 0")
    near: float = Field(gt=0, description="charged ones of no fitted vertex so near are primary, in cm")


def puppi_weights(
    offsets: NDArray[np.int64], columns: dict[str, NDArray[Any]], vertices: NDArray[np.int64], puppi: Any
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights between 0 and 1, shape (N,), with and without leptons among the neighbours that tell.

    Parameters
    ----------
    offsets
        Of E events.
    columns
        Of N candidates: pt, eta, phi, pdgId, charge, fromPV, dz.
    vertices
        Shape (E,): how many vertices there are.
    puppi
        Numbers of a `PuppiRecipe`.
    """
    lepton = np.isin(np.abs(columns["pdgId"]), (11, 13))
    charged = columns["charge"] != 0
    near = (columns["fromPV"] == 1) & (np.abs(columns["dz"]) < puppi.near)
    primary = charged & ((columns["fromPV"] >= 2) | near)
    return _weights(
        offsets, columns["pt"], columns["eta"], columns["phi"], charged, primary, lepton, vertices, puppi
    )


@numba.njit(cache=True)
def _weights(offsets, pt, eta, phi, charged, primary, lepton, vertices, puppi):
    weights, without = np.zeros(len(pt)), np.zeros(len(pt))
    regions = np.empty(len(pt), dtype=np.int64)
    for i in range(len(pt)):
        regions[i] = 0 if abs(eta[i]) < puppi.central else 1 if abs(eta[i]) < puppi.endcap else 2
    for event in range(len(offsets) - 1):
        own = slice(offsets[event], offsets[event + 1])
        sums = _sums(pt[own], eta[own], phi[own], charged[own], primary[own], lepton[own], regions[own])
        for which in range(2):
            alpha = np.where(sums[which] > 0.0, np.log(np.maximum(sums[which], 1e-300)), 0.0)
            pileup = charged[own] & ~primary[own] | (regions[own] > 0)
            out = weights[own] if which == 0 else without[own]
            for region in range(3):
                here = regions[own] == region
                median, spread = _pileup(alpha[here & pileup])
                median *= puppi.median[region]
                spread *= puppi.spread[region]
                least = puppi.offset[region] + puppi.slope[region] * vertices[event]
                for row in np.flatnonzero(here):
                    weight = _weight(alpha[row], median, spread)
                    if charged[own][row]:
                        out[row] = 1.0 if primary[own][row] else 0.0
                    elif weight > puppi.least_weight and weight * pt[own][row] > least:
                        out[row] = weight
    return weights, without


@numba.njit(cache=True)
def _sums(pt, eta, phi, charged, primary, lepton, regions):
    """Sum (pT / distance)^2 around each candidate, of all neighbours and of all but leptons."""
    heads = np.full(_ROWS * _COLUMNS, -1, dtype=np.int64)
    after = np.full(len(pt), -1, dtype=np.int64)
    sums = np.zeros((2, len(pt)))
    for i in range(len(pt)):
        if (
            regions[i] > 0 or primary[i] or not charged[i]
        ):  # what may be a neighbour of one beyond the tracker
            row, column = _cell(eta[i], phi[i])
            after[i], heads[row * _COLUMNS + column] = heads[row * _COLUMNS + column], i
    for i in range(len(pt)):
        if primary[i]:
            continue
        row, column = _cell(eta[i], phi[i])
        for step in range(max(row - 1, 0), min(row + 2, _ROWS)):
            for side in (-1, 0, 1):
                j = heads[step * _COLUMNS + (column + side) % _COLUMNS]
                while j >= 0:
                    if j != i and (primary[j] or regions[i] > 0):
                        off = phi[i] - phi[j]
                        off -= 2.0 * math.pi * round(off / (2.0 * math.pi))
                        distance = (eta[i] - eta[j]) ** 2 + off * off
                        if distance < _CONE * _CONE:
                            part = pt[j] * pt[j] / max(distance, 1e-4)
                            sums[0, i] += part
                            sums[1, i] += 0.0 if lepton[j] else part
                    j = after[j]
    return sums


@numba.njit(cache=True)
def _cell(eta, phi):
    row = min(max(int((eta + 5.6) / 0.4), 0), _ROWS - 1)
    return row, min(max(int((phi + math.pi) / (2.0 * math.pi) * _COLUMNS), 0), _COLUMNS - 1)


@numba.njit(cache=True)
def _pileup(alphas):
    """Median and lower spread of the alphas of pileup."""
    values = alphas[alphas != 0.0]
    if len(values) < 2:
        return 0.0, 1.0
    median = np.median(values)
    below = values[values < median] - median
    return median, max(math.sqrt((below * below).sum() / max(len(below), 1)), 0.1)


@numba.njit(cache=True)
def _weight(alpha, median, spread):
    """Cumulative chi-squared distribution of one degree of freedom."""
    if alpha <= median or alpha == 0.0:
        return 0.0
    return math.erf((alpha - median) / spread / math.sqrt(2.0))
