"""Speed of a training step of the flow against nflows' stock flow of the same size.

    python -m benchmarks.training [--threads 2] [--rows 2048]

prints a table and a JSON object: rows per second of a training step (log-density, its gradient, AdamW) of the
shipped flow, of the same flow with its splines as torch operations, and of nflows' own masked spline flow.
Steps of the three take turns, so that a busy machine slows all alike; each rate is the median.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from typing import TYPE_CHECKING, Any
from unittest import mock

import torch

from benchmarks.sampler import stock_transform
from flashsim.flows import ConditionalMAF

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

__all__ = ["main", "measured"]

SIZES = {"features": 24, "context": 45, "layers": 5, "width": 128, "depth": 2, "bins": 24}
"""Those of the shipped flow of jets."""


def main() -> None:
    """Parse the command line, measure, print the table and the JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="threads of torch")
    parser.add_argument("--rows", type=int, default=2048, help="rows of a step")
    parser.add_argument("--repeats", type=int, default=7, help="steps of each, of which the median counts")
    for name, size in SIZES.items():
        parser.add_argument(f"--{name}", type=int, default=size, help=f"{name} of the flow")
    arguments = vars(parser.parse_args())
    torch.set_num_threads(arguments["threads"])
    result = measured(**arguments)
    print(f"{'training step':<24}{'rows/s':>10}{'times nflows':>15}")
    for name, rate in result["rows_per_second"].items():
        print(f"{name:<24}{rate:>10}{result['times_nflows'][name]:>15}")
    print(json.dumps(result, indent=2))


def measured(*, threads: int, rows: int, repeats: int, **sizes: int) -> dict[str, Any]:
    """Measure the rows per second of a training step of each flow."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(rows, sizes["features"], generator=generator)
    context = torch.randn(rows, sizes["context"], generator=generator)
    ours, operations, stock = (
        ConditionalMAF(**sizes),
        ConditionalMAF(**sizes),
        stock_transform(**sizes).train(),
    )

    def stock_loss() -> Tensor:
        z, logabsdet = stock(x, context)
        loss: Tensor = (0.5 * z.square().sum(dim=-1) - logabsdet).mean()
        return loss

    def operations_loss() -> Tensor:
        with mock.patch("flashsim.flows.maf.is_compiled_for", return_value=False):
            return -operations.log_prob(x, context).mean()

    steps = {
        "flashsim": _step(ours, lambda: -ours.log_prob(x, context).mean()),
        "flashsim, torch splines": _step(operations, operations_loss),
        "nflows": _step(stock, stock_loss),
    }
    seconds = {name: statistics.median(times) for name, times in _interleaved(steps, repeats).items()}
    return {
        "machine": {"processor": platform.processor() or platform.machine(), "threads": threads},
        "flow": {
            **ours.architecture(),
            "parameters": sum(weight.numel() for weight in ours.parameters()),
            "nflows_parameters": sum(weight.numel() for weight in stock.parameters()),
        },
        "rows": rows,
        "repeats": repeats,
        "rows_per_second": {name: round(rows / median) for name, median in seconds.items()},
        "times_nflows": {name: round(seconds["nflows"] / median, 2) for name, median in seconds.items()},
    }


def _step(network: nn.Module, loss: Callable[[], Tensor]) -> Callable[[], None]:
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)

    def step() -> None:
        optimizer.zero_grad()
        loss().backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def _interleaved(steps: dict[str, Callable[[], None]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each step, in turns, after two to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for repeat in range(repeats + 2):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if repeat >= 2:
                seconds[name].append(time.perf_counter() - start)
    return seconds


if __name__ == "__main__":
    main()
