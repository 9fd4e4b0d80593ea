"""Rho: the median transverse momentum per area over tiles of a fixed grid.

As fastjet's GridMedianBackgroundEstimator with CMS's settings (``fixedGridRhoFastjet*``): tiles of 0.55.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numba
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["densities", "grid_median"]

_TILE = 0.55
_CENTRAL, _ALL = 2.5, 5.0


def densities(offsets: NDArray[np.int64], columns: dict[str, NDArray[Any]]) -> dict[str, NDArray[np.float64]]:
    """Rho of E events by name of its variant, in GeV, shape (E,) each.

    Parameters
    ----------
    offsets, columns
        Candidates: pt, eta, phi, charge, fromPV.
    """
    charged = columns["charge"] != 0
    every = np.ones(len(charged), dtype=bool)
    variants = {
        "FastjetAll": (every, _ALL),
        "FastjetCentral": (every, _CENTRAL),
        "FastjetCentralChargedPileUp": (charged & (columns["fromPV"] == 0), _CENTRAL),
        "FastjetCentralNeutral": (~charged, _CENTRAL),
    }
    return {
        name: grid_median(offsets, columns["pt"], columns["eta"], columns["phi"], chosen, most)
        for name, (chosen, most) in variants.items()
    }


def grid_median(
    offsets: NDArray[np.int64],
    pt: NDArray[np.float64],
    eta: NDArray[np.float64],
    phi: NDArray[np.float64],
    chosen: NDArray[np.bool_],
    most_eta: float,
) -> NDArray[np.float64]:
    """Median of pT per area over the tiles up to a pseudorapidity, in GeV, shape (E,)."""
    return _median(offsets, pt, eta, phi, chosen, most_eta)


@numba.njit(cache=True)
def _median(offsets, pt, eta, phi, chosen, most_eta):
    rows = max(int(2.0 * most_eta / _TILE + 0.5), 1)
    columns = int(2.0 * math.pi / _TILE + 0.5)
    area = 2.0 * most_eta / rows * 2.0 * math.pi / columns
    result = np.empty(len(offsets) - 1)
    tiles = np.empty(rows * columns)
    for event in range(len(offsets) - 1):
        tiles[:] = 0.0
        for i in range(offsets[event], offsets[event + 1]):
            if chosen[i] and abs(eta[i]) < most_eta:
                row = min(int((eta[i] + most_eta) / (2.0 * most_eta) * rows), rows - 1)
                column = int((phi[i] + math.pi) / (2.0 * math.pi) * columns) % columns
                tiles[row * columns + column] += pt[i]
        result[event] = np.median(tiles) / area
    return result
