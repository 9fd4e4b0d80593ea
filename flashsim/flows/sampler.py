"""Exact inverse of the flow that computes every hidden unit once.

To invert an autoregressive layer, variable d + 1 needs the hidden units of degree d or lower, and a unit
of degree d depends on variables 1 to d only. So with the units sorted by degree, step d computes the units
of degree d in every hidden layer from those already known, then the spline parameters of variable d + 1,
then the variable: D small steps that together cost one pass of the network, where the plain inverse takes
D passes.

Objects stand along the fast axis (feature-major), so that the units of one degree are contiguous rows.

On a CPU all of it is one numba function (`flashsim.flows._compiled_inverse`), which works on blocks of
objects that fit a core's cache. Of what was tried it is fastest on a CPU without a compiler: the steps'
products are small, a few to some fifty rows, so torch operations in cache-sized tiles, with numba kernels
for splines and activations in between, lose a fifth of the time to calls, to packing operands and to
carrying intermediate results through the cache, and `torch.compile` wants a C++ compiler on the machine.
With products, activations and splines in one function none of that is left, and no Python runs for an
object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from flashsim.execution.threads import run_shares
from flashsim.flows._arrangement import arranged
from flashsim.flows._compiled_inverse import CompiledInverse
from flashsim.flows._torch_inverse import TorchInverse

if TYPE_CHECKING:
    from torch import Tensor

    from flashsim.flows.maf import ConditionalMAF

__all__ = ["Sampler"]

_CPU_TILE = 512
_CUDA_TILE = 65536
_FEWEST_ROWS = 512
"""Objects that are worth a thread."""


class Sampler:
    """Fast map from noise to variables for a trained flow; gives what `ConditionalMAF.from_noise` gives.

    The weights are copied when the sampler is made: after more training, make a new one. It runs where
    the flow's weights are and in their precision, without dropout and without gradients. On a CPU in
    single precision it is a compiled function, otherwise torch operations.

    A row's result depends on that row only, bit for bit, whatever rows come with it, in which order, and
    on how many threads (as many as `torch.get_num_threads`, a range of rows each), on one machine.

    Parameters
    ----------
    flow
        The flow to sample from.

    Examples
    --------
    >>> import torch
    >>> from flashsim.flows import ConditionalMAF, Sampler
    >>> flow = ConditionalMAF(features=2, context=3, layers=2, width=16)
    >>> Sampler(flow).from_noise(torch.randn(5, 2), torch.randn(5, 3)).shape
    torch.Size([5, 2])
    """

    def __init__(self, flow: ConditionalMAF) -> None:
        weight = next(flow.parameters())
        self.device, self.dtype = weight.device, weight.dtype
        self._checked_context = flow.checked_context
        self._inverse: CompiledInverse | TorchInverse
        if self.device.type == "cpu" and self.dtype == torch.float32:
            self._inverse = CompiledInverse(flow.architecture(), arranged(flow))
        else:
            tile = _CPU_TILE if self.device.type == "cpu" else _CUDA_TILE
            self._inverse = TorchInverse(flow.architecture(), arranged(flow), tile)

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

        def invert_rows(share: int, shares: int) -> None:
            rows = slice(share * len(z) // shares, (share + 1) * len(z) // shares)
            self._inverse(z[rows], None if context is None else context[rows], x[rows])

        if self.device.type == "cpu":
            run_shares(invert_rows, -(-len(z) // _FEWEST_ROWS), ("sampler", self.dtype))
        else:
            invert_rows(0, 1)
        return x
