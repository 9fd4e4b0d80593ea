"""Generation on a Dask cluster of separate processes, of which one is killed."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

import pytest

from flashsim.errors import FlashSimError
from flashsim.generation.campaign import Order, run_campaign
from flashsim.generation.settings import Settings

FILES = 6
PROCESSES = 2

SLOW_WRITER = """
import os, pathlib, time
from flashsim.nanoaod.writing import NanoWriter

marks = pathlib.Path(os.environ["FLASHSIM_TEST_MARKS"])

def slow(self, name, arrays, extend=NanoWriter.extend):
    if name == "Events":
        with (marks / f"{os.getpid()}").open("a") as file:
            file.write(f"{self.path}\\n")
        time.sleep(0.2)
    extend(self, name, arrays)

if NanoWriter.extend.__name__ != "slow":  # Dask loads this twice
    NanoWriter.extend = slow
"""
"""Preloaded by the workers: writing takes long enough to be killed in the middle of, and is on record."""


@pytest.fixture
def cluster(start_cluster, tmp_path):
    """Give the address of a scheduler with worker processes, and a folder that tells who wrote what."""
    marks, preload = tmp_path / "marks", tmp_path / "slow_writer.py"
    marks.mkdir()
    preload.write_text(SLOW_WRITER, encoding="utf-8")
    with start_cluster(PROCESSES, preload=preload, FLASHSIM_TEST_MARKS=str(marks)) as address:
        yield address, marks


def kill_in_the_middle(marks, killed):
    """Kill the first worker that has begun its second file."""
    deadline = time.monotonic() + 120
    while not killed and time.monotonic() < deadline:
        for mark in marks.iterdir():
            lines = mark.read_text().splitlines()
            if len(set(lines)) > 1:
                os.kill(int(mark.name), signal.SIGKILL)
                killed.append(lines[-1])
                break
        time.sleep(0.02)


@pytest.fixture
def jobs(made_nanoaod, tmp_path):
    (tmp_path / "out").mkdir()
    made = []
    for number in range(FILES):
        source = tmp_path / f"in{number}.root"
        source.symlink_to(made_nanoaod)
        made.append((str(source), tmp_path / "out" / f"out{number}.root"))
    return made


@pytest.mark.slow
def test_a_killed_worker_loses_nothing_and_doubles_nothing(
    cluster, jobs, made_models, generated_alone, content
):
    address, marks = cluster
    settings = Settings(models=(str(made_models),), threads=1, chunk=60)
    killed = []
    killer = threading.Thread(target=kill_in_the_middle, args=(marks, killed))
    killer.start()
    outcomes = run_campaign(jobs, settings, order=Order(), dask=address, report=lambda _: None)
    killer.join()

    assert len(killed) == 1
    assert [str(o.error) for o in outcomes if o.error] == []
    writers = [p.name for p in marks.iterdir() if killed[0] in p.read_text().splitlines()]
    assert len(writers) == 2, "the file that was being written was begun again elsewhere"
    # No part of the killed worker is left, and every event stands in one file once.
    assert sorted(jobs[0][1].parent.iterdir()) == [output for _, output in jobs]
    for _, output in jobs:
        assert content(output) == generated_alone

    again = run_campaign(jobs, settings, order=Order(resume=True), dask=address, report=lambda _: None)
    assert [o.summary.reused for o in again] == [True] * FILES


def test_there_must_be_a_scheduler(monkeypatch):
    monkeypatch.setattr("flashsim.execution.executors._SECONDS_TO_CONNECT", 0.5)
    with pytest.raises(FlashSimError, match=r"--dask tcp://127\.0\.0\.1:1: there is no Dask scheduler"):
        run_campaign([], Settings(), order=Order(), dask="tcp://127.0.0.1:1", report=lambda _: None)


def test_distributed_is_optional(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(FlashSimError, match=r"--dask needs the package distributed, .*flashsim\[dask\]"):
        run_campaign([], Settings(), order=Order(), dask="tcp://x:1", report=lambda _: None)
