"""Kernels as functions of ``numba.njit``."""

from __future__ import annotations

from types import FunctionType
from typing import Any

import numba

from flashsim.execution._object_code import named_functions

__all__ = ["jitted"]


def jitted(function: Any, signature: str | None = None, *, contract: bool = False) -> Any:
    """Compile a function and those that it names; without a signature, for the types of each call."""
    options: dict[str, Any] = {"error_model": "numpy", "nogil": True}
    if contract:
        options["fastmath"] = {"contract"}
    names = {name: jitted(helper, contract=contract) for name, helper in named_functions(function).items()}
    bound = FunctionType(function.__code__, function.__globals__ | names, function.__name__)
    signatures = () if signature is None else (f"void({signature})",)
    return numba.njit(*signatures, **options)(bound)
