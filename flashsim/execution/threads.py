"""Several threads for independent pieces of work, and how many of them this process has."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["number_of_threads", "run_shares", "set_threads", "threads_of_process"]

_chosen: list[int] = []


def set_threads(number: int | None) -> None:
    """Set the number of threads of this process; none for that of the machine."""
    _chosen[:] = [] if number is None else [number]


def number_of_threads() -> int:
    """Threads of this process: those set, or of ``OMP_NUM_THREADS``, or else one a processor it may use."""
    if _chosen:
        return _chosen[0]
    of_environment = os.environ.get("OMP_NUM_THREADS", "")
    if of_environment.isdecimal() and int(of_environment) > 0:
        return int(of_environment)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads_of_process(threads: int | None, workers: int, dask: str | None) -> int | None:
    """Threads of each process: those asked for, or else an equal share; none for all there are.

    On a cluster it is one, as a batch slot most often has one core.
    """
    if threads is not None:
        return threads
    if dask is not None:
        return 1
    return None if workers == 1 else max(1, number_of_threads() // workers)


def run_shares(
    work: Callable[[int, int], None],
    most: int,
    *,
    threads: int | None = None,
    initializer: Callable[[], object] | None = None,
) -> None:
    """Call ``work(share, shares)`` for each share, in parallel.

    Parameters
    ----------
    work
        Does the pieces number share, share + shares, share + 2 shares and so on.
    most
        Number of pieces; there are no more shares than these, nor than threads.
    threads
        By default `number_of_threads`.
    initializer
        Called first in each thread.
    """
    shares = max(1, min(number_of_threads() if threads is None else threads, most))
    if shares == 1:
        work(0, 1)
        return
    with ThreadPoolExecutor(shares, initializer=initializer) as pool:
        for future in [pool.submit(work, share, shares) for share in range(shares)]:
            future.result()
