"""Where networks run: the device, and the threads of a process."""

from __future__ import annotations

import torch

from flashsim.errors import FlashSimError

__all__ = ["prepare_device", "threads_of_process"]


def prepare_device(device: str, threads: int | None = None) -> None:
    """Check that torch can compute on the device, and set its threads on the CPU.

    Parameters
    ----------
    device
        Torch's name: ``cpu``, ``cuda``, ``cuda:1``.
    threads
        Threads of the networks; none leaves torch's own number.

    Raises
    ------
    FlashSimError
        If torch has no such device.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        msg = f"--device {device}: torch cannot compute on it here ({reason}); use cpu"
        raise FlashSimError(msg) from error


def threads_of_process(threads: int | None, workers: int, dask: str | None) -> int | None:
    """Threads of each process: those asked for, or else an equal share; none for all there are.

    On a cluster it is one, as a batch slot most often has one core.
    """
    if threads is not None:
        return threads
    if dask is not None:
        return 1
    return None if workers == 1 else max(1, torch.get_num_threads() // workers)
