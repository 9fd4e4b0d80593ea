"""Marginal distributions of a trained flow, set to those of its training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.flows import Flow
    from flashsim.transforms.codec import TargetCodec

__all__ = ["calibrated"]

_TILE = 65536


def calibrated(
    codec: TargetCodec, flow: Flow, context: NDArray[np.float32], *, draws: int, seed: int
) -> TargetCodec:
    """Give the codec with which draws of a flow have the distributions that the codec was fitted to.

    A likelihood of many variables hardly sees a ripple of some percent in the distribution of one, such as
    those that splines leave along their knots. Draws, given the training's conditions in equal shares, tell
    what the flow makes of each variable, and the codec's probabilities are moved to where the flow has them
    (quantile mapping, one variable at a time: the flow's dependences between variables stay).

    Parameters
    ----------
    codec
        Of targets, with as many columns as the flow has.
    flow
        Trained.
    context
        What the flow was trained on, shape (N, C).
    draws
        How many to take, at least one; their number limits how well a distribution is known.
    seed
        Of the draws.
    """
    sampler, generator = flow.sampler(), torch.Generator().manual_seed(seed)
    drawn = np.empty((draws, flow.features), dtype=np.float32)
    for start in range(0, draws, _TILE):
        rows = np.arange(start, min(start + _TILE, draws)) % len(context)
        noise = torch.randn((len(rows), flow.features), generator=generator).numpy()
        drawn[start : start + len(rows)] = sampler.from_noise(noise, context[rows])
    return codec.calibrated(drawn)
