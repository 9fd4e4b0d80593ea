"""The inverse as torch operations: any device and precision, in tiles of objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from flashsim.flows import spline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from flashsim.flows._arrangement import Layer, Step
    from flashsim.flows.maf import Architecture

__all__ = ["TorchInverse"]


class TorchInverse:
    """Inverse of a flow, by rows.

    Parameters
    ----------
    architecture
        Sizes of the flow.
    layers
        Its weights.
    tile
        Objects T worked on together: products always have so many columns, as their rounding may depend on
        the shape.
    """

    def __init__(self, architecture: Architecture, layers: Sequence[Layer], tile: int) -> None:
        self._architecture, self._layers, self._tile = architecture, layers, tile

    def __call__(self, z: Tensor, context: Tensor | None, x: Tensor) -> None:
        """Write to x, shape (N, D), the variables of noise z (N, D) and context (N, C)."""
        with torch.inference_mode():
            for start in range(0, len(z), self._tile):
                rows = slice(start, start + self._tile)
                tile = _Tile(self._architecture, self._tile, x)
                tile.fill(z[rows], None if context is None else context[rows])
                for layer in reversed(self._layers):
                    tile.invert(layer)
                x[rows] = tile.z[:, : len(z[rows])].T


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

    def fill(self, z: Tensor, context: Tensor | None) -> None:
        """Put in the noise (n, D) and context (n, C) of at most T objects."""
        self.z[:, : len(z)] = z.T
        if context is not None:
            self.context[1:, : len(z)] = context.T

    def invert(self, layer: Layer) -> None:
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

    def _compute_units(self, variable: int, step: Step) -> None:
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
