"""The flows that compete: FlashSim's own kinds, and those of its prototype and its successors.

Sizes and settings are those of the publications, made smaller where a training of minutes asks for it:

- ``rq_nsf``: rational-quadratic coupling flow of the prototype (Durkan et al., arXiv:1906.04032; nflows).
- ``affine_maf``: affine masked autoregressive flow of its successors (arXiv:1705.07057; zuko).
- ``flow_matching``: of the size of arXiv:2402.13684, 20 evaluations; FlashSim's own kind.

FlashSim's kinds compete behind its own preprocessing, one of them as the object's training recipe has it.
"""

from __future__ import annotations

import math
import warnings
from typing import Literal, cast

import torch
import zuko
from nflows import transforms
from nflows.nn.nets import ResidualNet
from torch import Tensor, nn

from flashsim.declarations.flows import FlowMatchingRecipe, FlowRecipe, SplineMAFRecipe
from flashsim.declarations.schedule import Schedule
from flashsim.flows.kinds import register
from flashsim.flows.module import FlowModule
from flashsim.flows.torch_kind import TorchKind

__all__ = ["COMPETITORS", "AffineMAF", "AffineMAFRecipe", "CouplingRecipe", "CouplingSpline", "own_kinds"]


class CouplingRecipe(FlowRecipe):
    """The prototype's chain of rational-quadratic coupling layers."""

    kind: Literal["rq_nsf"] = "rq_nsf"
    steps: int = 6
    width: int = 128
    blocks: int = 2
    bins: int = 16
    bound: float = 5.0


class CouplingSpline(FlowModule):
    """Random permutation, LU, rational-quadratic coupling; and again."""

    def __init__(
        self,
        features: int,
        context: int,
        *,
        steps: int,
        width: int,
        blocks: int,
        bins: int,
        bound: float,
        seed: int,  # noqa: ARG002  # `TorchKind` has set torch's
    ) -> None:
        super().__init__()
        self.features, self.context_features = features, context

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

    def loss(self, x: Tensor, context: Tensor, generator: torch.Generator | None = None) -> Tensor:  # noqa: ARG002
        """Mean negative log-likelihood of x, shape (N, D), given context, (N, C)."""
        z, logabsdet = self.chain(x, context)
        constant = 0.5 * self.features * math.log(2.0 * math.pi)
        loss: Tensor = constant + (0.5 * z.square().sum(dim=1) - logabsdet).mean()
        return loss

    def from_noise(self, z: Tensor, context: Tensor) -> Tensor:
        """Map noise z, shape (N, D), given context, (N, C), to variables, (N, D)."""
        try:
            with warnings.catch_warnings():
                # nflows 0.14 calls functions that torch has given other names since.
                warnings.simplefilter("ignore")
                x, _ = self.chain.inverse(z, context)
        except AssertionError:
            # nflows' spline fails on rare noise (bayesiains/nflows issue 87), and with one row the whole
            # batch: halves find the row, whose noise comes nearer to zero, in the competitor's favour.
            if len(z) == 1:
                return self.from_noise(0.9 * z, context)
            middle = (len(z) + 1) // 2
            halves = zip(torch.split(z, middle), torch.split(context, middle), strict=True)
            return torch.cat([self.from_noise(*half) for half in halves])
        return cast("Tensor", x)


class AffineMAFRecipe(FlowRecipe):
    """Zuko's affine masked autoregressive flow; half of the successors' steps, and 3 layers in place of 8."""

    kind: Literal["affine_maf"] = "affine_maf"
    steps: int = 10
    width: int = 128
    depth: int = 3


class AffineMAF(FlowModule):
    """Affine masked autoregressive layers, variables permuted at random in between."""

    def __init__(self, features: int, context: int, *, steps: int, width: int, depth: int, seed: int) -> None:  # noqa: ARG002
        super().__init__()
        self.features, self.context_features = features, context
        self.flow = zuko.flows.MAF(
            features, context, transforms=steps, randperm=True, hidden_features=[width] * depth
        )

    def loss(self, x: Tensor, context: Tensor, generator: torch.Generator | None = None) -> Tensor:  # noqa: ARG002
        """Mean negative log-likelihood of x, shape (N, D), given context, (N, C)."""
        return cast("Tensor", -self.flow(context).log_prob(x).mean())

    def from_noise(self, z: Tensor, context: Tensor) -> Tensor:
        """Map noise z, shape (N, D), given context, (N, C), to variables, (N, D)."""
        return cast("Tensor", self.flow(context).transform.inv(z))


register(TorchKind(CouplingRecipe, CouplingSpline))
register(TorchKind(AffineMAFRecipe, AffineMAF))


# The batch of the publications is 6144; minutes of training need more and therefore smaller steps.
_SCHEDULE = Schedule(batch=2048, learning_rate=1e-3, weight_decay=0.0)

_FLOW_MATCHING = FlowMatchingRecipe(schedule=_SCHEDULE)

COMPETITORS = (
    CouplingRecipe(schedule=_SCHEDULE),
    AffineMAFRecipe(schedule=_SCHEDULE),
    _FLOW_MATCHING,
)
"""The others, each with the largest learning rate of a one-cycle schedule."""


def own_kinds(recipe: FlowRecipe) -> list[FlowRecipe]:
    """Give the flow of a training recipe first, then FlashSim's other kinds."""
    return [recipe, *(one for one in (SplineMAFRecipe(), _FLOW_MATCHING) if one.kind != recipe.kind)]


def _mixing(features: int) -> list[nn.Module]:
    return [transforms.RandomPermutation(features), transforms.LULinear(features, identity_init=True)]
