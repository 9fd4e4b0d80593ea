"""Names of input files: paths, globs, lists and URLs."""

from __future__ import annotations

import contextlib
import glob
from pathlib import Path
from typing import TYPE_CHECKING

from flashsim.errors import InputFileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["expand_inputs", "opening"]


def expand_inputs(named: Iterable[str]) -> list[str]:
    """Files that a user names, each once, in the order given; what a glob finds is sorted.

    A URL is taken as it is, and ``@FILE`` stands for the names in a text file, one a line, where ``#`` starts
    a comment line.

    Parameters
    ----------
    named
        Paths, globs (``**`` for any depth), URLs or ``@FILE``.

    Raises
    ------
    InputFileError
        If a path does not exist, a glob finds nothing, or a list cannot be read or names no file.
    """
    found: list[str] = []
    for name in named:
        if name.startswith("@"):
            for listed in _listed(Path(name[1:])):
                found += _matches(listed)
        else:
            found += _matches(name)
    return list(dict.fromkeys(found))


@contextlib.contextmanager
def opening(path: Path) -> Iterator[None]:
    """Raise errors of the system in the block as `InputFileError`: the path cannot be opened."""
    try:
        yield
    except FileNotFoundError as error:
        msg = f"{path}: there is no such file"
        raise InputFileError(msg) from error
    except OSError as error:
        msg = f"{path}: cannot be opened ({error.strerror or error})"
        raise InputFileError(msg) from error


def _matches(name: str) -> list[str]:
    if "://" in name or Path(name).is_file():
        return [name]
    if Path(name).is_dir():
        msg = f"{name}: is a folder; name the files in it, such as '{Path(name) / '*.root'}'"
        raise InputFileError(msg)
    if not glob.has_magic(name):
        msg = f"{name}: there is no such file"
        raise InputFileError(msg)
    # pathlib cannot glob a pattern that starts at the root.
    found = sorted(path for path in glob.glob(name, recursive=True) if Path(path).is_file())  # noqa: PTH207
    if not found:
        msg = f"{name}: no file fits this pattern"
        raise InputFileError(msg)
    return found


def _listed(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: cannot be read as a list of files ({error})"
        raise InputFileError(msg) from error
    names = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not names:
        msg = f"{path}: names no file; expected one a line"
        raise InputFileError(msg)
    return names
