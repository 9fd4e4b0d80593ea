"""Speed of the flow's sampler against inverting variable by variable.

    python benchmarks/sampler.py [--threads 1] [--rows 16384]

prints a JSON object: objects per second of the sampler for several tiles, of the flow's own plain inverse,
and of nflows' stock autoregressive flow of the same size, with the largest difference between the sampler
and the plain inverse. Each rate is the best of a few runs after one to warm up.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from flashsim.flows import ConditionalMAF, Sampler

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["main"]

TILES = (128, 256, 512, 1024, 2048)
PLAIN_ROWS = 1024
"""The plain inverses are timed on fewer rows: they take D times longer for each."""


def main() -> None:
    """Parse the command line, measure, print JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")
    parser.add_argument("--rows", type=int, default=16384, help="objects to generate in each run")
    parser.add_argument("--repeats", type=int, default=3, help="runs, of which the best counts")
    for name, size in {
        "features": 25,
        "context": 30,
        "width": 128,
        "depth": 2,
        "layers": 5,
        "bins": 24,
    }.items():
        parser.add_argument(f"--{name}", type=int, default=size, help=f"{name} of the flow")
    arguments = vars(parser.parse_args())
    torch.set_num_threads(arguments["threads"])
    print(json.dumps(measured(**arguments), indent=2))


def measured(*, threads: int, rows: int, repeats: int, **sizes: int) -> dict[str, Any]:
    """Measure the objects per second of the sampler and its peers."""
    generator = torch.Generator().manual_seed(0)
    flow = ConditionalMAF(**sizes).eval()
    with torch.no_grad():
        for weight in flow.parameters():
            # A flow at its start is close to the identity; a trained one is not.
            weight.add_(0.05 * torch.randn(weight.shape, generator=generator))
    z = torch.randn(rows, sizes["features"], generator=generator)
    context = torch.randn(rows, sizes["context"], generator=generator)
    few, few_context = z[:PLAIN_ROWS], context[:PLAIN_ROWS]
    stock = stock_transform(**sizes)
    with torch.no_grad():
        plain = rate(lambda: flow.from_noise(few, few_context), len(few), repeats)
        nflows = rate(lambda: stock.inverse(few, few_context), len(few), repeats)
        difference = (Sampler(flow).from_noise(few, few_context) - flow.from_noise(few, few_context)).abs()
    samplers = {tile: Sampler(flow, tile=tile) for tile in TILES}
    rates = {tile: rate(partial(one.from_noise, z, context), rows, repeats) for tile, one in samplers.items()}
    best = max(rates.values())
    return {
        "machine": {"processor": platform.processor() or platform.machine(), "threads": threads},
        "flow": {**flow.architecture(), "parameters": sum(weight.numel() for weight in flow.parameters())},
        "objects_per_second": {
            "sampler, by tile": {str(tile): round(value) for tile, value in rates.items()},
            "plain inverse": round(plain, 1),
            "nflows": round(nflows, 1),
        },
        "times_plain_inverse": round(best / plain, 1),
        "times_nflows": round(best / nflows, 1),
        "largest_difference_from_plain": difference.max().item(),
    }


def stock_transform(*, features: int, context: int, layers: int, width: int, depth: int, bins: int) -> Any:
    """Build nflows' own masked spline flow with as many layers, units and bins."""
    from nflows import transforms  # noqa: PLC0415  # a peer, needed here only

    chain: list[torch.nn.Module] = []
    for _ in range(layers):
        chain.append(transforms.ReversePermutation(features))
        chain.append(
            transforms.MaskedPiecewiseRationalQuadraticAutoregressiveTransform(
                features,
                width,
                context_features=context,
                num_bins=bins,
                tails="linear",
                tail_bound=6.0,
                num_blocks=depth - 1,
                use_residual_blocks=False,
            )
        )
    return transforms.CompositeTransform(chain).eval()


def rate(work: Callable[[], object], rows: int, repeats: int) -> float:
    """Return rows per second of the fastest run."""
    work()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return rows / min(seconds)


if __name__ == "__main__":
    main()
