"""Compare simulated NanoAOD files with those of CMS's full simulation.

    python -m benchmarks.realism v9=run2/full.root v15=run3/full.root --real ../shared/nanoaod

Each simulated file is judged against the real files of a NanoAOD version, in the folder that --real names.
Prints the goals and whether they are reached; writes the pages if --output names one (all numbers stand
beside it, in NAME_numbers.md), and the numbers as JSON. With --strict the exit status
is 1 if a goal is not reached.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.machine import machine, made_on
from benchmarks.realism.compare import compare
from benchmarks.realism.page import Judgement, goals, numbers_page, page
from benchmarks.realism.samples import HALVES, REAL_FILES, half_of, like
from benchmarks.verdicts import VERDICTS
from flashsim.analysis.whole_events.joint import joint_lines
from flashsim.analysis.whole_events.reading import read_whole_events

if TYPE_CHECKING:
    from collections.abc import Sequence

_OTHER = {"tune": "judge", "judge": "tune", "both": "both"}


def judge(version: str, simulated: Path, folder: Path, half: str) -> Judgement:
    """Judge a simulated file by a half of the real events of a version, a key of `REAL_FILES`."""
    names = REAL_FILES[version]
    real = [read_whole_events(folder / name) for name in names]
    drawn = like(read_whole_events(simulated), real)
    events = sum(half_of(sample, half).events for sample in real)
    others = [half_of(sample, _OTHER[half]) for sample in real]
    passed = [compare([one], other, half).numbers for one, other in zip(real, others, strict=True)]
    numbers = [number.passes for found in passed for number in found]
    return Judgement(
        version,
        simulated.name,
        names,
        (events, drawn.events),
        compare(real, drawn, half),
        joint_lines(real, drawn),
        sum(numbers) / max(len(numbers), 1),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison; give the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.realism", description=__doc__)
    parser.add_argument("files", nargs="+", metavar="VERSION=FILE", help=f"version: {', '.join(REAL_FILES)}")
    default = os.environ.get("FLASHSIM_NANOAOD", "../shared/nanoaod")
    parser.add_argument("--real", type=Path, default=Path(default), help="folder of the real files")
    parser.add_argument("--half", choices=HALVES, default="judge", help="half of the real events")
    parser.add_argument("--output", type=Path, help="page to write")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    parser.add_argument("--strict", action="store_true", help="status 1 if a goal is not reached")
    options = parser.parse_args(arguments)
    pairs = [text.partition("=") for text in options.files]
    for version, _, file in pairs:
        if version not in REAL_FILES or not Path(file).is_file():
            parser.error(f"{version}={file} is not VERSION=FILE of a file and one of {', '.join(REAL_FILES)}")
    computer = machine()
    judgements = [judge(version, Path(file), options.real, options.half) for version, _, file in pairs]
    if options.output:
        command = f"python -m benchmarks.realism {' '.join(options.files)} --half {options.half}"
        options.output.write_text(page(judgements, made_on(command, computer)), encoding="utf-8")
        appendix = options.output.with_name(f"{options.output.stem}_numbers.md")
        appendix.write_text(numbers_page(judgements), encoding="utf-8")
    if options.json:
        options.json.write_text(
            json.dumps([_numbers(one) for one in judgements], indent=1) + "\n", encoding="utf-8"
        )
    reached = [goal for judgement in judgements for goal in goals(judgement)]
    for goal in reached:
        print(f"{goal['goal']}: {VERDICTS[goal['passed']].strip('*')} ({goal['found']})")
    return int(options.strict and not all(goal["passed"] for goal in reached))


def _numbers(judgement: Judgement) -> dict[str, Any]:
    return {
        "version": judgement.version,
        "goals": goals(judgement),
        "other_half": judgement.other_half,
        "numbers": [asdict(one) | {"passes": one.passes} for one in judgement.comparisons.numbers],
        "missing": judgement.comparisons.missing,
        "joint": [asdict(line) | {"passes": line.passes} for line in judgement.joint],
    }


if __name__ == "__main__":
    sys.exit(main())
