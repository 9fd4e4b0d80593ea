"""Make the shipped models from nothing: samples, tables, trainings, judgement, cards.

    python -m benchmarks.ship --work runs/ship --workers 2

writes ``flashsim/models/OBJECT.safetensors`` with their cards, ``docs/fidelity.md`` and ``docs/events.md``.
What is complete in the folder of the run is not made again, so a run that was stopped goes on where it was.
``times.json`` there says how long each step took.
"""

from __future__ import annotations

import argparse
import json
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.cards import write_cards
from benchmarks.events.__main__ import main as judge_events
from benchmarks.fidelity.__main__ import main as judge
from benchmarks.samples import full_files, load_samples, make_samples
from flashsim.declarations.objects import Split, load_object
from flashsim.declarations.recipes import recipe_folder
from flashsim.declarations.training import load_training
from flashsim.interface.inspection import shipped_objects
from flashsim.models.shipped import write_digests
from flashsim.preprocessing.preprocess import preprocess
from flashsim.training.figure import draw_losses
from flashsim.training.train import train

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flashsim.declarations.training import TrainingRecipe

ROOT = Path(__file__).resolve().parent.parent
# Models are judged by samples of their own, so the tables keep few events for it.
SPLIT = Split(validation=0.05, test=0.01)


class Times:
    """Wall time of each step, kept in a file over several runs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seconds: dict[str, float] = json.loads(path.read_text()) if path.is_file() else {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Add the time that a step takes."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - started
            self.path.write_text(json.dumps(self.seconds, indent=1) + "\n", encoding="utf-8")


def objects() -> list[str]:
    """Shipped objects: those that have a training recipe of their name."""
    recipes = {path.stem for path in recipe_folder("training").glob("*.yaml")}
    return sorted({declaration.name for declaration in shipped_objects()} & recipes)


def make_tables(name: str, files: list[str], folder: Path) -> None:
    """Make the training tables of an object, unless they are there."""
    if not (folder / "tables.json").is_file():
        declaration = load_object(name).model_copy(update={"split": SPLIT})
        preprocess(declaration, files, folder, force=True)


def make_model(recipe: TrainingRecipe, tables: Path, work: Path, models: Path) -> None:
    """Train an object, going on where an earlier run was stopped."""
    name = recipe.object
    runs = work / f"{name}.run"

    def report(network: str, epoch: int, most: int, best: float) -> None:
        print(f"{name} {network}: epoch {epoch} of {most}, best validation loss {best:.4f}", flush=True)

    output = models / f"{name}.safetensors"
    _, results = train(tables, recipe, output, runs=runs, resume=True, force=True, report=report)
    draw_losses(results, runs / "losses.png")
    write_digests(models)


def judgement(folders: dict[str, list[Path]], options: argparse.Namespace) -> list[str]:
    """Arguments of the fidelity benchmark."""
    words = ["--train", *map(str, folders["train"]), "--test", *map(str, folders["test"])]
    words += ["--left-out", str(folders["left_out"][0]), "--output", str(options.work / "fidelity")]
    words += ["--models", *(f"{name}={options.models / name}.safetensors" for name in options.objects)]
    page = [] if options.scale < 1.0 else ["--page", str(ROOT / "docs" / "fidelity.md")]
    return [*words, "--minutes", str(options.minutes), *page]


def judgement_of_events(folders: dict[str, list[Path]], options: argparse.Namespace) -> list[str]:
    """Arguments of the benchmark of whole events."""
    words = ["--test", *map(str, folders["test"]), "--models", str(options.models)]
    page = [] if options.scale < 1.0 else ["--page", str(ROOT / "docs" / "events.md")]
    return [*words, "--output", str(options.work / "events"), *page]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--work", type=Path, default=ROOT / "runs" / "ship", help="folder of samples, tables, checkpoints"
    )
    parser.add_argument(
        "--models", type=Path, default=ROOT / "flashsim" / "models", help="folder of the models"
    )
    parser.add_argument("--objects", nargs="*", default=objects(), help="which to train; all by default")
    parser.add_argument("--workers", type=int, default=2, help="processes that make events")
    parser.add_argument("--minutes", type=float, default=6.0, help="training of each competing network")
    parser.add_argument("--scale", type=float, default=1.0, help="fraction of the events, for trials")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    times = Times(options.work / "times.json")
    with times.step("samples"):
        folders = make_samples(load_samples().scaled(options.scale), options.work, options.workers)
    for name in options.objects:
        with times.step(f"{name} tables"):
            files = full_files([*folders["train"], *folders.get(name, [])])
            tables = options.work / "tables" / name
            make_tables(name, files, tables)
        with times.step(f"{name} training"):
            make_model(load_training(name), tables, options.work, options.models)
    with times.step("fidelity"):
        judge(judgement(folders, options))
    with times.step("events"):
        judge_events(judgement_of_events(folders, options))
    work = options.work
    write_cards(work / "fidelity" / "fidelity.json", options.models, work / "events" / "events.json")


if __name__ == "__main__":
    main()
