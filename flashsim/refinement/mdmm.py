"""The modified differential method of multipliers: minimise one loss while others are held at a value.

Platt and Barr, "Constrained differential optimization", NIPS 0 (1987) 612. The network descends and the
multipliers ascend on the same Lagrangian, whose quadratic damping makes the pair settle instead of oscillate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Constraint", "Multipliers"]


@dataclass(frozen=True)
class Constraint:
    """A loss that is to have a value.

    Parameters
    ----------
    loss
        Its name.
    target
        The value.
    scale
        Weight of the constraint against the primary loss.
    damping
        Strength of the quadratic term.
    """

    loss: str
    target: float
    scale: float = 1.0
    damping: float = 1.0


class Multipliers(nn.Module):
    """Multipliers of some constraints, with an optimiser of their own.

    Plain gradient ascent, which has no state besides the multipliers: what a checkpoint holds is all that a
    resumed training needs.

    Parameters
    ----------
    constraints
        What is held where.
    learning_rate
        Of the multipliers, not tied to the network's.
    bound
        Largest magnitude of a multiplier: against constraints that cannot be met.
    """

    def __init__(
        self, constraints: Iterable[Constraint], *, learning_rate: float = 0.01, bound: float = 100.0
    ) -> None:
        super().__init__()
        self.constraints = tuple(constraints)
        self.learning_rate, self.bound = learning_rate, bound
        self.values = nn.Parameter(torch.zeros(len(self.constraints)))

    def forward(self, primary: Tensor, losses: Mapping[str, Tensor]) -> Tensor:
        """Lagrangian, a scalar: primary loss, and ``scale (m (t - l) + damping (t - l)^2 / 2)`` of each."""
        total = primary
        for multiplier, c in zip(self.values, self.constraints, strict=True):
            missing = c.target - losses[c.loss]
            total = total + c.scale * (multiplier * missing + 0.5 * c.damping * missing.square())
        return total

    @torch.no_grad()
    def ascend(self) -> None:
        """Step up the gradient that a backward pass of the Lagrangian has left, and forget it."""
        if self.values.grad is not None:
            self.values.add_(self.values.grad, alpha=self.learning_rate).clamp_(-self.bound, self.bound)
            self.values.grad = None

    def state(self, losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Give multiplier and infeasibility (loss minus target) of every constraint, by name."""
        found: dict[str, Tensor] = {}
        for multiplier, c in zip(self.values, self.constraints, strict=True):
            found[f"multiplier_{c.loss}"] = multiplier.detach()
            found[f"infeasibility_{c.loss}"] = losses[c.loss].detach() - c.target
        return found
