"""Blocks of events, made by processes of their own: a crash of a library ends a block, not the program."""

from __future__ import annotations

from collections import deque
from concurrent.futures import BrokenExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from flashsim.errors import RecipeError
from flashsim.execution.processes import Processes
from flashsim.gen.libraries import stdout_captured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future

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
        Taken one by one, no more than two a worker ahead of what has been given: blocks are held in memory.
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
    waiting: deque[Future[Result]] = deque()
    with Processes(workers, preload=preload) as pool:
        for task in tasks:
            waiting.append(pool.submit(_made, make, task))
            if len(waiting) > 2 * workers:
                yield _result(waiting.popleft(), crashed)
        while waiting:
            yield _result(waiting.popleft(), crashed)


def _made(make: Callable[[Any], Result], task: Any) -> Result:
    # Libraries print when they end, too: standard output belongs to results.
    with stdout_captured():
        return make(task)


def _result(future: Future[Result], crashed: str) -> Result:
    try:
        return future.result()
    except BrokenExecutor as error:
        raise RecipeError(crashed) from error
