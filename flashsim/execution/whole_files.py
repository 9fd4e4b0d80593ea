"""Writing files from memory so that they appear complete or not at all."""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING

from flashsim.errors import OutputFileError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["write_whole"]


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file, replacing one that exists; its folder is made if it is not there.

    Raises
    ------
    OutputFileError
        If it cannot be written.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content.encode() if isinstance(content, str) else content)
        part.replace(path)
    except OSError as error:
        msg = f"{path}: cannot be written ({error.strerror or error})"
        raise OutputFileError(msg) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
