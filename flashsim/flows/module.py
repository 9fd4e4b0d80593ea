"""What the torch module of every kind of flow offers to the training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["FlowModule"]


class FlowModule(nn.Module):
    """A conditional density, or generator, of D variables given C context values.

    Attributes
    ----------
    features, context_features
        D and C.
    """

    features: int
    context_features: int

    def loss(self, x: Tensor, context: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Mean loss, a scalar.

        Parameters
        ----------
        x
            Variables, shape (N, D).
        context
            Context, shape (N, C).
        generator
            Source of the random numbers that the loss needs, if any; torch's global one by default.
        """
        raise NotImplementedError

    def from_noise(self, z: Tensor, context: Tensor) -> Tensor:
        """Map noise, N(0, 1), shape (N, D), given context (N, C), to variables, shape (N, D).

        The reference for the kind's sampler.
        """
        raise NotImplementedError
