"""Small feed-forward networks: efficiencies and counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import numpy as np
import torch
from torch import nn

from flashsim.execution.threads import run_shares

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Perceptron", "PerceptronArchitecture", "evaluate"]


class PerceptronArchitecture(TypedDict):
    """Arguments of `Perceptron`, as a JSON object."""

    inputs: int
    outputs: int
    width: int
    depth: int
    dropout: float


class Perceptron(nn.Sequential):
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
    >>> Perceptron(inputs=3, outputs=1, width=8, depth=2)(torch.zeros(5, 3)).shape
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


def evaluate(network: Perceptron, rows: NDArray[np.float32], *, tile: int = 4096) -> NDArray[np.float64]:
    """Evaluate a network that is in evaluation mode: shape (N, outputs), for rows of shape (N, inputs).

    The network only ever sees whole tiles, the last one padded, and products run on one thread each: a row's
    output then does not depend on how many rows come with it or on the number of threads, down to the last
    bit.
    """
    device = next(network.parameters()).device
    results = np.zeros((len(rows), network.architecture()["outputs"]))
    starts = range(0, len(rows), tile)

    def evaluate_tiles(share: int, shares: int) -> None:
        with torch.inference_mode():
            for start in starts[share::shares]:
                part = rows[start : start + tile]
                padded = np.zeros((tile, rows.shape[1]), dtype=np.float32)
                padded[: len(part)] = part
                output = network(torch.from_numpy(padded).to(device))[: len(part)]
                results[start : start + tile] = output.double().cpu().numpy()

    if device.type == "cpu":
        run_shares(evaluate_tiles, len(starts), "perceptron")
    else:
        evaluate_tiles(0, 1)
    return results
