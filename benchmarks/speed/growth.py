"""How time and memory grow with events, folds and worker processes."""

from __future__ import annotations

import multiprocessing
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch

from benchmarks.speed.command import Run, run_generate
from benchmarks.speed.events import repeated_events

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["growth", "linear"]

_SIZE = 512
_ONCE = 200_000
"""Events of which one run is enough; a product of matrices for every 25 takes about as long."""


def growth(
    models: Sequence[Path] | None,
    source: Path,
    *,
    sizes: Sequence[int],
    folds: int,
    shared: int,
    repeats: int,
) -> dict[str, Any]:
    """Seconds and memory of the command.

    Parameters
    ----------
    models
        Model files; none for the shipped ones.
    source
        Gen-level events, which are repeated; files are written beside it.
    sizes
        Numbers of events, each simulated by one process with one thread.
    folds
        Folds of the smallest of them.
    shared
        Events that one and two processes simulate.
    repeats
        Turns of each.
    """
    files = {
        size: repeated_events(source, source.with_name(f"gen_{size}.root"), size) for size in {*sizes, shared}
    }
    options = [] if models is None else [f"--models={path}" for path in models]

    def run(size: int, *more: str) -> Run:
        return run_generate(files[size], source.with_name("flash.root"), *options, *more)

    one = ("--threads", "1")
    by_size: dict[int, list[Run]] = {size: [] for size in sizes}
    folded: list[Run] = []
    by_workers: dict[int, list[Run]] = {1: [], 2: []}
    limits: list[float] = []
    for turn in range(repeats):
        for size, runs in by_size.items():
            if turn == 0 or size < _ONCE:
                runs.append(run(size, *one))
        folded.append(run(min(sizes), *one, "--oversample", str(folds)))
        for workers, runs in by_workers.items():
            runs.append(run(shared, *one, "--workers", str(workers)))
        limits.append(_limit(min(shared, _ONCE) // 25))
    start = statistics.median(r.seconds for r in by_size[min(sizes)])
    return {
        "events": [{"events": size} | _median(runs) for size, runs in by_size.items()],
        "linear": linear({size: [r.cpu for r in runs] for size, runs in by_size.items()}),
        "folds": {"events": min(sizes), "folds": folds} | _median(folded),
        "workers": [
            {"events": shared, "workers": workers} | _median(runs) for workers, runs in by_workers.items()
        ],
        "speed_up": _speed_up(by_workers, start),
        "limit": statistics.median(limits),
    }


def _median(runs: Sequence[Run]) -> dict[str, float]:
    rows = [asdict(run) for run in runs]
    return {key: statistics.median(row[key] for row in rows) for key in rows[0]}


def linear(seconds: dict[int, list[float]]) -> dict[str, float]:
    """How much more processor time an event takes, by size; zero where time grows in proportion.

    Parameters
    ----------
    seconds
        Of each repeat, by number of events. The time of an event is that of the events which a size has more
        than the one before; it is compared with that of the size before.
    """
    medians = {size: statistics.median(values) for size, values in sorted(seconds.items())}
    sizes = list(medians)
    slopes = [(medians[b] - medians[a]) / (b - a) for a, b in pairwise(sizes)]
    return {
        f"{b:,} events": later / earlier - 1.0
        for b, (earlier, later) in zip(sizes[2:], pairwise(slopes), strict=True)
    }


def _speed_up(by_workers: dict[int, list[Run]], start: float) -> dict[str, float]:
    """Seconds of one worker over those of two: in all, and without what the smallest sample takes."""
    one, two = (statistics.median(run.seconds for run in by_workers[number]) for number in (1, 2))
    return {"all": one / two, "without start": (one - start) / (two - start)}


def _limit(products: int) -> float:
    """How much faster two processes multiply matrices than one: what this machine allows."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        list(pool.map(_multiply, (1, 1)))
        seconds = []
        for processes in (1, 2):
            started = time.perf_counter()
            list(pool.map(_multiply, [products] * processes))
            seconds.append(time.perf_counter() - started)
    return 2.0 * seconds[0] / seconds[1]


def _multiply(products: int) -> None:
    torch.set_num_threads(1)
    a = torch.ones(_SIZE, _SIZE)
    for _ in range(products):
        torch.mm(a, a)
