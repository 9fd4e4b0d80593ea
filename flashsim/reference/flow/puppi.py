"""PUPPI weights: how likely a candidate is from the primary vertex.

The algorithm of Bertolini, Harris, Low and Tran (JHEP 10 (2014) 059, arXiv:1407.6013) as CMS tuned it (CMS, JINST 15
(2020) P09018, arXiv:2003.00503): a candidate's alpha is the log of a sum over what is around it, of charged
candidates of the primary vertex within the tracker and of all beyond; it is compared with the alphas of pileup.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numba
import numpy as np
from pydantic import Field

from flashsim.declarations.recipes import Recipe

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Puppi", "PuppiRecipe", "puppi_weights"]

_CONE = 0.4
_ROWS, _COLUMNS = 28, 15  # cells not smaller than the cone


class PuppiRecipe(Recipe):
    """Thresholds by region: |eta| below 2.5, below 3, and beyond."""

    central: float = Field(gt=0, description="|eta| to which charged candidates tell")
    endcap: float = Field(gt=0, description="|eta| of the border of the next region")
    offset: list[float] = Field(description="least weighted pT of neutrals by region, in GeV")
    slope: list[float] = Field(description="the same per vertex, in GeV")
    least_weight: float = Field(ge=0, description="weights below it are 0")
    near: float = Field(
        gt=0, description="charged candidates of no fitted vertex count as primary within this dz, in cm"
    )

    def puppi(self) -> Puppi:
        """Numbers for kernels."""
        return Puppi(
            self.central,
            self.endcap,
            np.array(self.offset),
            np.array(self.slope),
            self.least_weight,
            self.near,
        )


class Puppi(NamedTuple):
    """A `PuppiRecipe` as kernels take it."""

    central: float
    endcap: float
    offset: NDArray[np.float64]
    slope: NDArray[np.float64]
    least_weight: float
    near: float


def puppi_weights(
    offsets: NDArray[np.int64],
    columns: dict[str, NDArray[Any]],
    vertices: NDArray[np.int64],
    puppi: Puppi,
    *,
    leptons: bool,
) -> NDArray[np.float64]:
    """Weights between 0 and 1, shape (N,).

    Parameters
    ----------
    offsets
        Of E events.
    columns
        Of N candidates: pt, eta, phi, pdgId, charge, fromPV, dz.
    vertices
        Shape (E,): how many vertices there are.
    puppi
        Parameters.
    leptons
        Whether leptons count as other charged candidates; else they tell nothing (``puppiNoLep``).
    """
    lepton = np.isin(np.abs(columns["pdgId"]), (11, 13))
    return _weights(
        offsets,
        columns["pt"],
        columns["eta"],
        columns["phi"],
        columns["charge"].astype(np.int64),
        columns["fromPV"].astype(np.int64),
        columns["dz"],
        lepton & (not leptons),
        np.asarray(vertices, dtype=np.float64),
        puppi,
    )


@numba.njit(cache=True)
def _weights(offsets, pt, eta, phi, charge, from_pv, dz, ignored, vertices, puppi):
    weights = np.zeros(len(pt))
    alpha = np.zeros(len(pt))
    primary = np.zeros(len(pt), dtype=np.bool_)
    for i in range(len(pt)):
        if charge[i] != 0:
            near = from_pv[i] == 1 and abs(dz[i]) < puppi.near
            primary[i] = from_pv[i] >= 2 or near
    for event in range(len(offsets) - 1):
        first, last = offsets[event], offsets[event + 1]
        _alphas(first, last, pt, eta, phi, charge, primary, ignored, alpha, puppi)
        for region in range(3):
            median, spread = _pileup(first, last, alpha, eta, charge, primary, region, puppi)
            for i in range(first, last):
                if _region(eta[i], puppi) != region:
                    continue
                if charge[i] != 0:
                    weights[i] = 1.0 if primary[i] else 0.0
                    continue
                weights[i] = _weight(alpha[i], median, spread)
                least = puppi.offset[region] + puppi.slope[region] * vertices[event]
                if weights[i] < puppi.least_weight or weights[i] * pt[i] < least:
                    weights[i] = 0.0
    return weights


@numba.njit(cache=True)
def _region(eta, puppi):
    return 0 if abs(eta) < puppi.central else 1 if abs(eta) < puppi.endcap else 2


@numba.njit(cache=True)
def _alphas(first, last, pt, eta, phi, charge, primary, ignored, alpha, puppi):
    """Logs of the sums of (pT / distance)^2 around each candidate, 0 where there is nothing."""
    heads = np.full(_ROWS * _COLUMNS, -1, dtype=np.int64)
    after = np.full(last - first, -1, dtype=np.int64)
    for i in range(first, last):
        if ignored[i] or (abs(eta[i]) < puppi.central and not primary[i] and charge[i] != 0):
            continue
        row, column = _cell(eta[i], phi[i])
        after[i - first] = heads[row * _COLUMNS + column]
        heads[row * _COLUMNS + column] = i
    for i in range(first, last):
        central = abs(eta[i]) < puppi.central
        row, column = _cell(eta[i], phi[i])
        total = 0.0
        for step in (-1, 0, 1):
            if row + step < 0 or row + step >= _ROWS:
                continue
            for side in (-1, 0, 1):
                j = heads[(row + step) * _COLUMNS + (column + side) % _COLUMNS]
                while j >= 0:
                    if j != i and (primary[j] or not central):
                        off = phi[i] - phi[j]
                        off -= 2.0 * math.pi * round(off / (2.0 * math.pi))
                        distance = (eta[i] - eta[j]) ** 2 + off * off
                        if distance < _CONE * _CONE:
                            total += pt[j] * pt[j] / max(distance, 1e-4)
                    j = after[j - first]
        alpha[i] = math.log(total) if total > 0.0 else 0.0


@numba.njit(cache=True)
def _cell(eta, phi):
    row = min(max(int((eta + 5.6) / 0.4), 0), _ROWS - 1)
    return row, min(max(int((phi + math.pi) / (2.0 * math.pi) * _COLUMNS), 0), _COLUMNS - 1)


@numba.njit(cache=True)
def _pileup(first, last, alpha, eta, charge, primary, region, puppi):
    """Median and lower spread of the alphas of pileup: charged ones in the tracker, all beyond."""
    values = np.empty(last - first)
    number = 0
    for i in range(first, last):
        pileup = charge[i] != 0 and not primary[i] if region == 0 else True
        if pileup and alpha[i] != 0.0 and _region(eta[i], puppi) == region:
            values[number] = alpha[i]
            number += 1
    if number < 2:
        return 0.0, 1.0
    median = np.median(values[:number])
    squares, below = 0.0, 0
    for i in range(number):
        if values[i] < median:
            squares += (values[i] - median) ** 2
            below += 1
    return median, max(math.sqrt(squares / max(below, 1)), 0.1)


@numba.njit(cache=True)
def _weight(alpha, median, spread):
    """Cumulative chi-squared distribution of one degree of freedom."""
    if alpha <= median or alpha == 0.0:
        return 0.0
    return math.erf((alpha - median) / spread / math.sqrt(2.0))
