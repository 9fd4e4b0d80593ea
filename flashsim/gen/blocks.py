"""Blocks of events, made by processes of their own: a crash of a library ends a block, not the program."""

from __future__ import annotations

from concurrent.futures import BrokenExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from flashsim.errors import RecipeError
from flashsim.execution.processes import Processes
from flashsim.gen.libraries import stdout_captured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = ["EVENTS_PER_BLOCK", "in_order"]

EVENTS_PER_BLOCK = 500
"""Events that Pythia makes or showers with one seed: the unit of work, whatever the number of workers."""

Task = TypeVar("Task")
Result = TypeVar("Result")


def in_order(
    make: Callable[[Task], Result],
    tasks: Iterable[Task],
    *,
    workers: int,
    preload: Sequence[str],
    crashed: str,
) -> Iterator[Result]:
    """Make blocks in processes and give them in the order of their tasks.

    Parameters
    ----------
    make
        Makes a block; what it prints to standard output is dropped.
    tasks
        Taken as `Processes.in_order` takes them.
    workers
        How many processes.
    preload
        Modules that they need.
    crashed
        What to say if a process dies.

    Raises
    ------
    RecipeError
        If a process dies, with the text of `crashed`; and whatever `make` raises.
    """
    with Processes(workers, preload=preload) as pool:
        try:
            yield from pool.in_order(partial(_made, make), tasks)
        except BrokenExecutor as error:
            raise RecipeError(crashed) from error


def _made(make: Callable[[Any], Result], task: Any) -> Result:
    # Libraries print when they end, too: standard output belongs to results.
    with stdout_captured():
        return make(task)
