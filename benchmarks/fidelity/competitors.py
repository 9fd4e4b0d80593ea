"""The networks that compete: FlashSim's flow, and those of its prototype and successors, by public libraries.

Sizes and settings are those of the publications, made smaller where a training of minutes asks for it:

- ``rq-nsf``: rational-quadratic coupling flow of the prototype (Durkan et al., arXiv:1906.04032; nflows).
- ``affine-maf``: affine masked autoregressive flow of its successors (arXiv:1705.07057; zuko).
- ``flow-matching``: small conditional flow matching network (arXiv:2402.13684; zuko), 20 evaluations.
- ``flashsim``: `flashsim.flows.ConditionalMAF` as the object's training recipe has it.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
import zuko
from nflows import transforms
from nflows.nn.nets import ResidualNet
from torch import Tensor, nn

from flashsim.flows import Flow
from flashsim.flows.maf import ConditionalMAF

if TYPE_CHECKING:
    from collections.abc import Callable

    from flashsim.declarations.training import FlowRecipe

__all__ = ["COMPETITORS", "Competitor", "Plan", "flashsim_competitor"]


class Competitor(nn.Module):
    """A conditional density or generator of D variables, given C conditioning values."""

    def loss(self, x: Tensor, context: Tensor) -> Tensor:
        """Mean loss of a batch of shape (N, D) and (N, C)."""
        raise NotImplementedError

    def draw(self, context: Tensor) -> Tensor:
        """One x of shape (N, D) for every row of context, without gradients."""
        raise NotImplementedError


@dataclass(frozen=True)
class Plan:
    """How a competitor is made and trained.

    Parameters
    ----------
    name
        In tables.
    make
        From (D, C) to the network.
    batch, learning_rate, weight_decay
        Of the training.
    draw_rows
        Objects that are drawn at a time.
    """

    name: str
    make: Callable[[int, int], Competitor]
    batch: int = 2048
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    draw_rows: int = 8192


class CouplingSpline(Competitor):
    """The prototype's chain: random permutation, LU, rational-quadratic coupling."""

    def __init__(
        self,
        features: int,
        context: int,
        *,
        steps: int = 6,
        width: int = 128,
        blocks: int = 2,
        bins: int = 16,
        bound: float = 5.0,
    ) -> None:
        super().__init__()

        def conditioner(inputs: int, outputs: int) -> nn.Module:
            return cast(
                "nn.Module",
                ResidualNet(
                    inputs, outputs, width, context_features=context, num_blocks=blocks, use_batch_norm=True
                ),
            )

        chain: list[nn.Module] = []
        for step in range(steps):
            mask = (torch.arange(features) % 2 == step % 2).int()
            coupling = transforms.PiecewiseRationalQuadraticCouplingTransform(
                mask, conditioner, num_bins=bins, tails="linear", tail_bound=bound
            )
            chain += [*_mixing(features), coupling]
        self.chain = transforms.CompositeTransform([*chain, *_mixing(features)])
        self.features = features

    def loss(self, x: Tensor, context: Tensor) -> Tensor:
        z, logabsdet = self.chain(x, context)
        return _negative_log_likelihood(z, logabsdet)

    @torch.no_grad()
    def draw(self, context: Tensor) -> Tensor:
        try:
            with warnings.catch_warnings():
                # nflows 0.14 calls functions that torch has given other names since.
                warnings.simplefilter("ignore")
                x, _ = self.chain.inverse(torch.randn(len(context), self.features), context)
        except AssertionError:
            # nflows' spline fails on rare noise (bayesiains/nflows issue 87), and with one row the whole
            # batch: halves find the row, which gets other noise, in the competitor's favour.
            middle = (len(context) + 1) // 2
            return torch.cat([self.draw(part) for part in torch.split(context, middle)])
        return cast("Tensor", x)


class AffineMAF(Competitor):
    """Zuko's affine masked autoregressive flow; half of the successors' steps, and 3 layers in place of 8."""

    def __init__(
        self, features: int, context: int, *, steps: int = 10, width: int = 128, depth: int = 3
    ) -> None:
        super().__init__()
        self.flow = zuko.flows.MAF(
            features, context, transforms=steps, randperm=True, hidden_features=[width] * depth
        )

    def loss(self, x: Tensor, context: Tensor) -> Tensor:
        return cast("Tensor", -self.flow(context).log_prob(x).mean())

    @torch.no_grad()
    def draw(self, context: Tensor) -> Tensor:
        return cast("Tensor", self.flow(context).sample())


class FlowMatching(Competitor):
    """Straight-path flow matching with a network of about 115,000 parameters.

    Path and times are those of the publication: sigma(t) = 1 - (1 - 1e-4) t, late times favoured (t is the
    root of a uniform number). Integrated by the midpoint rule.
    """

    def __init__(
        self, features: int, context: int, *, parameters: int = 115_440, steps: int = 10, frequencies: int = 3
    ) -> None:
        super().__init__()
        self.features, self.steps = features, steps
        self.register_buffer("frequencies", math.pi * torch.arange(1, frequencies + 1))
        inputs = features + context + 2 * frequencies
        # Three hidden layers: 2 w^2 + w (inputs + features + 3) + features weights.
        linear = inputs + features + 3
        width = max(8, round((math.sqrt(linear**2 + 8.0 * (parameters - features)) - linear) / 4.0))
        self.field = zuko.nn.MLP(inputs, features, hidden_features=[width] * 3, activation=nn.GELU)

    def loss(self, x: Tensor, context: Tensor) -> Tensor:
        noise, time = torch.randn_like(x), torch.rand(len(x), 1).sqrt()
        least = 1e-4
        path = (1.0 - (1.0 - least) * time) * noise + time * x
        return (self._velocity(path, time, context) - (x - (1.0 - least) * noise)).square().mean()

    @torch.no_grad()
    def draw(self, context: Tensor) -> Tensor:
        x = torch.randn(len(context), self.features)
        step = 1.0 / self.steps
        for number in range(self.steps):
            time = torch.full((len(x), 1), number * step)
            middle = x + 0.5 * step * self._velocity(x, time, context)
            x = x + step * self._velocity(middle, time + 0.5 * step, context)
        return x

    def _velocity(self, x: Tensor, time: Tensor, context: Tensor) -> Tensor:
        angle = cast("Tensor", self.frequencies) * time
        return cast("Tensor", self.field(torch.cat((x, context, angle.cos(), angle.sin()), dim=1)))


class FlashSimFlow(Competitor):
    """FlashSim's flow with its exact fast sampler."""

    def __init__(self, flow: ConditionalMAF) -> None:
        super().__init__()
        self.flow = flow

    def loss(self, x: Tensor, context: Tensor) -> Tensor:
        return -self.flow.log_prob(x, context).mean()

    def draw(self, context: Tensor) -> Tensor:
        sampler, noise = (
            Flow.of("spline_maf", self.flow).sampler(),
            torch.randn(len(context), self.flow.features),
        )
        return torch.from_numpy(sampler.from_noise(noise.numpy(), context.numpy()))


def flashsim_competitor(recipe: FlowRecipe) -> Plan:
    """FlashSim's own flow as a training recipe has it."""

    def make(features: int, context: int) -> FlashSimFlow:
        return FlashSimFlow(ConditionalMAF(features, context, **recipe.sizes))

    return Plan(
        "flashsim",
        make,
        batch=recipe.schedule.batch,
        learning_rate=recipe.schedule.learning_rate,
        weight_decay=recipe.schedule.weight_decay,
        draw_rows=65_536,
    )


COMPETITORS = (
    Plan("rq-nsf", CouplingSpline),
    # The publication's batch is 6144; minutes of training need more and therefore smaller steps.
    Plan("affine-maf", AffineMAF),
    Plan("flow-matching", FlowMatching, draw_rows=65_536),
)
"""The others, each with the largest learning rate of a one-cycle schedule."""


def _mixing(features: int) -> list[nn.Module]:
    return [transforms.RandomPermutation(features), transforms.LULinear(features, identity_init=True)]


def _negative_log_likelihood(z: Tensor, logabsdet: Tensor) -> Tensor:
    constant = 0.5 * z.shape[1] * math.log(2.0 * math.pi)
    return constant + (0.5 * z.square().sum(dim=1) - logabsdet).mean()
