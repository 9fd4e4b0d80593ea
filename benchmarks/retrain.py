"""Retrain all objects on FullSim files of a few hundred events, and see how well they close.

    python -m benchmarks.retrain tt_2018_v5.root --transfer tt_2022_v12.root

writes ``docs/closure.md`` with the comparison to FullSim; models, tables and checkpoints stay in the folder
of the run. The recipes are those for small samples, ``training/OBJECT_small.yaml``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.closure import closure, render
from flashsim.nanoaod.inputs import expand_inputs
from flashsim.objects import load_object
from flashsim.preprocessing.preprocess import preprocess
from flashsim.recipes import recipe_folder
from flashsim.training.figure import draw_losses
from flashsim.training.recipe import load_training
from flashsim.training.tables import Tables
from flashsim.training.train import train

ROOT = Path(__file__).resolve().parent.parent
SUFFIX = "_small"


def retrain(files: list[str], transfer: list[str], work: Path, seeds: int) -> dict[str, Any]:
    """Make all models and compare them with the events that they were not trained on."""
    models = work / "models"
    models.mkdir(parents=True, exist_ok=True)
    for path in sorted(recipe_folder("training").glob(f"*{SUFFIX}.yaml")):
        recipe = load_training(path.stem)
        name = recipe.object
        preprocess(load_object(name), files, work / name, force=True)
        runs = work / f"{name}.run"
        _, results = train(Tables(work / name), recipe, models / f"{name}.safetensors", runs=runs, force=True)
        draw_losses(results, runs / "losses.png")
        for network, result in results.items():
            print(f"{name} {network}: train {result.train_loss:.3f}, validation {result.validation_loss:.3f}")
    return closure(models, work, files[0], transfer, seeds)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", help="FullSim NanoAOD to train on")
    parser.add_argument("--transfer", nargs="*", default=[], help="FullSim NanoAOD to compare with besides")
    parser.add_argument(
        "--work", type=Path, default=ROOT / "runs" / "retrain", help="folder of models, tables, checkpoints"
    )
    parser.add_argument(
        "--closure", type=Path, default=ROOT / "docs" / "closure.md", help="page with the comparison"
    )
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args()
    files = expand_inputs(options.files)
    result = retrain(files, expand_inputs(options.transfer), options.work, options.seeds)
    (options.work / "closure.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    names = " ".join(Path(path).name for path in files)
    others = " ".join(Path(path).name for path in options.transfer)
    head = (
        "# Closure on real FullSim\n\n"
        "Models retrained on one small file of real CMS FullSim, against the events that they were not\n"
        "trained on, made by\n\n"
        f"```sh\npython -m benchmarks.retrain {names} --transfer {others}\n```\n\n"
        "The first file was trained on: of it only the test events are compared. Efficiency pulls are the\n"
        "difference over FullSim's binomial error. The shipped models: [fidelity](fidelity.md).\n\n"
    )
    options.closure.write_text(head + render(result), encoding="utf-8")
    print(render(result))


if __name__ == "__main__":
    main()
