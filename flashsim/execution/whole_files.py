"""Outputs that appear complete or not at all, and what is refused before any work."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from flashsim.errors import OutputFileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = [
    "check_output",
    "check_output_folder",
    "disk_errors",
    "make_folder",
    "refuse_existing",
    "refuse_input",
    "require_parent",
    "unfinished",
    "write_whole",
]

_MEND = "name another output or add --force"


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file, replacing one that exists; its folder is made if it is not there.

    Raises
    ------
    OutputFileError
        If it cannot be written.
    """
    with disk_errors(path), unfinished(path) as part:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """Give a hidden path beside a final one, for a file or folder that gets its name when the block ends.

    When the block raises (an interrupt included), what it wrote is removed, and what had the name stays.

    Raises
    ------
    OutputFileError
        If it cannot be renamed.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield part
        with disk_errors(path):
            part.replace(path)
    finally:
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        # The disk may be full or gone: what matters is the first error, not those of cleaning up.
        with contextlib.suppress(OSError):
            part.unlink()


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Raise errors of the system in the block as `OutputFileError`: the path cannot be written."""
    try:
        yield
    except OSError as error:
        msg = f"{path}: cannot be written ({error.strerror or error})"
        raise OutputFileError(msg) from error


def refuse_existing(path: Path, *, force: bool = False, mend: str = _MEND) -> None:
    """Refuse an output that exists already.

    Raises
    ------
    OutputFileError
        If it does and `force` is not set; `mend` says what to do then.
    """
    if not force and os.path.lexists(path):
        msg = f"{path}: exists already; {mend}"
        raise OutputFileError(msg)


def check_output(path: Path, *, force: bool = False, mend: str = _MEND) -> None:
    """Refuse, before any work, an output file that exists already or cannot be written.

    Raises
    ------
    OutputFileError
        If it exists and `force` is not set, is a folder, or cannot be written; `mend` says what to do with
        one that exists.
    """
    if path.is_dir():
        msg = f"{path}: is a folder; name a file"
        raise OutputFileError(msg)
    refuse_existing(path, force=force, mend=mend)
    _require_writable(path, path.parents)


def check_output_folder(path: Path, *, force: bool = False) -> None:
    """Refuse, before any work, an output folder that holds something already or cannot be written to.

    Raises
    ------
    OutputFileError
        If it holds files that are not hidden and `force` is not set, is no folder, or cannot be written to.
    """
    if not (path.is_dir() and all(inside.name.startswith(".") for inside in path.iterdir())):
        refuse_existing(path, force=force)
    if path.exists() and not path.is_dir():
        msg = f"{path}: is no folder; name another output"
        raise OutputFileError(msg)
    _require_writable(path, (path, *path.parents))


def _require_writable(path: Path, folders: Iterable[Path]) -> None:
    """Refuse a path if nothing can be made in the first of these folders that is there."""
    above = next(folder for folder in folders if os.path.lexists(folder))
    if not above.is_dir():
        msg = f"{path}: cannot be written ({above} is no folder); name another output"
        raise OutputFileError(msg)
    if not os.access(above, os.W_OK | os.X_OK):
        msg = f"{path}: cannot be written (no permission to write to {above}); name another output"
        raise OutputFileError(msg)


def refuse_input(output: Path, *sources: str | Path) -> None:
    """Refuse an output that is a file that is read, by whatever name, or a folder that holds one.

    Parameters
    ----------
    output
        A file, or a folder that is replaced as a whole.
    sources
        What is read: paths, or URLs, which are never refused.

    Raises
    ------
    OutputFileError
        If it is.
    """
    for source in sources:
        if "://" in str(source) or not (output.exists() and Path(source).exists()):
            continue
        # The same file by a link, too.
        if output.samefile(source):
            msg = f"{output}: is an input; name another output"
            raise OutputFileError(msg)
        if output.is_dir() and Path(source).resolve().is_relative_to(output.resolve()):
            msg = f"{output}: holds the input {source}, which would be replaced; name another output"
            raise OutputFileError(msg)


def require_parent(path: Path) -> None:
    """Refuse an output whose folder does not exist.

    Raises
    ------
    OutputFileError
        If it does not.
    """
    if not path.parent.is_dir():
        msg = f"{path}: the folder {path.parent} does not exist; make it first"
        raise OutputFileError(msg)


def make_folder(folder: Path) -> None:
    """Make a folder for outputs, if it is not there.

    Raises
    ------
    OutputFileError
        If it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = (
            f"{folder}: cannot be made a folder for outputs ({error.strerror or error}); name another folder"
        )
        raise OutputFileError(msg) from error
