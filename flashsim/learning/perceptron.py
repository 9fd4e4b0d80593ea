"""Small feed-forward networks, efficiencies and counts: as model files hold them, evaluated without torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from flashsim.flows.dense import Dense
from flashsim.flows.tensors import check_names, check_shapes, check_sizes, check_types, parameters_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.flows.protocol import Tensors

__all__ = ["Perceptron", "PerceptronArchitecture"]


class PerceptronArchitecture(TypedDict):
    """Arguments of `flashsim.learning.perceptron_module.PerceptronModule`, as a JSON object."""

    inputs: int
    outputs: int
    width: int
    depth: int
    dropout: float


@dataclass(frozen=True, eq=False)
class Perceptron:
    """A trained multi-layer perceptron with SiLU activations and logits as output.

    Parameters
    ----------
    architecture
        Its sizes.
    tensors
        Weights and biases, by the names that they have in the module's state.

    Raises
    ------
    ValueError
        If a size is out of range, or the tensors do not belong to the architecture or are not finite.
    """

    architecture: PerceptronArchitecture
    tensors: Tensors

    def __post_init__(self) -> None:
        check_names(self.architecture, PerceptronArchitecture.__annotations__)
        _check(self.architecture)
        check_sizes({"depth": self.architecture["depth"]}, self.tensors)
        check_shapes(self.tensors, _shapes(self.architecture))
        check_types(self.tensors)

    @property
    def parameters(self) -> int:
        """Number of trained parameters."""
        return parameters_of(self.tensors)

    def logits(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Evaluate the network: shape (N, outputs), for rows of shape (N, inputs).

        A row's output does not depend on the rows that come with it or on the number of threads, down to the
        last bit.

        Raises
        ------
        ValueError
            If the rows have another number of columns.
        """
        if rows.ndim != 2 or rows.shape[1] != self.architecture["inputs"]:
            msg = f"The network expects rows of shape (N, {self.architecture['inputs']}), found {rows.shape}."
            raise ValueError(msg)
        return self._dense(rows).astype(np.float64)

    @cached_property
    def _dense(self) -> Dense:
        layers = _layers(self.architecture)
        return Dense(
            [self.tensors[f"{layer}.weight"] for layer in layers],
            [self.tensors[f"{layer}.bias"] for layer in layers],
        )


def _check(architecture: PerceptronArchitecture) -> None:
    sizes: dict[str, object] = dict(architecture)
    dropout = sizes.pop("dropout")
    for name, value in sizes.items():
        least = 0 if name in {"inputs", "depth"} else 1
        if type(value) is not int or value < least:
            msg = f"A network needs {name} of at least {least}, found {value!r}."
            raise ValueError(msg)
    if not (isinstance(dropout, float | int) and 0.0 <= dropout < 1.0):
        msg = f"A network needs a dropout in [0, 1), found {dropout!r}."
        raise ValueError(msg)


def _layers(architecture: PerceptronArchitecture) -> list[int]:
    """Numbers of the linear layers; activations, and dropout if there is some, have numbers, too."""
    step = 3 if architecture["dropout"] > 0.0 else 2
    return [step * number for number in range(architecture["depth"] + 1)]


def _shapes(architecture: PerceptronArchitecture) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    inputs, layers = architecture["inputs"], _layers(architecture)
    for layer in layers:
        outputs = architecture["outputs" if layer == layers[-1] else "width"]
        shapes |= {f"{layer}.weight": (outputs, inputs), f"{layer}.bias": (outputs,)}
        inputs = outputs
    return shapes
