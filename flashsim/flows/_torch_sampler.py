"""Maps of torch from noise to variables, a tile of objects at a time, as samplers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from flashsim.flows._rows import checked_rows
from flashsim.flows._torch_threads import run_torch_shares

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from flashsim.flows.module import FlowModule
    from flashsim.flows.protocol import Architecture

__all__ = ["TorchSampler", "module_sampler"]

_CPU_TILE = 512
_CUDA_TILE = 65536


class TorchSampler:
    """Maps noise to variables on any device; a row's result depends on that row only.

    Tiles always have as many objects, as the rounding of a product may depend on its shape.

    Parameters
    ----------
    draw
        From noise, shape (T, D), and context, shape (T, C), to variables, shape (T, D), on the device.
    architecture
        Of the flow, for D and C.
    like
        A tensor on the device and in the precision of noise and context.
    """

    def __init__(
        self, draw: Callable[[Tensor, Tensor], Tensor], architecture: Architecture, like: Tensor
    ) -> None:
        self._draw, self._device = draw, like.device
        self._features, self._context = architecture["features"], architecture["context"]
        self._precision = torch.empty(0, dtype=like.dtype).numpy().dtype
        self._tile = _CPU_TILE if self._device.type == "cpu" else _CUDA_TILE

    def from_noise(self, z: NDArray[np.floating], context: NDArray[np.floating]) -> NDArray[np.floating]:
        """Map noise z, shape (N, D), given context (N, C), to variables, shape (N, D).

        Raises
        ------
        ValueError
            If a shape does not fit the flow.
        """
        rows = checked_rows(z, context, self._features, self._context, self._precision)
        noise, given = (torch.from_numpy(array) for array in rows)
        x = torch.empty_like(noise)

        def draw_tiles(share: int, shares: int) -> None:
            with torch.inference_mode():
                for start in range(share * self._tile, len(noise), shares * self._tile):
                    here = slice(start, start + self._tile)
                    drawn = self._draw(*(self._whole(array[here]) for array in (noise, given)))
                    x[here] = drawn[: len(noise[here])].cpu()

        tiles = -(-len(noise) // self._tile)
        if self._device.type == "cpu":
            run_torch_shares(draw_tiles, tiles)
        else:
            draw_tiles(0, 1)
        found: NDArray[np.floating] = x.numpy()
        return found

    def _whole(self, rows: Tensor) -> Tensor:
        """Fill a tile up with zeros, and move it to the device."""
        return torch.nn.functional.pad(rows, (0, 0, 0, self._tile - len(rows))).to(self._device)


def module_sampler(module: FlowModule, architecture: Architecture, device: str) -> TorchSampler:
    """Make a sampler that calls a module in evaluation mode; the module is moved to the device."""
    module = module.to(device)
    return TorchSampler(module.from_noise, architecture, next(module.parameters()))
