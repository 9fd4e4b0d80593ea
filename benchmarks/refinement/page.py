"""The page of the documentation: goals, distances, displays, command, machine and date."""

from __future__ import annotations

from typing import Any

from benchmarks.verdicts import goal_table

__all__ = ["render"]

_HEAD = """\
# Results of refinement

Objects of the [reference simulation](../reference/README.md)'s detector `fast`, refined to look like those of
its detector `full`, on events that were not trained on. How: [refinement](refinement.md). Made by

```sh
{commands}
```

on {machines}; never edited by hand. Refined files were written and read again.

Distances are Wasserstein's, in standard deviations of full, with errors from resampled events; the floor is
what two independent draws of full have, as a perfect refinement would. Objects that have no value of a
discriminator (-1) keep that; they are left out of its distances.
"""


def render(found: dict[str, Any], figures: dict[str, dict[str, str]]) -> str:
    """Markdown of a result; `figures` are paths by title, by object."""
    objects = found["objects"]
    machines = dict.fromkeys(f"{measured['machine']}, {measured['date']}" for measured in objects.values())
    commands = "\n".join(measured["command"] for measured in objects.values())
    lines = [_HEAD.format(commands=commands, machines="; ".join(machines))]
    for name, measured in objects.items():
        lines += [f"## {name.capitalize()}", "", *_about(measured), "", *goal_table(measured["goals"]), ""]
        lines += [*_distances(measured), ""]
        for title, path in figures[name].items():
            lines += [f"![{title}, {name}]({path})", ""]
    return "\n".join(lines)


def _about(measured: dict[str, Any]) -> list[str]:
    training = measured["training"]
    return [
        f"{measured['objects']:,} {measured['name']} of {measured['events']:,} held-out events in",
        f"{measured['draws']} draws of both detectors. Trained on {training['pairs']['train']:,} pairs:",
        f"{training['parameters']:,} parameters, {training['epochs']} epochs, of which number",
        f"{training['best_epoch'] + 1} was the best.",
        *_undefined(measured),
    ]


def _undefined(measured: dict[str, Any]) -> list[str]:
    shares = measured["undefined"]
    if not any(shares.values()):
        return []
    return [f"Without a value: {', '.join(f'{100.0 * s:.2f} % in {name}' for name, s in shares.items())}."]


def _distances(measured: dict[str, Any]) -> list[str]:
    lines = [
        "| variable | of | objects | fast | refined | floor | factor |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for row in measured["distances"]:
        label = measured["labels"].get(row["group"], row["group"])
        cells = [
            row["variable"],
            label,
            f"{row['objects']:,}",
            *(f"{row[name]:.4f} ± {row[f'{name}_error']:.4f}" for name in ("fast", "refined")),
            f"{row['floor']:.4f}",
            f"{row['factor']:.1f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines
