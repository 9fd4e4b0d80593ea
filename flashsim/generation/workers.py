"""One file simulated by several processes: ranges of its events, written by one in their order."""

from __future__ import annotations

from collections import deque
from concurrent.futures import BrokenExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from flashsim.errors import FlashSimError
from flashsim.nanoaod.buffer import check_entries
from flashsim.nanoaod.reading import NanoFile

if TYPE_CHECKING:
    from collections.abc import Generator as Generator_
    from concurrent.futures import Future

    from flashsim.execution.processes import Processes
    from flashsim.generation.generate import Generator
    from flashsim.generation.plan import OutputPlan
    from flashsim.generation.results import Piece
    from flashsim.generation.settings import Settings

__all__ = ["pieces_of_processes"]

_PIECES_A_WORKER = 4
_SMALLEST = 500


def pieces_of_processes(
    processes: Processes, settings: Settings, file: NanoFile, plan: OutputPlan
) -> Generator_[Piece, None, None]:
    """Simulate all of a file in several processes.

    Each reads its range itself. Ranges are no larger than a chunk, smaller where a file has few, and no more
    than two a process are on their way, so memory does not grow with the file.

    Parameters
    ----------
    processes
        Where.
    settings
        How.
    file, plan
        The input and what is written of it.

    Yields
    ------
    Piece
        In the order of the events.

    Raises
    ------
    FlashSimError
        If a process dies, or for the reasons that `Generator.run` has.
    """
    most = max(1, settings.chunk // plan.oversampling.folds)
    fair = -(-file.num_entries // (_PIECES_A_WORKER * processes.number))
    size = min(most, max(fair, min(_SMALLEST, most)))
    waiting: deque[Future[Piece]] = deque()
    try:
        for start in range(0, file.num_entries, size):
            waiting.append(processes.submit(_piece, settings, file.path, start, start + size))
            if len(waiting) > 2 * processes.number:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenExecutor as error:
        msg = (
            f"{file.path}: a process that simulates its events has died (killed, or out of memory); try "
            "again with a smaller --chunk or fewer --workers"
        )
        raise FlashSimError(msg) from error
    finally:
        for future in waiting:
            future.cancel()


class _Opened(NamedTuple):
    settings: Settings
    generator: Generator
    file: NanoFile
    plan: OutputPlan


_opened: list[_Opened] = []
"""What this process has open: nothing, or one file."""


def _open(settings: Settings, source: str) -> _Opened:
    if _opened and (_opened[0].settings, _opened[0].file.path) == (settings, source):
        return _opened[0]
    while _opened:
        _opened.pop().file.close()
    generator, file = settings.generator(), NanoFile(source)
    try:
        plan = generator.plan(file, keep=settings.keep, version=settings.version)
    except BaseException:
        file.close()
        raise
    _opened.append(_Opened(settings, generator, file, plan))
    return _opened[0]


def _piece(settings: Settings, source: str, start: int, stop: int) -> Piece:
    """Simulate a range of events, in a process of the pool."""
    opened = _open(settings, source)
    arrays = opened.file.read(opened.plan.read, start, stop, needed=opened.plan.needed)
    stop = min(stop, opened.file.num_entries)
    piece = opened.generator.piece(arrays, opened.plan, stop, origin=source)
    # What is done here is not left to the one process that writes, and flat arrays are sent in half the time.
    return replace(piece, columns=check_entries("Events", opened.plan.branches, piece.columns))
