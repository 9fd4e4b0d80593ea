"""HepMC text files as blocks of lines, one block per event."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flashsim.errors import InputFileError
from flashsim.gen.kinds import LHE_MARK, NOT_READ
from flashsim.gen.opened import DAMAGED, decompressed

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["HepMCText"]

_FORMATS = {b"HepMC::Asciiv3": "hepmc3", b"HepMC::IO_GenEvent": "hepmc2"}
_OTHERS = NOT_READ | {
    LHE_MARK: "is LHE, expected HepMC text; give it to 'flashsim gen' or `flashsim.make_gen`, which shower it"
}
_MARK, _END = b"HepMC::", b"END_EVENT_LISTING"
_LONGEST_HEADER, _LONGEST_LINE = 10_000, 10_000_000
# A name of a weight may hold line breaks, but not an event.
_LONGEST_NAMES = 1000


class HepMCText:
    """A HepMC text file, compressed or not.

    Parameters
    ----------
    path
        The file.

    Attributes
    ----------
    format
        ``hepmc3`` or ``hepmc2``.
    head
        Lines before the first event, without white space at their ends.

    Raises
    ------
    InputFileError
        If the file cannot be opened or is not HepMC text.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._events = 0
        self.head: list[bytes] = []
        self._first = b""
        try:
            self._file = decompressed(self.path)
        except DAMAGED as error:
            raise self._unreadable(error) from error
        try:
            self._read_head()
        except DAMAGED as error:
            self.close()
            raise self._unreadable(error) from error
        self.format = self._format()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def events(self) -> Iterator[list[bytes]]:
        """Lines of each event in turn, the one that begins with E first.

        Blank lines and white space at the ends of lines are left out. Files that were joined by ``cat`` are
        read on after the end of the first.

        Raises
        ------
        InputFileError
            If the file is damaged, or ends without its last line.
        """
        block: list[bytes] = [self._first] if self._first else []
        ended = not block
        for line in self._lines():
            if line.startswith(_MARK):
                ended = _END in line
            elif _begins_event(line):
                ended = False
            elif not block or ended:
                # The head of a file that was joined to the end of another.
                continue
            else:
                block.append(line)
                continue
            if block:
                yield block
                self._events += 1
            block = [line] if _begins_event(line) else []
        if block:
            yield block
            self._events += 1
        if not ended:
            msg = (
                f"{self.path}: is cut off, the line {_END.decode()} is missing after {self._events} events; "
                f"{self.rest(self._events)}"
            )
            raise InputFileError(msg)

    @staticmethod
    def rest(complete: int) -> str:
        """Say what can be done with a file that is damaged after some complete events."""
        return "make the file again" + (
            f", or take the complete ones with --events {complete}" if complete else ""
        )

    def _unreadable(self, error: Exception) -> InputFileError:
        return InputFileError(f"{self.path}: cannot be read ({error}); give a complete HepMC file")

    def _read_head(self) -> None:
        for line in self._raw():
            if _begins_event(line):
                self._first = line
                return
            self.head.append(line)
            if len(self.head) == 1 and not line.startswith(_MARK):
                return
            if len(self.head) > _LONGEST_HEADER or _END in line:
                return

    def _lines(self) -> Iterator[bytes]:
        try:
            yield from self._raw()
        except DAMAGED as error:
            msg = (
                f"{self.path}: is cut off or damaged after {self._events} complete events ({error}); "
                f"{self.rest(self._events)}"
            )
            raise InputFileError(msg) from error

    def _raw(self) -> Iterator[bytes]:
        """Lines that are not blank; one that a quoted line break cuts is put together again."""
        while line := self._file.readline(_LONGEST_LINE):
            text = line.strip()
            if text[:1] == b"N" and text.count(b'"') % 2:
                text = self._joined(line).strip()
            if text:
                yield text

    def _joined(self, line: bytes) -> bytes:
        for _ in range(_LONGEST_NAMES):
            more = self._file.readline(_LONGEST_LINE)
            line += more
            if not more or more.count(b'"') % 2:
                break
        return line

    def _format(self) -> str:
        for line in self.head:
            for mark, name in _FORMATS.items():
                if line.startswith(mark):
                    return name
        self.close()
        reason = "is not HepMC text; give events in HepMC3 or HepMC2 format"
        if not self.head and not self._first:
            reason = "is empty; give a file that the generator has filled"
        for mark, text in _OTHERS.items():
            if any(mark in line for line in self.head):
                reason = text
        msg = f"{self.path}: {reason}"
        raise InputFileError(msg)


def _begins_event(line: bytes) -> bool:
    return line[:2] in {b"E ", b"E\t"}
