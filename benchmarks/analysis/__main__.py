"""Speed of the VBF H to mumu processor, and how well simulations agree with the reference in the analysis.

    python -m benchmarks.analysis samples.yaml --rare samples/ttbar=100 --page docs/agreement.md

SAMPLES is a file as ``flashsim analyze`` takes it. Prints a JSON object: for each file of the reference the
events a second of the processor on one core, columns in memory; for each process and simulation the cutflow,
the width of the dimuon mass in the signal region and the worst bin of the discriminant of those with more
than 200 events, as ratios to the reference. With ``--rare`` gen events that can reach the last steps, of a
process in a folder that ``flashsim reference`` made, pass detector and flash simulation so many times.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.analysis.cutflow_tail import cutflow_tail
from benchmarks.analysis.goals import goals
from benchmarks.analysis.measure import agreement, speed
from benchmarks.analysis.page import render
from benchmarks.commandline import quoted
from benchmarks.machine import processor
from flashsim.analysis.analyze import analyze

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, measure, print, write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.analysis",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("samples", help="YAML file as flashsim analyze takes it")
    parser.add_argument(
        "--rare", nargs="*", default=[], type=_folder_and_times, metavar="FOLDER=TIMES", help="processes"
    )
    parser.add_argument("--page", type=Path, help="Markdown page to write")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    found = _measured(options.samples, dict(options.rare))
    found |= {
        "command": quoted("benchmarks.analysis", arguments),
        "machine": f"{processor()}, {os.cpu_count()} cores",
        "date": datetime.now(UTC).date().isoformat(),
        "seconds": time.monotonic() - started,
        "goals": goals(found),
    }
    print(json.dumps(found, indent=2))
    if options.page is not None:
        options.page.write_text(render(found), encoding="utf-8")


def _folder_and_times(text: str) -> tuple[Path, int]:
    folder, _, times = text.rpartition("=")
    if not folder or not times.isdecimal() or int(times) < 1:
        msg = f"expected FOLDER=TIMES, as in samples/ttbar=100, found {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return Path(folder), int(times)


def _measured(samples: str, rare: dict[Path, int]) -> dict[str, Any]:
    found = analyze(samples)
    results = found.results
    reference = [d for d in results.datasets.values() if d.simulation == results.samples.reference]
    many = {}
    for folder, times in rare.items():
        with tempfile.TemporaryDirectory() as work:
            many[folder.name] = cutflow_tail(folder, Path(work), times)
    return {
        "speed": {d.name: speed(d.files[0], found.selection) for d in reference},
        "agreement": agreement(results),
        "rare": many,
    }


if __name__ == "__main__":
    main()
