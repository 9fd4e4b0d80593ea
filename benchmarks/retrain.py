"""Retrain all objects on FullSim files of a few hundred events, one by one, and see how well they close.

    python -m benchmarks.retrain tt_2018_v5.root tt_2022_v12.root

writes ``docs/closure.md``: the models of each file against the events of it that they were not trained on,
and against the other files. Models, tables and checkpoints stay in the folder of the run. The recipes are
those for small samples, ``training/OBJECT_small.yaml``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.closure import closure, render
from flashsim.declarations.objects import load_object
from flashsim.declarations.recipes import recipe_folder
from flashsim.declarations.training import load_training
from flashsim.nanoaod.inputs import expand_inputs
from flashsim.preprocessing.preprocess import preprocess
from flashsim.training.figure import draw_losses
from flashsim.training.train import train

ROOT = Path(__file__).resolve().parent.parent
SUFFIX = "_small"


def retrain(source: str, others: list[str], work: Path, seeds: int) -> dict[str, Any]:
    """Make all models of a file, and compare them with its test events and with other files."""
    models = work / "models"
    models.mkdir(parents=True, exist_ok=True)
    for path in sorted(recipe_folder("training").glob(f"*{SUFFIX}.yaml")):
        recipe = load_training(path.stem)
        name = recipe.object
        preprocess(load_object(name), [source], work / name, force=True)
        runs = work / f"{name}.run"
        _, results = train(work / name, recipe, models / f"{name}.safetensors", runs=runs, force=True)
        draw_losses(results, runs / "losses.png")
        for network, result in results.items():
            print(f"{name} {network}: train {result.train_loss:.3f}, validation {result.validation_loss:.3f}")
    return closure(models, work, source, others, seeds)


def page(results: dict[str, dict[str, Any]]) -> str:
    """Markdown page of the comparisons, by the file that was trained on."""
    any_result = next(iter(results.values()))
    lines = [
        "# Closure on real FullSim",
        "",
        "Models retrained on one small file of real CMS FullSim at a time, against the events of it that",
        "they were not trained on, and against the other files, made by",
        "",
        f"```sh\npython -m benchmarks.retrain {' '.join(results)}\n```",
        "",
        f"on {any_result['machine']}, {any_result['date']}; FlashSim is the mean of",
        f"{any_result['seeds']} seeds. Efficiency pulls are the difference over FullSim's binomial error.",
        "Another year is another detector: models of one do not describe the other. The shipped models:",
        "[fidelity](fidelity.md).",
        "",
    ]
    for name, result in results.items():
        lines += [f"## Trained on {name}", "", render(result)]
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", help="FullSim NanoAOD; each is trained on by itself")
    parser.add_argument(
        "--work", type=Path, default=ROOT / "runs" / "retrain", help="folder of models, tables, checkpoints"
    )
    parser.add_argument(
        "--closure", type=Path, default=ROOT / "docs" / "closure.md", help="page with the comparison"
    )
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args()
    files = expand_inputs(options.files)
    results = {}
    for source in files:
        name, others = Path(source).name, [other for other in files if other != source]
        results[name] = retrain(source, others, options.work / Path(source).stem, options.seeds)
    (options.work / "closure.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    options.closure.write_text(page(results), encoding="utf-8")


if __name__ == "__main__":
    main()
