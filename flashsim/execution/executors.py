"""Executors of calls: this process, several of this machine, a Dask cluster."""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar

from flashsim.errors import FlashSimError
from flashsim.execution.extras import needs_extra
from flashsim.execution.processes import Processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import TracebackType

__all__ = ["DaskExecutor", "EndedCall", "Executor", "ProcessExecutor", "SerialExecutor", "run_calls"]

T = TypeVar("T")

_log = logging.getLogger(__name__)

_SECONDS_TO_CONNECT = 30


class Executor(Protocol):
    """Calls functions somewhere; a context manager, which ends what runs when its block raises."""

    @property
    def capacity(self) -> int:
        """How many calls it takes at a time."""

    def submit(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        """Call a function, whose arguments and result are pickled where they travel."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class SerialExecutor:
    """The process itself, one call after the other."""

    capacity = 1

    def submit(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        """Call a function now."""
        future: Future[T] = Future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:  # noqa: BLE001  # whoever asks for the result gets it
            future.set_exception(error)
        return future

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class ProcessExecutor:
    """Processes of this machine, each a pool of its own: one that dies takes nothing but its call along.

    Parameters
    ----------
    workers
        How many.
    preload
        As `Processes` takes it.
    """

    def __init__(self, workers: int, *, preload: Sequence[str] = ()) -> None:
        self.capacity, self._preload = workers, preload
        self._idle: list[Processes] = []
        self._busy: dict[Future[Any], Processes] = {}

    def submit(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        """Call a function in an idle process; there must be one."""
        self._idle += [self._busy.pop(future) for future in list(self._busy) if future.done()]
        pool = self._idle.pop() if self._idle else Processes(1, preload=self._preload)
        future = pool.submit(function, *arguments)
        self._busy[future] = pool
        return future

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pools = [*self._idle, *self._busy.values()]
        if kind is not None:
            for pool in pools:
                pool.end()
        for pool in pools:
            pool.__exit__(kind, error, trace)


class DaskExecutor:
    """A Dask cluster, whose scheduler listens at an address.

    Calls that a worker was at work on when it was lost are made again by others; Dask sees to it.

    Parameters
    ----------
    address
        As ``tcp://host:8786``.
    capacity
        How many calls it is given at a time; the scheduler keeps those for which no worker is free.

    Raises
    ------
    MissingDependencyError
        If distributed is not installed.
    FlashSimError
        If there is no scheduler at the address.
    """

    def __init__(self, address: str, *, capacity: int = 1 << 30) -> None:
        self.capacity = capacity
        with needs_extra("dask", "--dask"):
            from distributed import Client  # noqa: PLC0415
        try:
            connect: Any = Client
            self._client = connect(address, timeout=_SECONDS_TO_CONNECT, set_as_default=False)
        except (OSError, ValueError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
            msg = f"--dask {address}: there is no Dask scheduler ({reason}); give its address, as tcp://host:8786"
            raise FlashSimError(msg) from error
        # A call has no arguments that tell it from a second try of it, which would be the same to Dask.
        self._executor = self._client.get_executor(pure=False)

    def submit(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        """Call a function on a worker."""
        future: Future[T] = self._executor.submit(function, *arguments)
        return future

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with contextlib.closing(self._client):
            self._executor.shutdown(wait=kind is None)


@dataclass(frozen=True)
class EndedCall(Generic[T]):
    """What has become of a call.

    Parameters
    ----------
    number
        Of the call, from 0.
    attempts
        How often it was tried.
    result
        What it gave; none if it failed.
    error
        Why it failed at last; none if it did not.
    """

    number: int
    attempts: int
    result: T | None = None
    error: Exception | None = None


def run_calls(
    executor: Executor,
    function: Callable[..., T],
    calls: Iterable[Sequence[Any]],
    *,
    retries: int = 0,
    may_pass: Callable[[Exception], bool] = lambda _: True,
) -> Iterator[EndedCall[T]]:
    """Make all calls of a function somewhere, no more at a time than there is room for.

    Parameters
    ----------
    executor
        Where.
    function
        What is called.
    calls
        The arguments of each call; taken one by one as there is room, after what has ended was given.
    retries
        How often a call that fails is tried again.
    may_pass
        Whether a failure may be one of the moment; others are not tried again.

    Yields
    ------
    EndedCall
        As the calls end.
    """
    arguments: dict[int, Sequence[Any]] = {}
    fresh, again = enumerate(calls), deque[tuple[int, int]]()
    running: dict[Future[T], tuple[int, int]] = {}
    while True:
        while len(running) < executor.capacity:
            if (taken := next(fresh, None)) is not None:
                number, attempt = taken[0], 1
                arguments[number] = taken[1]
            elif again:
                number, attempt = again.popleft()
            else:
                break
            running[executor.submit(function, *arguments[number])] = (number, attempt)
        if not running:
            return
        ended, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in ended:
            number, attempt = running.pop(future)
            error = _error(future)
            if error is not None and attempt <= retries and may_pass(error):
                _log.info("%s: failed, is tried again", arguments[number], exc_info=error)
                again.append((number, attempt + 1))
                continue
            del arguments[number]
            yield EndedCall(number, attempt, future.result() if error is None else None, error)


def _error(future: Future[T]) -> Exception | None:
    if future.cancelled():
        return FlashSimError("was cancelled by the cluster")
    error = future.exception()
    if error is not None and not isinstance(error, Exception):
        raise error
    return error
