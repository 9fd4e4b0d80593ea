"""How commands talk to a terminal: progress, notes, errors, and being stopped.

Results go to stdout; everything here goes to stderr.
"""

from __future__ import annotations

import atexit
import errno
import gc
import inspect
import logging
import shlex
import signal
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from flashsim.cli.options import RESUME
from flashsim.errors import FlashSimError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import FrameType

    from rich.console import Console

    from flashsim.interface.arguments import Progress

__all__ = ["add_commands", "begin", "kept_when_stopped", "note", "progress_of", "run", "warn"]


_SILENCE = 30.0
"""Seconds after which there is a line of progress, where there is no terminal."""

_SHORT = 5.0
"""Seconds in which there is none, so that what is quick is quiet."""


_OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}
"""Errors that are no bug wherever they come up, as when results go to a file on a full disk."""


class _Stopped(BaseException):
    """Raised where a signal finds the program, so that everything unfinished is cleaned up on the way out."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def add_commands(app: typer.Typer, commands: Iterable[Callable[..., Any]]) -> None:
    """Offer functions as commands; their docstrings are the help, and lines of examples stay whole."""
    for command in commands:
        text = inspect.cleandoc(command.__doc__ or "")
        app.command(help=text.replace("\n\nExample", "\n\n\b\nExample"))(command)


def run(app: typer.Typer) -> None:
    """Run the command line and exit; what a user can mend ends with one sentence and exit status 2.

    SIGINT and SIGTERM end it with the exit status that shells give, 128 and the signal's number.
    """
    # At the exit Python looks for cycles among all objects of all libraries, a tenth of a short run.
    atexit.register(gc.freeze)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="flashsim: %(message)s")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    reported, sys.unraisablehook = sys.unraisablehook, _unraisable
    try:
        status = app(prog_name="flashsim", standalone_mode=False)
    except FlashSimError as error:
        _say(f"error: {error}")
        status = 2
    except typer.TyperException as error:
        _say_usage(error)
        status = 2
    except OSError as error:
        if error.errno not in _OF_THE_DISK:
            raise
        _say(f"error: {error.filename or 'the output'}: cannot be written ({error.strerror})")
        status = 2
    except _Stopped as stopped:
        status = _say_stopped(stopped)
    except Exception as error:
        # A library that was stopped while it was imported says that it could not be.
        if (behind := _stop_behind(error)) is None:
            raise
        status = _say_stopped(behind)
    finally:
        sys.unraisablehook = reported
    sys.exit(status)


def begin(text: str) -> None:
    """Print what is done now, before anything that takes time."""
    _say(text)


def note(text: str) -> None:
    """Print something that is no result."""
    _say(f"note: {text}")


def warn(text: str) -> None:
    """Print something that may make a result wrong, in a colour where there is a terminal."""
    typer.secho(f"flashsim: warning: {text}", err=True, fg=typer.colors.YELLOW, bold=True)


def _say(text: str) -> None:
    sys.stderr.write(f"flashsim: {text}\n")


def _say_usage(error: typer.TyperException) -> None:
    """Print what is wrong with the arguments in a line, and where their help is."""
    text = error.format_message()
    if text.startswith("Usage:"):  # no arguments at all: the text is the help
        sys.stderr.write(f"{text}\n")
        return
    context = getattr(error, "ctx", None)
    command = "flashsim" if context is None else context.command_path
    text = text.replace("Value error, ", "").rstrip(".")
    _say(f"error: {text}; see '{command} --help'")


def _stop_behind(error: BaseException) -> _Stopped | None:
    """Find the signal that an error comes from, if it does."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, _Stopped):
        cause = cause.__cause__ or cause.__context__
    return cause


def _say_stopped(stopped: _Stopped) -> int:
    """Print what was stopped, and give the exit status."""
    _say(f"stopped by {signal.Signals(stopped.number).name}; {_how_to_go_on(stopped)}")
    return 128 + stopped.number


def _how_to_go_on(stopped: _Stopped) -> str:
    """Say what is kept of what was stopped, and the command that goes on with it."""
    kept = getattr(stopped, "__notes__", [])
    if not kept:
        return "no unfinished output is left"
    arguments = sys.argv[1:] + ([] if RESUME in sys.argv else [RESUME])
    return f"{kept[0]}; go on with: {shlex.join(['flashsim', *arguments])}"


@contextmanager
def kept_when_stopped(what: str) -> Iterator[None]:
    """Say what is kept, and how to go on with it, when the block is stopped and nothing in it says so."""
    try:
        yield
    except _Stopped as stopped:
        if not getattr(stopped, "__notes__", []):
            stopped.add_note(what)
        raise


def _stop(number: int, _: FrameType | None) -> None:
    # A second signal must not interrupt the cleaning up.
    for known in (signal.SIGINT, signal.SIGTERM):
        signal.signal(known, signal.SIG_IGN)
    raise _Stopped(number)


def _unraisable(found: sys.UnraisableHookArgs) -> None:
    """Stop after all where the signal came in a destructor, out of which nothing can be raised."""
    if not isinstance(found.exc_value, _Stopped):
        sys.__unraisablehook__(found)
        return
    number = found.exc_value.number
    signal.signal(signal.SIGALRM, lambda *_: _stop(number, None))
    signal.setitimer(signal.ITIMER_REAL, 0.001)


@contextmanager
def progress_of(unit: str) -> Iterator[Progress]:
    """Give what shows progress, counted in `unit`: bars in a terminal, else a line now and then."""
    from rich.console import Console  # `flashsim --help` must be quick

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(unit)
        return
    with _bars(unit, console) as report:
        yield report


class _Lines:
    """Prints a line at each tenth of the work and at least twice a minute; none of what is quick."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._started = self._last = time.monotonic()
        self._tenths: dict[str, int] = {}

    def __call__(self, name: str, done: int, total: int | None, remark: str) -> None:
        now = time.monotonic()
        tenth = 10 * done // total if total else 0
        waited = now - self._last
        if waited < _SHORT or (waited < _SILENCE and tenth <= self._tenths.get(name, 0)):
            return
        self._last, self._tenths[name] = now, tenth
        share = f" of {total:,} {self._unit} ({100 * done // total} %)" if total else f" {self._unit}"
        rest = f", {remark}" if remark else ""
        _say(f"{name}: {done:,}{share} after {now - self._started:,.0f} s{rest}")


@contextmanager
def _bars(unit: str, console: Console) -> Iterator[Progress]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Any) -> Text:
            seconds = task.finished_time or task.elapsed
            known = bool(seconds) and task.completed > 0
            return Text(f"{task.completed / seconds:,.0f} {unit}/s" if known else "")

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[remark]}"),
    )
    with Progress(*columns, console=console) as progress:
        bars: dict[str, Any] = {}

        def report(name: str, done: int, total: int | None, remark: str) -> None:
            if name not in bars:
                bars[name] = progress.add_task(name, total=total, remark="")
            progress.update(bars[name], completed=done, total=total, remark=remark)

        yield report
