"""A kind of flow made of any torch module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from flashsim.declarations.flows import FlowRecipe
from flashsim.flows._torch_sampler import module_sampler
from flashsim.flows.tensors import check_names, fill

if TYPE_CHECKING:
    from flashsim.flows.module import FlowModule
    from flashsim.flows.protocol import Architecture, FlowSampler, Tensors

__all__ = ["TorchKind"]


class TorchKind:
    """See `flashsim.flows.protocol.FlowKind`; sampling needs torch on every device.

    Parameters
    ----------
    recipe
        Recipe of the kind.
    build
        The class of the module, called as ``build(features=D, context=C, seed=seed, **sizes)`` with
        `FlowRecipe.sizes`.
    """

    def __init__(self, recipe: type[FlowRecipe], build: type[Any]) -> None:
        self.recipe, self._build = recipe, build

    def architecture(self, recipe: FlowRecipe, features: int, context: int, seed: int) -> Architecture:
        """Sizes of the recipe, numbers of variables and context values, seed."""
        return {"features": features, "context": context, **recipe.sizes, "seed": seed}

    def module(self, architecture: Architecture) -> FlowModule:
        """Build an untrained network."""
        sizes = self.recipe.model_fields.keys() - FlowRecipe.model_fields
        check_names(architecture, {"features", "context", "seed", *sizes})
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(architecture["seed"])
            module: FlowModule = self._build(**architecture)
        return module

    def shapes(self, architecture: Architecture) -> dict[str, tuple[int, ...]]:
        """Shapes of the module's state."""
        try:
            with torch.device("meta"):  # no memory for its weights
                state = self.module(architecture).state_dict()
        except NotImplementedError:  # some modules compute with values while they are built
            state = self.module(architecture).state_dict()
        return {name: tuple(t.shape) for name, t in state.items()}

    def sampler(self, architecture: Architecture, tensors: Tensors, device: str = "cpu") -> FlowSampler:
        """Make what maps noise to variables by the module itself."""
        return module_sampler(fill(self.module(architecture), tensors), architecture, device)
