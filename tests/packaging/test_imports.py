"""Generating on a CPU loads few libraries."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = ("torch", "lightning", "nflows", "coffea", "pandas", "matplotlib", "sklearn", "aiohttp")

REPORT = f"""
import atexit, json, sys

def report():
    loaded = {{name.partition(".")[0] for name in sys.modules}} & set({HEAVY})
    print("loaded", json.dumps(sorted(loaded)))

atexit.register(report)
"""
COMMAND = "from flashsim.cli.main import main; main()"


def loaded_by(program, *arguments):
    """Heavy libraries that a process has loaded when it ends; this one has loaded all of them."""
    done = subprocess.run(
        [sys.executable, "-c", REPORT + program, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("loaded "))
    return json.loads(line.removeprefix("loaded "))


def test_what_is_loaded_is_seen():
    assert loaded_by("import torch") == ["torch"]


@pytest.mark.parametrize("program", ["import flashsim", "import flashsim.cli.main"])
def test_an_import_loads_nothing_heavy(program):
    assert loaded_by(program) == []


@pytest.mark.parametrize("options", [(), ("--oversample", 2, "--flag-domain", "--threads", 1)])
def test_generating_on_a_cpu_loads_nothing_heavy(root, tmp_path, options):
    output = tmp_path / "flash.root"
    example = root / "examples" / "vbf_hmumu_gen.root"
    assert loaded_by(COMMAND, "generate", "--input", example, "--output", output, *options) == []
    assert output.is_file()
