"""Speed of everything, side by side in one run on the same cores.

    python -m benchmarks.speed [--quick | --full] [--json OUT] [--page docs/performance.md]
    python -m benchmarks.speed --only against --against CHECKOUT

The sampler of the shipped models against other networks and against matrix products of its shapes; a training
step; a generation, stage by stage, against Pythia 8 making the same events; and how time and memory grow with
events, folds and processes. Besides, the time of an event in this checkout and in another one, such as an
earlier commit, each with its own code and shipped models. Things that are compared take turns; numbers are
medians. Rates of one thread are by processor time, which on an idle machine is that of the clock.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.commandline import publish, quoted
from benchmarks.machine import machine
from benchmarks.speed.goals import goals
from benchmarks.speed.page import render

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

PARTS = ("sampling", "training", "generation", "growth")
AGAINST = "against"

_log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, measure, print the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument("--quick", action="store_true", help="few repeats of little, to see that all works")
    extent.add_argument("--full", action="store_true", help="up to a million events")
    parser.add_argument(
        "--only", nargs="+", choices=(*PARTS, AGAINST), default=PARTS, help="parts to measure"
    )
    parser.add_argument(
        "--against", type=Path, metavar="CHECKOUT", help="root of another checkout, to compare with"
    )
    parser.add_argument("--gen", type=Path, metavar="FILE", help="gen-level events, in place of made ones")
    parser.add_argument("--repeats", type=int, help="turns of each")
    parser.add_argument("--models", type=Path, nargs="*", help="model files, in place of the shipped ones")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    parser.add_argument("--page", type=Path, help="Markdown page, as docs/performance.md")
    options = parser.parse_args(arguments)
    if AGAINST in options.only and options.against is None:
        parser.error("name the other checkout by --against")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    found: dict[str, Any] = {"command": quoted("benchmarks.speed", arguments), "machine": machine()}
    found |= _measured(options)
    found["goals"] = goals(found)
    publish(found, render(found), options)


def _measured(options: argparse.Namespace) -> dict[str, Any]:
    """Measure what was asked for; each part imports what it needs."""
    repeats = options.repeats or (2 if options.quick else 7)
    found: dict[str, Any] = {}
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in dict.fromkeys((*options.only, *([AGAINST] if options.against else []))):
            _log.info("measuring %s", part)
            if part in {"sampling", "training"}:
                found[part] = _networks(part, options, repeats)
                continue
            source = folder / "gen.root"
            if not source.exists():
                _events(options, source)
            found[part] = _WHOLE[part](options, source, repeats)
    return found | {"seconds": time.monotonic() - started}


def _networks(part: str, options: argparse.Namespace, repeats: int) -> dict[str, Any]:
    if part == "sampling":
        from benchmarks.speed.sampling import sampling  # noqa: PLC0415

        return sampling(options.models, repeats, share=0.125 if options.quick else 1.0)
    from benchmarks.speed.training import training  # noqa: PLC0415

    return training(options.models, repeats)


def _events(options: argparse.Namespace, source: Path) -> None:
    """Make the gen-level events, or copy those that are given."""
    from benchmarks.speed.events import make_events  # noqa: PLC0415

    if options.gen is None:
        make_events(source, 200 if options.quick else 2000)
    else:
        shutil.copyfile(options.gen, source)


def _generation(options: argparse.Namespace, source: Path, repeats: int) -> dict[str, Any]:
    from benchmarks.speed.events import repeated_events  # noqa: PLC0415
    from benchmarks.speed.generation import generation  # noqa: PLC0415

    events = 1000 if options.quick else 20_000
    many = repeated_events(source, source.with_name("many.root"), events)
    return generation(
        options.models, many, events=events, pythia=50 if options.quick else 250, repeats=repeats
    )


def _growth(options: argparse.Namespace, source: Path, repeats: int) -> dict[str, Any]:
    from benchmarks.speed.growth import growth  # noqa: PLC0415

    sizes = [200, 1000] if options.quick else [1000, 10_000, 100_000]
    sizes += [1_000_000] if options.full else []
    return growth(
        options.models,
        source,
        sizes=sizes,
        folds=25,
        # Many: what is paid once, such as imports, is not what a second process could share.
        shared=1000 if options.quick else max(200_000, *sizes),
        repeats=-(-repeats // 3),
    )


def _against(options: argparse.Namespace, source: Path, repeats: int) -> dict[str, Any]:
    from benchmarks.speed.against import against  # noqa: PLC0415

    events = 4000 if options.quick else 20_000
    return against(options.against, source, events=events, repeats=repeats)


_WHOLE = {"generation": _generation, "growth": _growth, AGAINST: _against}


if __name__ == "__main__":
    main()
