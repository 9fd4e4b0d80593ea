"""Chains of dense layers with SiLU, compiled: a block of objects at a time, single precision.

No number depends on another object's, so that a row's result is the same whatever rows come with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flashsim.execution.machine_code import aligned, compiled
from flashsim.execution.threads import run_shares
from flashsim.flows._compiled_inverse import BLOCK, add_products, copy, start_at
from flashsim.flows._kernels import activate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Dense", "apply_dense"]

_FEWEST_ROWS = 4096
"""Objects that are worth a thread."""


class Dense:
    """Dense layers, SiLU between them.

    Parameters
    ----------
    weights, biases
        Of each layer, shapes (outputs, inputs) and (outputs,); copied.
    """

    def __init__(
        self, weights: Sequence[NDArray[np.floating]], biases: Sequence[NDArray[np.floating]]
    ) -> None:
        parts = [part.ravel() for pair in zip(biases, weights, strict=True) for part in pair]
        self.weights = np.concatenate(parts).astype(np.float32, copy=False)
        self.sizes = np.array([weights[0].shape[1], *(len(bias) for bias in biases)], dtype=np.int64)

    def __call__(self, rows: NDArray[np.floating]) -> NDArray[np.float32]:
        """Give outputs, shape (N, outputs), of rows, shape (N, inputs)."""
        inputs = np.ascontiguousarray(rows, dtype=np.float32)
        room = int(self.sizes.max()) * BLOCK
        outputs = np.empty((len(rows), self.sizes[-1]), np.float32)

        def evaluate_rows(share: int, shares: int) -> None:
            here = slice(share * len(rows) // shares, (share + 1) * len(rows) // shares)
            _evaluate(inputs[here], outputs[here], self.weights, self.sizes, aligned(room), aligned(room))

        run_shares(evaluate_rows, -(-len(rows) // _FEWEST_ROWS))
        return outputs


def apply_dense(weights: np.ndarray, sizes: np.ndarray, values: np.ndarray, spare: np.ndarray) -> None:
    """Replace the values of a block, feature-major and flat, by the outputs of dense layers.

    Parameters
    ----------
    weights
        Biases, then weights, of each layer.
    sizes
        Number of inputs, then of outputs of each layer.
    values, spare
        Room for the largest of these numbers, times the block.
    """
    place, layers = 0, len(sizes) - 1
    for layer in range(layers):
        inner, outer = sizes[layer], sizes[layer + 1]
        start_at(weights[place : place + outer], spare)
        place += outer
        add_products(weights[place : place + outer * inner], outer, inner, values, spare)
        place += outer * inner
        used = outer * BLOCK
        if layer < layers - 1:
            activate(spare[:used], values[:used])
        else:
            copy(spare[:used], values)


@compiled("float32[:, ::1], float32[:, ::1], float32[::1], int64[::1], float32[::1], float32[::1]")
def _evaluate(  # noqa: PLR0917
    rows: np.ndarray,
    outputs: np.ndarray,
    weights: np.ndarray,
    sizes: np.ndarray,
    values: np.ndarray,
    spare: np.ndarray,
) -> None:
    """Apply dense layers to rows, shape (N, inputs); outputs, shape (N, outputs), are written."""
    for start in range(0, len(rows), BLOCK):
        block = min(BLOCK, len(rows) - start)
        for t in range(block):
            for k in range(rows.shape[1]):
                values[k * BLOCK + t] = rows[start + t, k]
        apply_dense(weights, sizes, values, spare)
        for t in range(block):
            for k in range(outputs.shape[1]):
                outputs[start + t, k] = values[k * BLOCK + t]
