"""Where torch runs networks: the device, and its threads on the CPU."""

from __future__ import annotations

import ctypes

from flashsim.errors import FlashSimError
from flashsim.execution.extras import needs_extra
from flashsim.execution.threads import set_threads

__all__ = ["chosen_device", "prepare_device"]


def chosen_device(device: str) -> str:
    """Torch's name of the device: of ``auto``, a GPU if there is one that torch can use, else the CPU."""
    if device != "auto":
        return device
    try:
        ctypes.CDLL("libcuda.so.1")  # the driver: where there is none, torch need not be imported
        import torch  # noqa: PLC0415
    except (OSError, ImportError):
        return "cpu"
    return "cuda" if torch.cuda.is_available() else "cpu"


def prepare_device(device: str, threads: int | None = None) -> str:
    """Check that torch can compute on the device, and set the threads of this process.

    Parameters
    ----------
    device
        Torch's name: ``cpu``, ``cuda``, ``cuda:1``; or ``auto``.
    threads
        Threads on the CPU, of torch and of all else; none leaves them as they are.

    Returns
    -------
    str
        Torch's name of the device; see `chosen_device`.

    Raises
    ------
    FlashSimError
        If torch has no such device.
    MissingDependencyError
        If torch is not installed.
    """
    device = chosen_device(device)
    with needs_extra("train", f"--device {device}"):  # generating on a CPU does without
        import torch  # noqa: PLC0415

    if threads is not None:
        set_threads(threads)
        torch.set_num_threads(threads)
    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        msg = f"--device {device}: torch cannot compute on it here ({reason}); use cpu"
        raise FlashSimError(msg) from error
    return device
