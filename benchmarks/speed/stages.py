"""Where the time of a generation goes, by timing the functions that it is made of."""

from __future__ import annotations

import contextlib
import functools
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any
from unittest import mock

from flashsim.events.neighbour_columns import EarlierNeighbours
from flashsim.events.noise import Stream
from flashsim.flows.sampler import Sampler
from flashsim.generation import generate, simulate
from flashsim.generation.generate import Generator
from flashsim.learning.perceptron import Perceptron
from flashsim.nanoaod.writing import NanoWriter
from flashsim.transforms.codec import ConditioningCodec, TargetCodec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["STAGES", "StageClock"]

STAGES = {
    "read": "decompressing and decoding branches of the input",
    "conditioning": "gen view, features, scaling",
    "sampling": "networks and their noise",
    "values": "inverse transforms: from normal numbers to NanoAOD values",
    "assembly": "order, rounding, cross references, jagged arrays",
    "write": "checking, encoding, compressing",
    "other": "opening files, planning, provenance",
}
"""What is told apart."""

_FUNCTIONS: tuple[tuple[str, Any, str], ...] = (
    ("conditioning", generate, "gen_chunk"),
    ("conditioning", simulate, "conditioning_columns"),
    ("conditioning", EarlierNeighbours, "columns"),
    ("conditioning", ConditioningCodec, "encode"),
    ("sampling", Perceptron, "logits"),
    ("sampling", Sampler, "from_noise"),
    ("sampling", Stream, "normal"),
    ("sampling", Stream, "uniform"),
    ("values", TargetCodec, "decode"),
    ("assembly", Generator, "piece"),
    ("write", NanoWriter, "tree"),
    ("write", NanoWriter, "extend"),
    ("write", NanoWriter, "__exit__"),
    ("other", Generator, "run"),
)


class StageClock:
    """Processor seconds of each stage, those of stages inside of it left out."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._inside: list[float] = []

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Time all that is generated in a block, in one thread."""
        with contextlib.ExitStack() as stack:
            for stage, owner, name in _FUNCTIONS:
                timed = self._timed(stage, getattr(owner, name))
                stack.enter_context(mock.patch.object(owner, name, timed))
            stack.enter_context(mock.patch.object(generate, "read_ahead", self._reading))
            yield

    def _timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*arguments: Any, **options: Any) -> Any:
            self._inside.append(0.0)
            started = time.process_time()
            try:
                return function(*arguments, **options)
            finally:
                took = time.process_time() - started
                self.seconds[stage] += took - self._inside.pop()
                if self._inside:
                    self._inside[-1] += took

        return timed

    def _reading(self, items: Iterable[Any], _: bool) -> Iterator[Any]:
        step = self._timed("read", next)
        iterator, end = iter(items), object()
        while (item := step(iterator, end)) is not end:
            yield item
