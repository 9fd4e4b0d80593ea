"""Energy density of pileup and vertices: what all detectors see of one event."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from flashsim.declarations.recipes import Recipe

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from flashsim.reference.detector.truth import Noise, Truth

__all__ = ["PileupResponse", "energy_density"]


class PileupResponse(Recipe):
    """Median energy density of an event against the number of its pileup collisions."""

    slope: float = Field(gt=0, description="density in GeV a collision")
    spread: float = Field(ge=0, description="standard deviation of the density in GeV")


def energy_density(truth: Truth, noise: Noise, response: PileupResponse) -> NDArray[np.float64]:
    """Draw the energy density rho of each event: normal around ``slope * nPU``, never below zero.

    Hidden from the networks, which are given the number of collisions; the same for all detectors.

    Returns
    -------
    Shape (E,), GeV per unit of area in eta and phi.
    """
    drawn = (
        response.slope * truth.event["Pileup_nPU"]
        + response.spread * noise.shared.event_normal(truth, "rho", 1)[:, 0]
    )
    density: NDArray[np.float64] = abs(drawn)
    return density
