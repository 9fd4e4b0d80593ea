"""Reading, simulating and writing at once."""

from __future__ import annotations

import contextlib
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

__all__ = ["read_ahead", "write_behind"]

T = TypeVar("T")


def read_ahead(items: Iterable[T], overlap: bool) -> Generator[T, None, None]:
    """Give the items of an iterable; with `overlap` the next one is made while the last one is used.

    Close the generator before what it reads from.
    """
    if not overlap:
        yield from items
        return
    iterator, end = iter(items), object()
    with ThreadPoolExecutor(1, thread_name_prefix="read") as pool:
        waiting = pool.submit(next, iterator, end)
        while (item := waiting.result()) is not end:
            waiting = pool.submit(next, iterator, end)
            yield item  # type: ignore[misc]  # everything but the end comes from the iterable


@contextlib.contextmanager
def write_behind(write: Callable[..., None], overlap: bool) -> Iterator[Callable[..., None]]:
    """Give a function like `write`; with `overlap` it returns when the call before is done, not its own.

    Errors appear in the next call, or when the block ends.
    """
    if not overlap:
        yield write
        return
    waiting: Future[None] | None = None

    def put(*arguments: Any) -> None:
        nonlocal waiting
        if waiting is not None:
            waiting.result()
        waiting = pool.submit(write, *arguments)

    with ThreadPoolExecutor(1, thread_name_prefix="write") as pool:
        yield put
        if waiting is not None:
            waiting.result()
