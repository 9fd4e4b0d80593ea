"""Kernels as functions of ``numba.njit``."""

from __future__ import annotations

from types import FunctionType
from typing import TYPE_CHECKING, Any

import numba

from flashsim.execution._object_code import named_functions

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
        helpers = named_functions(function, kernel.replacing)
        scope = function.__globals__ | {name: wrapped(helper) for name, helper in helpers.items()}
        return njit(*signatures, **options)(FunctionType(function.__code__, scope, function.__name__))

    return wrapped(kernel.function, f"void({kernel.signature})")
