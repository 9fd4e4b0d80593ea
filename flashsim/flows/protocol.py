"""What a kind of flow offers: training with torch, a form for model files, and sampling without torch.

A flow is a conditional density, or generator, of D variables: its network turns noise, N(0, 1) in each of D
numbers, and C context values into D variables. `flashsim.flows.kinds` knows the kinds by name. The module
that is trained is a `flashsim.flows.module.FlowModule`; `flashsim.flows.torch_kind.TorchKind` makes a kind of
any such module, and needs torch to sample from it, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from numpy.typing import NDArray

if TYPE_CHECKING:
    import numpy as np

    from flashsim.declarations.flows import FlowRecipe
    from flashsim.flows.module import FlowModule

__all__ = ["Architecture", "FlowKind", "FlowSampler", "MaskedKind", "Tensors"]

Architecture = dict[str, Any]
"""Sizes and settings that a flow is built from: JSON content, with ``features`` D and ``context`` C."""

Tensors = Mapping[str, NDArray[Any]]
"""What a flow was trained to be: arrays by the names of its module's state."""


class FlowSampler(Protocol):
    """Maps noise to variables."""

    def from_noise(self, z: NDArray[np.floating], context: NDArray[np.floating]) -> NDArray[np.floating]:
        """Map noise to variables.

        A row of the result depends on that row of noise and context only, bit for bit: not on the rows beside
        it, on their number and order, or on the number of threads.

        Parameters
        ----------
        z
            Noise, shape (N, D).
        context
            Context, shape (N, C).

        Returns
        -------
        Variables, shape (N, D).

        Raises
        ------
        ValueError
            If a shape does not fit the flow.
        """
        ...


class FlowKind(Protocol):
    """A kind of flow."""

    @property
    def recipe(self) -> type[FlowRecipe]:
        """Its settings in a training recipe; the default of the field ``kind`` is the name of the kind."""
        ...

    def architecture(self, recipe: FlowRecipe, features: int, context: int, seed: int) -> Architecture:
        """Give what a recipe asks for, given D, C and the seed of the initial weights."""
        ...

    def module(self, architecture: Architecture) -> FlowModule:
        """Build an untrained network; only this method, and samplers on other devices, import torch.

        Its initial weights are fixed by the architecture, without a change of the global random state.

        Raises
        ------
        ValueError
            If the architecture lacks an entry, has one too many, or one out of range.
        """
        ...

    def shapes(self, architecture: Architecture) -> dict[str, tuple[int, ...]]:
        """Shapes of the tensors that belong to an architecture, by name; raises as `module` does."""
        ...

    def sampler(self, architecture: Architecture, tensors: Tensors, device: str = "cpu") -> FlowSampler:
        """Make what maps noise to variables; the tensors are copied.

        On the CPU, in single precision, it needs no torch. Other devices have torch's names.
        """
        ...


@runtime_checkable
class MaskedKind(FlowKind, Protocol):
    """A kind of masked networks; model files keep no weights of connections that their masks cut."""

    def connected(self, architecture: Architecture) -> dict[str, NDArray[np.int64]]:
        """Tell to how many of the inputs, the first ones, each output of a masked matrix is connected.

        Returns
        -------
        Numbers in [0, I], shape (O,), by the names of the matrices, of shape (O, I).
        """
        ...
