"""Flows of several sizes, and rows to put through them."""

from __future__ import annotations

import torch

from flashsim.flows.maf import ConditionalMAF

__all__ = ["SIZES", "batch", "trained"]

SIZES = {
    "one variable": {"features": 1, "context": 2, "layers": 2, "width": 8, "bins": 6},
    "no context": {"features": 3, "context": 0, "layers": 2, "width": 8, "bins": 4},
    "one bin": {"features": 3, "context": 2, "layers": 3, "width": 9, "bins": 1},
    "narrow": {"features": 6, "context": 2, "layers": 2, "width": 4, "bins": 5},
    "leading": {"features": 5, "context": 2, "layers": 3, "width": 15, "bins": 6, "leading": 2},
    "all leading": {"features": 3, "context": 2, "layers": 3, "width": 9, "bins": 6, "leading": 3},
    "deep": {"features": 4, "context": 3, "layers": 1, "width": 16, "depth": 4, "bins": 8},
    "shallow": {"features": 4, "context": 3, "layers": 4, "width": 16, "depth": 1, "bins": 8, "dropout": 0.2},
}


def trained(sizes, scale=0.3, seed=0):
    """A flow in evaluation mode whose weights are far from the identity."""
    flow = ConditionalMAF(**sizes, seed=seed).eval()
    generator = torch.Generator().manual_seed(17)
    with torch.no_grad():
        for weight in flow.parameters():
            weight.add_(scale * torch.randn(weight.shape, generator=generator))
    return flow


def batch(flow, rows=50):
    generator = torch.Generator().manual_seed(23)
    shapes = (flow.features, flow.context_features)
    return [torch.randn(rows, n, generator=generator, dtype=flow.dtype) for n in shapes]
