"""The energy density of an event as it is measured: the ``fixedGridRho`` branches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from flashsim.declarations.recipes import Recipe

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.reference.detector.truth import Noise, Truth

__all__ = ["DensityResponse", "density_branches"]

_ESTIMATES = {
    "all": "fixedGridRhoFastjetAll",
    "central": "fixedGridRhoFastjetCentral",
    "calorimeter": "fixedGridRhoFastjetCentralCalo",
    "charged_pileup": "fixedGridRhoFastjetCentralChargedPileUp",
    "neutral": "fixedGridRhoFastjetCentralNeutral",
}


class DensityResponse(Recipe):
    """For each estimate: what it is over the true density, and its relative spread."""

    all: tuple[float, float] = Field(description="all particles")
    central: tuple[float, float] = Field(description="all particles of the central region")
    calorimeter: tuple[float, float] = Field(description="calorimeter towers of the central region")
    charged_pileup: tuple[float, float] = Field(description="charged particles of pileup, central")
    neutral: tuple[float, float] = Field(description="neutral particles, central")


def density_branches(
    truth: Truth, noise: Noise, response: DensityResponse, rho: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Draw the ``fixedGridRho`` branches, ``factor * rho * exp(spread * z)``, in GeV per unit of area.

    Parameters
    ----------
    truth, noise, response
        The events, the detector's random numbers, and the parameters.
    rho
        True density, shape (E,).
    """
    normal = noise.event_normal(truth, "density", len(_ESTIMATES))
    branches = {}
    for column, (name, branch) in enumerate(_ESTIMATES.items()):
        factor, spread = getattr(response, name)
        branches[branch] = factor * rho * np.exp(spread * normal[:, column])
    return branches
