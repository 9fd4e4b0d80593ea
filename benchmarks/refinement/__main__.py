"""Train refiners on the reference simulation, apply them to held-out files, and measure how near they come.

    python -m benchmarks.refinement --train runs/ship/train/* --test runs/ship/test/* --work runs/refine

Every folder is a process, as ``flashsim reference`` makes it: ``full.root``, ``fast.root``, and
``full_1.root``, ``fast_1.root`` and so on for further draws. Writes pairs, models and refined files to WORK,
what was measured to ``WORK/refinement.json``, and with ``--page`` the page and its figures. What WORK has is
used again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from benchmarks.machine import processor
from benchmarks.refinement.compared import all_pairs, compared
from benchmarks.refinement.figures import write_figures
from benchmarks.refinement.goals import goals
from benchmarks.refinement.judge import judge
from benchmarks.refinement.page import render
from flashsim.declarations.refinement import load_refiner
from flashsim.refinement.apply import apply_refiner
from flashsim.refinement.model import RefinerModel
from flashsim.refinement.pairs import make_pairs
from flashsim.refinement.train import train_refiner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flashsim.refinement.pairs import PairRows

__all__ = ["main"]

_ROLES = ("train", "test")

LABELS = {
    "jets": {"all": "all jets", "0": "light jets", "4": "c jets", "5": "b jets"},
    "muons": {
        "all": "all muons",
        "1": "prompt",
        "15": "from taus",
        "5": "from b",
        "4": "from c",
        "3": "from light hadrons",
    },
}


def main() -> None:
    """Parse the command line, train, apply, measure, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.refinement", description=__doc__)
    parser.add_argument("--train", type=Path, nargs="+", required=True, help="folders to train on")
    parser.add_argument("--test", type=Path, nargs="+", required=True, help="folders to judge by")
    parser.add_argument("--work", type=Path, required=True, help="folder of all that is made")
    parser.add_argument("--objects", nargs="+", default=list(LABELS), help="recipes by name or path")
    parser.add_argument("--page", type=Path, help="page to write; its figures beside it in figures/")
    options = parser.parse_args()
    measured = {load_refiner(name).object: _object(name, options) for name in options.objects}
    result = options.work / "refinement.json"
    # Objects may be measured by a command each, as they may be trained on other processes.
    earlier = json.loads(result.read_text(encoding="utf-8"))["objects"] if result.is_file() else {}
    found = {"objects": earlier | measured}
    result.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if options.page is not None:
        folder = options.page.parent / "figures"
        figures = {
            name: {title: f"figures/{file}" for title, file in write_figures(name, one, folder).items()}
            for name, one in found["objects"].items()
        }
        options.page.write_text(render(found, figures), encoding="utf-8")
    for name, one in measured.items():
        for goal in one["goals"]:
            verdict = "reached" if goal["passed"] else "not reached"
            print(f"{name}: {goal['goal']}: {goal['found']}: {verdict}")


def _command(name: str, options: argparse.Namespace) -> str:
    """Give the command, without where the folders stand on this machine."""
    train, test = (" ".join(f"{role}/{path.name}" for path in getattr(options, role)) for role in _ROLES)
    return (
        f"python -m benchmarks.refinement --train {train} --test {test} \\\n"
        f"    --objects {name} --work refine --page docs/refinement_results.md"
    )


def _object(name: str, options: argparse.Namespace) -> dict[str, Any]:
    recipe = load_refiner(name)
    work = options.work / recipe.object
    pairs = work / "pairs"
    if not (pairs / "pairs.json").is_file():
        make_pairs(recipe, [pair for draw in _draws(options.train) for pair in draw], pairs)
    model = work / "refiner.safetensors"
    if not model.is_file():
        train_refiner(pairs, recipe, model, resume=True)
    refiner = RefinerModel.load(model)
    held_out = [
        _held_out(refiner, draw, work / f"test_{number}") for number, draw in enumerate(_draws(options.test))
    ]
    result = judge(compared(recipe, [one for one, _ in held_out], [other for _, other in held_out]))
    result |= {
        "command": _command(name, options),
        "machine": f"{processor()}, two shared cores",
        "date": str(pd.Timestamp.now(tz="UTC").date()),
    }
    result |= {"name": recipe.object, "labels": LABELS[recipe.object], "training": _training(refiner, work)}
    return result | {"goals": goals(recipe.object, result)}


def _draws(folders: Sequence[Path]) -> list[list[tuple[str, str]]]:
    """Fast and full files of all processes, by draw; draws that not all have are left out."""
    found: list[list[tuple[str, str]]] = []
    while True:
        suffix = f"_{len(found)}" if found else ""
        files = [(folder / f"fast{suffix}.root", folder / f"full{suffix}.root") for folder in folders]
        if not all(path.is_file() for pair in files for path in pair):
            return found
        found.append([(str(fast), str(full)) for fast, full in files])


def _held_out(
    refiner: RefinerModel, files: list[tuple[str, str]], work: Path
) -> tuple[list[PairRows], list[PairRows]]:
    """Refine the files of one draw; gives pairs of full with fast and with refined."""
    work.mkdir(parents=True, exist_ok=True)
    refined = [(str(work / f"{Path(fast).parent.name}.root"), full) for fast, full in files]
    for (fast, _), (output, _) in zip(files, refined, strict=True):
        if not Path(output).is_file():
            apply_refiner(refiner, fast, Path(output))
    for pairs, folder in ((files, work / "before"), (refined, work / "after")):
        if not (folder / "pairs.json").is_file():
            make_pairs(refiner.recipe, pairs, folder)
    return all_pairs(work / "before", refiner.recipe), all_pairs(work / "after", refiner.recipe)


def _training(refiner: RefinerModel, work: Path) -> dict[str, Any]:
    """Tell what the page says of a training."""
    known = refiner.provenance
    history = pd.read_csv(work / "refiner.safetensors.run" / "losses.csv")
    return {
        "parameters": refiner.parameters,
        "pairs": known["pairs"],
        "epochs": known["epochs"],
        "best_epoch": known["best_epoch"],
        "seconds": known["wall_time_s"],
        "history": {name: [None if pd.isna(v) else v for v in column] for name, column in history.items()},
    }


if __name__ == "__main__":
    main()
