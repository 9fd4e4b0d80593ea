"""What a kind of flow offers: training with torch, a form for model files, and sampling without torch.

A flow is a conditional density of D variables that a trained network draws from: it turns noise, N(0, 1) in
each of D numbers, and C context values into D variables. `flashsim.flows.kinds` lists the kinds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

if TYPE_CHECKING:
    import numpy as np

    from flashsim.flows.module import FlowModule

__all__ = ["Architecture", "FlowKind", "FlowSampler", "Tensors"]

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

    def module(self, architecture: Architecture) -> FlowModule:
        """Build an untrained network; only this method, and samplers on other devices, import torch.

        Its initial weights are fixed by the architecture, without a change of the global random state.
        """
        ...

    def shapes(self, architecture: Architecture) -> dict[str, tuple[int, ...]]:
        """Shapes of the tensors that belong to an architecture, by name."""
        ...

    def sampler(self, architecture: Architecture, tensors: Tensors, device: str = "cpu") -> FlowSampler:
        """Make what maps noise to variables; the tensors are copied.

        On the CPU, in single precision, it needs no torch. Other devices have torch's names.
        """
        ...
