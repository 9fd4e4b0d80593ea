"""Goals of benchmarks: what is asked, what was found, and how pages say whether it is reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from benchmarks.markdown import table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["VERDICTS", "Goal", "goal_table", "judged"]

VERDICTS = {True: "yes", False: "**no**", None: "not measured"}


class Goal(TypedDict):
    """One goal, as JSON holds it; `passed` is None where nothing was measured."""

    goal: str
    found: str
    passed: bool | None


def judged(goal: str, found: str, passed: bool | None) -> Goal:
    """Put a verdict into JSON's form; what is compared may come from numpy, whose truth no JSON holds."""
    return {"goal": goal, "found": found, "passed": None if passed is None else bool(passed)}


def goal_table(
    goals: Iterable[Mapping[str, Any]], before: Iterable[Mapping[str, Any]] | None = None
) -> Iterator[str]:
    """Give the lines of a page's table of goals; with a column of what was found before, if that is given."""
    head = ("goal", "found", "reached")
    rows = ((goal["goal"], goal["found"], VERDICTS[goal["passed"]]) for goal in goals)
    if before is None:
        return table(head, rows)
    known = {goal["goal"]: goal["found"] for goal in before}
    return table((*head, "before"), ((*row, known.get(row[0], "-")) for row in rows))
