"""The inverse as one compiled function: single precision on a CPU, a block of objects at a time.

Products, activations and splines of a block follow each other in one core's cache. The products are small (a
few rows, up to the width of the network long), so what a library spends on each call and on packing its
operands counts: four rows and three inputs at a time need neither, and their twelve weights stay in the
sixteen registers that every 64-bit processor has, as those of four inputs would not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flashsim.execution.machine_code import aligned, compiled
from flashsim.flows._kernels import LANES, ROOM, activate, invert_spline

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from numpy.typing import NDArray

    from flashsim.flows._arrangement import Layer

__all__ = ["BLOCK", "CompiledInverse", "add_products", "copy", "invert", "start_at"]

BLOCK = 2 * LANES
_ROWS = 4


class CompiledInverse:
    """Inverse of a flow, by rows.

    Parameters
    ----------
    architecture
        Sizes of the flow.
    layers
        Its weights.
    """

    def __init__(self, architecture: Mapping[str, Any], layers: Sequence[Layer[NDArray[Any]]]) -> None:
        self._depth, self._width = architecture["depth"], architecture["width"]
        self._bound = np.float32(architecture["bound"])
        parts = [weights.ravel() for layer in layers[::-1] for weights in _parts(layer)]
        self._weights = np.concatenate(parts).astype(np.float32, copy=False)
        known = [[*(step.known for step in layer.steps), self._width] for layer in layers[::-1]]
        self._known = np.array(known, dtype=np.int64)
        self._orders = np.stack([layer.order for layer in layers[::-1]])
        self._bins = architecture["bins"]

    def __call__(self, z: NDArray[np.float32], context: NDArray[np.float32], x: NDArray[np.float32]) -> None:
        """Write to x, shape (N, D), the variables of noise z (N, D) and context (N, C)."""
        given, features = context.shape[1], z.shape[1]
        invert(
            z,
            context,
            x,
            self._weights,
            self._known,
            self._orders,
            self._depth,
            self._bins,
            self._bound,
            # What a hidden layer sees: the context, then the variables or the activations of the one before.
            aligned((self._depth + 1, (given + max(self._width, features)) * BLOCK)),
            aligned(self._width * BLOCK),
            aligned((3 * self._bins - 1 + _ROWS) * BLOCK),
            aligned(features * BLOCK),
            aligned(ROOM * LANES),
            aligned(LANES, np.int32),
        )


def _parts(layer: Layer[NDArray[Any]]) -> Iterator[NDArray[Any]]:
    """Biases and weights in the order in which `invert` reads them."""
    by_level = np.split(layer.context, len(layer.steps[0].hidden))
    for step in layer.steps:
        for from_context, weights in zip(by_level, step.hidden, strict=True):
            new = from_context[step.known : step.known + step.new]
            yield new[:, 0]
            yield np.concatenate((new[:, 1:], weights), axis=1)
        # Whole fours of rows: what is added to fill them up is never looked at.
        output = np.zeros((-(-len(step.output) // _ROWS) * _ROWS, step.output.shape[1]), step.output.dtype)
        output[: len(step.output)] = step.output
        yield output[:, 0]
        yield output[:, 1:]


def add_products(weights: np.ndarray, rows: int, inner: int, inputs: np.ndarray, outputs: np.ndarray) -> None:
    """Add the product of weights (M, K) and inputs (K, B) to outputs (M, B), B the block; all arrays flat.

    With constant distances between the rows of a slice the compiler sees that they do not overlap.
    """
    whole_rows, whole_inner = rows - rows % 4, inner - inner % 3
    for k in range(0, whole_inner, 3):
        x = inputs[k * BLOCK : (k + 3) * BLOCK]
        for m in range(0, whole_rows, 4):
            y = outputs[m * BLOCK : (m + 4) * BLOCK]
            a, b, c, d = m * inner + k, (m + 1) * inner + k, (m + 2) * inner + k, (m + 3) * inner + k
            a0, a1, a2 = weights[a], weights[a + 1], weights[a + 2]
            b0, b1, b2 = weights[b], weights[b + 1], weights[b + 2]
            c0, c1, c2 = weights[c], weights[c + 1], weights[c + 2]
            d0, d1, d2 = weights[d], weights[d + 1], weights[d + 2]
            for t in range(BLOCK):
                x0, x1, x2 = x[t], x[t + BLOCK], x[t + 2 * BLOCK]
                y[t] = y[t] + a0 * x0 + a1 * x1 + a2 * x2
                y[t + BLOCK] = y[t + BLOCK] + b0 * x0 + b1 * x1 + b2 * x2
                y[t + 2 * BLOCK] = y[t + 2 * BLOCK] + c0 * x0 + c1 * x1 + c2 * x2
                y[t + 3 * BLOCK] = y[t + 3 * BLOCK] + d0 * x0 + d1 * x1 + d2 * x2
        for m in range(whole_rows, rows):
            y = outputs[m * BLOCK : (m + 1) * BLOCK]
            a = m * inner + k
            a0, a1, a2 = weights[a], weights[a + 1], weights[a + 2]
            for t in range(BLOCK):
                y[t] = y[t] + a0 * x[t] + a1 * x[t + BLOCK] + a2 * x[t + 2 * BLOCK]
    for k in range(whole_inner, inner):
        x = inputs[k * BLOCK : (k + 1) * BLOCK]
        for m in range(rows):
            y = outputs[m * BLOCK : (m + 1) * BLOCK]
            a0 = weights[m * inner + k]
            for t in range(BLOCK):
                y[t] += a0 * x[t]


def start_at(biases: np.ndarray, outputs: np.ndarray) -> None:
    """Set each row of outputs, flat, to a number."""
    for m in range(len(biases)):
        row = outputs[m * BLOCK : (m + 1) * BLOCK]
        bias = biases[m]
        for t in range(BLOCK):
            row[t] = bias


def copy(values: np.ndarray, outputs: np.ndarray) -> None:
    """Copy values to the beginning of outputs."""
    for t in range(len(values)):
        outputs[t] = values[t]


def _add_biases(biases: np.ndarray, outputs: np.ndarray) -> None:
    """Add a number to each row of outputs, flat."""
    for m in range(len(biases)):
        row = outputs[m * BLOCK : (m + 1) * BLOCK]
        bias = biases[m]
        for t in range(BLOCK):
            row[t] += bias


def _clear(values: np.ndarray) -> None:
    for t in range(len(values)):
        values[t] = np.float32(0.0)


_ROW, _MATRIX, _INTEGERS = "float32[::1]", "float32[:, ::1]", "int64[:, ::1]"


@compiled(
    f"{_MATRIX}, {_MATRIX}, {_MATRIX}, {_ROW}, {_INTEGERS}, {_INTEGERS}, int64, int64, float32, "
    f"{_MATRIX}, {_ROW}, {_ROW}, {_ROW}, {_ROW}, int32[::1]"
)
def invert(  # noqa: PLR0917  # compiled functions take no keyword arguments
    noise: np.ndarray,
    context: np.ndarray,
    variables: np.ndarray,
    weights: np.ndarray,
    known: np.ndarray,
    orders: np.ndarray,
    depth: int,
    bins: int,
    bound: np.float32,
    inputs: np.ndarray,
    units: np.ndarray,
    logits: np.ndarray,
    z: np.ndarray,
    room: np.ndarray,
    index: np.ndarray,
) -> None:
    """Invert a flow, layer by layer, variable by variable.

    Parameters
    ----------
    noise, context, variables
        Shapes (N, D), (N, C) and (N, D), the last one to write.
    weights
        For each layer and variable: for each hidden layer the biases and weights, from context and inputs, of
        the units of one degree; then those of the spline.
    known
        Units of lower degree by layer and variable, shape (L, D + 1).
    orders
        Row of the layer's variables that each variable before its permutation is, shape (L, D).
    depth, bins
        Hidden layers, and bins of a spline.
    bound
        Half width of the splines' interval.
    inputs, units, logits, z, room, index
        Room, zeros at first: what each hidden layer sees, shape (depth + 1, (C + most) * B), most being the
        larger one of the layers' width and D; units; logits of a spline in whole fours of rows; noise; see
        `invert_spline`.
    """
    rows, features = noise.shape
    given = context.shape[1]
    parameters = 3 * bins - 1
    after = given * BLOCK
    padded = parameters + (_ROWS - parameters % _ROWS) % _ROWS
    x = inputs[0, after:]
    for start in range(0, rows, BLOCK):
        block = min(BLOCK, rows - start)
        # Places without an object keep those of the block before: no number depends on another place's.
        for t in range(block):
            for d in range(features):
                z[d * BLOCK + t] = noise[start + t, d]
            for c in range(given):
                inputs[0, c * BLOCK + t] = context[start + t, c]
        for level in range(1, depth):
            copy(inputs[0, :after], inputs[level])
        place = 0
        for layer in range(len(orders)):
            for d in range(features):
                first, end = known[layer, d], known[layer, d + 1]
                new = end - first
                _clear(units[: new * BLOCK])
                for level in range(depth if new else 0):
                    inner = given + (end if level else d)
                    _add_biases(weights[place : place + new], units)
                    place += new
                    add_products(weights[place : place + new * inner], new, inner, inputs[level], units)
                    place += new * inner
                    activate(units[: new * BLOCK], inputs[level + 1, after + first * BLOCK :])
                start_at(weights[place : place + padded], logits)
                place += padded
                known_units = inputs[depth, after:]
                add_products(weights[place : place + padded * end], padded, end, known_units, logits)
                place += padded * end
                invert_spline(z[d * BLOCK :], logits, bins, BLOCK, x[d * BLOCK :], bound, room, index)
            for d in range(features):
                row = orders[layer, d]
                copy(x[row * BLOCK : (row + 1) * BLOCK], z[d * BLOCK :])
        for t in range(block):
            for d in range(features):
                variables[start + t, d] = z[d * BLOCK + t]
