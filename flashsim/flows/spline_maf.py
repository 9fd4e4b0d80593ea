"""The kind ``spline_maf``: a masked autoregressive flow with rational-quadratic splines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flashsim.flows import _arrangement
from flashsim.flows.sampler import Sampler

if TYPE_CHECKING:
    from flashsim.flows.module import FlowModule
    from flashsim.flows.protocol import Architecture, FlowSampler, Tensors

__all__ = ["SplineMAF"]


class SplineMAF:
    """See `flashsim.flows.protocol.FlowKind`; the module is `flashsim.flows.maf.ConditionalMAF`."""

    def module(self, architecture: Architecture) -> FlowModule:
        """Build an untrained flow."""
        from flashsim.flows.maf import ConditionalMAF  # noqa: PLC0415  # torch

        return ConditionalMAF(**architecture)

    def shapes(self, architecture: Architecture) -> dict[str, tuple[int, ...]]:
        """Shapes of the tensors by name."""
        _arrangement.check_architecture(architecture)
        return _arrangement.shapes(architecture)

    def sampler(self, architecture: Architecture, tensors: Tensors, device: str = "cpu") -> FlowSampler:
        """Make the exact inverse: compiled on the CPU in single precision, torch's operations elsewhere."""
        single = all(array.dtype in {np.dtype(np.float32), np.dtype(np.int64)} for array in tensors.values())
        if device == "cpu" and single:
            return Sampler(architecture, tensors)
        from flashsim.flows._torch_inverse import TorchSampler  # noqa: PLC0415  # torch

        return TorchSampler(architecture, tensors, device)
