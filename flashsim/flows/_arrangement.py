"""The weights of a flow, cut into one contiguous block a degree for the sampler."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from flashsim.flows.degrees import hidden_degrees
from flashsim.flows.tensors import check_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from flashsim.flows.protocol import Tensors

__all__ = ["Layer", "Step", "arranged", "check_architecture", "connected", "shapes"]

Array = TypeVar("Array")

_LEAST = {"features": 1, "context": 0, "layers": 1, "width": 1, "depth": 1, "bins": 1}


@dataclass(frozen=True)
class Step(Generic[Array]):
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
    hidden: tuple[Array, ...]
    output: Array


@dataclass(frozen=True)
class Layer(Generic[Array]):
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

    context: Array
    steps: tuple[Step[Array], ...]
    order: Array


def check_architecture(architecture: Mapping[str, Any]) -> None:
    """See that a flow can be built with these arguments of `ConditionalMAF`.

    Raises
    ------
    ValueError
        If one is missing, unknown or out of range.
    """
    check_names(architecture, {*_LEAST, "bound", "dropout", "leading", "seed"})
    for name, minimum in _LEAST.items():
        if type(value := architecture[name]) is not int or value < minimum:
            msg = f"A flow needs {name} of at least {minimum}, found {value!r}."
            raise ValueError(msg)
    leading, features = architecture["leading"], architecture["features"]
    if type(leading) is not int or not 0 <= leading <= features:
        msg = f"A flow needs leading of 0 to its {features} features, found {leading}."
        raise ValueError(msg)
    if not 0.0 < architecture["bound"] < math.inf:
        msg = f"A flow needs a positive bound, found {architecture['bound']}."
        raise ValueError(msg)
    if not 0.0 <= architecture["dropout"] < 1.0:
        msg = f"A flow needs a dropout in [0, 1), found {architecture['dropout']}."
        raise ValueError(msg)


def shapes(architecture: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors of a flow by their names, which are those of `ConditionalMAF`'s state."""
    features, context, width = (architecture[name] for name in ("features", "context", "width"))
    parameters, depth = features * (3 * architecture["bins"] - 1), architecture["depth"]
    found: dict[str, tuple[int, ...]] = {}
    for number in range(architecture["layers"]):
        if number:
            found[_permutation(number)] = (features,)
        prefix = _conditioner(number)
        for level in range(depth):
            found[f"{prefix}.hidden.{level}.weight"] = (width, width if level else features)
            found[f"{prefix}.hidden.{level}.bias"] = (width,)
        if context:
            found[f"{prefix}.context.weight"] = (depth * width, context)
        found |= {f"{prefix}.output.weight": (parameters, width), f"{prefix}.output.bias": (parameters,)}
    return found


def connected(architecture: Mapping[str, Any]) -> dict[str, NDArray[np.int64]]:
    """Of each masked matrix by name: to how many of its inputs, the first ones, each output is connected.

    As the degrees of hidden units never fall, what a unit may see comes before what it may not see.
    """
    features, width = architecture["features"], architecture["width"]
    degrees = hidden_degrees(width, features)
    units = np.searchsorted(degrees, degrees, side="right")
    output = np.searchsorted(degrees, np.arange(features), side="right")
    found: dict[str, NDArray[np.int64]] = {}
    for number in range(architecture["layers"]):
        prefix = _conditioner(number)
        for level in range(architecture["depth"]):
            found[f"{prefix}.hidden.{level}.weight"] = units if level else degrees
        found[f"{prefix}.output.weight"] = np.repeat(output, 3 * architecture["bins"] - 1)
    return found


def arranged(
    architecture: Mapping[str, Any], tensors: Tensors, degrees: NDArray[np.int64] | None = None
) -> list[Layer[NDArray[Any]]]:
    """Rearrange a flow's weights by degree.

    Parameters
    ----------
    architecture
        Sizes of the flow.
    tensors
        Its weights and permutations, see `shapes`; copied.
    degrees
        Of the units of every hidden layer, shape (width,); `hidden_degrees` by default.

    Returns
    -------
    list of Layer
        Autoregressive layers in the order from variables to noise.
    """
    features = architecture["features"]
    if degrees is None:
        degrees = hidden_degrees(architecture["width"], features)
    layers = []
    for number in range(architecture["layers"]):
        order = np.argsort(tensors[_permutation(number)]) if number else np.arange(features)
        prefix = f"{_conditioner(number)}."
        conditioner = {k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)}
        layers.append(_layer(architecture, conditioner, degrees, order))
    return layers


def _permutation(layer: int) -> str:
    return f"transform._transforms.{2 * layer - 1}._permutation"


def _conditioner(layer: int) -> str:
    return f"transform._transforms.{2 * layer}.autoregressive_net"


def _layer(
    architecture: Mapping[str, Any],
    tensors: Tensors,
    degrees: NDArray[np.int64],
    order: NDArray[np.int64],
) -> Layer[NDArray[Any]]:
    by_degree = np.argsort(degrees, kind="stable")
    levels = range(architecture["depth"])
    context = np.concatenate([tensors[f"hidden.{level}.bias"][by_degree] for level in levels])[:, None]
    if "context.weight" in tensors:
        weights = tensors["context.weight"].reshape(len(levels), len(degrees), -1)[:, by_degree]
        context = np.concatenate((context, weights.reshape(len(context), -1)), axis=1)
    first, *others = (tensors[f"hidden.{level}.weight"][by_degree] for level in levels)
    hidden = [first, *(weight[:, by_degree] for weight in others)]
    output = np.concatenate((tensors["output.bias"][:, None], tensors["output.weight"][:, by_degree]), axis=1)
    outputs = output.reshape(architecture["features"], -1, output.shape[1])
    steps = tuple(_step(d, degrees[by_degree], hidden, own) for d, own in enumerate(outputs))
    return Layer(context, steps, order)


def _step(
    d: int, degrees: NDArray[np.int64], hidden: list[NDArray[Any]], output: NDArray[Any]
) -> Step[NDArray[Any]]:
    """Cut out what connects a degree with those known; of the weights in it no connection is absent."""
    known, end = int((degrees < d).sum()), int((degrees <= d).sum())
    first, *others = (weight[known:end] for weight in hidden)
    return Step(
        known,
        end - known,
        (first[:, :d].copy(), *(weight[:, :end].copy() for weight in others)),
        output[:, : 1 + end].copy(),
    )
