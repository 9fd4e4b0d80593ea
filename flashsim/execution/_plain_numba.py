"""Kernels as functions of ``numba.njit``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba

from flashsim.execution._object_code import rebound

if TYPE_CHECKING:
    from flashsim.execution.machine_code import Kernel

__all__ = ["jitted"]


def jitted(kernel: Kernel) -> Any:
    """Compile a kernel's function and those that it names."""
    njit: Any = numba.njit  # its types leave this use out
    options: dict[str, Any] = {"error_model": "numpy", "nogil": True} | (
        {"fastmath": {"contract"}} if kernel.contract else {}
    )

    def wrapped(function: Any, *signatures: str) -> Any:
        return njit(*signatures, **options)(rebound(function, kernel.replacing, wrapped))

    return wrapped(kernel.function, f"void({kernel.signature})")
