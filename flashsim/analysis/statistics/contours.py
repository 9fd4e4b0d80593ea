"""Regions of the plane that hold given shares of a sample where it is densest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

__all__ = ["Regions", "plane_edges"]

Floats = NDArray[np.float64]

_MOST_BINS, _FEWEST_BINS = 40, 8
_VALUES_A_BIN = 25


def plane_edges(values: Floats) -> Floats:
    """Bin edges of an axis from its values, shape (N,): their 0.2 % and 99.8 % quantiles, and some beyond."""
    low, high = np.quantile(values, [0.002, 0.998])
    margin = 0.05 * (high - low) if high > low else 0.5
    bins = int(np.clip(np.sqrt(len(values) / _VALUES_A_BIN), _FEWEST_BINS, _MOST_BINS))
    edges: Floats = np.linspace(low - margin, high + margin, bins + 1)
    return edges


@dataclass(frozen=True)
class Regions:
    """Where the density is above a cut.

    Parameters
    ----------
    x_edges, y_edges
        Bins of the plane.
    density
        Smoothed share of the sample in each bin.
    cuts
        Smallest densities inside, shape (L,).
    """

    x_edges: Floats
    y_edges: Floats
    density: Floats
    cuts: Floats

    @classmethod
    def of(cls, x: Floats, y: Floats, levels: list[float], x_edges: Floats, y_edges: Floats) -> Regions:
        """Regions with shares of a sample of at least `levels`; the whole plane if too much is outside."""
        counts = np.histogram2d(x, y, (x_edges, y_edges))[0]
        dense = gaussian_filter(counts / max(len(x), 1), 1.0, mode="constant")
        order = np.argsort(-dense, axis=None)
        inside = np.cumsum(counts.ravel()[order]) / max(len(x), 1)
        place = np.minimum(np.searchsorted(inside, levels), len(order) - 1)
        return cls(x_edges, y_edges, dense, dense.ravel()[order][place])

    def inside(self, x: Floats, y: Floats) -> NDArray[np.bool_]:
        """Tell for values of shape (N,) in which regions they are, shape (L, N)."""
        places = []
        for values, edges in ((x, self.x_edges), (y, self.y_edges)):
            place = np.searchsorted(edges, values, side="right") - 1
            places.append(np.where(values == edges[-1], len(edges) - 2, place))
        here = np.all([(p >= 0) & (p < n) for p, n in zip(places, self.density.shape, strict=True)], axis=0)
        clipped = [np.clip(p, 0, n - 1) for p, n in zip(places, self.density.shape, strict=True)]
        found: NDArray[np.bool_] = here & (self.density[tuple(clipped)] >= self.cuts[:, None])
        return found
