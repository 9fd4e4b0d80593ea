"""The short page of the documentation: the goals, the competitors, command, machine and date."""

from __future__ import annotations

from typing import Any

from benchmarks.fidelity.samples import FLASH
from benchmarks.markdown import table
from benchmarks.verdicts import VERDICTS

__all__ = ["render", "render_kinds"]


def render(found: dict[str, Any]) -> str:
    """Markdown page of a result of `benchmarks.fidelity.assess`."""
    rows = (
        (goal["object"], goal["goal"], goal["found"], VERDICTS[goal["passed"]])
        for measured in found["objects"].values()
        for goal in measured["goals"]
    )
    lines = [
        "# Fidelity",
        "",
        "The shipped models against held-out events of the [reference simulation](../reference/README.md), a",
        "detector that works on particles, made by",
        "",
        f"```sh\n{found['command']}\n```",
        "",
        f"on {found['machine']}, {found['date']}, in {found['seconds'] / 60:.0f} minutes.",
        f"Held out: {', '.join(found['test'])}; not in the training: {found['left_out'] or 'none'}.",
        "The floor is what two independent simulations of the same gen events give; W1 of the models is the",
        f"mean of {len(FLASH)} draws of theirs from two of the reference. What surrounds a gen object is the",
        "jets and photons beside it and the activity of its event, whether or not its model is given these.",
        "",
        *table(("object", "goal", "found", "reached"), rows),
    ]
    for name, measured in found["objects"].items():
        if rows := measured.get("competitors"):
            lines += ["", *_competitors(name, measured, rows)]
    return "\n".join(lines) + "\n"


def render_kinds(found: dict[str, Any]) -> str:
    """Markdown page with the competition of such a result alone."""
    lines = [
        "# Kinds of flows",
        "",
        "Which network draws the properties of an object is [a setting](howto/generator.md). Here",
        "networks of all kinds are trained for the same processor time, one after the other on the same",
        "objects of the [reference simulation](../reference/README.md), and judged on held-out ones: by",
        "a classifier between their objects and those of the reference (0.5: it sees no difference), and",
        "by the distance W1 of each distribution over that of two independent simulations (1: as good).",
        "Rates are per second of processor time. After such short trainings the order says which network",
        "learns fastest, not which is best in the end. Made by",
        "",
        f"```sh\n{found['command']}\n```",
        "",
        f"on {found['machine']}, {found['date']}. Trained on: {', '.join(found['train'])}; judged on other",
        f"events: {', '.join(found['test'])}. Preprocessing `flashsim` is that of the package, `own` that",
        "of the publications: scaled values, point masses smeared.",
    ]
    for name, measured in found["objects"].items():
        if rows := measured.get("competitors"):
            lines += ["", *_competitors(name, measured, rows)]
    return "\n".join(lines) + "\n"


def _competitors(name: str, measured: dict[str, Any], rows: list[dict[str, Any]]) -> list[str]:
    minutes, held_out = measured["competitors_seconds"] / 60.0, measured["competitors_rows"]
    lines = [
        f"**{name}, {held_out:,} objects, {minutes:.1f} processor minutes each**, not for the shipped model",
        "",
        "| network | preprocessing | parameters | rows seen | AUC | mean W1 / floor | worst | objects/s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        seen = f"{row['rows']:,}" if "rows" in row else "-"
        lines.append(
            f"| {row['name']} | {row['preprocessing']} | {row['parameters']:,} | {seen} "
            f"| {row['auc']:.3f} ± {row['auc_error']:.3f} "
            f"| {row['mean_ratio']:.1f} | {row['worst_ratio']:.1f} | {row['objects_per_second']:,.0f} |"
        )
    return lines
