"""Rho: the median transverse momentum per area over tiles of a fixed grid.

As fastjet's GridMedianBackgroundEstimator with CMS's settings (``fixedGridRhoFastjet*``): tiles of 0.55; and
as CMSSW's own ``FixedGridEnergyDensity`` (``fixedGridRhoAll``): 18 by 10 tiles, 0.6 wide in pseudorapidity.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numba
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["densities", "grid_median", "tower_density"]

_TILE, _OWN_TILE = 0.55, 0.6
_CENTRAL, _ALL, _OWN_ALL = 2.5, 5.0, 5.4


def densities(
    offsets: NDArray[np.int64], columns: dict[str, NDArray[Any]], primary: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    """Rho of E events by name of its variant, in GeV, shape (E,) each.

    Parameters
    ----------
    offsets, columns
        Candidates: pt, eta, phi, charge, vertex.
    primary
        Shape (E,): row of each event's primary vertex.
    """
    charged = columns["charge"] != 0
    pileup = charged & (columns["vertex"] != np.repeat(primary, np.diff(offsets)))
    every = np.ones(len(charged), dtype=bool)
    variants = {
        "FastjetAll": (every, _ALL, _TILE),
        "FastjetCentral": (every, _CENTRAL, _TILE),
        "FastjetCentralChargedPileUp": (pileup, _CENTRAL, _TILE),
        "FastjetCentralNeutral": (~charged, _CENTRAL, _TILE),
        "All": (every, _OWN_ALL, _OWN_TILE),
    }
    return {
        name: grid_median(offsets, columns["pt"], columns["eta"], columns["phi"], *variant)
        for name, variant in variants.items()
    }


@numba.njit(cache=True)
def _tiles(most_eta, tile=_TILE):
    """Rows and columns of the grid, and the area of a tile."""
    rows, columns = max(int(2.0 * most_eta / tile + 0.5), 1), int(2.0 * math.pi / tile + 0.5)
    return rows, columns, 2.0 * most_eta / rows * 2.0 * math.pi / columns


@numba.njit(cache=True)
def _tile(eta, phi, most_eta, rows, columns):
    row = min(int((eta + most_eta) / (2.0 * most_eta) * rows), rows - 1)
    return row * columns + int((phi + math.pi) / (2.0 * math.pi) * columns) % columns


@numba.njit(cache=True)
def grid_median(offsets, pt, eta, phi, chosen, most_eta, tile=_TILE):
    """Median of pT per area over the tiles up to a pseudorapidity, in GeV, shape (E,)."""
    rows, columns, area = _tiles(most_eta, tile)
    result = np.empty(len(offsets) - 1)
    for event in range(len(offsets) - 1):
        tiles = np.zeros(rows * columns)
        for i in range(offsets[event], offsets[event + 1]):
            if chosen[i] and abs(eta[i]) < most_eta:
                tiles[_tile(eta[i], phi[i], most_eta, rows, columns)] += pt[i]
        result[event] = np.median(tiles) / area
    return result


@numba.njit(cache=True)
def tower_density(ecal, hcal, hcal_scale):
    """Rho of an event from the cells of ECAL and HCAL above threshold (``CentralCalo``), in GeV."""
    rows, columns, area = _tiles(_CENTRAL)
    tiles = np.zeros(rows * columns)
    for grid, scale in ((ecal, 1.0), (hcal, hcal_scale)):
        for i in range(grid.number[0]):
            place = grid.touched[i]
            energy = grid.cells[place].energy
            eta = (place // grid.columns + 0.5) * grid.size_eta - grid.most
            if abs(eta) < _CENTRAL and energy > grid.least[place // grid.columns]:
                phi = (place % grid.columns + 0.5) * grid.size_phi - math.pi
                tiles[_tile(eta, phi, _CENTRAL, rows, columns)] += scale * energy / math.cosh(eta)
    return np.median(tiles) / area
