"""Train the small models of this folder again: python tests/data/make_models.py.

One for jets, muons, electrons and vertices each, by their shipped declarations, from the 240 made events of
tests/conftest.py. After two epochs their distributions are still wrong, but their format is that of any
model. Run it after a change of a declaration or of the format.
"""

from __future__ import annotations

import runpy
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def make_models(folder: Path, only: frozenset[str] = frozenset()) -> list[Path]:
    """Write the models, or only those of some objects, into a folder, where they replace others."""
    from flashsim.declarations.flows import SplineMAFRecipe
    from flashsim.declarations.schedule import Schedule
    from flashsim.declarations.training import (
        CountRecipe,
        EfficiencyRecipe,
        PlacedRecipe,
        TrainingRecipe,
        UnmatchedRecipe,
    )
    from flashsim.interface.inspection import shipped_objects
    from flashsim.preprocessing.preprocess import preprocess
    from flashsim.training.train import train

    write_made_nanoaod = runpy.run_path(str(FOLDER.parent / "conftest.py"))["write_made_nanoaod"]
    schedule = Schedule(epochs=2, batch=64, min_steps=8)
    flow = SplineMAFRecipe(layers=1, width=16, depth=1, bins=4, schedule=schedule)
    written = []
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        write_made_nanoaod(work / "made.root", 240)
        for declaration in shipped_objects():
            # MET, which made events have not whole, is drawn by no model of this folder.
            if declaration.recoils or (only and declaration.name not in only):
                continue
            name = declaration.name
            preprocess(declaration, [str(work / "made.root")], work / name)
            recipe = TrainingRecipe(
                schema_version=1,
                object=name,
                min_rows=5,
                efficiency=EfficiencyRecipe(width=8, depth=1, schedule=schedule),
                flow=flow,
                unmatched=UnmatchedRecipe(count=CountRecipe(width=8, depth=1, schedule=schedule), flow=flow),
                placed=PlacedRecipe(flow=flow),
            )
            written.append(folder / f"{name}.safetensors")
            train(
                work / name,
                recipe,
                written[-1],
                runs=work / f"{name}.run",
                force=True,
                accelerator="cpu",
            )
    return written


if __name__ == "__main__":
    for path in make_models(FOLDER):
        sys.stdout.write(f"{path}: {path.stat().st_size} bytes\n")
