"""Relations of reconstructed values to the same quantity of their gen object: differences, ratios and so on.

With one a network learns a response instead of a spectrum. Relations have no fitted state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from flashsim.events.angles import wrap_angle

if TYPE_CHECKING:
    from flashsim.declarations.objects import Target

__all__ = ["Relation", "response_of"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Relation:
    """How a reconstructed value y relates to the same quantity x of its gen object.

    Parameters
    ----------
    kind
        ``none`` (y), ``difference`` (y - x), ``angle`` (y - x, wrapped), ``ratio`` (y / x), ``product`` (y x,
        for charges) or ``excess``: log((y - t + d) / s(x)) with the threshold t, which reconstruction applies
        to y. The last one can only return values above the threshold, which a plain ratio cannot promise, and
        tends to the log-response far above it.
    threshold
        t, in the unit of y.
    width
        Softness w of s(x) = w log(1 + exp((x - t) / w)): x - t far above the threshold, positive below it.
    floor
        Smallest x of a ratio, against gen values of zero.
    """

    kind: Literal["none", "difference", "angle", "ratio", "product", "excess"] = "none"
    threshold: float = 0.0
    width: float = 1.0
    floor: float = 1e-6

    def forward(self, reco: Floats, gen: Floats) -> Floats:
        """Relative value, shape (N,), of reconstructed and gen values of shape (N,)."""
        match self.kind:
            case "difference":
                return reco - gen
            case "angle":
                return wrap_angle(reco - gen)
            case "ratio":
                return reco / np.maximum(gen, self.floor)
            case "product":
                return reco * gen
            case "excess":
                above = np.maximum(reco - self.threshold, 0.0) + self._offset
                return np.log(above) - np.log(self._scale(gen))
            case _:
                return reco

    def inverse(self, relative: Floats, gen: Floats) -> Floats:
        """Reconstructed value, shape (N,), of relative and gen values of shape (N,)."""
        match self.kind:
            case "difference":
                return relative + gen
            case "angle":
                return wrap_angle(relative + gen)
            case "ratio":
                return relative * np.maximum(gen, self.floor)
            case "product":
                return relative * gen
            case "excess":
                above = np.exp(relative) * self._scale(gen) - self._offset
                return np.maximum(above, 0.0) + self.threshold
            case _:
                return relative

    @property
    def _offset(self) -> float:
        """d: keeps values at the threshold, where NanoAOD has some, away from log(0)."""
        return 0.02 * self.width

    def _scale(self, gen: Floats) -> Floats:
        return np.maximum(self.width * np.logaddexp(0.0, (gen - self.threshold) / self.width), 1e-9)


def response_of(target: Target) -> Relation:
    """Relation of a declared target to its gen object."""
    return Relation(target.relation, target.threshold or 0.0, target.width, target.floor)
