"""Output layer of a conditioner and splines as one differentiable operation, compiled for CPUs.

The spline as torch operations reads and writes the parameters, 3K - 1 numbers a value, some forty times a
training step, and half of the output layer's weights that the masked product multiplies are zero. Here rows
are worked on in tiles and variables in blocks: a product takes only the hidden units that its variables may
see, and what it gives is used while it is in the cache, feature-major so that the loops vectorise. On other
devices and in other precisions `flashsim.flows.spline` remains, which also has the inverse.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from flashsim.flows._kernels import LANES
from flashsim.flows._torch_threads import run_torch_shares
from flashsim.flows._training_kernels import STATE, apply_spline, spline_gradients

__all__ = ["SplineBlock", "is_compiled_for", "masked_spline", "spline_blocks"]

_TILE = 256
_BLOCK = 6


class SplineBlock(NamedTuple):
    """Variables ``start`` to ``stop``, of which hidden units from number ``units`` on are not seen."""

    start: int
    stop: int
    units: int


def spline_blocks(degrees: Tensor, features: int) -> tuple[SplineBlock, ...]:
    """Cut the variables into blocks.

    Parameters
    ----------
    degrees
        Degrees of the hidden units, shape (width,), best sorted.
    features
        Number of variables D.
    """
    blocks = []
    for start in range(0, features, _BLOCK):
        stop = min(start + _BLOCK, features)
        seen = torch.nonzero(degrees < stop)
        blocks.append(SplineBlock(start, stop, int(seen.max()) + 1 if len(seen) else 0))
    return tuple(blocks)


def is_compiled_for(*tensors: Tensor) -> bool:
    """Whether `masked_spline` takes these tensors: on the CPU, all in single or all in double precision."""
    first = tensors[0].dtype
    return first in (torch.float32, torch.float64) and all(
        tensor.device.type == "cpu" and tensor.dtype == first for tensor in tensors
    )


def masked_spline(  # noqa: PLR0917
    inputs: Tensor,
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor,
    blocks: tuple[SplineBlock, ...],
    bound: float,
) -> tuple[Tensor, Tensor]:
    """Map variables through splines whose parameters are a masked linear map of hidden units.

    Parameters
    ----------
    inputs
        Variables, shape (N, D), on the CPU, in single or double precision, as everything else.
    hidden
        Activations of the last hidden layer, shape (N, width).
    weight, bias
        Of the output layer, masked, shapes (D * (3K - 1), width) and (D * (3K - 1),).
    blocks
        See `spline_blocks`.
    bound
        Half width of the interval that the splines cover.

    Returns
    -------
    outputs, logabsdet : Tensor
        Mapped variables, shape (N, D), and the sum over variables of the logarithm of the derivative,
        shape (N,). Differentiable once.
    """
    # torch's annotations leave `apply` out.
    apply: Any = _MaskedSpline.apply
    keep = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (inputs, hidden, weight, bias))
    return cast("tuple[Tensor, Tensor]", apply(inputs, hidden, weight, bias, blocks, bound, keep))


@dataclass(frozen=True)
class _Tile:
    """What the backward pass needs of some rows: exponentials and logits, and the state of the kernels."""

    rows: slice
    values: Tensor
    logits: Tensor
    state: Tensor


def _padded(tensor: Tensor) -> Tensor:
    """Add rows of zeros up to a multiple of what the kernels take."""
    missing = -len(tensor) % LANES
    return functional.pad(tensor, (0, 0) * (tensor.ndim - 1) + (0, missing)) if missing else tensor


class _MaskedSpline(torch.autograd.Function):
    @staticmethod
    def forward(  # noqa: PLR0917
        ctx: Any,
        inputs: Tensor,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor,
        blocks: tuple[SplineBlock, ...],
        bound: float,
        keep: bool,
    ) -> tuple[Tensor, Tensor]:
        count, features = inputs.shape
        parameters = len(weight) // features
        values, units = _padded(inputs), _padded(hidden)
        outputs, logabsdet = torch.empty_like(values), values.new_empty(len(values))
        starts = range(0, len(values), _TILE)
        tiles: dict[int, _Tile] = {}

        def work(share: int, shares: int) -> None:
            with torch.no_grad():
                for number in range(share, len(starts), shares):
                    rows = slice(starts[number], starts[number] + _TILE)
                    x = values[rows].T.contiguous()
                    h = units[rows].T
                    logits = bias[:, None].expand(-1, x.shape[1]).contiguous()
                    state = x.new_empty(features, STATE, x.shape[1])
                    z, derivatives = torch.empty_like(x), torch.empty_like(x)
                    for start, stop, seen in blocks:
                        own = logits[start * parameters : stop * parameters]
                        own.addmm_(weight[start * parameters : stop * parameters, :seen], h[:seen])
                        apply_spline(
                            x[start:stop].numpy(),
                            own.numpy(),
                            z[start:stop].numpy(),
                            derivatives[start:stop].numpy(),
                            state[start:stop].numpy(),
                            bound,
                        )
                    outputs[rows] = z.T
                    logabsdet[rows] = derivatives.log_().sum(dim=0)
                    if keep:
                        tiles[number] = _Tile(rows, x, logits, state)

        run_torch_shares(work, len(starts))
        ctx.save_for_backward(units, weight)
        ctx.tiles, ctx.blocks, ctx.bound, ctx.count = tiles, blocks, bound, count
        return outputs[:count], logabsdet[:count]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, output_gradients: Tensor, log_gradients: Tensor) -> tuple[Tensor | None, ...]:
        units, weight = ctx.saved_tensors
        tiles, blocks = ctx.tiles, ctx.blocks
        features = output_gradients.shape[1]
        parameters = len(weight) // features
        g_outputs, g_logs = _padded(output_gradients), _padded(log_gradients).contiguous()
        g_inputs, g_units = torch.empty_like(g_outputs), torch.empty_like(units)
        sums: dict[int, tuple[Tensor, Tensor]] = {}

        def work(share: int, shares: int) -> None:
            g_weight, g_bias = torch.zeros_like(weight), weight.new_zeros(len(weight))
            sums[share] = g_weight, g_bias
            with torch.no_grad():
                for number in range(share, len(tiles), shares):
                    tile = tiles[number]
                    g_z, g_log = g_outputs[tile.rows].T.contiguous(), g_logs[tile.rows]
                    g_x, h = torch.empty_like(g_z), units[tile.rows]
                    g_h = torch.zeros_like(h.T, memory_format=torch.contiguous_format)
                    largest = _BLOCK * parameters
                    gradients = torch.empty(largest, len(h), dtype=h.dtype)
                    for start, stop, seen in blocks:
                        own = slice(start * parameters, stop * parameters)
                        g_own = gradients[: own.stop - own.start]
                        spline_gradients(
                            tile.values[start:stop].numpy(),
                            tile.logits[own].numpy(),
                            tile.state[start:stop].numpy(),
                            g_z[start:stop].numpy(),
                            g_log.numpy(),
                            g_x[start:stop].numpy(),
                            g_own.numpy(),
                            ctx.bound,
                        )
                        g_weight[own, :seen].addmm_(g_own, h[:, :seen])
                        g_bias[own] += g_own.sum(dim=1)
                        g_h[:seen].addmm_(weight[own, :seen].T, g_own)
                    g_inputs[tile.rows] = g_x.T
                    g_units[tile.rows] = g_h.T

        run_torch_shares(work, len(tiles))
        g_weight, g_bias = sums[0]
        for share in range(1, len(sums)):
            g_weight += sums[share][0]
            g_bias += sums[share][1]
        return g_inputs[: ctx.count], g_units[: ctx.count], g_weight, g_bias, None, None, None
