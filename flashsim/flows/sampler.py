"""Exact inverse of the flow that computes every hidden unit once.

To invert an autoregressive layer, variable d + 1 needs the hidden units of degree d or lower, and a unit
of degree d depends on variables 1 to d only. So with the units sorted by degree, step d computes the units
of degree d in every hidden layer from those already known, then the spline parameters of variable d + 1,
then the variable: D small steps that together cost one pass of the network, where the plain inverse takes
D passes.

Objects stand along the fast axis (feature-major), so that the units of one degree are contiguous rows, in
tiles that fit a core's cache.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from flashsim.flows._arrangement import arranged
from flashsim.flows._kernels import LANES
from flashsim.flows._threads import run_shares
from flashsim.flows._workspace import Workspace, backend_for

if TYPE_CHECKING:
    from torch import Tensor

    from flashsim.flows._arrangement import Layer, Step
    from flashsim.flows._workspace import View
    from flashsim.flows.maf import ConditionalMAF

__all__ = ["Sampler"]

_CPU_TILE = 512
_CUDA_TILE = 65536


class Sampler:
    """Fast map from noise to variables for a trained flow; gives what `ConditionalMAF.from_noise` gives.

    The weights are copied when the sampler is made: after more training, make a new one. It runs where
    the flow's weights are and in their precision, without dropout and without gradients. On a CPU in
    single precision the activations and splines are compiled loops, otherwise torch operations.

    A row's result depends on that row only, bit for bit, whatever rows come with it, in which order, and
    on how many threads (as many as `torch.get_num_threads`, a tile each), on one machine with one tile.

    Parameters
    ----------
    flow
        The flow to sample from.
    tile
        Objects worked on together, a multiple of 64; by default a size that suits the device.

    Raises
    ------
    ValueError
        If the tile is not a positive multiple of 64.

    Examples
    --------
    >>> import torch
    >>> from flashsim.flows import ConditionalMAF, Sampler
    >>> flow = ConditionalMAF(features=2, context=3, layers=2, width=16)
    >>> Sampler(flow).from_noise(torch.randn(5, 2), torch.randn(5, 3)).shape
    torch.Size([5, 2])
    """

    def __init__(self, flow: ConditionalMAF, *, tile: int | None = None) -> None:
        weight = next(flow.parameters())
        self.device, self.dtype = weight.device, weight.dtype
        if tile is None:
            tile = _CPU_TILE if self.device.type == "cpu" else _CUDA_TILE
        if tile < 1 or tile % LANES:
            msg = f"A sampler's tile must be a positive multiple of {LANES}, found {tile}."
            raise ValueError(msg)
        self.tile = tile
        self._architecture = flow.architecture()
        self._checked_context = flow.checked_context
        self._layers = arranged(flow)
        self._backend = backend_for(self.device, self.dtype, self._architecture["bound"])

    def from_noise(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """Map noise to variables.

        Parameters
        ----------
        z
            Noise, N(0, 1) in every variable, shape (N, D).
        context
            Context, shape (N, C); may be left out when C is 0.

        Returns
        -------
        Tensor
            Variables, shape (N, D), on the flow's device and in its precision.

        Raises
        ------
        ValueError
            If a shape does not fit the flow.
        """
        context = self._checked_context(z, context)
        # Made outside inference mode, so that what is returned can be used anywhere.
        x = torch.empty(z.shape, dtype=self.dtype, device=self.device)
        starts = range(0, len(z), self.tile)

        def invert_tiles(share: int, shares: int) -> None:
            with torch.inference_mode():
                workspace = Workspace(self._architecture, self.tile, self.dtype, self.device)
                for start in starts[share::shares]:
                    rows = slice(start, start + self.tile)
                    workspace.fill(z[rows], None if context is None else context[rows])
                    for layer in reversed(self._layers):
                        self._invert(layer, workspace)
                    x[rows] = workspace.z[:, : len(z[rows])].T

        if self.device.type == "cpu":
            run_shares(invert_tiles, len(starts), ("sampler", self.dtype))
        else:
            invert_tiles(0, 1)
        return x

    def _invert(self, layer: Layer, workspace: Workspace) -> None:
        """Invert one autoregressive layer and the permutation before it, from workspace.z to itself."""
        torch.mm(layer.context, workspace.context, out=workspace.units)
        for variable, step in enumerate(layer.steps):
            view = workspace.view(variable, step.known, step.new, self._backend)
            if step.new:
                self._compute_units(step, view)
            torch.mm(step.output, view.output_inputs, out=workspace.logits)
            self._backend.invert(view.z, view.logits, view.x)
        torch.index_select(workspace.x, 0, layer.order, out=workspace.z)

    def _compute_units(self, step: Step, view: View) -> None:
        """Compute the units of one degree in every hidden layer; the context's part is there already."""
        for weights, hidden in zip(step.hidden, view.hidden, strict=True):
            hidden.units.addmm_(weights, hidden.inputs)
            self._backend.activate(hidden.unit_array, hidden.activations, hidden.following)
