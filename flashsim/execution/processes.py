"""Processes of this machine that simulate or train, and how they end."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from multiprocessing import forkserver
from multiprocessing.connection import wait
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future

__all__ = ["Processes", "prepare"]

T = TypeVar("T")
Task = TypeVar("Task")

_hiding = threading.Lock()

# From malloc.h of the GNU C library, which most often is the one.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES, _LARGEST_KEPT_BYTES = 256 << 20, 32 << 20


def prepare(preload: Sequence[str]) -> None:
    """Begin to import what processes will need, in a process beside this one, for seconds of its own imports.

    Parameters
    ----------
    preload
        As for `Processes`.
    """
    multiprocessing.get_context("forkserver").set_forkserver_preload(list(preload))
    # Ctrl-C reaches all processes of a terminal: the one that imports would end in a traceback of its own.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


class _Ended(SystemExit):
    """Raised where SIGTERM finds a process, so that unfinished outputs are removed on the way out."""


class Processes:
    """A pool of processes; a context manager.

    When the block raises, they end at once, in place of finishing what they do; and they end when the
    process that made them is gone. They do not run the user's script again, so it needs no
    ``if __name__ == "__main__"``; what is called must stand in a module.

    Parameters
    ----------
    number
        How many.
    preload
        Modules that they have imported when they start. The first pool of a program decides for all.
    """

    def __init__(self, number: int, *, preload: Sequence[str] = ()) -> None:
        self.number, self._preload = number, list(preload)
        self._pool = self._start()
        self._children: set[Any] = set()

    def _start(self) -> ProcessPoolExecutor:
        # Workers are forked from a process that has imported everything and done nothing: a fork of this one
        # would share libraries in the middle of use, and fresh ones would all import for seconds.
        prepare(self._preload)
        context = multiprocessing.get_context("forkserver")
        _keep_memory()
        return ProcessPoolExecutor(self.number, mp_context=context, initializer=_begin)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.end()
        self._pool.shutdown(cancel_futures=True)

    def submit(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        """Call a function in one of the processes; where one has died, all are started again."""
        before = set(multiprocessing.active_children())
        with _hidden_script():
            try:
                future = self._pool.submit(_run, function, arguments)
            except BrokenExecutor:
                self._pool.shutdown()
                self._pool = self._start()
                future = self._pool.submit(_run, function, arguments)
        self._children |= set(multiprocessing.active_children()) - before
        return future

    def in_order(self, function: Callable[[Task], T], tasks: Iterable[Task]) -> Iterator[T]:
        """Call a function for each task, and give the results in the order of the tasks.

        Tasks are taken one by one, no more than two a process ahead of what has been given: both they and
        their results are held in memory.

        Raises
        ------
        BrokenExecutor
            If a process dies; and whatever the function raises.
        """
        waiting: deque[Future[T]] = deque()
        for task in tasks:
            waiting.append(self.submit(function, task))
            if len(waiting) > 2 * self.number:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def end(self) -> None:
        """End the processes now; unfinished outputs are removed."""
        for child in self._children:
            # One that has ended meanwhile is as it should be.
            with contextlib.suppress(ValueError, OSError):
                child.terminate()


@contextlib.contextmanager
def _hidden_script() -> Iterator[None]:
    """Hide the program's script from processes that start, which would run it again from its beginning."""
    with _hiding:
        script = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = script


def _run(function: Callable[..., T], arguments: tuple[Any, ...]) -> T:
    try:
        return function(*arguments)
    except _Ended as ended:
        # The pool's loop would take this for the result of the call, and wait for the next one.
        os._exit(int(ended.code or 0))


def _keep_memory() -> None:
    """Keep memory that is freed, for the next arrays that travel between processes.

    Given back to the system, it comes again page by page: a twentieth of the time of a generation by two
    processes. Without the GNU C library nothing changes.
    """
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL("libc.so.6")
        library.mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES)
        library.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def _begin() -> None:
    _keep_memory()
    # An interrupt from the keyboard reaches all processes of a terminal; what to do is decided in one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end(number: int, _: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _Ended(128 + number)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
