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


def goal_table(goals: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Give the lines of a page's table of goals."""
    rows = ((goal["goal"], goal["found"], VERDICTS[goal["passed"]]) for goal in goals)
    return table(("goal", "found", "reached"), rows)
