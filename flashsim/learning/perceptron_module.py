"""Small feed-forward networks as they are trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from flashsim.flows.tensors import arrays_of
from flashsim.learning.perceptron import Perceptron

if TYPE_CHECKING:
    from flashsim.learning.perceptron import PerceptronArchitecture

__all__ = ["PerceptronModule"]


class PerceptronModule(nn.Sequential):
    """Multi-layer perceptron with SiLU activations and logits as output.

    Parameters
    ----------
    inputs, outputs
        Number of columns in and out.
    width
        Units of each hidden layer.
    depth
        Number of hidden layers.
    dropout
        Probability of dropping a hidden unit in training.

    Examples
    --------
    >>> import torch
    >>> PerceptronModule(inputs=3, outputs=1, width=8, depth=2)(torch.zeros(5, 3)).shape
    torch.Size([5, 1])
    """

    def __init__(
        self, inputs: int, outputs: int, *, width: int = 64, depth: int = 2, dropout: float = 0.0
    ) -> None:
        layers: list[nn.Module] = []
        size = inputs
        for _ in range(depth):
            layers += [nn.Linear(size, width), nn.SiLU()]
            if dropout > 0.0:
                layers.append(nn.Dropout(dropout))
            size = width
        super().__init__(*layers, nn.Linear(size, outputs))
        self._architecture: PerceptronArchitecture = {
            "inputs": inputs,
            "outputs": outputs,
            "width": width,
            "depth": depth,
            "dropout": dropout,
        }

    def architecture(self) -> PerceptronArchitecture:
        """Arguments that build this network again."""
        return self._architecture.copy()

    def start_at(self, logits: torch.Tensor) -> None:
        """Let the untrained network answer `logits`, shape (outputs,), whatever its input."""
        weight, bias = self[-1].parameters()
        with torch.no_grad():
            weight.zero_()
            bias.copy_(logits)

    def trained(self) -> Perceptron:
        """Copy its weights as they are now."""
        return Perceptron(self.architecture(), arrays_of(self))
