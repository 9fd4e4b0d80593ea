"""The conditioner of an autoregressive layer: a masked residual network with context.

Germain et al., "MADE" (arXiv:1502.03509), gives every hidden unit a degree: a unit of degree m sees the
variables x_1 to x_m, and feeds the parameters of the variables after x_m. Here degrees start at 0, not
at 1 as in nflows: units of degree 0 see the context only and feed every variable, so that also the first
variable's distribution depends on the context.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from flashsim.flows._nflows import MaskedLinear
from flashsim.flows.degrees import hidden_degrees

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["DegreeLinear", "MaskedConditioner"]


class DegreeLinear(MaskedLinear):  # type: ignore[misc]  # nflows has no types
    """Linear map that connects an output unit to the inputs of its own degree or lower.

    Parameters
    ----------
    in_degrees, out_degrees
        Integer degrees of the inputs, shape (I,), and of the outputs, shape (O,).
    """

    mask: Tensor
    degrees: Tensor
    in_degrees: Tensor

    def __init__(self, in_degrees: Tensor, out_degrees: Tensor) -> None:
        super().__init__(in_degrees, len(out_degrees), 1, random_mask=False, is_output=False)
        # Not part of the state: the architecture fixes them, and they would double a model's size.
        self.register_buffer("mask", (out_degrees[:, None] >= in_degrees).float(), persistent=False)
        self.register_buffer("degrees", out_degrees.clone(), persistent=False)
        self.register_buffer("in_degrees", in_degrees.clone(), persistent=False)

    def masked_weight(self) -> Tensor:
        """Return the weights with those of absent connections zero, shape (O, I)."""
        return self.weight * self.mask  # type: ignore[no-any-return]


class MaskedConditioner(nn.Module):
    """Network from variables and context to the parameters of every variable's transform.

    Parameters of variable d depend on the context and on the variables before d only. Each hidden layer
    after the first adds to the one before (units of equal degree), and each sees the context directly.

    Parameters
    ----------
    features
        Number of variables D.
    context
        Number of context values C; may be 0.
    width
        Units of a hidden layer.
    depth
        Number of hidden layers, at least 1.
    parameters
        Number of transform parameters P of one variable.
    dropout
        Probability to drop a hidden activation while training.
    degrees
        Degrees of the hidden units, shape (width,), each in [0, D - 1]; `hidden_degrees` by default.
    """

    def __init__(
        self,
        features: int,
        context: int,
        *,
        width: int,
        depth: int,
        parameters: int,
        dropout: float = 0.0,
        degrees: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.features = features
        degrees = torch.from_numpy(hidden_degrees(width, features)) if degrees is None else degrees
        in_degrees = torch.arange(1, features + 1)
        out_degrees = torch.arange(features).repeat_interleave(parameters)
        self.hidden = nn.ModuleList(
            DegreeLinear(degrees if layer else in_degrees, degrees) for layer in range(depth)
        )
        # One matrix gives the context's part of all hidden layers; the biases are in `hidden`.
        self.context = nn.Linear(context, depth * width, bias=False) if context else None
        self.output = DegreeLinear(degrees, out_degrees)
        self.dropout = nn.Dropout(dropout)

    @property
    def degrees(self) -> Tensor:
        """Degrees of the units of every hidden layer, shape (width,)."""
        return self.output.in_degrees

    def forward(self, inputs: Tensor, context: Tensor | None = None) -> Tensor:
        """Compute the transform parameters.

        Parameters
        ----------
        inputs
            Variables, shape (N, D).
        context
            Context, shape (N, C); ignored when C is 0.

        Returns
        -------
        Tensor
            Parameters, shape (N, D * P), those of the first variable first.
        """
        parameters: Tensor = self.output(self.activations(inputs, context))
        return parameters

    def activations(self, inputs: Tensor, context: Tensor | None = None) -> Tensor:
        """Compute the activations of the last hidden layer, shape (N, width), as `forward` does."""
        shifts: Sequence[Tensor | float] = [0.0] * len(self.hidden)
        if self.context is not None:
            shifts = self.context(context).chunk(len(self.hidden), dim=-1)
        units: Tensor = self.hidden[0](inputs) + shifts[0]
        for layer, shift in zip(self.hidden[1:], shifts[1:], strict=True):
            units = units + layer(self._activate(units)) + shift
        return self._activate(units)

    def _activate(self, units: Tensor) -> Tensor:
        activations: Tensor = self.dropout(functional.silu(units))
        return activations
