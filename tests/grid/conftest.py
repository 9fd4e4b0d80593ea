"""Grids of trainings that take a second, on made events."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading

import pytest
import torch
import yaml

from flashsim.declarations.objects import load_object
from flashsim.declarations.recipes import recipe_path
from flashsim.declarations.refinement import load_refiner
from flashsim.grid.folder import GridFolder
from flashsim.grid.recipe import load_grid
from flashsim.grid.run import GridRun, Resources
from flashsim.interface.trainers import TRAINERS
from flashsim.preprocessing.preprocess import preprocess
from flashsim.refinement.pairs import make_pairs

QUICK_REFINER = {
    "min_rows": 4,
    "network": {"width": 8, "blocks": 1},
    "schedule": {"epochs": 2, "batch": 512, "min_steps": 2},
    "pairs": {"distance": 0.4, "isolation": 0.3},
    "validation_batch": 32,
}
LONG = 15
QUICK_OBJECT = """
schema_version: 1
object: muons
min_rows: 5
efficiency: {width: 4, depth: 1, schedule: &short {epochs: 2, batch: 64, min_steps: 2}}
flow: &flow {layers: 1, width: 8, depth: 1, bins: 4, schedule: *short}
unmatched:
  count: {width: 4, depth: 1, schedule: *short}
  flow: *flow
"""


@pytest.fixture(scope="package", autouse=True)
def _one_thread():
    """As the points of a grid have; they set it in the process that trains them, which may be this one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def bases(tmp_path_factory):
    """Folder with two base recipes, ``refiner.yaml`` and ``object.yaml``."""
    folder = tmp_path_factory.mktemp("bases")
    content = yaml.safe_load(recipe_path("training", "refine_pt").read_text(encoding="utf-8"))
    (folder / "refiner.yaml").write_text(yaml.safe_dump(content | QUICK_REFINER), encoding="utf-8")
    (folder / "object.yaml").write_text(QUICK_OBJECT, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def pairs(bases, made_process, tmp_path_factory):
    """Pairs of jets of made events."""
    folder = tmp_path_factory.mktemp("grid") / "pairs"
    files = [(str(made_process / "fast.root"), str(made_process / "full.root"))]
    make_pairs(load_refiner(str(bases / "refiner.yaml")), files, folder)
    return folder


@pytest.fixture(scope="session")
def tables(made_nanoaod, tmp_path_factory):
    """Tables of muons of made events."""
    folder = tmp_path_factory.mktemp("grid") / "tables"
    preprocess(load_object("muons"), [str(made_nanoaod)], folder)
    return folder


@pytest.fixture
def write_grid(bases, tmp_path):
    """Give the function that writes a grid recipe; gives its path."""

    def write(vary, *, kind="refiner", name="grid", **keys):
        content = {"schema_version": 1, "kind": kind, "base": str(bases / f"{kind}.yaml"), "vary": vary}
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(content | keys, sort_keys=False), encoding="utf-8")
        return path

    return write


@pytest.fixture
def grid_run(pairs, tables, tmp_path):
    """Give the function that puts a grid, its folder and its data together."""

    def make(path, *, folder="out", **resources):
        loaded = load_grid(str(path))
        data = {"refiner": pairs, "object": tables}[loaded.recipe.kind]
        trainer = TRAINERS[loaded.recipe.kind]
        return GridRun(
            loaded, GridFolder(tmp_path / folder), data, trainer, Resources(device="cpu", **resources)
        )

    return make


@pytest.fixture
def train_grid():
    """Give the function that trains points of a grid, all or those named; gives outcomes by number."""

    def train(run, *, wanted=None, resume=False):
        points = run.grid.points()
        wanted = range(len(points)) if wanted is None else wanted
        run.begin(points, wanted, resume=resume)
        outcomes = {o.number: o for o in run.train((k, points[k]) for k in wanted)}
        assert sorted(outcomes) == sorted(wanted)
        return outcomes

    return train


@pytest.fixture
def events():
    """Give the function that reads events of one kind from the log of a point."""

    def read(run, number, kind):
        path = run.folder.point(number).path / "run.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        return [event for event in map(json.loads, lines) if event["event"] == kind]

    return read


@pytest.fixture
def killing(events):
    """Give the context in which the process that trains a point is killed when it has come to an epoch."""

    @contextlib.contextmanager
    def kill(run, number, *, epoch):
        over = threading.Event()

        def watch():
            while not over.wait(0.005):
                if len(events(run, number, "epoch")) >= epoch:
                    os.kill(events(run, number, "start")[-1]["pid"], signal.SIGKILL)
                    return

        killer = threading.Thread(target=watch)
        killer.start()
        try:
            yield
        finally:
            over.set()
            killer.join()

    return kill


@pytest.fixture
def long(grid_run, write_grid):
    """Give the function that makes a grid of trainings that can be killed in the middle."""
    fixed = {"schedule.epochs": LONG, "schedule.patience": LONG}
    path = write_grid({"seed": [1, 2, 3]}, fixed=fixed)
    return lambda **options: grid_run(path, **options)
