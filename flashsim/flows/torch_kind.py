"""A kind of flow made of any torch module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from flashsim.declarations.flows import FlowRecipe
from flashsim.flows._rows import checked_rows
from flashsim.flows._torch_threads import run_torch_shares
from flashsim.flows.tensors import check_names, fill

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from flashsim.flows.module import FlowModule
    from flashsim.flows.protocol import Architecture, FlowSampler, Tensors

__all__ = ["ModuleSampler", "TorchKind"]

_CPU_TILE = 512
_CUDA_TILE = 65536


class ModuleSampler:
    """Calls a module's `from_noise` on tiles of objects, always as many, as rounding may depend on the shape.

    Parameters
    ----------
    module
        In evaluation mode; moved to the device.
    device
        Torch's name.
    """

    def __init__(self, module: FlowModule, device: str) -> None:
        self._module, self._device = module.to(device), torch.device(device)
        self._tile = _CPU_TILE if self._device.type == "cpu" else _CUDA_TILE

    def from_noise(self, z: NDArray[np.floating], context: NDArray[np.floating]) -> NDArray[np.floating]:
        """Map noise z, shape (N, D), given context (N, C), to variables, shape (N, D).

        Raises
        ------
        ValueError
            If a shape does not fit the flow.
        """
        module, tile = self._module, self._tile
        dtype = next(weight.dtype for weight in module.parameters())
        precision = torch.empty(0, dtype=dtype).numpy().dtype
        rows = checked_rows(z, context, module.features, module.context_features, precision)
        noise, given = (torch.from_numpy(array) for array in rows)
        x = torch.empty_like(noise)

        def draw_tiles(share: int, shares: int) -> None:
            with torch.inference_mode():
                for start in range(share * tile, len(noise), shares * tile):
                    here = slice(start, start + tile)
                    padded = [_padded(array[here], tile).to(self._device) for array in (noise, given)]
                    x[here] = module.from_noise(*padded)[: len(noise[here])].cpu()

        if self._device.type == "cpu":
            run_torch_shares(draw_tiles, -(-len(noise) // tile), "module sampler")
        else:
            draw_tiles(0, 1)
        drawn: NDArray[np.floating] = x.numpy()
        return drawn


def _padded(rows: torch.Tensor, tile: int) -> torch.Tensor:
    return torch.nn.functional.pad(rows, (0, 0, 0, tile - len(rows)))


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
        return {name: tuple(t.shape) for name, t in self.module(architecture).state_dict().items()}

    def sampler(self, architecture: Architecture, tensors: Tensors, device: str = "cpu") -> FlowSampler:
        """Make what maps noise to variables by the module itself."""
        return ModuleSampler(fill(self.module(architecture), tensors), device)
