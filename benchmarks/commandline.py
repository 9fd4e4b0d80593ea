"""The command line of a benchmark: what its page quotes, and where results go."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

__all__ = ["publish", "quoted"]


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
    return " ".join([f"python -m {module}", *(_in_quotes(_short(word)) for word in words)])


def _in_quotes(word: str) -> str:
    return f'"{word}"' if " " in word else word


def _short(word: str) -> str:
    name, separator, path = word.rpartition("=")
    return f"{name}{separator}{Path(path).name}" if "/" in path else word


def publish(found: dict[str, Any], text: str, options: argparse.Namespace) -> None:
    """Print a page; write it and its numbers to the files that ``--page`` and ``--json`` name."""
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if options.page is not None:
        options.page.write_text(text, encoding="utf-8")
    print(text)
