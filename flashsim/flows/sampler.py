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

import numpy as np

from flashsim.execution.threads import run_shares
from flashsim.flows._arrangement import arranged
from flashsim.flows._compiled_inverse import CompiledInverse
from flashsim.flows._rows import checked_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.flows.protocol import Architecture, Tensors

__all__ = ["Sampler"]

_FEWEST_ROWS = 512
"""Objects that are worth a thread."""


class Sampler:
    """Fast map from noise to variables for a trained `ConditionalMAF`, on the CPU in single precision.

    It gives what `ConditionalMAF.from_noise` gives. A row's result depends on that row only, bit for bit,
    whatever rows come with it, in which order, and on how many threads (`number_of_threads`, a range of rows
    each), on one machine.

    Parameters
    ----------
    architecture
        Of the flow.
    tensors
        Its weights, which are copied.

    Examples
    --------
    >>> import numpy as np
    >>> from flashsim.flows import Flow
    >>> from flashsim.flows.maf import ConditionalMAF
    >>> from flashsim.flows.sampler import Sampler
    >>> module = ConditionalMAF(features=2, context=3, layers=2, width=16)
    >>> flow = Flow.of("spline_maf", module.architecture(), module)
    >>> Sampler(flow.architecture, flow.tensors).from_noise(np.zeros((5, 2)), np.zeros((5, 3))).shape
    (5, 2)
    """

    def __init__(self, architecture: Architecture, tensors: Tensors) -> None:
        self._features, self._context = architecture["features"], architecture["context"]
        self._inverse = CompiledInverse(architecture, arranged(architecture, tensors))

    def from_noise(self, z: NDArray[np.floating], context: NDArray[np.floating]) -> NDArray[np.float32]:
        """Map noise to variables.

        Parameters
        ----------
        z
            Noise, N(0, 1) in every variable, shape (N, D).
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
        noise, given = checked_rows(z, context, self._features, self._context, np.float32)
        x = np.empty_like(noise)

        def invert_rows(share: int, shares: int) -> None:
            rows = slice(share * len(noise) // shares, (share + 1) * len(noise) // shares)
            self._inverse(noise[rows], given[rows], x[rows])

        run_shares(invert_rows, -(-len(noise) // _FEWEST_ROWS))
        return x
