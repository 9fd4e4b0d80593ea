"""The command line of a benchmark, as its page quotes it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["quoted"]


def quoted(module: str, arguments: Sequence[str] | None) -> str:
    """Quote a command line, with files by their names only: where they are is nobody's concern.

    Parameters
    ----------
    module
        What is run, such as ``benchmarks.speed``.
    arguments
        Its arguments; by default those of this process.
    """
    words = sys.argv[1:] if arguments is None else arguments
    return " ".join([f"python -m {module}", *(_short(word) for word in words)])


def _short(word: str) -> str:
    name, separator, path = word.rpartition("=")
    return f"{name}{separator}{Path(path).name}" if "/" in path else word
