"""Write the model cards of the shipped models from the model files and what the benchmarks found.

    python -m benchmarks.cards runs/ship/fidelity/fidelity.json runs/ship/events/events.json

The cards stand beside the models.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from string import Template
from typing import Any

from benchmarks.events.efficiency import reliability_table
from flashsim.models.object_model import ObjectModel
from flashsim.models.shipped import model_files

__all__ = ["card", "write_cards"]

ROOT = Path(__file__).resolve().parent.parent
CARD = Template((ROOT / "benchmarks" / "model_card.md.txt").read_text(encoding="utf-8"))
OBJECTS = (
    "the `{collection}` collection from `{gen}`: efficiency, properties, and objects without a gen match"
)
WHOLE = "what belongs to whole events, given their simulated objects: branches with one value an event"
NOT_MEASURED: dict[str, Any] = {"events": 0, "goals": [], "date": "not measured", "machine": ""}
PARTICLES_SINCE = "2026-11-30"
"""From this day on the reference simulation works on particles."""
PARAMETRISED = """
> **Of the detector before the present one.** The reference simulation has since become a
> detector that works on particles; this model is trained and measured on the parametrised detector before it.
"""


def card(path: Path, judged: dict[str, Any], events: dict[str, Any] | None = None) -> str:
    """Model card of a model file.

    Parameters
    ----------
    path
        The model.
    judged
        ``fidelity.json``.
    events
        ``events.json``; none if whole events were not measured.
    """
    model = ObjectModel.load(path)
    made, declaration = model.provenance, model.declaration
    # Whole events are not in the fidelity benchmark, but in that of events.
    is_event = declaration.per == "event"
    judged = (events or NOT_MEASURED) if is_event else judged
    found = judged if is_event else judged["objects"][declaration.name]
    losses = [
        f"| {network} | {loss['train']:.3f} | {loss['validation']:.3f} "
        f"| {loss['best_epoch'] + 1} of {loss['epochs']} |"
        for network, loss in made["losses"].items()
    ]
    goals = [f"| {goal['goal']} | {goal['found']} | {_verdict(goal['passed'])} |" for goal in found["goals"]]
    return CARD.substitute(
        name=declaration.name,
        what=WHOLE if is_event else OBJECTS.format(collection=declaration.collection, gen=declaration.gen),
        detector=PARAMETRISED if made["date"] < PARTICLES_SINCE else "",
        files=", ".join(f"`{name}`" for name in made["files"]),
        processes=", ".join(sorted({name.partition("/")[0] for name in made["files"]})),
        version=model.nanoaod_version,
        **{f"{split}_events": f"{made['events'][split]:,}" for split in ("train", "validation")},
        **{kind: f"{made[kind]['train']:,}" for kind in ("gen_objects", "reconstructed")},
        unmatched=_unmatched(made),
        seed=made["recipe"]["seed"],
        parameters=", ".join(f"{network} {count:,}" for network, count in model.parameters().items()),
        megabytes=f"{path.stat().st_size / 1e6:.2f}",
        date=made["date"],
        seconds=f"{made['wall_time_s']:.0f}",
        machine=made["machine"],
        losses="\n".join(losses),
        objects=f"{found['events']:,} events" if is_event else f"{found['gen_objects']:,} gen objects",
        benchmark="benchmarks.events" if is_event else "benchmarks.fidelity",
        page="docs/events.md" if is_event else "docs/fidelity.md",
        judged=judged["date"],
        judge_machine=judged["machine"],
        goals="\n".join(goals),
        efficiency=_efficiency(declaration.name, events),
        targets=", ".join(f"`{declaration.branch(t.branch)}`" for t in declaration.targets),
    )


def _efficiency(name: str, events: dict[str, Any] | None) -> str:
    """Show the reliability of the efficiency, that is predicted against observed shares."""
    if events is None or name not in events["objects"]:
        return "Not measured, or there is none."
    intro = (
        "Probabilities that the network gives to held-out gen objects, and how many of them the draws of\n"
        f"the reference simulation have ({events['date']}, {events['machine']}; from\n"
        "`python -m benchmarks.events`):"
    )
    return f"{intro}\n\n{reliability_table(events['objects'][name]['reliability'])}"


def _unmatched(made: dict[str, Any]) -> str:
    """Training rows of unmatched objects, by source."""
    counts = made.get("unmatched", {})
    return ", ".join(f"{rows['train']:,} of the source {name}" for name, rows in counts.items()) or "none"


def _verdict(passed: bool | None) -> str:
    return {True: "reached", False: "**not reached**", None: "not measured"}[passed]


def write_cards(fidelity: Path, models: Path, events: Path | None = None) -> list[Path]:
    """Write the card of every model of a folder beside it."""
    judged = json.loads(fidelity.read_text(encoding="utf-8"))
    whole = None if events is None else json.loads(events.read_text(encoding="utf-8"))
    cards = []
    for path in model_files([models]):
        cards.append(path.with_suffix(".md"))
        cards[-1].write_text(card(path, judged, whole), encoding="utf-8")
    return cards


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("fidelity", type=Path, help="fidelity.json")
    parser.add_argument("events", type=Path, nargs="?", help="events.json")
    parser.add_argument(
        "--models", type=Path, default=ROOT / "flashsim" / "models", help="folder of the models"
    )
    options = parser.parse_args()
    for path in write_cards(options.fidelity, options.models, options.events):
        print(path)


if __name__ == "__main__":
    main()
