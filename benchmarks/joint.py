"""How the objects of one event hang together in several NanoAOD files, side by side.

    python -m benchmarks.joint CMS=../shared/nanoaod/tt_2018_v5.root full=ttbar/full.root FlashSim=flash.root

A column for each name before the equals sign, with statistical errors. The first one is what others are
judged by: a value passes within three errors or a tenth of it, others are bold. A name that is given
several times is one column of several files, whose means are weighted by errors. Writes the page that
--page names, and the numbers as JSON.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.commandline import publish, quoted
from benchmarks.machine import machine, made_on
from benchmarks.markdown import table
from flashsim.analysis.whole_events.joint import JointLine, joint_lines, joint_quantities
from flashsim.analysis.whole_events.reading import read_whole_events

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flashsim.analysis.whole_events.reading import WholeEvents

Measured = tuple[float, float]

_INTRODUCTION = """# How the objects of an event hang together

Leptons sit in jets, energy fractions of a jet add up to 1, close jets share energy, and MET balances what
is seen: numbers that no single object shows. The first column is what the others are judged by: a value
that differs from it by more than three statistical errors and by more than a tenth is **bold**.

The column FlashSim, where there is one, is what the shipped models, trained on other events of `full`, make
of its gen level.
"""


def columns(texts: Sequence[str]) -> dict[str, dict[str, Measured]]:
    """Measure the files of each column: texts ``NAME=FILE``.

    Raises
    ------
    ValueError
        If a text has no name or names a file that is not there.
    """
    samples: dict[str, list[WholeEvents]] = {}
    for text in texts:
        name, _, path = text.partition("=")
        if not name or not Path(path).is_file():
            msg = f"'{text}' is not NAME=FILE of a file that is there"
            raise ValueError(msg)
        samples.setdefault(name, []).append(read_whole_events(Path(path)))
    return {name: _measured(files) for name, files in samples.items()}


def _measured(files: list[WholeEvents]) -> dict[str, Measured]:
    if len(files) == 1:
        return joint_quantities(files[0])
    # Compared with itself, a sample gives the mean of all files that have its quantities.
    return {line.quantity: line.real for file in files for line in joint_lines(files, file)}


def rows(found: dict[str, dict[str, Measured]]) -> Iterator[list[str]]:
    """Give a row for each quantity of the first column."""
    first = next(iter(found.values()))
    for quantity, real in first.items():
        yield [quantity, _cell(real), *(_judged(quantity, real, other) for other in list(found.values())[1:])]


def absent(found: dict[str, dict[str, Measured]]) -> Iterator[str]:
    """Give a sentence for each column that lacks quantities which the first one has."""
    first = next(iter(found.values()))
    for name, measured in found.items():
        lacking = [quantity for quantity in first if quantity not in measured]
        if lacking:
            yield f"{name} has no branches or too few objects for: {'; '.join(lacking)}."


def _cell(measured: Measured) -> str:
    digits = 3 if abs(measured[0]) < 10 else 1
    return f"{measured[0]:.{digits}f} ± {measured[1]:.{digits}f}"


def _judged(quantity: str, real: Measured, other: dict[str, Measured]) -> str:
    if quantity not in other:
        return "-"
    text = _cell(other[quantity])
    return text if JointLine(quantity, real, other[quantity]).passes else f"**{text}**"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.joint", description=__doc__)
    parser.add_argument("files", nargs="+", metavar="NAME=FILE")
    parser.add_argument("--page", type=Path, help="page to write")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    options = parser.parse_args(arguments)
    try:
        found = columns(options.files)
    except ValueError as error:
        parser.error(str(error))
    made = made_on(quoted("benchmarks.joint", arguments), machine())
    text = "\n".join([_INTRODUCTION, *made, "", *table(["", *found], rows(found)), "", *absent(found), ""])
    publish({name: {k: list(v) for k, v in one.items()} for name, one in found.items()}, text, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
