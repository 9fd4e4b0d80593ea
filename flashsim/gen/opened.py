"""Event files as bytes: decompressed by what they hold, whatever their name says."""

from __future__ import annotations

import importlib
import zlib
from pathlib import Path
from typing import IO

from flashsim.nanoaod.inputs import opening

__all__ = ["DAMAGED", "decompressed"]

_MODULES = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bz2",
    b"\xfd7zXZ\x00": "lzma",
    # In the standard library from Python 3.14 on; before, pyhepmc brings its backport.
    b"\x28\xb5\x2f\xfd": "backports.zstd",
}
_LONGEST_MARK = 6

DAMAGED = (OSError, EOFError, zlib.error, ValueError, ImportError)
"""What reading raises where compressed bytes are damaged, or nothing is installed that decompresses them."""


def decompressed(path: str | Path) -> IO[bytes]:
    """Open a file that may be compressed (gzip, bzip2, xz, zstd), told from its first bytes.

    What is no regular file, such as a pipe, can be read only once: it is taken as it is.

    Raises
    ------
    InputFileError
        If it cannot be opened.
    """
    path = Path(path)
    with opening(path):
        file = path.open("rb")
    if not path.is_file():
        return file
    start = file.read(_LONGEST_MARK)
    for mark, name in _MODULES.items():
        if start.startswith(mark):
            file.close()
            unpacked: IO[bytes] = importlib.import_module(name).open(path, "rb")
            return unpacked
    file.seek(0)
    return file
