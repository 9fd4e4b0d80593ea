"""Make the shipped models from FullSim files: tables, trainings, closure, model cards.

    python -m benchmarks.ship ../shared/nanoaod/tt_2018_v5.root --transfer ../shared/nanoaod/tt_2022_v12.root

writes ``flashsim/models/OBJECT.safetensors`` and ``OBJECT.md`` for every shipped object, and
``docs/closure.md`` with the comparison to FullSim.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from string import Template
from typing import Any

from benchmarks.closure import closure, render
from flashsim.modelfile import ObjectModel
from flashsim.nanoaod.inputs import expand_inputs
from flashsim.objects import load_object
from flashsim.preprocessing.preprocess import preprocess
from flashsim.recipes import recipe_folder
from flashsim.tables import SPLITS
from flashsim.training.figure import draw_losses
from flashsim.training.recipe import load_training
from flashsim.training.tables import Tables
from flashsim.training.train import train

ROOT = Path(__file__).resolve().parent.parent
CARD = Template((ROOT / "benchmarks" / "model_card.md.txt").read_text(encoding="utf-8"))


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
    compared = closure(models, work, files[0], transfer, seeds)
    for name in objects():
        (models / f"{name}.md").write_text(card(models / f"{name}.safetensors", compared), encoding="utf-8")
    return compared


def card(path: Path, compared: dict[str, Any]) -> str:
    """Model card of a model file, with the closure of the file that it was trained on."""
    model = ObjectModel.load(path)
    made, declaration = model.provenance, model.declaration
    found = compared[made["files"][0]][declaration.name]
    losses = [
        f"| {network} | {loss['train']:.3f} | {loss['validation']:.3f} "
        f"| {loss['best_epoch'] + 1} of {loss['epochs']} |"
        for network, loss in made["losses"].items()
    ]
    return CARD.substitute(
        name=declaration.name,
        collection=declaration.collection,
        gen=declaration.gen,
        files=", ".join(made["files"]),
        version=model.nanoaod_version,
        **{f"{split}_events": made["events"][split] for split in SPLITS},
        **{kind: made[kind]["train"] for kind in ("gen_objects", "reconstructed", "fakes")},
        seed=made["recipe"]["seed"],
        parameters=", ".join(f"{network} {count}" for network, count in model.parameters().items()),
        megabytes=f"{path.stat().st_size / 1e6:.2f}",
        date=made["date"],
        seconds=f"{made['wall_time_s']:.0f}",
        machine=made["machine"],
        losses="\n".join(losses),
        objects=found["full"]["objects"],
        seeds=compared["seeds"],
        full_median=f"{found['full']['median']:.4f}",
        median_error=f"{found['median_error']:.4f}",
        flash_median=f"{found['flash']['median']:.4f}",
        full_width=f"{found['full']['width']:.4f}",
        flash_width=f"{found['flash']['width']:.4f}",
        targets=", ".join(f"`{declaration.collection}_{t.branch}`" for t in declaration.targets),
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
        "The first file was trained on: of it only the test events are compared. Efficiency pulls are the\n"
        "difference over FullSim's binomial error.\n\n"
    )
    options.closure.write_text(head + render(result), encoding="utf-8")
    print(render(result))


if __name__ == "__main__":
    main()
