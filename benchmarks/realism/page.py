"""The comparison as two pages of the documentation: results, and all numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.markdown import table
from benchmarks.realism.compare import LEAST, QUANTILES, SHARE, STATISTICAL, WIDTH
from benchmarks.verdicts import VERDICTS, goal_table, judged

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.realism.compare import Comparison, Comparisons
    from benchmarks.verdicts import Goal
    from flashsim.analysis.whole_events.joint import JointLine

__all__ = ["GROUP_GOAL", "OVERALL_GOALS", "Judgement", "goals", "numbers_page", "page"]

OVERALL_GOALS = {"v9": 0.95, "v15": 0.90}
"""Share of the numbers that has to pass, by version of NanoAOD."""

GROUP_GOAL = 0.85
"""Share of the numbers that has to pass in every group."""

_FEW = 5
"""Groups of fewer numbers are no groups to judge: one number is a fifth of them."""

_WORST = 25
"""Numbers that the page lists for each version, the worst first."""

_HEAD = f"""\
# Realism of the reference simulation

How near the [reference simulation](../reference/README.md) comes to CMS's full simulation: tt events that it
makes from Pythia 8 against files of CMS, object by object and in how the objects of an event hang together.
Made by `python -m benchmarks.realism`, from files alone; never edited by hand. All numbers are on a
[page of their own](realism_numbers.md).

It is no simulation of CMS, and this table is no claim that it is: it says that distributions have the right
place, width, tails and point masses, so that what learns one faces the difficulty of the other.

A number passes if it differs from the real one by no more than {STATISTICAL:g} statistical errors of the
real sample, or by {WIDTH:.0%} of the real distribution's width (16 to 84 %); a share of objects by no more
than {STATISTICAL:g} errors, or {SHARE:g}. Groups of fewer than {LEAST} real objects are left out. Quantities
with point masses (an energy fraction of exactly 0) are compared by the share of objects there, and by the
quantiles of the others; quantities of few values by the share of each. A line on whole events passes within
3 combined errors, or 10 % of the real value. Simulated events are drawn so that pileup and decays of W bosons
are distributed as in the real files: those are of the campaign and the process, not of the detector.
Parameters were set with real events of even number; what is judged here are those of odd number (the lines
on whole events: all). Set with all events, so not blind: calorimeters and jets beyond |η| 2.5, PUPPI, how
much pileup CHS leaves, and pairs of muons closer than 0.1. Scores of taggers are trained to have CMS's
quantiles in the events of even number.
"""


@dataclass(frozen=True)
class Judgement:
    """A simulated file against the real ones of a version of NanoAOD.

    Parameters
    ----------
    version, simulated
        The version, and the name of the simulated file.
    real
        Names of the real files.
    events
        Real and simulated events.
    comparisons
        Numbers of objects.
    joint
        Numbers of whole events.
    other_half
        Share of the numbers that the other half of the real events would pass.
    """

    version: str
    simulated: str
    real: Sequence[str]
    events: tuple[int, int]
    comparisons: Comparisons
    joint: Sequence[JointLine]
    other_half: float


def goals(judgement: Judgement) -> list[Goal]:
    """Give the goals of a version, and whether they are reached."""
    numbers = judgement.comparisons
    passed = sum(number.passes for number in numbers.numbers)
    found = []
    least = OVERALL_GOALS.get(judgement.version)
    if least is not None:
        text = f"{passed} of {len(numbers.numbers)}, {numbers.rate:.1%}"
        found.append(
            judged(f"{judgement.version}: {least:.0%} of the numbers pass", text, numbers.rate >= least)
        )
    rates = {name: (ok / total) for name, (_, total, ok) in numbers.rates().items() if total >= _FEW}
    low = {name: rate for name, rate in rates.items() if rate < GROUP_GOAL}
    text = ", ".join(f"{name} {rate:.0%}" for name, rate in sorted(low.items(), key=lambda item: item[1]))
    found.append(judged(f"{judgement.version}: no group below {GROUP_GOAL:.0%}", text or "none", not low))
    failing = [line.quantity for line in judgement.joint if not line.passes]
    text = "; ".join(failing) or f"{len(judgement.joint)} lines agree"
    found.append(judged(f"{judgement.version}: objects hang together as real ones do", text, not failing))
    return found


def page(judgements: Sequence[Judgement], made_on: Sequence[str]) -> str:
    """Markdown of the results."""
    lines = [_HEAD, "## Goals\n", *goal_table(goal for one in judgements for goal in goals(one)), ""]
    for judgement in judgements:
        lines += _section(judgement)
    return "\n".join([*lines, *made_on]) + "\n"


def _section(judgement: Judgement) -> Iterator[str]:
    numbers = judgement.comparisons
    passed = sum(number.passes for number in numbers.numbers)
    files = " and ".join(f"`{name}`" for name in judgement.real)
    yield f"## NanoAOD {judgement.version}\n"
    yield (
        f"`{judgement.simulated}` ({judgement.events[1]} events) against {files} "
        f"({judgement.events[0]} events judged by). **{passed} of {len(numbers.numbers)} numbers pass "
        f"({numbers.rate:.1%})**; of the other half of the real events {judgement.other_half:.1%} would.\n"
    )
    rows = (
        (name, str(objects), str(total), f"{ok / total:.0%}")
        for name, (objects, total, ok) in numbers.rates().items()
    )
    yield from table(("group", "real objects", "numbers", "pass"), rows)
    yield "\nWhole events:\n"
    rows = (
        (line.quantity, _measured(*line.real), _measured(*line.simulated), VERDICTS[line.passes])
        for line in judgement.joint
    )
    yield from table(("quantity", "real", "simulated", "agrees"), rows)
    yield ""
    failing = sorted((n for n in numbers.numbers if not n.passes), key=_excess, reverse=True)
    if failing:
        yield f"The {min(_WORST, len(failing))} numbers furthest beyond their tolerance:\n"
        yield from _numbers_table(failing[:_WORST])
        yield ""


def numbers_page(judgements: Sequence[Judgement]) -> str:
    """Markdown of all numbers."""
    lines = ["# Realism of the reference simulation: all numbers\n"]
    lines.append("Real, then simulated; what does not pass is bold. See [realism](realism.md).\n")
    for judgement in judgements:
        lines += _all(judgement)
    return "\n".join(lines).rstrip() + "\n"


def _excess(comparison: Comparison) -> float:
    return abs(comparison.real - comparison.reference) / max(comparison.tolerance, 1e-12)


def _measured(value: float, error: float) -> str:
    return f"{value:.3f} ± {error:.3f}"


def _numbers_table(comparisons: Sequence[Comparison]) -> Iterator[str]:
    rows = (
        (
            c.group,
            f"`{c.quantity}`",
            c.statistic,
            f"{c.real:.4g}",
            f"{c.reference:.4g}",
            f"{c.tolerance:.2g}",
        )
        for c in comparisons
    )
    return table(("group", "quantity", "statistic", "real", "simulated", "tolerance"), rows)


def _all(judgement: Judgement) -> Iterator[str]:
    levels = [f"{level:.0%}".replace("%", " %") for level in QUANTILES]
    numbers = judgement.comparisons
    yield f"## NanoAOD {judgement.version}\n"
    for group in dict.fromkeys(number.group for number in numbers.numbers):
        yield f"### {judgement.version}: {group}\n"
        own = [number for number in numbers.numbers if number.group == group]
        yield from table(("quantity", *levels, "shares"), _rows(own, levels))
        yield ""
    absent: dict[str, list[str]] = {}
    for group, quantity in numbers.missing:
        absent.setdefault(group, []).append(quantity)
    if absent:
        yield "In the real files and not in the simulated one:\n"
        yield from table(
            ("group", "quantities"), ((group, ", ".join(names)) for group, names in absent.items())
        )
        yield ""


def _rows(own: Sequence[Comparison], levels: Sequence[str]) -> Iterator[Sequence[str]]:
    for quantity in dict.fromkeys(number.quantity for number in own):
        of_quantity = {n.statistic: n for n in own if n.quantity == quantity}
        shares = ", ".join(f"{s} {_cell(n)}" for s, n in of_quantity.items() if s not in levels)
        yield (f"`{quantity}`", *(_cell(of_quantity.get(level)) for level in levels), shares)


def _cell(comparison: Comparison | None) -> str:
    if comparison is None:
        return ""
    text = f"{comparison.real:.3g} / {comparison.reference:.3g}"
    return text if comparison.passes else f"**{text}**"
