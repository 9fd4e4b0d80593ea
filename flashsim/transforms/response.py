"""Relations of reconstructed values to the same quantity of their gen object: differences, ratios and so on.

With one a network learns a response instead of a spectrum. Relations have no fitted state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flashsim.events.angles import wrap_angle

if TYPE_CHECKING:
    from flashsim.declarations.objects import Target

__all__ = ["RELATIONS", "Angle", "Difference", "Excess", "Product", "Ratio", "Relation", "response_of"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Relation:
    """How a reconstructed value y relates to the same quantity x of its gen object; this one: not at all.

    Parameters
    ----------
    threshold
        Smallest y, in its unit.
    width
        Softness of the threshold.
    floor
        Smallest x of a ratio, against gen values of zero.
    """

    threshold: float = 0.0
    width: float = 1.0
    floor: float = 1e-6

    def forward(self, reco: Floats, gen: Floats) -> Floats:  # noqa: ARG002  # others need the gen value
        """Relative value, shape (N,), of reconstructed and gen values of shape (N,)."""
        return reco

    def inverse(self, relative: Floats, gen: Floats) -> Floats:  # noqa: ARG002  # others need the gen value
        """Reconstructed value, shape (N,), of relative and gen values of shape (N,)."""
        return relative


class Difference(Relation):
    """y - x."""

    def forward(self, reco: Floats, gen: Floats) -> Floats:
        """Take the gen value away."""
        return reco - gen

    def inverse(self, relative: Floats, gen: Floats) -> Floats:
        """Add the gen value."""
        return relative + gen


class Angle(Relation):
    """y - x, wrapped."""

    def forward(self, reco: Floats, gen: Floats) -> Floats:
        """Take the gen value away."""
        return wrap_angle(reco - gen)

    def inverse(self, relative: Floats, gen: Floats) -> Floats:
        """Add the gen value."""
        return wrap_angle(relative + gen)


class Ratio(Relation):
    """y / x."""

    def forward(self, reco: Floats, gen: Floats) -> Floats:
        """Divide by the gen value."""
        return reco / np.maximum(gen, self.floor)

    def inverse(self, relative: Floats, gen: Floats) -> Floats:
        """Multiply by the gen value."""
        return relative * np.maximum(gen, self.floor)


class Product(Relation):
    """y x, for charges."""

    def forward(self, reco: Floats, gen: Floats) -> Floats:
        """Multiply by the gen value."""
        return reco * gen

    def inverse(self, relative: Floats, gen: Floats) -> Floats:
        """Multiply by the gen value, which is 1 or -1."""
        return relative * gen


class Excess(Relation):
    """log((y - t + d) / s(x)), with the threshold t, which reconstruction applies to y.

    It can only return values above the threshold, which a plain ratio cannot promise, and tends to the
    log-response far above it. s(x) = w log(1 + exp((x - t) / w)) with the width w is x - t far above the
    threshold and positive below it; d = 0.02 w keeps values at the threshold, where NanoAOD has some, away
    from log(0).
    """

    def forward(self, reco: Floats, gen: Floats) -> Floats:
        """Give the logarithm of the excess over the threshold, relative to that of the gen value."""
        above = np.maximum(reco - self.threshold, 0.0) + self._offset
        return np.log(above) - np.log(self._scale(gen))

    def inverse(self, relative: Floats, gen: Floats) -> Floats:
        """Give the value, at least the threshold."""
        above = np.exp(relative) * self._scale(gen) - self._offset
        return np.maximum(above, 0.0) + self.threshold

    @property
    def _offset(self) -> float:
        return 0.02 * self.width

    def _scale(self, gen: Floats) -> Floats:
        return np.maximum(self.width * np.logaddexp(0.0, (gen - self.threshold) / self.width), 1e-9)


RELATIONS: dict[str, type[Relation]] = {
    "none": Relation,
    "difference": Difference,
    "angle": Angle,
    "ratio": Ratio,
    "product": Product,
    "excess": Excess,
}
"""By the names that declarations have for them."""


def response_of(target: Target) -> Relation:
    """Relation of a declared target to its gen object."""
    return RELATIONS[target.relation](target.threshold or 0.0, target.width, target.floor)
