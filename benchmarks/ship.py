"""Make the shipped models from FullSim files: tables, trainings, closure, model cards.

    python -m benchmarks.ship ../shared/nanoaod/tt_2018_v5.root --transfer ../shared/nanoaod/tt_2022_v12.root

writes ``flashsim/models/OBJECT.safetensors`` and ``OBJECT.md`` for every shipped object, and
``docs/closure.md`` with the comparison to FullSim.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.closure import closure, render
from flashsim.modelfile import ObjectModel
from flashsim.nanoaod.inputs import expand_inputs
from flashsim.objects import load_object
from flashsim.preprocessing.preprocess import preprocess
from flashsim.recipes import recipe_folder
from flashsim.training.figure import draw_losses
from flashsim.training.recipe import load_training
from flashsim.training.tables import Tables
from flashsim.training.train import train

ROOT = Path(__file__).resolve().parent.parent


def objects() -> list[str]:
    """Shipped objects: those that have a training recipe."""
    return sorted(path.stem for path in recipe_folder("training").glob("*.yaml"))


def ship(files: list[str], transfer: list[str], work: Path, models: Path, seeds: int) -> dict[str, Any]:
    """Make all models; tables and checkpoints stay in `work`."""
    for name in objects():
        preprocess(load_object(name), files, work / name, force=True)
        path = models / f"{name}.safetensors"
        runs = work / f"{name}.run"
        _, results = train(Tables(work / name), load_training(name), path, runs=runs, force=True)
        draw_losses(results, runs / "losses.png")
        for network, result in results.items():
            print(f"{name} {network}: train {result.train_loss:.3f}, validation {result.validation_loss:.3f}")
    result = closure(models, work, files[0], transfer, seeds)
    for name in objects():
        (models / f"{name}.md").write_text(card(models / f"{name}.safetensors", result), encoding="utf-8")
    return result


def card(path: Path, result: dict[str, Any]) -> str:
    """Model card of a model file, with the closure of the file that it was trained on."""
    model = ObjectModel.load(path)
    made = model.provenance
    name = model.declaration.name
    source = made["files"][0]
    found = result[source][name]
    parameters = ", ".join(f"{network} {count}" for network, count in model.parameters().items())
    losses = [
        f"| {network} | {loss['train']:.3f} | {loss['validation']:.3f} | {loss['best_epoch'] + 1} of {loss['epochs']} |"
        for network, loss in made["losses"].items()
    ]
    targets = ", ".join(
        f"`{model.declaration.collection}_{target.branch}`" for target in model.declaration.targets
    )
    return "\n".join(
        [
            f"# Model card: {name}",
            "",
            f"Simulates the `{model.declaration.collection}` collection from `{model.declaration.gen}`: efficiency, "
            "properties, and objects without a gen match.",
            "",
            f"- Trained on: {', '.join(made['files'])} (real CMS FullSim, NanoAOD {model.nanoaod_version}); "
            f"{made['events']['train']} events to train, {made['events']['validation']} to validate, "
            f"{made['events']['test']} to test.",
            f"- Training rows: {made['gen_objects']['train']} gen objects, {made['reconstructed']['train']} of them "
            f"reconstructed, {made['fakes']['train']} unmatched.",
            f"- Recipes: `preprocessing/{name}.yaml`, `training/{name}.yaml`, seed {made['recipe']['seed']}.",
            f"- Parameters: {parameters}; file {path.stat().st_size / 1e6:.2f} MB.",
            f"- Made on {made['date']} in {made['wall_time_s']:.0f} s ({made['machine']}) by "
            "`python -m benchmarks.ship`, see the top of `benchmarks/ship.py`.",
            "",
            "| network | train loss | validation loss | kept epoch |",
            "|---|---|---|---|",
            *losses,
            "",
            "Losses in nats a row, dropout off.",
            "",
            "## Closure on the test events",
            "",
            f"Median pT response for gen pT > 30 GeV: FullSim {found['full']['median']:.4f} ± "
            f"{found['median_error']:.4f}, FlashSim {found['flash']['median']:.4f}; half 68 % width: FullSim "
            f"{found['full']['width']:.4f}, FlashSim {found['flash']['width']:.4f} "
            f"({found['full']['objects']} objects, {result['seeds']} seeds). More in `docs/closure.md`.",
            "",
            "## Limits",
            "",
            "- A few hundred events: the flow knows the training objects better than new ones (see the losses), "
            "and correlations and tails are those of a small sample.",
            "- One process and one year; other phase space is answered as at the edge of what was seen.",
            f"- Targets: {targets}. NanoAOD versions that lack a branch do not get it.",
            "",
        ]
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", help="FullSim NanoAOD to train on")
    parser.add_argument("--transfer", nargs="*", default=[], help="FullSim NanoAOD to compare with besides")
    parser.add_argument(
        "--work", type=Path, default=ROOT / "runs" / "ship", help="folder of tables and checkpoints"
    )
    parser.add_argument(
        "--models", type=Path, default=ROOT / "flashsim" / "models", help="folder of the models"
    )
    parser.add_argument(
        "--closure", type=Path, default=ROOT / "docs" / "closure.md", help="page with the comparison"
    )
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args()
    files = expand_inputs(options.files)
    result = ship(files, expand_inputs(options.transfer), options.work, options.models, options.seeds)
    (options.work / "closure.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    names = " ".join(Path(path).name for path in files)
    others = " ".join(Path(path).name for path in options.transfer)
    head = (
        "# Closure on FullSim\n\n"
        "The shipped models against the FullSim events that they were not trained on, made by\n\n"
        f"```sh\npython -m benchmarks.ship {names} --transfer {others}\n```\n\n"
        "The first file was trained on: of it only the test events are compared. Efficiency pulls are the difference\n"
        "over FullSim's binomial error.\n\n"
    )
    options.closure.write_text(head + render(result), encoding="utf-8")
    print(render(result))


if __name__ == "__main__":
    main()
