"""Names of input files: paths, globs, lists and URLs."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path

from flashsim.errors import InputFileError

__all__ = ["expand_inputs"]


def expand_inputs(named: Iterable[str]) -> list[str]:
    """Files that a user names, each once, in the order given; what a glob finds is sorted.

    A URL is taken as it is, and ``@FILE`` stands for the names in a text file, one a line.

    Raises
    ------
    InputFileError
        If a path does not exist or a glob finds nothing.
    """
    found: list[str] = []
    for name in named:
        if name.startswith("@"):
            found += expand_inputs(_listed(Path(name[1:])))
        elif "://" in name or Path(name).is_file():
            found.append(name)
        elif glob.has_magic(name):
            matches = sorted(path for path in glob.glob(name, recursive=True) if Path(path).is_file())  # noqa: PTH207  # a user's pattern may be absolute
            if not matches:
                msg = f"{name}: no file fits this pattern"
                raise InputFileError(msg)
            found += matches
        else:
            msg = f"{name}: there is no such file"
            raise InputFileError(msg)
    return list(dict.fromkeys(found))


def _listed(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: cannot be read as a list of files ({error})"
        raise InputFileError(msg) from error
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]
