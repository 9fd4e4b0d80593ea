"""How commands talk to a terminal: options, progress bars, notes, errors, and being stopped.

Results go to stdout; everything here goes to stderr.
"""

from __future__ import annotations

import logging
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flashsim.errors import FlashSimError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from rich.progress import Progress

__all__ = ["Force", "Seed", "note", "progress_bars", "run", "warn"]


Force = Annotated[bool, typer.Option("--force", "-f", help="Replace an output that exists.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same events.", min=0)]
"""Options that several commands have."""


class _Stopped(BaseException):
    """Raised where a signal finds the program, so that everything unfinished is cleaned up on the way out."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def run(command: Callable[[], object]) -> None:
    """Run a command line; what a user can mend ends with one sentence and exit status 2.

    SIGINT and SIGTERM end it with the exit status that shells give, 128 and the signal's number.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="flashsim: %(message)s")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        command()
    except FlashSimError as error:
        _say(f"error: {error}")
        sys.exit(2)
    except _Stopped as stopped:
        _say(f"stopped by {signal.Signals(stopped.number).name}; no unfinished output is left")
        sys.exit(128 + stopped.number)


def note(text: str) -> None:
    """Tell the user something that is no result."""
    _say(f"note: {text}")


def warn(text: str) -> None:
    """Tell the user something that may make a result wrong."""
    _say(f"warning: {text}")


def _say(text: str) -> None:
    sys.stderr.write(f"flashsim: {text}\n")


def _stop(number: int, _: FrameType | None) -> None:
    # A second signal must not interrupt the cleaning up.
    for known in (signal.SIGINT, signal.SIGTERM):
        signal.signal(known, signal.SIG_IGN)
    raise _Stopped(number)


@contextmanager
def progress_bars(unit: str) -> Iterator[Progress]:
    """Progress bars with a rate in `unit` a second; nothing where stderr is not a terminal.

    Tasks need a field ``note``, a text at the end of the bar.
    """
    from rich.console import Console  # `flashsim --help` must be quick
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

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield progress
