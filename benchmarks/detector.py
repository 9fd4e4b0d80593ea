"""Speed and memory of the reference simulation's detectors.

    python -m benchmarks.detector FOLDER --minbias FILE [--era run2] [--chunk 200]

passes the events of a folder that ``flashsim reference`` made (``gen.root``, ``particles.root``) through both
detectors in one process, and prints a JSON object: events a second by CPU time, all included but the
generator, milliseconds an event by step, and the growth of memory after the first chunk.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections import Counter
from functools import partial, partialmethod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from benchmarks.machine import machine
from flashsim.declarations.eras import DEFAULT_ERA
from flashsim.nanoaod.writing import NanoWriter
from flashsim.reference.output import detect as driver
from flashsim.reference.output.detect import DEFAULT_CHUNK, detect

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["main", "measured"]

DETECTORS = ("full", "fast")
STEPS = ("record", "objects", "match_objects", "nano_branches")
"""Functions of `flashsim.reference.output.detect` that are timed apart."""


def main() -> None:
    """Parse the command line, measure, print JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder with gen.root and particles.root")
    parser.add_argument("--minbias", type=Path, required=True, help="file of minimum-bias interactions")
    parser.add_argument("--era", default=DEFAULT_ERA, help="era of the events")
    parser.add_argument("--chunk", type=int, default=DEFAULT_CHUNK, help="events at a time")
    options = parser.parse_args()
    result: dict[str, Any] = {"machine": machine(), "era": options.era, "chunk": options.chunk}
    for name in DETECTORS:
        result[name] = measured(options.folder, options.minbias, name, options.era, options.chunk)
    print(json.dumps(result, indent=2))


def measured(folder: Path, minbias: Path, detector: str, era: str, chunk: int) -> dict[str, Any]:
    """Measure one detector.

    Parameters
    ----------
    folder
        With ``gen.root`` and ``particles.root``; the first chunk warms up, so there must be two.
    minbias
        Pileup.
    detector, era, chunk
        As for `flashsim.reference.output.detect.detect`.
    """
    spent: Counter[str] = Counter()
    marks: list[tuple[int, float, int, Counter[str]]] = []

    def mark(done: int, _: int) -> None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        marks.append((done, time.process_time(), peak, spent.copy()))

    originals = {name: getattr(driver, name) for name in STEPS}
    written = {name: getattr(NanoWriter, name) for name in ("extend", "__exit__")}
    try:
        for name, function in originals.items():
            setattr(driver, name, partial(_timed, function, name, spent))
        for name, function in written.items():  # a file is compressed when its block ends
            setattr(NanoWriter, name, partialmethod(_timed_write, function, spent))
        with TemporaryDirectory() as work:
            files = (folder / "gen.root", folder / "particles.root", minbias, Path(work) / "out.root")
            detect(*files, era=era, detector=detector, chunk=chunk, progress=mark)
            mark(marks[-1][0], 0)
    finally:
        for name, function in written.items():
            setattr(NanoWriter, name, function)
        for name, function in originals.items():
            setattr(driver, name, function)
    (first, start, before, warm), (last, stop, after, whole) = marks[0], marks[-1]
    events = last - first
    return {
        "events": events,
        "events_per_second": round(events / (stop - start), 1),
        "ms_per_event": {
            name: round(1e3 * (whole[name] - warm[name]) / events, 2) for name in (*STEPS, "write")
        },
        "memory_growth_mb": round((after - before) / 1024, 1),
    }


def _timed_write(
    writer: NanoWriter, function: Callable[..., Any], spent: Counter[str], *arguments: Any
) -> Any:
    return _timed(function, "write", spent, writer, *arguments)


def _timed(function: Callable[..., Any], name: str, spent: Counter[str], *arguments: Any) -> Any:
    start = time.process_time()
    result = function(*arguments)
    spent[name] += time.process_time() - start  # type: ignore[assignment]
    return result


if __name__ == "__main__":
    main()
