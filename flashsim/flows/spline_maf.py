"""The kind ``spline_maf``: a masked autoregressive flow with rational-quadratic splines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flashsim.declarations.flows import SplineMAFRecipe
from flashsim.flows import _arrangement
from flashsim.flows.sampler import Sampler
from flashsim.flows.tensors import is_single

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from flashsim.declarations.flows import FlowRecipe
    from flashsim.flows.module import FlowModule
    from flashsim.flows.protocol import Architecture, FlowSampler, Tensors

__all__ = ["KIND", "SplineMAF"]


class SplineMAF:
    """See `flashsim.flows.protocol.FlowKind`; the module is `flashsim.flows.maf.ConditionalMAF`."""

    recipe = SplineMAFRecipe

    def architecture(self, recipe: FlowRecipe, features: int, context: int, seed: int) -> Architecture:
        """Sizes of the recipe; no more variables lead than there are."""
        sizes = recipe.sizes
        sizes["leading"] = min(sizes["leading"], features)
        return {"features": features, "context": context, **sizes, "seed": seed}

    def module(self, architecture: Architecture) -> FlowModule:
        """Build an untrained flow."""
        from flashsim.flows.maf import ConditionalMAF  # noqa: PLC0415  # torch

        _arrangement.check_architecture(architecture)
        return ConditionalMAF(**architecture)

    def shapes(self, architecture: Architecture) -> dict[str, tuple[int, ...]]:
        """Shapes of the tensors by name."""
        _arrangement.check_architecture(architecture)
        return _arrangement.shapes(architecture)

    def connected(self, architecture: Architecture) -> dict[str, NDArray[np.int64]]:
        """Numbers of inputs that the masks of `flashsim.flows.made` leave."""
        _arrangement.check_architecture(architecture)
        return _arrangement.connected(architecture)

    def sampler(self, architecture: Architecture, tensors: Tensors, device: str = "cpu") -> FlowSampler:
        """Make the exact inverse: compiled on the CPU in single precision, torch's operations elsewhere."""
        if device == "cpu" and is_single(tensors):
            return Sampler(architecture, tensors)
        from flashsim.flows._torch_inverse import torch_inverse  # noqa: PLC0415  # torch

        return torch_inverse(architecture, tensors, device)


KIND = SplineMAF()
