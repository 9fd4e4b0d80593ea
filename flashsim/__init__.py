"""FlashSim: simulated NanoAOD from generator-level events with conditional normalizing flows.

The functions for files do what the commands of the same names do::

    import flashsim

    flashsim.generate("gen.root", "flash.root", seed=1)

Every name is loaded at its first use, so that ``import flashsim`` is quick.
"""

from __future__ import annotations

import importlib
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flashsim.interface.analysis import validate
    from flashsim.interface.generation import generate
    from flashsim.interface.inspection import inspect
    from flashsim.interface.simulator import Simulator
    from flashsim.interface.training import load_model, preprocess, train

__all__ = ["Simulator", "__version__", "generate", "inspect", "load_model", "preprocess", "train", "validate"]

__version__ = version("flashsim")

_MODULES = {
    "Simulator": "simulator",
    "generate": "generation",
    "inspect": "inspection",
    "load_model": "training",
    "preprocess": "training",
    "train": "training",
    "validate": "analysis",
}
"""Modules of `flashsim.interface` by the names that they give."""


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    found = getattr(importlib.import_module(f"{__name__}.interface.{_MODULES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
