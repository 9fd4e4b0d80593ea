"""The weights of a flow, cut into one contiguous block a degree for the sampler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from flashsim.flows._nflows import Permutation
from flashsim.flows.maf import ConditionalMAF, SplineAutoregressive

if TYPE_CHECKING:
    from torch import Tensor

    from flashsim.flows.made import MaskedConditioner

__all__ = ["Layer", "Step", "arranged"]


@dataclass(frozen=True)
class Step:
    """Weights of one degree d: from what is known to its hidden units, and on to variable d + 1.

    Attributes
    ----------
    known, new
        Units of lower and of this degree in each hidden layer.
    hidden
        A matrix a hidden layer, shape (new, d) for the first, (new, known + new) for the others.
    output
        Bias and weights of the spline parameters of variable d + 1, shape (3K - 1, 1 + known + new).
    """

    known: int
    new: int
    hidden: tuple[Tensor, ...]
    output: Tensor


@dataclass(frozen=True)
class Layer:
    """An autoregressive layer with its units sorted by degree.

    Attributes
    ----------
    context
        Biases and context weights of all hidden layers, shape (depth * width, 1 + C).
    steps
        One for each variable.
    order
        Row of the layer's variables that each variable before the permutation is, shape (D,).
    """

    context: Tensor
    steps: tuple[Step, ...]
    order: Tensor


@torch.no_grad()
def arranged(flow: ConditionalMAF) -> list[Layer]:
    """Rearrange a flow's weights by degree.

    Parameters
    ----------
    flow
        The flow; its weights are copied.

    Returns
    -------
    list of Layer
        Autoregressive layers in the order from variables to noise.
    """
    layers = []
    unpermuted = torch.arange(flow.features, device=next(flow.parameters()).device)
    order = unpermuted
    for transform in flow.transform.modules():
        if isinstance(transform, Permutation):
            order = transform.inverse(unpermuted[None])[0][0]
        elif isinstance(transform, SplineAutoregressive):
            layers.append(_layer(transform.autoregressive_net, order))
            order = unpermuted
    return layers


def _layer(conditioner: MaskedConditioner, order: Tensor) -> Layer:
    by_degree = torch.argsort(conditioner.degrees, stable=True)
    degrees = conditioner.degrees[by_degree]
    linears = conditioner.hidden_layers()
    context = torch.cat([linear.bias[by_degree] for linear in linears])[:, None]
    if conditioner.context is not None:
        weights = conditioner.context.weight.reshape(len(linears), len(degrees), -1)
        context = torch.cat((context, weights[:, by_degree].flatten(0, 1)), dim=1)
    first, *others = (linear.masked_weight()[by_degree] for linear in linears)
    hidden = [first, *(weight[:, by_degree] for weight in others)]
    bias, weight = conditioner.output.bias, conditioner.output.masked_weight()
    outputs = torch.cat((bias[:, None], weight[:, by_degree]), dim=1).chunk(conditioner.features)
    steps = tuple(_step(d, degrees, hidden, output) for d, output in enumerate(outputs))
    return Layer(context, steps, order)


def _step(d: int, degrees: Tensor, hidden: list[Tensor], output: Tensor) -> Step:
    known, end = int((degrees < d).sum()), int((degrees <= d).sum())
    first, *others = (weight[known:end] for weight in hidden)
    return Step(
        known,
        end - known,
        (first[:, :d].contiguous(), *(weight[:, :end].contiguous() for weight in others)),
        output[:, : 1 + end].contiguous(),
    )
