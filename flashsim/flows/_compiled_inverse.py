"""The inverse as one compiled function: single precision on a CPU, a block of objects at a time.

Products, activations and splines of a block follow each other in one core's cache. The products are small (a
few rows, up to the width of the network long), so what a library spends on each call and on packing its
operands counts: four rows and three inputs at a time need neither, and their twelve weights stay in the
sixteen registers that every 64-bit processor has, as those of four inputs would not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flashsim.flows._kernels import LANES, activate, compiled, invert_spline

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from numpy.typing import NDArray

    from flashsim.flows._arrangement import Layer

__all__ = ["BLOCK", "CompiledInverse", "add_products", "start_at"]

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
        self._parameters = 3 * architecture["bins"] - 1

    def __call__(self, z: NDArray[np.float32], context: NDArray[np.float32], x: NDArray[np.float32]) -> None:
        """Write to x, shape (N, D), the variables of noise z (N, D) and context (N, C)."""
        _invert(
            z,
            context,
            x,
            self._weights,
            self._known,
            self._orders,
            self._depth,
            self._width,
            self._parameters,
            self._bound,
        )


def _parts(layer: Layer[NDArray[Any]]) -> Iterator[NDArray[Any]]:
    """Biases and weights in the order in which `_invert` reads them."""
    by_level = np.split(layer.context, len(layer.steps[0].hidden))
    for step in layer.steps:
        for from_context, weights in zip(by_level, step.hidden, strict=True):
            new = from_context[step.known : step.known + step.new]
            yield new[:, 0]
            yield np.concatenate((new[:, 1:], weights), axis=1)
        # Whole fours of rows: what is added to fill them up is never looked at.
        output = np.pad(step.output, ((0, -len(step.output) % _ROWS), (0, 0)))
        yield output[:, 0]
        yield output[:, 1:]


def _add_products_(
    weights: np.ndarray, rows: int, inner: int, inputs: np.ndarray, outputs: np.ndarray
) -> None:
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


add_products = compiled(_add_products_)


def _invert_(  # noqa: PLR0917  # compiled functions take no keyword arguments
    noise: np.ndarray,
    context: np.ndarray,
    variables: np.ndarray,
    weights: np.ndarray,
    known: np.ndarray,
    orders: np.ndarray,
    depth: int,
    width: int,
    parameters: int,
    bound: np.float32,
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
    depth, width
        Hidden layers, and units in each.
    parameters
        Spline parameters of a variable.
    bound
        Half width of the splines' interval.
    """
    rows, features = noise.shape
    given = context.shape[1]
    # What a hidden layer sees: the context, then the variables or the activations of the one before.
    inputs = np.zeros((depth + 1, (given + max(width, features)) * BLOCK), np.float32)
    after = given * BLOCK
    units = np.empty(width * BLOCK, np.float32)
    padded = parameters + -parameters % _ROWS
    logits = np.empty(padded * BLOCK, np.float32)
    z, x = np.zeros(features * BLOCK, np.float32), inputs[0, after:]
    for start in range(0, rows, BLOCK):
        block = min(BLOCK, rows - start)
        # Places without an object keep those of the block before: no number depends on another place's.
        for t in range(block):
            for d in range(features):
                z[d * BLOCK + t] = noise[start + t, d]
            for c in range(given):
                inputs[0, c * BLOCK + t] = context[start + t, c]
        for level in range(1, depth):
            inputs[level, :after] = inputs[0, :after]
        place = 0
        for layer in range(len(orders)):
            for d in range(features):
                first, end = known[layer, d], known[layer, d + 1]
                new = end - first
                units[: new * BLOCK] = np.float32(0.0)
                for level in range(depth if new else 0):
                    inner = given + (end if level else d)
                    _add_biases(weights[place : place + new], units)
                    place += new
                    add_products(weights[place : place + new * inner], new, inner, inputs[level], units)
                    place += new * inner
                    low, high = after + first * BLOCK, after + end * BLOCK
                    activate(units[: new * BLOCK], inputs[level + 1, low:high])
                start_at(weights[place : place + padded], logits)
                place += padded
                known_units = inputs[depth, after:]
                add_products(weights[place : place + padded * end], padded, end, known_units, logits)
                place += padded * end
                here = slice(d * BLOCK, (d + 1) * BLOCK)
                of_spline = logits[: parameters * BLOCK].reshape(parameters, BLOCK)
                invert_spline(z[here], of_spline, x[here], bound)
            for d in range(features):
                row = orders[layer, d]
                z[d * BLOCK : (d + 1) * BLOCK] = x[row * BLOCK : (row + 1) * BLOCK]
        for t in range(block):
            for d in range(features):
                variables[start + t, d] = z[d * BLOCK + t]


_invert = compiled(_invert_)


def _start_at_(biases: np.ndarray, outputs: np.ndarray) -> None:
    """Set each row of outputs, flat, to a number."""
    for m in range(len(biases)):
        outputs[m * BLOCK : (m + 1) * BLOCK] = biases[m]


start_at = compiled(_start_at_)


def _add_biases_(biases: np.ndarray, outputs: np.ndarray) -> None:
    """Add a number to each row of outputs, flat."""
    for m in range(len(biases)):
        for t in range(m * BLOCK, (m + 1) * BLOCK):
            outputs[t] += biases[m]


_add_biases = compiled(_add_biases_)
