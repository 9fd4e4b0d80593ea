"""The page of the documentation: goals, ratios of the cutflow, command, machine and date."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.markdown import table
from benchmarks.verdicts import goal_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["render"]

_HEAD = """\
# Agreement in the analysis

The first steps of [VBF H → μμ](../analysis/README.md) on simulations of the same gen events: ratios to the
detector `full` of the [reference simulation](../reference/README.md), of which no event was trained on. The
[notebook](../analysis/README.md#the-notebook) draws figures of such samples. Made by

```sh
{command}
```

on {machine}, {date}, in {minutes:.0f} minutes; never edited by hand. Errors know that simulations share
their gen events, which all of them have passed several times.
"""

_RARE = """\
## Steps that few events reach

Gen events that can come that far, with two muons and two jets of enough mass, pass detector and FlashSim
many times. In brackets: the share of the events of that step that is among them.
"""


def render(found: dict[str, Any]) -> str:
    """Markdown of a result of ``python -m benchmarks.analysis``."""
    head = _HEAD.format(
        command=found["command"],
        machine=found["machine"],
        date=found["date"],
        minutes=found["seconds"] / 60.0,
    )
    lines = [head, *goal_table(found["goals"]), ""]
    for process, simulations in found["agreement"].items():
        lines += [f"## {process}", "", *_cutflow(simulations), ""]
    if found["rare"]:
        lines += [_RARE, *_rare(found["rare"])]
    return "\n".join(lines).rstrip() + "\n"


def _cutflow(simulations: dict[str, Any]) -> Iterator[str]:
    steps = dict.fromkeys(step for one in simulations.values() for step in one["cutflow"])
    heads = [f"{name}, {one['events']:,} events" for name, one in simulations.items()]
    rows = [[step, *(_ratio(one["cutflow"].get(step)) for one in simulations.values())] for step in steps]
    rows.append(["width of the mass", *(_ratio(one["mass_width"]) for one in simulations.values())])
    return table(("step", *heads), rows)


def _rare(rare: dict[str, Any]) -> Iterator[str]:
    steps = dict.fromkeys(step for one in rare.values() for step in one["ratio"])
    heads = [f"{process}, {one['picked']:,} events {one['times']} times" for process, one in rare.items()]
    rows = []
    for step in steps:
        cells = []
        for one in rare.values():
            share = one["picked_share"].get(step)
            cells.append(_ratio(one["ratio"].get(step)) + (f" ({share:.1%})" if share is not None else ""))
        rows.append([step, *cells])
    return table(("step", *heads), rows)


def _ratio(found: Sequence[float] | None) -> str:
    return "" if found is None else f"{found[0]:.3f} ± {found[1]:.3f}"
