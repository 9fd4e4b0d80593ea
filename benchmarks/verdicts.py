"""How pages of benchmarks say whether a goal is reached."""

from __future__ import annotations

__all__ = ["VERDICTS"]

VERDICTS = {True: "yes", False: "**no**", None: "not measured"}
