"""Where whole files are generated: in this process, in several of this machine, on a Dask cluster."""

from __future__ import annotations

import contextlib
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from flashsim.errors import FlashSimError, MissingDependencyError
from flashsim.generation.processes import Processes

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["Cluster", "Here", "Place", "Pools"]

T = TypeVar("T")

_SECONDS_TO_CONNECT = 30


class Place(Protocol):
    """Calls functions somewhere; a context manager, which ends what runs when its block raises."""

    @property
    def room(self) -> int:
        """How many calls it takes at a time."""

    def submit(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        """Call a function, whose arguments and result are pickled where they travel."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Here:
    """The process itself, one call after the other."""

    room = 1

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


class Pools:
    """Processes of this machine, each a pool of its own: one that dies takes nothing but its call along.

    Parameters
    ----------
    workers
        How many.
    """

    def __init__(self, workers: int) -> None:
        self.room = workers
        self._idle: list[Processes] = []
        self._busy: dict[Future[Any], Processes] = {}

    def submit(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        """Call a function in an idle process; there must be one."""
        self._idle += [self._busy.pop(future) for future in list(self._busy) if future.done()]
        pool = self._idle.pop() if self._idle else Processes(1)
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


class Cluster:
    """A Dask cluster, whose scheduler listens at an address.

    Calls that a worker was at work on when it was lost are made again by others; Dask sees to it.

    Parameters
    ----------
    address
        As ``tcp://host:8786``.

    Raises
    ------
    MissingDependencyError
        If distributed is not installed.
    FlashSimError
        If there is no scheduler at the address.
    """

    room = 1 << 30

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client  # noqa: PLC0415  # optional
        except ImportError as error:
            msg = f"--dask needs the package {error.name}; pip install 'flashsim[dask]'"
            raise MissingDependencyError(msg) from error
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
