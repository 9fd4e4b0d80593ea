"""FlashSim: simulated NanoAOD from generator-level events with conditional normalizing flows."""

from __future__ import annotations

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("flashsim")
