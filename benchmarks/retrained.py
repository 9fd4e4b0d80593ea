"""Models retrained quickly on one file, and what they make of the gen level of another.

    python -m benchmarks.retrained train/full.root test/gen.root --work runs/retrained

trains every shipped object, by its recipe for small samples where there is one, and writes
``WORK/flash.root``. It says where the present models stand on a new truth, before they are trained for good:

    python -m benchmarks.joint CMS=... full=test/full.root FlashSim=runs/retrained/flash.root

What is complete in the folder of the run is not made again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.ship import make_model, make_tables, objects
from flashsim.declarations.changes import parse_changes
from flashsim.declarations.recipes import recipe_folder
from flashsim.declarations.training import load_training
from flashsim.interface.generation import generate

ROOT = Path(__file__).resolve().parent.parent


def recipe_of(name: str) -> str:
    """Give the training recipe of an object: that for small samples, if there is one."""
    small = f"{name}_small"
    return small if (recipe_folder("training") / f"{small}.yaml").is_file() else name


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.retrained",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("train", help="NanoAOD that is trained on")
    parser.add_argument("gen", help="NanoAOD whose gen level events are made of")
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "retrained", help="folder of the run")
    parser.add_argument("--objects", nargs="*", default=objects(), help="which to train; all by default")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change the recipes")
    options = parser.parse_args()
    changes = parse_changes(options.set)
    models = options.work / "models"
    models.mkdir(parents=True, exist_ok=True)
    for name in options.objects:
        tables = options.work / "tables" / name
        make_tables(name, [options.train], tables)
        make_model(load_training(recipe_of(name), changes), tables, options.work, models)
    generate(options.gen, options.work / "flash.root", models=models, force=True)


if __name__ == "__main__":
    main()
