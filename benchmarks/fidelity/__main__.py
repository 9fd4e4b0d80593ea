"""Fidelity of the models on held-out samples of the reference simulation, and of other networks beside them.

    python -m benchmarks.fidelity --train tt dy --test tt_held dy_held --left-out vbf --output fidelity

Every folder is a process: gen.root, full.root, full_1.root (a second, independent simulation of the same gen
events) and, if there is one, fast.root. Writes ``fidelity.json`` and ``fidelity.html``.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.commandline import quoted
from benchmarks.fidelity.assess import Options, assess
from benchmarks.fidelity.page import page
from benchmarks.fidelity.report import render, render_kinds
from flashsim.errors import FlashSimError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fidelity",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--train", type=Path, nargs="*", default=[], help="processes that were trained on")
    parser.add_argument("--test", type=Path, nargs="+", required=True, help="held-out processes")
    parser.add_argument("--left-out", type=Path, help="a process that is not in the training")
    parser.add_argument(
        "--models", nargs="*", default=[], metavar="OBJECT=FILE", help="what is judged; default: shipped"
    )
    parser.add_argument("--recipes", nargs="*", default=[], metavar="OBJECT=FILE", help="training recipes")
    parser.add_argument("--output", type=Path, required=True, help="folder of results, tables and files")
    parser.add_argument("--objects", type=int, default=100_000, help="held-out gen objects of each object")
    parser.add_argument(
        "--minutes",
        type=float,
        default=6.0,
        help="processor time to train each competitor, shared by the objects",
    )
    parser.add_argument(
        "--behind",
        choices=["own", "flashsim", "both"],
        default="own",
        help="the competitors' preprocessing",
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--skip-competitors", action="store_true")
    parser.add_argument("--page", type=Path, help="Markdown page with the short table, as docs/fidelity.md")
    parser.add_argument("--kinds-page", type=Path, help="the competition alone, as docs/flows.md")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    behind = ("own", "flashsim") if given.behind == "both" else (given.behind,)
    options = Options(
        train=given.train,
        test=given.test,
        output=given.output,
        left_out=given.left_out,
        models={name: Path(path) for name, path in _pairs(parser, given.models).items()},
        recipes=_pairs(parser, given.recipes),
        objects=given.objects,
        minutes=given.minutes,
        preprocessings=() if given.skip_competitors else behind,
        threads=given.threads,
    )
    try:
        found = assess(options, quoted("benchmarks.fidelity", arguments))
    except FlashSimError as error:
        parser.exit(2, f"{error}\n")
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / "fidelity.json").write_text(json.dumps(found) + "\n", encoding="utf-8")
    (given.output / "fidelity.html").write_text(page(found), encoding="utf-8")
    if given.page is not None:
        given.page.write_text(render(found), encoding="utf-8")
    if given.kinds_page is not None:
        given.kinds_page.write_text(render_kinds(found), encoding="utf-8")
    print(render(found))


def _pairs(parser: argparse.ArgumentParser, given: Sequence[str]) -> dict[str, str]:
    """OBJECT=FILE pairs."""
    for pair in given:
        if "=" not in pair:
            parser.error(f"expected OBJECT=FILE, found '{pair}'")
    return dict(pair.split("=", 1) for pair in given)


if __name__ == "__main__":
    main()
