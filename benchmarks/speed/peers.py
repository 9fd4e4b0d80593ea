"""The networks that the sampler is compared with, as large as published or as the shipped models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import zuko
from nflows import transforms

from benchmarks.fidelity.competitors import AffineMAF, CouplingSpline
from flashsim.flows.module import FlowModule
from flashsim.flows.velocity_field import VelocityField

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from torch import Tensor, nn

    from flashsim.flows.protocol import Architecture

__all__ = ["PEERS", "Peer", "StockMAF", "has_peers"]

_PROTOTYPE = {
    "jets": {"features": 17, "context": 14, "steps": 17, "width": 298},
    "muons": {"features": 22, "context": 30, "steps": 22, "width": 256},
}


class StockMAF(FlowModule):
    """Masked autoregressive flow with splines, all of it nflows' own."""

    def __init__(self, sizes: Architecture) -> None:
        super().__init__()
        self.features, self.context_features = sizes["features"], sizes["context"]
        chain: list[nn.Module] = []
        for _ in range(sizes["layers"]):
            chain += [
                transforms.ReversePermutation(self.features),
                transforms.MaskedPiecewiseRationalQuadraticAutoregressiveTransform(
                    self.features,
                    sizes["width"],
                    context_features=sizes["context"],
                    num_bins=sizes["bins"],
                    tails="linear",
                    tail_bound=sizes["bound"],
                    num_blocks=sizes["depth"] - 1,
                    use_residual_blocks=False,
                ),
            ]
        self.chain = transforms.CompositeTransform(chain)

    def loss(self, x: Tensor, context: Tensor, generator: torch.Generator | None = None) -> Tensor:  # noqa: ARG002
        """Mean loss of x, shape (N, D), given context, (N, C)."""
        z, logabsdet = self.chain(x, context)
        return cast("Tensor", (0.5 * z.square().sum(dim=-1) - logabsdet).mean())

    def from_noise(self, z: Tensor, context: Tensor) -> Tensor:
        """Map noise z, shape (N, D), given context, (N, C), to variables, (N, D)."""
        x, _ = self.chain.inverse(z, context)
        return cast("Tensor", x)


class ZukoNSF(FlowModule):
    """Zuko's neural spline flow, masked autoregressive as well."""

    def __init__(self, sizes: Architecture) -> None:
        super().__init__()
        self.features, self.context_features = sizes["features"], sizes["context"]
        self.flow = zuko.flows.NSF(
            sizes["features"],
            sizes["context"],
            transforms=sizes["layers"],
            bins=sizes["bins"],
            hidden_features=[sizes["width"]] * sizes["depth"],
        )

    def loss(self, x: Tensor, context: Tensor, generator: torch.Generator | None = None) -> Tensor:  # noqa: ARG002
        """Mean loss of x, shape (N, D), given context, (N, C)."""
        return cast("Tensor", -self.flow(context).log_prob(x).mean())

    def from_noise(self, z: Tensor, context: Tensor) -> Tensor:
        """Map noise z, shape (N, D), given context, (N, C), to variables, (N, D)."""
        return cast("Tensor", self.flow(context).transform.inv(z))


@dataclass(frozen=True)
class Peer:
    """What is compared.

    Parameters
    ----------
    name, what
        In tables.
    make
        From the name of an object and the sizes of its shipped flow to the number of its context values and
        the network.
    rows
        Objects of a repeat: some hundred milliseconds.
    """

    name: str
    what: str
    make: Callable[[str, Architecture], tuple[int, FlowModule]]
    rows: int


def _prototype(name: str, _: Architecture) -> tuple[int, FlowModule]:
    sizes: dict[str, Any] = _PROTOTYPE[name]
    return sizes["context"], CouplingSpline(**sizes, blocks=10, bins=128, bound=1.0, seed=0)


def has_peers(name: str) -> bool:
    """Whether the prototype has a network of an object, as it has of jets and muons."""
    return name in _PROTOTYPE


PEERS = (
    Peer(
        "nflows MAF",
        "nflows' masked spline flow of the same size, its own inverse",
        lambda _, sizes: (sizes["context"], StockMAF(sizes)),
        256,
    ),
    Peer(
        "zuko NSF",
        "zuko's neural spline flow of the same size",
        lambda _, sizes: (sizes["context"], ZukoNSF(sizes)),
        256,
    ),
    Peer("prototype", "the prototype's coupling spline flow, in its own size", _prototype, 256),
    Peer(
        "affine MAF",
        "the successors' affine flow: 20 steps of 8 layers of 128",
        lambda _, sizes: (
            sizes["context"],
            AffineMAF(sizes["features"], sizes["context"], steps=20, width=128, depth=8, seed=0),
        ),
        256,
    ),
    Peer(
        "flow matching",
        "115,000 parameters, 20 evaluations",
        lambda _, sizes: (sizes["context"], VelocityField(sizes["features"], sizes["context"])),
        2048,
    ),
)
