"""Locks: one process at a time for a folder or an output; they end with their process, however it ends."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import glob
import os
import time
from typing import IO, TYPE_CHECKING

from flashsim.errors import OutputFileError
from flashsim.execution.whole_files import disk_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["held", "remove_unfinished", "sole_maker", "sole_user", "sole_writer", "wait_for_writer"]

_PAUSE = 0.2


@contextlib.contextmanager
def held(folder: Path) -> Iterator[bool]:
    """Keep a folder from other processes that ask for it; false if one has it. It ends with the process."""
    folder.mkdir(parents=True, exist_ok=True)
    file = _locked(folder / ".lock")
    try:
        yield file is not None
    finally:
        if file is not None:
            _release(file)


@contextlib.contextmanager
def sole_user(folder: Path, *, name: str = ".lock") -> Iterator[None]:
    """Be the only process that writes into a folder, which is there.

    Parameters
    ----------
    folder
        The folder.
    name
        Of the lock's file in it, which is removed in the end.

    Raises
    ------
    OutputFileError
        If another process has it, or the folder cannot be written to.
    """
    with _sole(folder, folder / name):
        yield


@contextlib.contextmanager
def sole_writer(path: Path) -> Iterator[None]:
    """Be the only process that writes an output, whose folder is there; the lock's file is hidden beside it.

    Raises
    ------
    OutputFileError
        If another process writes it, or its folder cannot be written to.
    """
    with _sole(path, _lock_of(path)):
        yield


@contextlib.contextmanager
def sole_maker(path: Path, seconds: float) -> Iterator[None]:
    """Be the only process that makes a file which several need, whose folder is there: wait for others.

    Who comes in must look whether another one has made it meanwhile. The file itself is written inside, under
    `sole_writer`.

    Parameters
    ----------
    path
        The file.
    seconds
        How long to wait.

    Raises
    ------
    OutputFileError
        If another process still makes it then, or its folder cannot be written to.
    """
    with _sole(path, path.with_name(f".{path.name}.making"), seconds):
        yield


def wait_for_writer(path: Path, seconds: float) -> None:
    """Wait until no other process writes an output, so many seconds at most; whether one does is not said."""
    deadline = time.monotonic() + seconds
    lock = _lock_of(path)
    while time.monotonic() < deadline and lock.exists():
        file = _locked(lock)
        if file is not None:
            _release(file)
            return
        time.sleep(_PAUSE)


def remove_unfinished(path: Path) -> None:
    """Remove what writers of a file that were killed have left of it, unless another process writes it."""
    with contextlib.suppress(OutputFileError), sole_writer(path):
        for part in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
            part.unlink(missing_ok=True)


@contextlib.contextmanager
def _sole(path: Path, lock: Path, seconds: float = 0.0) -> Iterator[None]:
    deadline = time.monotonic() + seconds
    with disk_errors(path):
        file = _locked(lock)
        while file is None and time.monotonic() < deadline:
            time.sleep(_PAUSE)
            file = _locked(lock)
    if file is None:
        msg = f"{path}: is being written by another process; wait for it, or name another output"
        raise OutputFileError(msg)
    try:
        yield
    finally:
        # Removed before it is released: who waits for the name finds no lock that nobody has.
        with contextlib.suppress(OSError):
            lock.unlink()
        _release(file)


def _lock_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")


def _locked(path: Path) -> IO[bytes] | None:
    """Open and lock a file; none if another process has it."""
    while True:
        file = path.open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            # On a file system without locks only its user keeps two commands from one folder.
            if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
                file.close()
                return None
            return file
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        # Its last user removed it between the opening and the lock.
        file.close()


def _release(file: IO[bytes]) -> None:
    # Not by closing alone: a process that was forked meanwhile has it open, too.
    with contextlib.suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_UN)
    file.close()
