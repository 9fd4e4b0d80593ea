"""Whether values depend on the processor, and the cost of that: ``python -m benchmarks.processors``.

    python -m benchmarks.processors INPUT... [--oversample N] [--repeats N] [--page docs/processors.md]

Generates each input as older processors would: loops compiled for them, and the parts of numpy, OpenBLAS and
glibc that need newer ones switched off. Then once more with a product and a sum in one instruction, which
rounds once and which older processors lack; both ways take turns for the processor time.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
import uproot

from benchmarks.commandline import publish, quoted
from benchmarks.machine import machine, made_on
from benchmarks.markdown import table
from benchmarks.speed.timing import spread
from benchmarks.verdicts import Goal, goal_table, judged

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["compare", "goals", "main", "render"]

ROOT = Path(__file__).resolve().parents[1]
MOST_COST = 0.10
"""Share of the speed that equal values may cost."""
_PROGRAM = """
import functools, os, sys
from flashsim.execution import _object_code, machine_code
if name := os.environ.get("BENCHMARK_PROCESSOR"):
    processor = functools.lru_cache(1)(lambda: _object_code.Processor(name))
    _object_code.Processor.this = staticmethod(processor)
if os.environ.get("BENCHMARK_FUSED"):
    plain = machine_code.Kernel.__init__
    def fused(self, *arguments, **options):
        plain(self, *arguments, **options | {"contract": True})
    machine_code.Kernel.__init__ = fused
from flashsim.cli.main import main
sys.exit(main())
"""


@dataclass(frozen=True)
class _Kind:
    """A processor to imitate: LLVM's name, OpenBLAS's, and what numpy and glibc must not use."""

    meaning: str
    name: str
    blas: str
    without: tuple[str, ...]
    glibc: str

    def environment(self) -> dict[str, str]:
        known = np._core._multiarray_umath.__cpu_dispatch__  # type: ignore[attr-defined]  # noqa: SLF001
        off = [feature for feature in known if feature.startswith(self.without)]
        return {
            "BENCHMARK_PROCESSOR": self.name,
            "NUMBA_CPU_NAME": self.name,
            "OPENBLAS_CORETYPE": self.blas,
            "NPY_DISABLE_CPU_FEATURES": ",".join(off),
            "GLIBC_TUNABLES": f"glibc.cpu.hwcaps={self.glibc}",
        }


KINDS = (
    _Kind("x86-64-v3 (AVX2)", "x86-64-v3", "Haswell", ("AVX512", "X86_V4"), "-AVX512F"),
    _Kind(
        "x86-64-v2 (SSE4.2)",
        "x86-64-v2",
        "Nehalem",
        ("AVX", "FMA", "X86_V3", "X86_V4"),
        "-FMA,-AVX2,-AVX512F",
    ),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, generate, print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.processors",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("inputs", nargs="+", type=Path, metavar="INPUT", help="gen-level NanoAOD")
    parser.add_argument("--oversample", type=int, default=50, help="folds of the first input that is timed")
    parser.add_argument("--repeats", type=int, default=5, help="turns of the two ways to round")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    parser.add_argument("--page", type=Path, help="Markdown page, as docs/processors.md")
    options = parser.parse_args(arguments)
    if platform.machine() not in {"x86_64", "AMD64"}:
        parser.error(f"imitates x86-64 processors on one, found {platform.machine()}")
    found: dict[str, Any] = {"command": quoted("benchmarks.processors", arguments), "machine": machine()}
    with tempfile.TemporaryDirectory() as folder:
        found["inputs"] = {path.name: _values(path, Path(folder)) for path in options.inputs}
        found["seconds"] = _times(options.inputs[0], Path(folder), options.oversample, options.repeats)
    found["events"] = found["inputs"][options.inputs[0].name]["events"] * options.oversample
    found["goals"] = goals(found)
    publish(found, render(found), options)


def _values(source: Path, folder: Path) -> dict[str, Any]:
    """Differences of the imitated processors, and of fused rounding, from this machine's output."""
    ways: dict[str, dict[str, str]] = {"this": {}, "fused": {"BENCHMARK_FUSED": "1"}}
    ways |= {kind.name: kind.environment() for kind in KINDS}
    outputs = {way: folder / f"{way}_{source.name}" for way in ways}
    for way, environment in ways.items():
        _generate(source, outputs[way], folder / f"cache_{way}", environment)
    with uproot.open(outputs["this"]) as file:
        events = int(file["Events"].num_entries)
    own = _columns(outputs.pop("this"))
    return {"events": events} | {way: compare(own, _columns(path)) for way, path in outputs.items()}


def _times(source: Path, folder: Path, folds: int, repeats: int) -> dict[str, list[float]]:
    """Processor seconds of the two ways to round, in turns."""
    ways: dict[str, dict[str, str]] = {"separate": {}, "fused": {"BENCHMARK_FUSED": "1"}}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(repeats + 1):
        for way, environment in ways.items():
            output = folder / f"{way}_{turn}.root"
            more = ["--oversample", str(folds), "--threads", "1"]
            taken = _generate(source, output, folder / f"cache_{way}", environment, *more)
            output.unlink()
            if turn:  # the first one compiles
                seconds[way].append(taken)
    return seconds


def _generate(
    source: Path, output: Path, machine_code: Path, environment: Mapping[str, str], *more: str
) -> float:
    """Run `flashsim generate`; give its processor seconds."""
    own = {"PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": str(machine_code)}
    command = ["generate", "--input", str(source.resolve()), "--output", str(output), "--seed", "1", *more]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-c", _PROGRAM, *command],
        env=os.environ | own | dict(environment),
        check=True,
        capture_output=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _columns(path: Path) -> dict[str, NDArray[Any]]:
    """All values of each branch of the events, one after the other."""
    with uproot.open(path) as file:
        arrays = file["Events"].arrays()
    return {name: ak.to_numpy(ak.flatten(arrays[name], axis=None)) for name in arrays.fields}


def compare(own: Mapping[str, NDArray[Any]], other: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Count the branches that differ in any bit, and how far their values are apart.

    Returns
    -------
    ``branches`` and ``differ``, the numbers of all and of those that differ; ``lengths``, of those that have
    another number of values; ``median`` and ``largest`` relative difference of the values that differ.
    """
    apart: list[NDArray[np.float64]] = []
    differ = lengths = 0
    for name, values in own.items():
        found = other[name]
        if found.tobytes() == values.tobytes():
            continue
        differ += 1
        if len(found) != len(values):
            lengths += 1
            continue
        before, after = values.astype(np.float64), found.astype(np.float64)
        changed = before != after
        scale = np.maximum(np.abs(before), np.abs(after))[changed]
        apart.append(np.abs(before - after)[changed] / scale)
    relative = np.concatenate([*apart, np.zeros(0)])
    return {
        "branches": len(own),
        "differ": differ,
        "lengths": lengths,
        "median": float(np.median(relative)) if len(relative) else 0.0,
        "largest": float(relative.max(initial=0.0)),
    }


def _cost(seconds: Mapping[str, Sequence[float]]) -> tuple[float, float]:
    """Share of the speed that separate rounding costs, and its error."""
    ratios = [fused / separate for fused, separate in zip(seconds["fused"], seconds["separate"], strict=True)]
    return 1.0 - statistics.median(ratios), spread(ratios) * statistics.median(ratios)


def goals(found: Mapping[str, Any]) -> list[Goal]:
    """Judge values and cost."""
    differ = sum(one[kind.name]["differ"] for one in found["inputs"].values() for kind in KINDS)
    cost, error = _cost(found["seconds"])
    return [
        judged("branches that differ on other processors, none", f"{differ}", differ == 0),
        judged(
            f"share of the speed that this costs, at most {MOST_COST:.0%}",
            f"{cost:.1%} ± {error:.1%}",
            cost <= MOST_COST,
        ),
    ]


def render(found: Mapping[str, Any]) -> str:
    """Markdown page of a result."""
    ways = [*((kind.name, kind.meaning) for kind in KINDS), ("fused", "this one, fused rounding")]
    rows = []
    for source, one in found["inputs"].items():
        for way, meaning in ways:
            part = one[way]
            sizes = (f"{part['median']:.0e}", f"{part['largest']:.0e}") if part["differ"] else ("", "")
            counts = f"{part['differ']} of {part['branches']}"
            rows.append((f"{source} ({one['events']})", meaning, counts, *sizes))
    cost, error = _cost(found["seconds"])
    lines = [
        "# Processors",
        "",
        *made_on(found["command"], found["machine"]),
        "",
        "The same seed gives the same bits on every x86-64 processor, whatever the length of its vectors:",
        "the loops that draw objects round every product and every sum. They do without the instruction that",
        "rounds both at once (fused multiply-add), which older processors lack. This page imitates older",
        "processors: it compiles the loops for them, and switches off what numpy, OpenBLAS and glibc have",
        "for newer ones. Not tried: ARM processors, other versions of numpy and glibc. GPUs round otherwise.",
        "",
        *goal_table(found["goals"]),
        "",
        "Branches that differ in any bit from those of this processor, and the relative differences of the",
        "values that differ. The last line of each input shows what is avoided.",
        "",
        *table(("input (events)", "processor", "branches", "median", "largest"), rows),
        "",
        f"Cost of {found['events']:,} events in turns, processor time on one thread:",
        f"{cost:.1%} ± {error:.1%} of the speed.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
