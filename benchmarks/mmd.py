"""Time and memory of the maximum mean discrepancy, against the sum written out over all pairs.

    python -m benchmarks.mmd [--threads 2] [--rows 2048] [--columns 10]

prints a JSON object: seconds of forward and backward (the best of a few runs after one to warm up; by the
clock, and of all threads' work) and the growth of the process's peak memory in MB, for all pairs in blocks,
for random Fourier features, and for the naive form that holds the differences of all pairs at once; with the
differences of values and gradients from it.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from benchmarks.machine import processor
from flashsim.refinement.mmd import FourierFeatures, MixtureKernel, mmd

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["main"]


def main() -> None:
    """Parse the command line, measure, print JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2, help="threads of torch")
    parser.add_argument("--rows", type=int, default=2048, help="rows of each ensemble")
    parser.add_argument("--columns", type=int, default=10, help="columns")
    parser.add_argument("--features", type=int, default=1024, help="random Fourier features")
    parser.add_argument("--repeats", type=int, default=3, help="runs, of which the best counts")
    arguments = vars(parser.parse_args())
    torch.set_num_threads(arguments["threads"])
    print(json.dumps(measured(**arguments), indent=2))


def measured(*, threads: int, rows: int, columns: int, features: int, repeats: int) -> dict[str, Any]:
    """Measure all forms on two normal ensembles; the naive one last, as peak memory only grows."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(rows, columns, generator=generator)
    y = 1.1 * torch.randn(rows, columns, generator=generator) + 0.1
    kernel = MixtureKernel.fit(y)
    fourier = FourierFeatures(kernel, features)
    forms: dict[str, Callable[[Tensor], Tensor]] = {
        "features": lambda a: mmd(a, y, fourier),
        "blocks": lambda a: mmd(a, y, kernel),
        "naive": lambda a: naive(a, y, kernel),
    }
    found = {name: timed(form, x, repeats) for name, form in forms.items()}
    value, gradient = found["naive"].pop("value"), found["naive"].pop("gradient")
    for name in ("features", "blocks"):
        found[name]["difference"] = abs(found[name].pop("value") - value)
        largest = float((found[name].pop("gradient") - gradient).abs().max() / gradient.abs().max())
        found[name]["relative difference of gradients"] = largest
    setting = {"threads": threads, "rows": rows, "columns": columns, "machine": processor()}
    return setting | found


def timed(form: Callable[[Tensor], Tensor], x: Tensor, repeats: int) -> dict[str, Any]:
    """Time forward and backward; gives seconds, MB, value and gradient."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds, work = [], []
    for _ in range(repeats + 1):
        rows = x.clone().requires_grad_()
        start, begun = time.perf_counter(), time.process_time()
        value = form(rows)
        value.backward()  # type: ignore[no-untyped-call]
        seconds.append(time.perf_counter() - start)
        work.append(time.process_time() - begun)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {
        "seconds": round(min(seconds[1:]), 4),
        "seconds of work": round(min(work[1:]), 4),
        "MB": round(grown / 1024.0, 1),
        "value": float(value.detach()),
        "gradient": rows.grad,
    }


def naive(x: Tensor, y: Tensor, kernel: MixtureKernel) -> Tensor:
    """U-statistic of paired ensembles as it is written: differences of all pairs of rows at once."""
    both = torch.cat((kernel.scaled(x), kernel.scaled(y)))
    squares = (both[:, None] - both[None, :]).square().sum(-1)
    values = torch.stack([torch.exp(-squares / width) for width in kernel.widths]).mean(0)
    n = len(x)
    parts = (values[:n, :n], values[n:, n:], values[:n, n:])
    inside_x, inside_y, across = ((p.sum() - p.diagonal().sum()) / (n * (n - 1)) for p in parts)
    total: Tensor = inside_x + inside_y - 2.0 * across
    return total


if __name__ == "__main__":
    main()
