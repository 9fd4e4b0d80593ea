"""One thread for each matrix product of torch, several for independent pieces of work.

The rounding of a product may depend on how many threads share it, so that results would change with the
machine's load settings. Work that must not is cut into pieces instead, a thread each.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

import torch

from flashsim.execution.threads import run_shares

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["run_torch_shares"]

# The number of threads of a product is a setting of the process: one caller at a time may hold it at one.
_lock = threading.Lock()


def run_torch_shares(work: Callable[[int, int], None], most: int) -> None:
    """Do what `run_shares` does, with torch's number of threads, and products on one thread each."""
    with _lock:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            # Threads start with the machine's default number of threads for products, hence the initializer.
            on_one = partial(torch.set_num_threads, 1)
            run_shares(work, most, threads=threads, initializer=on_one)
        finally:
            torch.set_num_threads(threads)
