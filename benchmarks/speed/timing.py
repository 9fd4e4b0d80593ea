"""Times of things that take turns, so that a busy machine slows all alike."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Measured", "in_turns", "median_ratio", "spread"]


@dataclass(frozen=True)
class Measured:
    """Seconds of some repeats of one thing.

    Parameters
    ----------
    items
        Objects, rows or events of a repeat.
    cpu
        Seconds of processor time. On one thread of an idle machine they are those of the clock.
    wall
        Seconds of the clock.
    """

    items: int
    cpu: list[float]
    wall: list[float]

    @property
    def per_item(self) -> list[float]:
        """Processor seconds of an item, by repeat."""
        return [seconds / self.items for seconds in self.cpu]

    def to_json(self) -> dict[str, Any]:
        """Medians, and how far repeats are from them."""
        return {
            "items": self.items,
            "repeats": len(self.cpu),
            "per_second": self.items / statistics.median(self.cpu),
            "spread": spread(self.cpu),
            "per_second_of_the_clock": self.items / statistics.median(self.wall),
        }


def in_turns(
    works: Mapping[str, tuple[int, Callable[[], object]]], repeats: int, *, warm_up: int = 1
) -> dict[str, Measured]:
    """Time things in turns.

    Parameters
    ----------
    works
        By name: the items of a repeat, and what does them.
    repeats
        How often each has its turn.
    warm_up
        Turns before these, which do not count.
    """
    found = {name: Measured(items, [], []) for name, (items, _) in works.items()}
    for turn in range(warm_up + repeats):
        for name, (_, work) in works.items():
            cpu, wall = time.process_time(), time.perf_counter()
            work()
            if turn >= warm_up:
                found[name].cpu.append(time.process_time() - cpu)
                found[name].wall.append(time.perf_counter() - wall)
    return found


def median_ratio(above: Sequence[float], below: Sequence[float]) -> tuple[float, float]:
    """Median of the ratios of each turn, and their `spread`."""
    ratios = [a / b for a, b in zip(above, below, strict=True)]
    return statistics.median(ratios), spread(ratios)


def spread(values: Sequence[float]) -> float:
    """Half of the central 68 % interval over the median."""
    low, middle, high = np.quantile(values, [0.16, 0.5, 0.84])
    return float((high - low) / (2.0 * middle))
