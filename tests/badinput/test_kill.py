"""Commands that are killed at random moments, and gone on with: the result is that of an uninterrupted run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from judge.columns import content
from safetensors.numpy import load_file

FILES = 3
TRIALS = 20
"""Of each command, half with each signal."""
_HERE = ("--device", "cpu", "--threads", "1")
SIGNALS = (signal.SIGKILL, signal.SIGTERM)


def trials(number, first=1):
    """Numbers of trials; only the first is for every day."""
    weekly = [pytest.mark.slow, pytest.mark.weekly]
    return [pytest.param(k, marks=[] if k < first else weekly) for k in range(number)]


def weights(path):
    return {name: values.tobytes() for name, values in load_file(path).items()}


@pytest.fixture(scope="module")
def gen_files(stock, tmp_path_factory):
    """Give a folder with equal inputs of different names."""
    folder = tmp_path_factory.mktemp("inputs")
    for number in range(FILES):
        shutil.copy(stock["gen"], folder / f"in{number}.root")
    return folder


@pytest.fixture(scope="module")
def commands(stock, gen_files):
    """Give the arguments of each command, and what of its outputs has to be equal."""
    generate = (
        "generate",
        *sorted(gen_files.glob("*.root")),
        "-m",
        stock["muons"],
        "-o",
        "out",
        "--chunk",
        "10",
    )
    long = ("--set", "flow.schedule.epochs=6", "--set", "efficiency.schedule.epochs=6")
    train = ("train", "muons", stock["tables"], "-o", "few.safetensors", "--recipe", stock["training"], *long)
    refine = ("refine", "train", stock["pairs"], "-o", "pt.safetensors", "--recipe", stock["refiner_recipe"])
    grid = ("grid", stock["grid"], stock["pairs"], "-o", "out", "--device", "cpu")
    return {
        "generate": ((*generate, *_HERE), generated),
        "generate, two processes": ((*generate, *_HERE, "--workers", "2"), generated),
        "train": ((*train, *_HERE), lambda folder: weights(folder / "few.safetensors")),
        "refine train": (
            (*refine, *_HERE, "--set", "schedule.epochs=8"),
            lambda folder: weights(folder / "pt.safetensors"),
        ),
        "grid": (grid, gridded),
    }


def generated(folder):
    return {path.name: content(path) for path in sorted((folder / "out").glob("*.root"))}


def gridded(folder):
    points = sorted((folder / "out").glob("point_*"))
    rows = json.loads((folder / "out" / "summary.json").read_text(encoding="utf-8"))["best"]
    return {point.name: weights(point / "model.safetensors") for point in points} | {"best": rows}


@pytest.fixture(scope="module")
def uninterrupted(console, commands, tmp_path_factory):
    """Give the function that runs a command to its end, once: its result, and how long it took."""
    done = {}

    def run(name):
        if name not in done:
            folder = tmp_path_factory.mktemp("whole")
            arguments, result = commands[name]
            # The first run compiles, later ones do not.
            for number in range(2):
                here = folder / str(number)
                here.mkdir()
                ended = console.run(*arguments, folder=here, seconds=300)
                assert ended.status == 0, ended.err
            done[name] = result(here), ended.seconds
        return done[name]

    return run


@pytest.mark.parametrize("trial", trials(TRIALS))
@pytest.mark.parametrize("name", ["generate", "train", "refine train", "grid"])
def test_goes_on_to_the_same_result(name, trial, console, commands, uninterrupted, tmp_path):
    kill_and_go_on(name, trial, console, commands, uninterrupted, tmp_path)


@pytest.mark.parametrize("trial", trials(4))
def test_goes_on_with_processes(trial, console, commands, uninterrupted, tmp_path):
    kill_and_go_on("generate, two processes", trial, console, commands, uninterrupted, tmp_path)


def kill_and_go_on(name, trial, console, commands, uninterrupted, folder):
    """Kill a command, and what goes on with it as well, then let it come to its end."""
    arguments, result = commands[name]
    right, seconds = uninterrupted(name)
    rng = np.random.default_rng([*name.encode(), trial])
    number = SIGNALS[trial % 2]
    (folder / "here").mkdir()
    for attempt in range(2):
        moment = float(rng.uniform(0.02, 1.0 if attempt == 0 else 0.6)) * seconds
        more = ("--resume",) if attempt else ()
        ended = console.run(*arguments, *more, folder=folder / "here", seconds=300, kill=(number, moment))
        if ended.status == 2:
            # The signal before came between the model and the end of the command.
            assert "exists already" in ended.err
            break
        stopped = {signal.SIGKILL: -9, signal.SIGTERM: 143}[number]
        # One that was just before its end may have come there; one that has just begun knows no handler yet.
        assert ended.status in {0, stopped, -number}, ended.err
        assert "Traceback" not in ended.err
        # What has its name is whole.
        if name.startswith("generate"):
            found = generated(folder / "here")
            assert all(found[file] == right[file] for file in found)
        if ended.status == 143:
            assert list((folder / "here").rglob("*.part")) == []
            assert "stopped by SIGTERM" in ended.err
        if ended.status == 0:
            break
    last = console.run(*arguments, *(("--resume",)), folder=folder / "here", seconds=300)
    assert last.status == 0 or "exists already" in last.err, last.err
    assert result(folder / "here") == right
    assert list((folder / "here").rglob("*.part")) == []


class Cluster:
    """A Dask cluster of processes, of which one may be killed at any moment; another takes its place."""

    def __init__(self, folder, workers):
        self._folder, self._contact = folder, folder / "scheduler.json"
        local = ("--no-dashboard", "--scheduler-file", self._contact, "--port", 0, "--host", "127.0.0.1")
        self._scheduler = self._start("dask_scheduler", *local)
        for _ in range(600):
            if self._contact.exists() and self._contact.read_text():
                break
            time.sleep(0.1)
        self.address = json.loads(self._contact.read_text())["address"]
        self.workers = [self.worker() for _ in range(workers)]

    def worker(self):
        options = (
            "--no-nanny",
            "--nthreads",
            1,
            "--no-dashboard",
            "--local-directory",
            self._folder / "dask",
        )
        return self._start("dask_worker", self.address, *options)

    def _start(self, name, *arguments):
        return subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", f"distributed.cli.{name}", *map(str, arguments)],
            cwd=self._folder,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def kill(self, number, which):
        """Send a signal to a worker; another is started in its place."""
        self.workers[which].send_signal(number)
        self.workers[which].wait(30)
        self.workers[which] = self.worker()

    def close(self):
        for process in (*self.workers, self._scheduler):
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    pytest.importorskip("distributed", reason="distributed is not installed (extra 'dask')")
    running = Cluster(tmp_path_factory.mktemp("cluster"), 2)
    yield running
    running.close()


@pytest.mark.parametrize("trial", trials(12))
def test_a_cluster_loses_nothing(trial, cluster, console, commands, uninterrupted, tmp_path):
    """A worker is killed at a random moment; every third time whoever gave the work as well."""
    arguments, result = commands["generate"]
    right, _ = uninterrupted("generate")
    rng = np.random.default_rng(trial)
    more = ("--dask", cluster.address, "--retries", "3")
    number = SIGNALS[trial % 2]
    whole = console.run(*arguments, *more, folder=made(tmp_path / "whole"), seconds=300)
    assert whole.status == 0, whole.err
    moment = float(rng.uniform(0.0, 1.0)) * whole.seconds
    killer = threading.Timer(moment, cluster.kill, (number, int(rng.integers(0, 2))))
    killer.start()
    stop = (number, float(rng.uniform(0.3, 1.0)) * whole.seconds) if trial % 3 == 2 else None
    ended = console.run(*arguments, *more, folder=made(tmp_path / "here"), seconds=300, kill=stop)
    killer.join()
    assert ended.status == 0 or (stop and ended.status in {-9, 143, -15}), ended.err
    if ended.status != 0:
        found = generated(tmp_path / "here")
        assert all(found[file] == right[file] for file in found)
    last = console.run(*arguments, *more, "--resume", folder=tmp_path / "here", seconds=300)
    assert last.status == 0, last.err
    assert result(tmp_path / "here") == right
    assert list(Path(tmp_path / "here").rglob("*.part")) == []


def made(folder):
    folder.mkdir()
    return folder
