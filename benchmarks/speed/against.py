"""Time of an event in this checkout, and in another one with its own code and its own shipped models."""

from __future__ import annotations

import statistics
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import flashsim
from benchmarks.speed.command import package_of, run_generate
from benchmarks.speed.events import repeated_events
from benchmarks.speed.timing import median_ratio, spread

if TYPE_CHECKING:
    from benchmarks.speed.command import Run

__all__ = ["against", "time_of_an_event"]


def against(checkout: Path, source: Path, *, events: int, repeats: int) -> dict[str, Any]:
    """Run `flashsim generate` of both in turns, on the same events.

    Parameters
    ----------
    checkout
        Root of the other checkout.
    source
        Gen-level events, which are repeated; files are written beside it.
    events
        How many are simulated; besides, a twentieth of them, to take the start off.
    repeats
        Turns of each.

    Raises
    ------
    FileNotFoundError
        If there is no package in the other checkout.
    """
    here = Path(flashsim.__file__).resolve().parents[1]
    roots = {"this": here, "other": checkout.resolve()}
    for root in roots.values():
        _require_package(root)
    sizes = (events // 20, events)
    files = {size: repeated_events(source, source.with_name(f"against_{size}.root"), size) for size in sizes}
    output = source.with_name("flash.root")
    times: dict[str, list[float]] = {name: [] for name in roots}
    # The first turn compiles what is not compiled yet, and does not count.
    for turn in range(1 + repeats):
        for name, root in roots.items():
            few, many = (run_generate(files[n], output, "--threads", "1", checkout=root) for n in sizes)
            if turn:
                times[name].append(time_of_an_event(few, many, sizes))
    ratio, error = median_ratio(times["this"], times["other"])
    return {
        "events": events,
        "repeats": repeats,
        "commits": {name: _commit(root) for name, root in roots.items()},
        "microseconds": {name: 1e6 * statistics.median(found) for name, found in times.items()},
        "spread": {name: spread(found) for name, found in times.items()},
        "ratio": ratio,
        "ratio_spread": error,
    }


def time_of_an_event(few: Run, many: Run, sizes: tuple[int, int]) -> float:
    """Processor seconds of an event: of those that the second run has more than the first."""
    return (many.cpu - few.cpu) / (sizes[1] - sizes[0])


def _require_package(root: Path) -> None:
    """See that Python imports the package of a checkout, not one that is installed besides."""
    if not Path(file := package_of(root)).is_relative_to(root):
        msg = f"{root} is no checkout: Python finds the package in {file or 'no folder'}"
        raise FileNotFoundError(msg)


def _commit(root: Path) -> str:
    """Commit of a checkout and its date, or nothing where git knows neither."""
    command = ("git", "-C", str(root), "log", "-1", "--format=%h of %cs")
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    return said.stdout.strip()
