"""Decisions of the trigger of NanoAOD files, beside what generation/trigger.yaml emulates from their objects.

    python -m benchmarks.trigger tt_2018_v5.root pfnano_tt_2018.root dy_2018_v6.root

For each path: the share of events in which it fired, the mean of the emulation repeated with other random
numbers, and their difference in standard deviations of the first.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.machine import machine
from flashsim.declarations.trigger import OnlineMomentum, load_trigger
from flashsim.events.collection import Collection
from flashsim.events.identity import event_keys, identity_branches
from flashsim.generation.trigger import emulate, plan_trigger
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.schema import load_schema
from flashsim.nanoaod.versions import detect_version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flashsim.declarations.trigger import TriggerRecipe

_LEAST = 3
"""Events in which a path fired, below which its share says little."""


def shares(file: NanoFile, recipe: TriggerRecipe, repeats: int) -> dict[str, tuple[int, float, int]]:
    """Count in how many events of a file each path fired, really and on average emulated, of how many."""
    version, fields = detect_version(file.branches), _fields(file, recipe)
    single = [
        name
        for value in recipe.values.values()
        if isinstance(value, OnlineMomentum)
        for prefix in value.branches
        for name in (f"{prefix}_pt", f"{prefix}_phi")
        if file.has(name)
    ]
    plan = plan_trigger(recipe, version, {"": single, **fields}, [load_schema(version)], [])
    names = [path.name for path in plan.paths if file.has(path.name)]
    read = [f"{name}_{field}" for name, found in fields.items() for field in found]
    arrays = file.read([*dict.fromkeys([*read, *single, *names, *identity_branches(file.branches)])])
    objects = {name: Collection.of_branches(arrays, name, found) for name, found in fields.items()}
    values = {name: np.asarray(arrays[name], dtype=np.float64) for name in single}
    events = event_keys(arrays)
    fired: dict[str, Any] = dict.fromkeys(names, 0.0)
    for seed in range(repeats):
        decisions, _ = emulate(plan, recipe, objects, values, events=events, seed=seed, folds=1)
        for name in names:
            fired[name] += np.count_nonzero(decisions[name]) / repeats
    return {
        name: (int(np.count_nonzero(np.asarray(arrays[name]))), fired[name], len(events)) for name in names
    }


def _fields(file: NanoFile, recipe: TriggerRecipe) -> dict[str, list[str]]:
    """Fields by collection that the recipe may read, as far as the file has them."""
    found: dict[str, list[str]] = {}
    for name, kind in recipe.objects.items():
        wanted = recipe.fields_of(name, recipe.filters)
        if there := [field for field in sorted(wanted) if file.has(f"{kind.collection}_{field}")]:
            found[kind.collection] = there
    return found


def compared(files: Sequence[str | Path], repeats: int) -> dict[str, dict[str, float]]:
    """Add up `shares` of files, with the pull of each path that fired often enough."""
    recipe = load_trigger("trigger.yaml")
    total: dict[str, list[float]] = {}
    for path in files:
        with NanoFile(path) as file:
            for name, counts in shares(file, recipe, repeats).items():
                total[name] = [a + b for a, b in zip(total.get(name, [0, 0, 0]), counts, strict=True)]
    table = {}
    for name, (real, emulated, events) in total.items():
        share = emulated / events
        width = np.sqrt(max(events * share * (1 - share), 1.0))
        pull = (real - emulated) / width if max(real, emulated) >= _LEAST else float("nan")
        table[name] = {"real": real / events, "emulated": share, "pull": float(pull), "events": events}
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; the command line of this module."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trigger", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, help="NanoAOD with objects and decisions")
    parser.add_argument("--repeats", type=int, default=20, help="how often each event is emulated")
    parser.add_argument("--output", type=Path, help="write JSON here, too")
    options = parser.parse_args(arguments)
    table = compared(options.files, options.repeats)
    print(f"{'path':60s} {'real':>8s} {'emulated':>9s} {'pull':>6s}")
    for name, row in table.items():
        print(f"{name:60s} {row['real']:8.4f} {row['emulated']:9.4f} {row['pull']:6.1f}")
    pulls = np.array([row["pull"] for row in table.values()])
    known = pulls[np.isfinite(pulls)]
    print(f"{len(known)} paths that fired: root mean square of the pulls {np.sqrt(np.mean(known**2)):.2f}")
    if options.output is not None:
        options.output.write_text(json.dumps({"machine": machine(), "paths": table}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
