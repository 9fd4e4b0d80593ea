"""LHE files as text: the head, and one text per event."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self

from flashsim.errors import InputFileError
from flashsim.gen.lhe.event import Init
from flashsim.gen.opened import DAMAGED, decompressed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

__all__ = ["LHEText"]

_FILE, _FILE_END = "<LesHouchesEvents", "</LesHouchesEvents>"
_INIT, _INIT_END = ("<init>", "<init "), "</init>"
_EVENT, _EVENT_END = ("<event>", "<event "), "</event>"
_LONGEST_LINE = 10_000_000


class LHEText:
    """An LHE file, compressed or not, read once from its beginning to its end. A context manager.

    Parameters
    ----------
    path
        The file.

    Attributes
    ----------
    head
        Its text up to the end of the ``<init>`` block, with every byte a letter (Latin-1).
    init
        What the ``<init>`` block says.

    Raises
    ------
    InputFileError
        If the file cannot be opened, is not LHE, or its ``<init>`` block is missing or damaged.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._read = 0
        self._file = decompressed(path)
        try:
            self.head, block = self._head()
            self.init = Init.of(block, self.path)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def events(self) -> Iterator[str]:
        """Texts of the events in turn, from ``<event>`` to ``</event>``.

        Raises
        ------
        InputFileError
            If the file is damaged, an event has no end, or the file lacks its last line: names the event.
        """
        event: list[str] = []
        for line in self._lines():
            mark = line.lstrip()
            if mark.startswith(_EVENT):
                if event:
                    raise InputFileError(self._cut(f"event {self._read + 1} has no {_EVENT_END}"))
                event = [line]
            elif event:
                if not mark:  # Pythia would take an empty line for the end of the file
                    continue
                event.append(line)
                if _EVENT_END in mark:
                    yield "".join(event)
                    self._read += 1
                    event = []
            elif mark.startswith(_FILE_END):
                self._nothing_follows()
                return
        if event:
            raise InputFileError(self._cut(f"event {self._read + 1} is cut off"))
        raise InputFileError(self._cut(f"is cut off, the line {_FILE_END} is missing"))

    def _head(self) -> tuple[str, list[str]]:
        lines: list[str] = []
        init: list[str] | None = None
        is_lhe = False
        for line in self._lines():
            lines.append(line)
            mark = line.lstrip()
            is_lhe = is_lhe or mark.startswith(_FILE)
            if init is None:
                if mark.startswith(_EVENT) or mark.startswith(_FILE_END):
                    break
                init = [] if mark.startswith(_INIT) else None
            elif mark.startswith(_INIT_END):
                if not is_lhe:
                    break
                return "".join(lines), init
            else:
                init.append(line)
        if not is_lhe:
            msg = f"{self.path}: is not LHE, the line {_FILE}> is missing; give events in LHE format"
        elif init is None:
            msg = f"{self.path}: has no <init> block with beams and cross sections; make the file again"
        else:
            msg = f"{self.path}: is cut off in its <init> block; make the file again"
        raise InputFileError(msg)

    def _nothing_follows(self) -> None:
        for line in self._lines():
            if line.lstrip().startswith((_FILE, *_EVENT)):
                msg = (
                    f"{self.path}: goes on with further events after {self._read} and {_FILE_END}; "
                    "give the files that were joined one by one"
                )
                raise InputFileError(msg)

    def _lines(self) -> Iterator[str]:
        try:
            while line := self._file.readline(_LONGEST_LINE):
                yield line.decode("latin-1")
        except DAMAGED as error:
            raise InputFileError(self._cut(f"is cut off or damaged ({error})")) from error

    def _cut(self, what: str) -> str:
        rest = f", or take the complete ones with --events {self._read}" if self._read else ""
        return f"{self.path}: {what} after {self._read} complete events; make the file again{rest}"
