"""How time and memory grow with events, folds and worker processes."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from benchmarks.speed.events import repeated_events

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["growth", "linear"]

_POLL = 0.05
_SIZE = 512
_ONCE = 200_000
"""Events of which one run is enough; a product of matrices for every 25 takes about as long."""


@dataclass(frozen=True)
class _Run:
    """One run of the command.

    Parameters
    ----------
    seconds, cpu
        Of the clock, and of processors in the process itself, with the start of Python and the imports.
    memory_mb
        Largest resident memory; of several processes the sum.
    """

    seconds: float
    cpu: float
    memory_mb: float


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

    def run(size: int, *more: str) -> _Run:
        return _run([*_COMMAND, str(files[size]), "-o", str(source.with_name("flash.root")), *options, *more])

    one = ("--threads", "1")
    by_size: dict[int, list[_Run]] = {size: [] for size in sizes}
    folded: list[_Run] = []
    by_workers: dict[int, list[_Run]] = {1: [], 2: []}
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


_COMMAND = (
    *(sys.executable, "-c", "from flashsim.cli.main import main; main()"),
    *("generate", "--force", "--input"),
)


def _median(runs: Sequence[_Run]) -> dict[str, float]:
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


def _speed_up(by_workers: dict[int, list[_Run]], start: float) -> dict[str, float]:
    """Seconds of one worker over those of two: in all, and without what the smallest sample takes."""
    one, two = (statistics.median(run.seconds for run in by_workers[number]) for number in (1, 2))
    return {"all": one / two, "without start": (one - start) / (two - start)}


def _run(command: Sequence[str]) -> _Run:
    started = time.perf_counter()
    # A session of its own tells the processes that it starts from all others.
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        peaks: dict[int, float] = {}
        while True:
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
            if ended:
                break
            peaks |= _peaks(process.pid)
            time.sleep(_POLL)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said = process.stderr.read().decode() if process.stderr else ""
            msg = f"{' '.join(command)} ended with status {process.returncode}: {said}"
            raise RuntimeError(msg)
    return _Run(seconds, usage.ru_utime + usage.ru_stime, sum(peaks.values()))


def _peaks(session: int) -> dict[int, float]:
    """Largest resident memory so far of each process of a session, MB; shared pages count in each.

    What the system tells of a process that has ended includes the memory of the one that it was forked from.
    """
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            stat = (process / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            if int(stat[3]) == session:
                status = (process / "status").read_text(encoding="utf-8")
                found[int(process.name)] = int(status.partition("VmHWM:")[2].split()[0]) / 1e3
    return found


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
