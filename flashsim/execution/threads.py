"""One thread for each matrix product, several for independent pieces of work.

The rounding of a product may depend on how many threads share it, so that results would change with the
machine's load settings. Work that must not is cut into pieces instead, a thread each.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ["run_shares"]

# The number of threads of a product is a setting of the process: one caller at a time may hold it at one.
_lock = threading.Lock()
# Numba compiles a kernel at its first call; two threads that do so at once can fail.
_ready: set[Hashable] = set()


def run_shares(work: Callable[[int, int], None], most: int, kernels: Hashable) -> None:
    """Call ``work(share, shares)`` for each share, in parallel, with products on one thread.

    Parameters
    ----------
    work
        Does the pieces number share, share + shares, share + 2 shares and so on.
    most
        Number of pieces; there are no more shares than these, nor than torch's number of threads.
    kernels
        Names the compiled kernels that the work calls: the first work with a name runs in one thread.
    """
    with _lock:
        threads = torch.get_num_threads()
        shares = max(1, min(threads, most)) if kernels in _ready else 1
        torch.set_num_threads(1)
        try:
            if shares == 1:
                work(0, 1)
                if most:
                    _ready.add(kernels)
                return
            # Threads start with the machine's default number of threads for products, hence the initializer.
            with ThreadPoolExecutor(shares, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                for future in [pool.submit(work, share, shares) for share in range(shares)]:
                    future.result()
        finally:
            torch.set_num_threads(threads)
