"""The inverse as torch operations: any device and precision, in tiles of objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from flashsim.flows import spline
from flashsim.flows._arrangement import Layer, Step, arranged
from flashsim.flows._rows import checked_rows
from flashsim.flows._torch_threads import run_torch_shares

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from flashsim.flows.protocol import Architecture, Tensors

__all__ = ["TorchSampler"]

_CPU_TILE = 512
_CUDA_TILE = 65536


class TorchSampler:
    """Inverse of a `ConditionalMAF`, as `flashsim.flows.sampler.Sampler` is, on any device.

    Objects are worked on in tiles: products always have so many columns, as their rounding may depend on the
    shape.

    Parameters
    ----------
    architecture
        Of the flow.
    tensors
        Its weights, which are copied; their precision is that of the sampler.
    device
        Torch's name.
    """

    def __init__(self, architecture: Architecture, tensors: Tensors, device: str) -> None:
        self._architecture, self._device = architecture, torch.device(device)
        self._dtype = next(array.dtype for name, array in tensors.items() if name.endswith("weight"))
        self._layers = [_moved(layer, self._device) for layer in arranged(architecture, tensors)]
        self._tile = _CPU_TILE if self._device.type == "cpu" else _CUDA_TILE

    def from_noise(self, z: NDArray[np.floating], context: NDArray[np.floating]) -> NDArray[np.floating]:
        """Map noise z, shape (N, D), given context (N, C), to variables, shape (N, D).

        Raises
        ------
        ValueError
            If a shape does not fit the flow.
        """
        features, given = self._architecture["features"], self._architecture["context"]
        rows = checked_rows(z, context, features, given, self._dtype)
        noise, conditions = (torch.from_numpy(array) for array in rows)
        x = torch.empty_like(noise)

        def invert_tiles(share: int, shares: int) -> None:
            with torch.inference_mode():
                for start in range(share * self._tile, len(noise), shares * self._tile):
                    here = slice(start, start + self._tile)
                    x[here] = self._inverse(noise[here], conditions[here])

        tiles = -(-len(noise) // self._tile)
        if self._device.type == "cpu":
            run_torch_shares(invert_tiles, tiles, "torch sampler")
        else:
            invert_tiles(0, 1)
        return x.numpy()

    def _inverse(self, z: Tensor, context: Tensor) -> Tensor:
        """Variables of at most a tile of objects, on the CPU."""
        like = torch.empty(0, dtype=z.dtype, device=self._device)
        tile = _Tile(self._architecture, self._tile, like)
        tile.fill(z.to(self._device), context.to(self._device))
        for layer in reversed(self._layers):
            tile.invert(layer)
        return tile.z[:, : len(z)].T.cpu()


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
        """Put in the noise (n, D) and context (n, C) of at most T objects."""
        self.z[:, : len(z)] = z.T
        self.context[1:, : len(z)] = context.T

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
