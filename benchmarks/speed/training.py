"""A training step of the shipped flows against nflows' stock flow of the same size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unittest import mock

import torch

from benchmarks.speed.peers import StockMAF, has_peers
from benchmarks.speed.timing import in_turns, median_ratio
from flashsim.flows.maf import ConditionalMAF
from flashsim.models.object_model import ObjectModel
from flashsim.models.shipped import model_files

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from flashsim.flows.protocol import Architecture

__all__ = ["training"]

_ROWS = 2048


def training(models: Sequence[Path] | None, repeats: int) -> dict[str, Any]:
    """Rows a second of a training step on one thread: log-density, its gradient, AdamW.

    Parameters
    ----------
    models
        Model files whose sizes are trained; none for the shipped ones.
    repeats
        Steps of each.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return {
            model.declaration.name: _object(model.flow.architecture, repeats)
            for model in (ObjectModel.load(path) for path in model_files(models))
            if has_peers(model.declaration.name)
        }
    finally:
        torch.set_num_threads(threads)


def _object(sizes: Architecture, repeats: int) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    x, context = (torch.randn(_ROWS, sizes[key], generator=generator) for key in ("features", "context"))
    ours, operations, stock = ConditionalMAF(**sizes), ConditionalMAF(**sizes), StockMAF(sizes)

    def loss_of_operations() -> Tensor:
        with mock.patch("flashsim.flows.maf.is_compiled_for", return_value=False):
            return operations.loss(x, context)

    steps = {
        "nflows": _step(stock, lambda: stock.loss(x, context)),
        "flashsim": _step(ours, lambda: ours.loss(x, context)),
        "flashsim, torch splines": _step(operations, loss_of_operations),
    }
    found = in_turns({name: (_ROWS, step) for name, step in steps.items()}, repeats, warm_up=2)
    rows = {}
    for name, measured in found.items():
        ratio, error = median_ratio(found["nflows"].per_item, measured.per_item)
        rows[name] = measured.to_json() | {"times_nflows": ratio, "ratio_spread": error}
    return rows


def _step(network: nn.Module, loss: Callable[[], Tensor]) -> Callable[[], None]:
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)

    def step() -> None:
        optimizer.zero_grad()
        loss().backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step
