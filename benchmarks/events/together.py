"""How the objects of events hang together in simulations of the same gen events."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from benchmarks.fidelity.judge import REFERENCE, SECOND
from benchmarks.markdown import table
from benchmarks.verdicts import judged
from flashsim.analysis.whole_events.correlations import compared, correlations_between
from flashsim.analysis.whole_events.joint import JointLine, joint_quantities
from flashsim.analysis.whole_events.judged import comparable
from flashsim.analysis.whole_events.verdict import tell_apart_events, tell_apart_objects

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from benchmarks.verdicts import Goal
    from flashsim.analysis.whole_events.reading import WholeEvents
    from flashsim.declarations.objects import ObjectDeclaration

__all__ = ["OURS", "giveaway", "goals_of_together", "measure_together", "page_of_together"]

OURS = "flash"
ALLOWED = 0.05
"""Share of the reference's value that a joint quantity may differ by."""

MOST_MATCHED, MOST_UNMATCHED, MOST_NEAR, MOST_WHOLE = 0.51, 0.53, 0.52, 0.53
WHOLE = "whole events"
_GIVEAWAYS = 4


def measure_together(
    samples: Mapping[str, WholeEvents],
    unit: NDArray[np.int64],
    declarations: Sequence[ObjectDeclaration],
    *,
    most: int,
) -> dict[str, Any]:
    """Compare samples of the same gen events with the reference.

    Parameters
    ----------
    samples
        As `read_judged_events` gives them, by name; `REFERENCE` is the truth, `SECOND` another draw of it.
    unit
        For each event, the number of what is independent of all else, shape (E,).
    declarations
        What is simulated.
    most
        Most objects of a sample that a classifier is given.
    """
    fields, restricted = comparable(declarations, list(samples.values()))
    only = dict(zip(samples, restricted, strict=True))
    reference = only.pop(REFERENCE)
    blocks = correlations_between(reference, fields)
    told: dict[str, Any] = {}
    for name, sample in only.items():
        importance = name != SECOND
        found = tell_apart_objects(reference, sample, (unit, unit), fields, most=most, importance=importance)
        found[WHOLE] = tell_apart_events(reference, sample, (unit, unit), fields, importance=importance)
        told[name] = {what: asdict(test) for what, test in found.items()}
    return {
        "joint": {name: joint_quantities(sample) for name, sample in samples.items()},
        "told": told,
        "correlations": {
            name: compared(blocks, correlations_between(sample, fields)) for name, sample in only.items()
        },
    }


def _lines(joint: Mapping[str, Mapping[str, Any]], name: str) -> Iterator[JointLine]:
    """Compare a sample with the reference, in the quantities that both have."""
    for quantity, real in joint[REFERENCE].items():
        if quantity in joint[name]:
            yield JointLine(quantity, tuple(real), tuple(joint[name][quantity]), ALLOWED)


def goals_of_together(found: Mapping[str, Any]) -> list[Goal]:
    """Tell what events that hang together shall reach, and whether they do."""
    lines = [*_lines(found["joint"], OURS)]
    off = [line for line in lines if not line.passes]
    chance = sum(not line.passes for line in _lines(found["joint"], SECOND))
    text = f"{len(lines) - len(off)} of {len(lines)} (of a second draw {len(lines) - chance})"
    if off:
        worst = max(off, key=lambda line: line.pull)
        text += f"; worst: {worst.quantity}, {worst.simulated[0]:.3f} in place of {worst.real[0]:.3f}"
    goal = f"every joint quantity within 3 errors or {ALLOWED:.0%} of the reference"
    goals = [judged(goal, text, not off)]
    second = found["told"][SECOND]
    for what, ours in found["told"][OURS].items():
        text = f"{ours['auc']:.3f} ± {ours['error']:.3f}"
        text += f" (second draw: {second[what]['auc']:.3f})" if what in second else ""
        limit = _limit(what)
        goals.append(judged(f"{what}: AUC at most {limit}", text, ours["auc"] <= limit))
    return goals


def _limit(what: str) -> float:
    if what == WHOLE:
        return MOST_WHOLE
    if what.endswith("neighbours"):
        return MOST_NEAR
    return MOST_UNMATCHED if what.startswith("unmatched") else MOST_MATCHED


def page_of_together(found: Mapping[str, Any], before: Mapping[str, Any] | None) -> Iterator[str]:
    """Give the lines of a page: joint quantities, what gives objects away, correlations."""
    names = {"reference": (found, REFERENCE), "second draw": (found, SECOND), "models": (found, OURS)}
    if before is not None:
        names["before"] = (before, OURS)
    yield from ("", "## Joint quantities", "")
    yield "With statistical errors; bold where they differ by more than three of them and by more than"
    yield f"{ALLOWED:.0%} of the reference. The second draw of the reference shows what chance does."
    yield ""
    rows = (
        [quantity, *(_cell(one["joint"], name, quantity) for one, name in names.values())]
        for quantity in found["joint"][REFERENCE]
    )
    yield from table(("", *names), rows)
    yield from ("", "## What gives objects away", "")
    yield "What the classifiers of the goals go by: loss of AUC when a column is shuffled."
    yield ""
    yield from table(
        ("classifier", "AUC", "goes by"), (giveaway(*told) for told in found["told"][OURS].items())
    )
    yield from ("", "## Correlations between objects", "")
    yield "Spearman's correlations of all columns of one object with all of the other: the pair that differs"
    yield "most from the reference, and the width of all differences in their errors. Two draws of the"
    yield "reference share their gen events and are closer than independent samples, whose width is 1."
    yield ""
    head = ("pairs", "largest difference", "of", "width", "of a second draw")
    yield from table(head, _correlations(found))


def _cell(joint: Mapping[str, Mapping[str, Any]], name: str, quantity: str) -> str:
    if quantity not in joint[name]:
        return "-"
    line = JointLine(quantity, tuple(joint[REFERENCE][quantity]), tuple(joint[name][quantity]), ALLOWED)
    text = f"{line.simulated[0]:.3f} ± {line.simulated[1]:.3f}"
    return text if line.passes else f"**{text}**"


def giveaway(what: str, test: Mapping[str, Any]) -> list[str]:
    """Give the row of a table that tells what a classifier, as JSON holds it, goes by."""
    by = sorted(test["importance"].items(), key=lambda item: -item[1])[:_GIVEAWAYS]
    shown = [f"`{name}` {loss:.3f}" for name, loss in by if loss > test["error"] / 2.0]
    return [what, f"{test['auc']:.3f} ± {test['error']:.3f}", ", ".join(shown) or "-"]


def _correlations(found: Mapping[str, Any]) -> Iterator[list[str]]:
    second = {row["pairs"]: row for row in found["correlations"][SECOND]}
    for row in found["correlations"][OURS]:
        one, two = row["values"]
        yield [
            row["pairs"],
            f"{row['largest']:.3f} ± {row['error']:.3f}",
            f"`{row['where'][0]}` and `{row['where'][1]}` ({one:+.2f}, models {two:+.2f})",
            f"{row['rms']:.2f}",
            f"{second[row['pairs']]['rms']:.2f}" if row["pairs"] in second else "-",
        ]
