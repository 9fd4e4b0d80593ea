"""The example of FlashSim as the first step of a coffea job, in this process, in several, and on Dask."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from coffea.nanoevents import NanoEventsFactory

import flashsim

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPT, EVENTS = EXAMPLES / "flashsim_in_coffea.py", EXAMPLES / "vbf_hmumu_gen.root"


def run(folder, *options):
    """Run the script as its docstring says; gives what it found, without coffea's bars."""
    command = [sys.executable, SCRIPT, EVENTS, *map(str, options)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    _, name, found = done.stdout.partition("vbf_hmumu_gen: ")
    return name + found


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return run(tmp_path_factory.mktemp("alone"))


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """What the same processor finds in the file that `flashsim.generate` makes."""
    spec = importlib.util.spec_from_file_location("flashsim_in_coffea", SCRIPT)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    path = tmp_path_factory.mktemp("generated") / "flash.root"
    flashsim.generate(EVENTS, path)
    events = NanoEventsFactory.from_root(
        {str(path): "Events"}, schemaclass=example.GenSchema, metadata={"dataset": "vbf_hmumu_gen"}
    ).events()
    return example.DimuonMass(lambda events: events).process(events)["vbf_hmumu_gen"]


def test_it_finds_what_is_in_the_generated_file(alone, expected):
    head, *rows = alone.splitlines()
    assert head == (
        f"vbf_hmumu_gen: 1000 events, {expected['matched']} of {expected['muons']} muons with a gen particle"
    )
    assert expected["matched"] > 1000
    assert [float(row.split(": ")[1]) for row in rows] == pytest.approx(expected["mass"].values(), rel=1e-5)
    assert expected["mass"].values().argmax() == 3  # 120 to 125 GeV


@pytest.mark.slow
def test_in_several_processes(alone, tmp_path):
    assert run(tmp_path, "--workers", 2) == alone


@pytest.mark.slow
def test_on_a_dask_cluster(alone, start_cluster, tmp_path):
    with start_cluster(2) as address:
        assert run(tmp_path, "--dask", address) == alone
