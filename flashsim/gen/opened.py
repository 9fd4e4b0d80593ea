"""Event files as bytes: decompressed by what they hold, whatever their name says."""

from __future__ import annotations

import importlib
import io
import lzma
import sys
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from flashsim.execution.extras import needs_extra
from flashsim.nanoaod.inputs import opening

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["DAMAGED", "decompressed"]

_GZIP, _BZIP2, _XZ, _ZSTD = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"
_MODULES = {
    _GZIP: "gzip",
    _BZIP2: "bz2",
    _XZ: "lzma",
    # Before Python 3.14, pyhepmc brings the backport.
    _ZSTD: "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd",
}
_LONGEST_MARK = 6

DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError)
"""What reading raises where compressed bytes are damaged."""


def decompressed(path: str | Path) -> IO[bytes]:
    """Open a file that may be compressed (gzip, bzip2, xz, zstd), recognised by its first bytes.

    What is no regular file, such as a pipe, can be read only once: it is taken as it is.

    Raises
    ------
    InputFileError
        If it cannot be opened.
    MissingDependencyError
        If it is compressed with zstd, and the package that decompresses it is not installed.
    OSError
        If its first bytes cannot be read. Reading the rest raises one of `DAMAGED` where it is damaged.
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
            return _opened(path, name, zstd=mark == _ZSTD)
    file.seek(0)
    return file


def _opened(path: Path, module: str, *, zstd: bool) -> IO[bytes]:
    if not zstd:
        return cast("IO[bytes]", importlib.import_module(module).open(path, "rb"))
    with needs_extra("reference", "reading files compressed with zstd"):
        library = importlib.import_module(module)
    return io.BufferedReader(_ZstdReads(library.open(path, "rb"), library.ZstdError), 2**17)


class _ZstdReads(io.RawIOBase):
    """Reads of a zstd file: its errors are of no built-in kind, and become OSError.

    Parameters
    ----------
    file
        To be closed with this one.
    error
        The library's class of errors.
    """

    def __init__(self, file: Any, error: type[Exception]) -> None:
        self._file, self._error = file, error

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        try:
            return int(self._file.readinto(buffer))
        except self._error as error:
            raise OSError(str(error)) from error

    def close(self) -> None:
        self._file.close()
        super().close()
