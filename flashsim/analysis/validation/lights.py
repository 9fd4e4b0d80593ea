"""Traffic lights: how far differences are beyond chance, against what a recipe allows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flashsim.analysis.validation.recipe import Lights, Limits

__all__ = ["CHANCE", "LIGHTS", "Difference", "Found", "Light", "Row", "light_of", "severity"]

Light = Literal["none", "green", "amber", "red"]
LIGHTS: tuple[Light, ...] = ("none", "green", "amber", "red")
"""From the least to the worst; ``none`` where there is too little to compare."""

CHANCE = 3.0
"""Standard errors that are taken for chance: a table has hundreds of comparisons."""


@dataclass(frozen=True)
class Difference:
    """One measured difference.

    Parameters
    ----------
    kind
        Field of the recipe's lights.
    value, error
        Its magnitude, and the standard error.
    floor
        What two draws of the reference would give.
    where
        Which of several bins, pairs or working points.
    """

    kind: str
    value: float
    error: float
    floor: float = 0.0
    where: str = ""


def severity(difference: Difference, limits: Limits) -> float:
    """Put a difference on a scale where green ends at 1 and amber at 2.

    Only what is beyond the floor and `CHANCE` standard errors counts.
    """
    beyond = max(0.0, difference.value - difference.floor - CHANCE * difference.error)
    if beyond > limits.green:
        return 1.0 + (beyond - limits.green) / (limits.amber - limits.green)
    return beyond / limits.green if limits.green else 0.0


def light_of(severity: float | None) -> Light:
    """Light of a severity."""
    if severity is None:
        return "none"
    return "green" if severity <= 1.0 else "amber" if severity <= 2.0 else "red"


@dataclass(frozen=True)
class Found:
    """What was found of one sample: the worst difference of each kind.

    Parameters
    ----------
    differences
        By kind.
    severity
        Of the worst; None where there was too little to compare.
    """

    differences: dict[str, Difference]
    severity: float | None

    @property
    def light(self) -> Light:
        """The light."""
        return light_of(self.severity)

    @classmethod
    def of(cls, differences: Sequence[Difference], lights: Lights) -> Found:
        """Keep the worst of each kind; those that are not numbers do not count."""
        worst: dict[str, tuple[float, float, Difference]] = {}
        for one in differences:
            if math.isfinite(one.value) and math.isfinite(one.error):
                ranked = (severity(one, lights.of(one.kind)), one.value, one)
                if one.kind not in worst or ranked[:2] > worst[one.kind][:2]:
                    worst[one.kind] = ranked
        severest = max((rank for rank, _, _ in worst.values()), default=None)
        return cls({kind: one for kind, (_, _, one) in worst.items()}, severest)


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Parameters
    ----------
    object, topic, quantity
        What was compared.
    anchor
        Of the figure.
    found
        By role of the sample.
    """

    object: str
    topic: str
    quantity: str
    anchor: str
    found: dict[str, Found]

    def as_json(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "object": self.object,
            "topic": self.topic,
            "quantity": self.quantity,
            "figure": self.anchor,
            "found": {
                role: {
                    "light": found.light,
                    "severity": found.severity,
                    "differences": {kind: vars(one) for kind, one in found.differences.items()},
                }
                for role, found in self.found.items()
            },
        }
