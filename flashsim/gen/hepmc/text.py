"""The bytes of a HepMC text file, watched while a library reads them.

The library ends quietly where a file is cut off or damaged: what has gone by tells whether that was the end.
"""

from __future__ import annotations

import importlib
import zlib
from pathlib import Path
from typing import IO

from flashsim.errors import InputFileError
from flashsim.nanoaod.inputs import opening

__all__ = ["HepMCText"]

_FORMATS = {b"HepMC::Asciiv3": "hepmc3", b"HepMC::IO_GenEvent": "hepmc2"}
_OTHERS = {
    b"<LesHouchesEvents": "holds partons (LHE); shower them with Pythia, Herwig or Sherpa and write HepMC",
    b"HepMC::IO_Ascii": "is a HepMC file of a format before 2.0; write HepMC3",
    b"\x1f\x8b": "is compressed; give it a name that ends in .gz",
}
_END = b"END_EVENT_LISTING"
_EVENT = b"\nE "
_BETWEEN_NAMES = b"\\|"
_HEADER, _LONGEST_HEADER = 4096, 1_000_000
_TAIL = 64
_MODULES = {".gz": "gzip", ".bz2": "bz2", ".xz": "lzma"}
_DAMAGED = (OSError, EOFError, zlib.error, ValueError)


class HepMCText:
    """A HepMC text file, decompressed by its name; a binary file object for pyhepmc.

    Parameters
    ----------
    path
        The file.

    Attributes
    ----------
    format
        pyhepmc's name of the format.
    weight_names
        Names of the weights as a HepMC3 file's head has them, empty if it has none.

    Raises
    ------
    InputFileError
        If the file cannot be opened or is not HepMC text.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._damage: Exception | None = None
        self._events = 0
        self._tail = b""
        with opening(self.path):
            self._file = _opened(self.path)
        try:
            self._header = _upto_first_event(self._file)
        except (*_DAMAGED, ImportError) as error:
            self.close()
            msg = f"{path}: cannot be read ({error}); give a complete HepMC file with the suffix that fits it"
            raise InputFileError(msg) from error
        self.format = self._format()
        self.weight_names = self._weight_names()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes; damage looks like the end, see `check_end`."""
        if self._header:
            size = len(self._header) if size < 0 else size
            data, self._header = self._header[:size], self._header[size:]
        else:
            try:
                data = self._file.read(size)
            except _DAMAGED as error:
                self._damage = error
                data = b""
        text = self._tail + data
        # What overlaps the earlier bytes by all but one byte of the mark has been counted.
        self._events += text.count(_EVENT, max(len(self._tail) - len(_EVENT) + 1, 0))
        self._tail = text[-_TAIL:]
        return data

    def readinto(self, buffer: memoryview) -> int:
        """Read into a buffer, as `read`."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def write(self, _: bytes) -> int:
        """Refuse: pyhepmc asks whether a file object has this, and reads only."""
        raise OSError(self.path)

    def flush(self) -> None:
        """Do nothing: nothing is written."""

    def check_end(self, events: int) -> None:
        """Tell whether the end that a library sees after `events` events is that of the file.

        Raises
        ------
        InputFileError
            If the file is damaged, holds an event that could not be read, or lacks its last line.
        """
        rest = (
            f"; make it anew, or take the complete ones with --events {events}"
            if events
            else "; make it anew"
        )
        if self._damage is not None:
            msg = f"{self.path}: is cut off or damaged after {events} complete events ({self._damage}){rest}"
        elif self._events > events:
            msg = f"{self.path}: event {events + 1} is cut off or damaged{rest}"
        elif _END not in self._tail:
            msg = f"{self.path}: is cut off, the line {_END.decode()} is missing after {events} events{rest}"
        else:
            return
        raise InputFileError(msg)

    def _weight_names(self) -> list[str]:
        """Take the names, and leave them to the library without the spaces at which it would cut them."""
        head, mark, events = self._header.partition(_EVENT)
        lines = head.split(b"\n")
        for number, line in enumerate(lines):
            if line.startswith(b"W "):
                names = line[2:].rstrip(b"\r").split(_BETWEEN_NAMES)
                lines[number] = b"W " + _BETWEEN_NAMES.join(name.replace(b" ", b"_") for name in names)
                self._header = b"\n".join(lines) + mark + events
                return [name.decode(errors="replace") for name in names]
        return []

    def _format(self) -> str:
        for mark, name in _FORMATS.items():
            if mark in self._header:
                return name
        self.close()
        reason = "is not HepMC text; give events in HepMC3 or HepMC2 format"
        if not self._header.strip():
            reason = "is empty; give a file that the generator has filled"
        for mark, text in _OTHERS.items():
            if mark in self._header[:256]:
                reason = text
        msg = f"{self.path}: {reason}"
        raise InputFileError(msg)


def _upto_first_event(file: IO[bytes]) -> bytes:
    header = b""
    while _EVENT not in header and len(header) < _LONGEST_HEADER:
        data = file.read(_HEADER)
        if not data:
            break
        header += data
    return header


def _opened(path: Path) -> IO[bytes]:
    suffix = path.suffix.lower()
    if suffix in {".zst", ".zstd"}:
        # In the standard library from Python 3.14 on; before, pyhepmc brings its backport.
        module = importlib.import_module("backports.zstd")
    elif suffix in _MODULES:
        module = importlib.import_module(_MODULES[suffix])
    else:
        return path.open("rb")
    file: IO[bytes] = module.open(path, "rb")
    return file
