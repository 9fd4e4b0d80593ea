"""The inverse as torch operations: any device and precision, in tiles of objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from flashsim.flows import spline
from flashsim.flows._arrangement import Layer, Step, arranged
from flashsim.flows._torch_sampler import TorchSampler

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from flashsim.flows.protocol import Architecture, Tensors

__all__ = ["torch_inverse"]


def torch_inverse(architecture: Architecture, tensors: Tensors, device: str) -> TorchSampler:
    """Make the inverse of a `ConditionalMAF`, as `flashsim.flows.sampler.Sampler` is, on any device.

    Parameters
    ----------
    architecture
        Of the flow.
    tensors
        Its weights, which are copied; their precision is that of the sampler.
    device
        Torch's name.
    """
    layers = [_moved(layer, torch.device(device)) for layer in arranged(architecture, tensors)]
    like = layers[0].context

    def inverse(z: Tensor, context: Tensor) -> Tensor:
        tile = _Tile(architecture, len(z), like)
        tile.fill(z, context)
        for layer in reversed(layers):
            tile.invert(layer)
        return tile.z.T

    return TorchSampler(inverse, architecture, like)


def _moved(layer: Layer[NDArray[Any]], device: torch.device) -> Layer[Tensor]:
    """Give a layer with tensors on a device in place of its arrays."""

    def tensor(array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(device)

    steps = tuple(
        Step(step.known, step.new, tuple(map(tensor, step.hidden)), tensor(step.output))
        for step in layer.steps
    )
    return Layer(tensor(layer.context), steps, tensor(layer.order))


class _Tile:
    """Buffers for T objects, all of shape (rows, T), like a tensor in precision and device."""

    def __init__(self, architecture: Architecture, tile: int, like: Tensor) -> None:
        def zeros(rows: int) -> Tensor:
            return like.new_zeros((rows, tile))

        depth, width = architecture["depth"], architecture["width"]
        self.bins, self.bound = architecture["bins"], architecture["bound"]
        self.z, self.x = zeros(architecture["features"]), zeros(architecture["features"])
        self.units = zeros(depth * width)
        # A first row of ones makes biases a column of the weights.
        self.context = zeros(1 + architecture["context"])
        self.context[0] = 1.0
        self.activations = [zeros(1 + width) for _ in range(depth)]
        for activations in self.activations:
            activations[0] = 1.0

    def fill(self, z: Tensor, context: Tensor) -> None:
        """Put in noise, shape (T, D), and context, shape (T, C)."""
        self.z.copy_(z.T)
        self.context[1:] = context.T

    def invert(self, layer: Layer[Tensor]) -> None:
        """Invert one autoregressive layer and the permutation before it, from z to itself."""
        torch.mm(layer.context, self.context, out=self.units)
        for variable, step in enumerate(layer.steps):
            if step.new:
                self._compute_units(variable, step)
            logits = step.output @ self.activations[-1][: 1 + step.known + step.new]
            widths, heights, derivatives = logits.T.tensor_split((self.bins, 2 * self.bins), dim=-1)
            self.x[variable], _ = spline.rational_quadratic(
                self.z[variable], widths, heights, derivatives, inverse=True, bound=self.bound
            )
        torch.index_select(self.x, 0, layer.order, out=self.z)

    def _compute_units(self, variable: int, step: Step[Tensor]) -> None:
        """Compute the units of one degree in every hidden layer; the context's part is there already."""
        end = step.known + step.new
        units: Tensor | None = None
        inputs = self.x[:variable]
        by_level = self.units.chunk(len(self.activations))
        for weights, from_context, activations in zip(step.hidden, by_level, self.activations, strict=True):
            own = torch.addmm(from_context[step.known : end], weights, inputs)
            units = own if units is None else units + own
            activations[1 + step.known : 1 + end] = functional.silu(units)
            inputs = activations[1 : 1 + end]
