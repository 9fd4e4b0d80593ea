"""How many electrons and muons are found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from flashsim.declarations.recipes import Recipe
from flashsim.reference.detector.distributions import interpolated

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.events.collection import Collection

__all__ = ["Efficiency"]


class Efficiency(Recipe):
    """Probability that a lepton is found: tables in ln pT, and a normal dip in |eta|."""

    barrel: list[tuple[float, float]] = Field(description="rows of pT in GeV and efficiency, |eta| < edge")
    endcap: list[tuple[float, float]] = Field(description="the same beyond")
    edge: float = Field(gt=0, description="|eta| where the endcap begins")
    gap: tuple[float, float, float] = Field(
        description="|eta| of a gap in the detector, its width, and the loss there"
    )

    def of(self, gen: Collection) -> NDArray[np.float64]:
        """Probability of each gen lepton (pt in GeV, eta), shape (N,)."""
        logarithm, eta = np.log(gen["pt"]), np.abs(gen["eta"])

        def curve(points: list[tuple[float, float]]) -> NDArray[np.float64]:
            return interpolated(logarithm, [(float(np.log(pt)), value) for pt, value in points])

        value = np.where(eta < self.edge, curve(self.barrel), curve(self.endcap))
        place, width, loss = self.gap
        efficiency: NDArray[np.float64] = value * (
            1.0 - loss * np.exp(-0.5 * np.square((eta - place) / width))
        )
        return efficiency
