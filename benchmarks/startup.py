"""What a run costs before its first event: ``python -m benchmarks.startup``.

    python -m benchmarks.startup [--before CHECKOUT] [--repeats N] [--json OUT] [--page docs/startup.md]

Processor time, of program and system, of `flashsim generate` of the shipped example: with machine code and
byte code as an earlier run left them, and on a fresh install, where the loops have to be compiled; and the
size of the base install. With another checkout of the project both take turns, with the same Python and
packages.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement

from benchmarks.commandline import publish, quoted
from benchmarks.machine import machine, made_on
from benchmarks.markdown import table
from benchmarks.speed.timing import spread
from benchmarks.verdicts import Goal, goal_table, judged

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["main"]

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = Path("examples", "vbf_hmumu_gen.root")
ALLOWED = {"start": 1.5, "first run": 8.0}
"""Processor seconds."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, measure, print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.startup",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--before", type=Path, help="another checkout of the project, to compare with")
    parser.add_argument("--repeats", type=int, default=7, help="starts; of first runs there are half as many")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    parser.add_argument("--page", type=Path, help="Markdown page, as docs/startup.md")
    options = parser.parse_args(arguments)
    checkouts = {} if options.before is None else {"before": options.before.resolve()}
    checkouts["now"] = ROOT
    found: dict[str, Any] = {"command": quoted("benchmarks.startup", arguments), "machine": machine()}
    found["runs"] = _runs(checkouts, options.repeats)
    found["install"] = {name: install_size(dependencies(path)) for name, path in checkouts.items()}
    found["goals"] = goals(found["runs"]["now"])
    publish(found, render(found), options)


def _runs(checkouts: dict[str, Path], repeats: int) -> dict[str, dict[str, list[dict[str, float]]]]:
    """Processor and clock seconds of each run, by checkout and kind."""
    found: dict[str, dict[str, list[dict[str, float]]]] = {
        name: {kind: [] for kind in ALLOWED} for name in checkouts
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for checkout, path in checkouts.items():
            _run(path, folder, folder / checkout)  # leaves byte code and machine code
        for turn in range(repeats):
            for checkout, path in checkouts.items():
                found[checkout]["start"].append(_run(path, folder, folder / checkout))
                if turn % 2 == 0:
                    fresh = folder / f"{checkout}_{turn}"
                    found[checkout]["first run"].append(_run(path, folder, fresh))
    return found


def _run(checkout: Path, folder: Path, machine_code: Path) -> dict[str, float]:
    """Generate the example once, with machine code kept in a folder."""
    scripts = _project(checkout)["scripts"]
    module, function = scripts["flashsim"].split(":")
    program = f"import sys; from {module} import {function}; sys.exit({function}())"
    environment = os.environ | {"PYTHONPATH": str(checkout), "NUMBA_CACHE_DIR": str(machine_code)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # byte code is kept, as an install does
    output = folder / "flash.root"
    output.unlink(missing_ok=True)
    command = [sys.executable, "-c", program, "generate", "--input", str(checkout / EXAMPLE)]
    before, clock = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [*command, "--output", str(output)], env=environment, cwd=folder, check=True, capture_output=True
    )
    after, seconds = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - clock
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"cpu": cpu, "clock": seconds}


def _project(checkout: Path) -> dict[str, Any]:
    text = (checkout / "pyproject.toml").read_text(encoding="utf-8")
    project: dict[str, Any] = tomllib.loads(text)["project"]
    return project


def dependencies(checkout: Path) -> list[str]:
    """Give what the base install of a checkout requires."""
    found: list[str] = _project(checkout)["dependencies"]
    return found


def install_size(requirements: Iterable[str]) -> dict[str, float]:
    """Count the packages that requirements bring along, and their megabytes as installed here."""
    todo = [Requirement(line) for line in requirements]
    sizes: dict[tuple[str, str], int] = {}
    seen: set[tuple[str, str]] = set()
    while todo:
        requirement = todo.pop()
        for extra in ("", *requirement.extras):
            key = (requirement.name.lower().replace("_", "-"), extra)
            if key in seen or not _applies(requirement):
                continue
            seen.add(key)
            try:
                package = distribution(requirement.name)
            except PackageNotFoundError:
                continue
            files = {Path(str(package.locate_file(file))) for file in package.files or ()}
            sizes[key[0], ""] = sum(path.stat().st_size for path in files if path.is_file())
            needed = (Requirement(line) for line in package.requires or ())
            todo += [one for one in needed if one.marker is None or one.marker.evaluate({"extra": extra})]
    return {"packages": len(sizes), "megabytes": sum(sizes.values()) / 1e6}


def _applies(requirement: Requirement) -> bool:
    """Whether a requirement holds here; those of extras have been chosen already."""
    marker = requirement.marker
    return marker is None or "extra" in str(marker) or marker.evaluate()


def goals(runs: dict[str, list[dict[str, float]]]) -> list[Goal]:
    """Judge the runs of this checkout."""
    medians = {kind: _median(runs[kind], "cpu") for kind in ALLOWED}
    return [
        judged(
            f"processor seconds of the {kind}, at most {most:g}",
            f"{medians[kind]:.2f}",
            medians[kind] <= most,
        )
        for kind, most in ALLOWED.items()
    ]


def _median(runs: list[dict[str, float]], what: str) -> float:
    return statistics.median(run[what] for run in runs)


def render(found: dict[str, Any]) -> str:
    """Markdown page of a result."""
    rows = []
    for kind in ALLOWED:
        for name, runs in found["runs"].items():
            cpu, clock = (_median(runs[kind], what) for what in ("cpu", "clock"))
            error = cpu * spread([run["cpu"] for run in runs[kind]])
            rows.append((kind, name, f"{cpu:.2f} ± {error:.2f}", f"{clock:.1f}"))
    sizes = [
        (name, f"{size['packages']}", f"{size['megabytes']:,.0f}") for name, size in found["install"].items()
    ]
    lines = [
        "# Start",
        "",
        *made_on(found["command"], found["machine"]),
        "`flashsim generate` of the shipped example, 1000 events: a start finds byte code and machine code",
        "of an earlier run, the first run of a fresh install has its loops to compile. Medians of processor",
        "time, of program and system, ± half of the central 68 % of runs; on a loaded machine the clock",
        "shows more.",
        "",
        *goal_table(found["goals"]),
        "",
        *table(("", "", "processor seconds", "seconds of the clock"), rows),
        "",
        "What the base install brings along, unpacked, without FlashSim:",
        "",
        *table(("", "packages", "MB"), sizes),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
