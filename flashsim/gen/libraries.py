"""The optional libraries of the reference simulation, and how they are kept quiet."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import sys
import tempfile
from typing import IO, TYPE_CHECKING, Any

from flashsim.execution.extras import needs_extra

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["printed", "require", "stdout_captured"]


def require(module: str) -> Any:
    """Import an optional module.

    Raises
    ------
    MissingDependencyError
        If it is not installed: names the extra that has it.
    """
    with needs_extra("reference", "making gen-level events"):
        return importlib.import_module(module)


@contextlib.contextmanager
def stdout_captured() -> Iterator[IO[bytes]]:
    """Send what C++ code prints to standard output into a temporary file instead.

    Standard output belongs to results, and may be a pipe that a banner would corrupt. The redirection is of
    the file descriptor, so it holds for the whole process while it lasts.

    Yields
    ------
    The file, to be read after the block's work is done with `printed`.
    """
    sys.stdout.flush()
    _flush()
    saved = os.dup(1)
    with tempfile.TemporaryFile() as sink:
        os.dup2(sink.fileno(), 1)
        try:
            yield sink
        finally:
            _flush()
            os.dup2(saved, 1)
            os.close(saved)


def printed(sink: IO[bytes]) -> str:
    """Read what has been printed so far in a block of `stdout_captured`."""
    _flush()
    sink.seek(0)
    return sink.read().decode(errors="replace")


def _flush() -> None:
    # The C library keeps its own buffer, which would otherwise come out after the redirection.
    ctypes.CDLL(None).fflush(None)
