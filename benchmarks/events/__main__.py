"""Whole events of the models against those of the reference simulation, on held-out samples.

    python -m benchmarks.events --test tt_held dy_held --output events

Every folder is a process: gen.root, full.root and full_1.root, a second, independent simulation of the same
gen events; there can be more of them. Generates the events of the models from gen.root and compares with the
reference: the efficiency that the networks predict, in bins; numbers and spectra of objects; the missing
transverse momentum; how the objects of an event hang together; and whether a classifier can tell objects,
objects with what stands next to them, and whole events apart. Models that --before names are judged on the
same events, and stand beside. Writes ``events.json`` and, if asked to, a page. All simulations have the same
gen events: chi-squares are of differences event by event, in which what they share cancels. Events of several
processes with equal numbers share the noise of the detector, and count as one.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.commandline import quoted
from benchmarks.events.compare import OURS, goals, measure
from benchmarks.events.lost import lost_table
from benchmarks.events.together import page_of_together
from benchmarks.fidelity.judge import REFERENCE
from benchmarks.machine import processor
from benchmarks.verdicts import goal_table
from flashsim.errors import FlashSimError
from flashsim.models.object_model import ObjectModel
from flashsim.models.shipped import model_files

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main", "render"]

_BEFORE = (
    "Before: what the models that these replace give of the same events.",
    "",
)


def render(found: dict[str, Any]) -> str:
    """Markdown page of a result."""
    before = found["before"]
    importance = sorted(found["classifier"][OURS]["importance"].items(), key=lambda item: -item[1])
    lines = [
        "# Whole events",
        "",
        "Events that the shipped models make of held-out gen-level events, against the",
        "[reference simulation](../reference/README.md) of the same, made by",
        "",
        f"```sh\n{found['command']}\n```",
        "",
        f"on {found['machine']}, {found['date']}, in {found['seconds'] / 60:.0f} minutes.",
        f"{found['events']:,} events of {', '.join(found['test'])}, of {found['independent']:,} different",
        "numbers: only these are independent. Chi-squares are of differences event by event, as the",
        f"simulations share their gen events, with {found['draws'][REFERENCE]} draws of the reference",
        f"and {found['draws'][OURS]} of the models. Efficiencies are those that the networks predict,",
        "against all draws of the reference, in bins of gen pT, magnitude of gen eta and flavour or origin.",
        "",
        *goal_table(found["goals"], None if before is None else before["goals"]),
        "",
        "Cutflows of an analysis are on [a page of their own](agreement.md), models of real files on",
        "[another](closure.md).",
        "",
        *(_BEFORE if before is not None else ()),
        "The classifier of numbers and spectra goes by (loss of AUC when shuffled): "
        + ", ".join(f"{name} {loss:.3f}" for name, loss in importance[:5])
        + ".",
        "",
        *lost_table(found["lost"]),
        *page_of_together(found, before),
    ]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.events",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--test", type=Path, nargs="+", required=True, help="held-out processes")
    parser.add_argument("--models", type=Path, nargs="*", help="model files or folders; default: shipped")
    parser.add_argument("--before", type=Path, nargs="*", help="other models, to stand beside these")
    parser.add_argument("--most", type=int, default=20_000, help="objects of a sample for a classifier")
    parser.add_argument("--output", type=Path, required=True, help="folder of results, tables and files")
    parser.add_argument("--page", type=Path, help="Markdown page to write, as docs/events.md")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    started = time.monotonic()
    try:
        models = [ObjectModel.load(path) for path in model_files(given.models or None)]
        found = measure(given.test, models, given.output, most=given.most)
        found["before"] = None
        if given.before:
            others = [ObjectModel.load(path) for path in model_files(given.before)]
            found["before"] = measure(given.test, others, given.output, most=given.most)
            found["before"]["goals"] = goals(found["before"])
    except FlashSimError as error:
        parser.exit(2, f"{error}\n")
    names = [path.name for path in given.test]
    found |= {
        "command": quoted("benchmarks.events", arguments),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{processor()}, {os.cpu_count()} cores",
        "seconds": time.monotonic() - started,
        "test": names,
        "goals": goals(found),
    }
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / "events.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if given.page is not None:
        given.page.write_text(render(found), encoding="utf-8")
    print(render(found))


if __name__ == "__main__":
    main()
