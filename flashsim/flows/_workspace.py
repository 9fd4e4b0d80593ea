"""The sampler's buffers for one tile, and the operations between its matrix products."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import starmap
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch.nn import functional

from flashsim.flows import _kernels, spline

if TYPE_CHECKING:
    from torch import Tensor

    from flashsim.flows.maf import Architecture

__all__ = ["Backend", "HiddenView", "View", "Workspace", "backend_for"]


class Backend(Protocol):
    """Activations and spline inverse, on arrays of its own kind that share the tensors' memory."""

    def array(self, tensor: Tensor) -> Any:
        """Show a tensor as this backend's array."""
        ...

    def activate(self, units: Any, activations: Any, following: Any | None) -> None:
        """Write the activations of units, and add units to those of the following hidden layer."""
        ...

    def invert(self, z: Any, logits: Any, x: Any) -> None:
        """Write to x (T,) the spline inverses of z (T,); logits (3K - 1, T) may be overwritten."""
        ...


class _Compiled:
    """Numba kernels: one core, single precision."""

    def __init__(self, bound: float) -> None:
        self.bound = np.float32(bound)

    def array(self, tensor: Tensor) -> Any:
        return tensor.numpy()

    def activate(self, units: Any, activations: Any, following: Any | None) -> None:
        if following is None:
            _kernels.activate(units, activations)
        else:
            _kernels.activate_residual(units, activations, following)

    def invert(self, z: Any, logits: Any, x: Any) -> None:
        _kernels.invert_spline(z, logits, x, self.bound)


class _Torch:
    """Torch operations: any device and precision."""

    def __init__(self, bound: float) -> None:
        self.bound = bound

    def array(self, tensor: Tensor) -> Any:
        return tensor

    def activate(self, units: Any, activations: Any, following: Any | None) -> None:
        activations.copy_(functional.silu(units))
        if following is not None:
            following.add_(units)

    def invert(self, z: Any, logits: Any, x: Any) -> None:
        bins = (len(logits) + 1) // 3
        widths, heights, derivatives = logits.T.tensor_split((bins, 2 * bins), dim=-1)
        inverted, _ = spline.rational_quadratic(
            z, widths, heights, derivatives, inverse=True, bound=self.bound
        )
        x.copy_(inverted)


def backend_for(device: torch.device, dtype: torch.dtype, bound: float) -> Backend:
    """Choose the fastest backend.

    Parameters
    ----------
    device, dtype
        Where the weights are, and their precision.
    bound
        Half width of the splines' interval.

    Returns
    -------
    Backend
        Compiled loops on a CPU in single precision, torch operations otherwise.
    """
    if device.type == "cpu" and dtype == torch.float32:
        return _Compiled(bound)
    return _Torch(bound)


@dataclass(frozen=True)
class HiddenView:
    """What the units of one degree in one hidden layer read and write; tensors, then backend arrays."""

    inputs: Tensor
    units: Tensor
    unit_array: Any
    activations: Any
    following: Any | None


@dataclass(frozen=True)
class View:
    """What one step reads and writes: see `Workspace.view`."""

    hidden: tuple[HiddenView, ...]
    output_inputs: Tensor
    z: Any
    logits: Any
    x: Any


class Workspace:
    """Buffers for one tile of T objects, all of shape (rows, T).

    Parameters
    ----------
    architecture
        Sizes of the flow.
    tile
        Objects T.
    dtype, device
        As the flow's weights.
    """

    def __init__(
        self, architecture: Architecture, tile: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        def zeros(rows: int) -> Tensor:
            return torch.zeros((rows, tile), dtype=dtype, device=device)

        depth, width = architecture["depth"], architecture["width"]
        self.z = zeros(architecture["features"])
        self.x = zeros(architecture["features"])
        self.units = zeros(depth * width)
        self.logits = zeros(3 * architecture["bins"] - 1)
        # A first row of ones makes biases a column of the weights.
        self.context = zeros(1 + architecture["context"])
        self.context[0] = 1.0
        self._activations = [zeros(1 + width) for _ in range(depth)]
        for activations in self._activations:
            activations[0] = 1.0
        self._views: dict[tuple[int, int, int], View] = {}

    def fill(self, z: Tensor, context: Tensor | None) -> None:
        """Put in the noise (n, D) and context (n, C) of at most T objects, and zeros for those missing.

        The products always have T columns: their rounding may depend on the shape.
        """
        self.z[:, : len(z)] = z.T
        self.z[:, len(z) :] = 0.0
        if context is not None:
            self.context[1:, : len(z)] = context.T
            self.context[1:, len(z) :] = 0.0

    def view(self, variable: int, known: int, new: int, backend: Backend) -> View:
        """Show the part of the buffers that one step works on.

        Parameters
        ----------
        variable
            Index of the variable, from 0; as many variables are known.
        known, new
            Known units of each hidden layer, and those to compute in this step.
        backend
            What computes between the products.

        Returns
        -------
        View
            Views of the buffers, made once for each step.
        """
        key = (variable, known, new)
        if key not in self._views:
            self._views[key] = self._new_view(variable, slice(known, known + new), backend)
        return self._views[key]

    def _new_view(self, variable: int, new: slice, backend: Backend) -> View:
        units = [layer[new] for layer in self.units.chunk(len(self._activations))]
        arrays = [backend.array(layer) for layer in units]
        activations = [layer[1:] for layer in self._activations]
        inputs = [self.x[:variable], *(layer[: new.stop] for layer in activations[:-1])]
        written = [backend.array(layer[new]) for layer in activations]
        hidden = starmap(HiddenView, zip(inputs, units, arrays, written, [*arrays[1:], None], strict=True))
        return View(
            hidden=tuple(hidden),
            output_inputs=self._activations[-1][: 1 + new.stop],
            z=backend.array(self.z[variable]),
            logits=backend.array(self.logits),
            x=backend.array(self.x[variable]),
        )
