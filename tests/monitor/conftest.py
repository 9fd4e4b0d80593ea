from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from flashsim.runs.log import RUN_FILE

VARIED = ["network.width", "stages.0.primary"]


class Writer:
    """Writes the log of one training, event by event, at times of its own."""

    def __init__(self, folder: Path, parameters=None, of=10):
        self.folder, self.of, self.number = folder, of, 0
        self.parameters = parameters or {}
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, kind, when=None, **content):
        line = json.dumps({"event": kind, "time": time.time() if when is None else when, **content})
        with (self.folder / RUN_FILE).open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
        return self

    def queued(self, when=None):
        return self.write("queued", when, name=self.folder.name, parameters=self.parameters)

    def start(self, when=None, **changes):
        content = {"epochs": {"refiner": self.of}, "resumed": False, "host": "node", "pid": 1} | changes
        return self.write("start", when, name=self.folder.name, parameters=self.parameters, **content)

    def epoch(self, *values, when=None, **more):
        """An epoch for each value; the validation loss is the value, the multiplier its negative."""
        for value in values:
            self.number += 1
            losses = {
                "train": 0.9 * value,
                "validation": value,
                "train_mse": 2.0 - value,
                "validation_mse": 2.0 - value,
                "train_multiplier_mse": -value,
            }
            content = {"network": "refiner", "epoch": self.number, "of": self.of, "losses": losses | more}
            self.write("epoch", when, **content)
        return self

    def finish(self, when=None, **values):
        return self.write("finish", when, values=values)


@pytest.fixture
def half_grid(tmp_path):
    """Folder with a grid of six points of which one is not even queued, and a training by itself."""
    root = tmp_path / "runs"
    grid = root / "grid"
    now = time.time()
    points = [{"network.width": w, "stages.0.primary": p} for w in (32, 64, 128) for p in ("mmd", "mse")]
    grid.mkdir(parents=True)
    content = {
        "schema_version": 1,
        "varied": VARIED,
        "points": [{"point": number, "values": values} for number, values in enumerate(points)],
    }
    (grid / "grid.json").write_text(json.dumps(content), encoding="utf-8")
    writers = [Writer(grid / f"point_{k:04}", values) for k, values in enumerate(points[:5])]
    writers[0].start(now - 100).epoch(1.0, 0.5, 0.25, 0.75, when=now - 50).finish(now - 40, auc=0.6)
    writers[1].start(now - 100).epoch(1.0, 0.9, when=now - 50).finish(now - 40, auc=0.5)
    writers[2].start().epoch(1.5, 1.25)
    writers[3].start(now - 1000).epoch(1.0, when=now - 900)
    writers[4].queued()
    alone = Writer(root / "jets.safetensors.run", {"flow.width": 8}).start().epoch(3.0)
    alone.write("fail", error="RecipeError: <b>bad</b>")
    return root, writers
