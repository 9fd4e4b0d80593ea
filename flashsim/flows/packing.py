"""Weights of masked networks without those of absent connections, on which nothing depends.

In a masked matrix, shape (O, I), an output is connected to the first of the inputs, as many as its kind says.
Packed, these weights stand in one row: those of the first output, then those of the second, and so on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.flows.protocol import MaskedKind
from flashsim.flows.tensors import check_shapes, check_sizes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.flows.protocol import Architecture, FlowKind, Tensors

__all__ = ["pack", "unpack"]


def pack(kind: FlowKind, architecture: Architecture, tensors: Tensors) -> Tensors:
    """Leave out the weights of absent connections: of masked matrices rows of numbers remain."""
    connected = kind.connected(architecture) if isinstance(kind, MaskedKind) else {}
    rows = {name: tensors[name][_mask(seen, tensors[name].shape[1])] for name, seen in connected.items()}
    return {**tensors, **rows}


def unpack(kind: FlowKind, architecture: Architecture, packed: Tensors) -> Tensors:
    """Give masked matrices back, with zeros where `pack` left weights out.

    Raises
    ------
    ValueError
        If these are not packed tensors of the architecture.
    """
    if not isinstance(kind, MaskedKind):
        return packed
    check_sizes(architecture, packed)
    shapes = kind.shapes(architecture)
    held = sum(array.size for array in packed.values())
    if large := [name for name, (rows, *_) in shapes.items() if rows > held]:  # before arrays are as large
        msg = f"its architecture needs more rows of the tensor {large[0]} than the file has numbers"
        raise ValueError(msg)
    connected = kind.connected(architecture)
    kept = {name: (int(connected[name].sum()),) if name in connected else shapes[name] for name in shapes}
    check_shapes(packed, kept)
    return {
        name: _matrix(packed[name], connected[name], shapes[name]) if name in connected else packed[name]
        for name in packed
    }


def _matrix(row: NDArray[Any], seen: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[Any]:
    matrix = np.zeros(shape, row.dtype)
    matrix[_mask(seen, shape[1])] = row
    return matrix


def _mask(seen: NDArray[np.int64], inputs: int) -> NDArray[np.bool_]:
    """Whether an output is connected to an input, shape (O, inputs)."""
    return np.arange(inputs) < seen[:, None]
