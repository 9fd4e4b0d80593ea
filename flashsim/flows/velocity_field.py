"""The network of the kind ``flow_matching``, as it is trained."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from flashsim.flows.module import FlowModule

__all__ = ["VelocityField"]

_LEAST_SPREAD = 1e-4
"""What is left of the noise at the end of a path."""


class VelocityField(FlowModule):
    """Velocities of D variables on their way from noise, given the time and C context values.

    See `flashsim.flows.flow_matching`.

    Parameters
    ----------
    features, context
        Numbers D and C.
    width, depth
        Units of a hidden layer, and number of hidden layers.
    frequencies
        Cosines and sines of the time, with half periods 1, 1/2, ..., that the network sees.
    steps
        Midpoint steps of `from_noise`.
    seed
        Fixes the initial weights; the global random state is neither used nor changed.

    Examples
    --------
    >>> import torch
    >>> VelocityField(features=2, context=3, width=16).from_noise(torch.zeros(5, 2), torch.zeros(5, 3)).shape
    torch.Size([5, 2])
    """

    frequencies: Tensor

    def __init__(
        self,
        features: int,
        context: int,
        *,
        width: int = 216,
        depth: int = 3,
        frequencies: int = 3,
        steps: int = 10,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.features, self.context_features, self.steps = features, context, steps
        self.register_buffer("frequencies", math.pi * torch.arange(1, frequencies + 1), persistent=False)
        sizes = [features + context + 2 * frequencies, *[width] * depth, features]
        layers: list[nn.Module] = []
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for inputs, outputs in pairwise(sizes):
                layers += [nn.Linear(inputs, outputs), nn.SiLU()]
        self.field = nn.Sequential(*layers[:-1])

    def loss(self, x: Tensor, context: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Mean squared error of the velocity, at a random time of a path from random noise for each row.

        Parameters
        ----------
        x
            Variables, shape (N, D).
        context
            Context, shape (N, C).
        generator
            Source of times and noise; torch's global one by default.
        """
        noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        time = torch.rand((len(x), 1), generator=generator, device=x.device, dtype=x.dtype).sqrt()
        path = (1.0 - (1.0 - _LEAST_SPREAD) * time) * noise + time * x
        wanted = x - (1.0 - _LEAST_SPREAD) * noise
        return (self.velocity(path, time, context) - wanted).square().mean()

    def velocity(self, x: Tensor, time: Tensor, context: Tensor) -> Tensor:
        """Velocity, shape (N, D), at x, shape (N, D), and time, (N, 1), given context, (N, C)."""
        angle = self.frequencies * time
        velocity: Tensor = self.field(torch.cat((x, context, angle.cos(), angle.sin()), dim=1))
        return velocity

    def from_noise(self, z: Tensor, context: Tensor) -> Tensor:
        """Follow the velocities from noise z, shape (N, D), given context (N, C), to variables, (N, D)."""
        x, step = z, 1.0 / self.steps
        for number in range(self.steps):
            time = x.new_full((len(x), 1), number * step)
            middle = x + 0.5 * step * self.velocity(x, time, context)
            x = x + step * self.velocity(middle, time + 0.5 * step, context)
        return x
