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

SAMPLE = """
import numpy as np
from flashsim.flows import Flow
from flashsim.flows.kinds import kind_of

kind = kind_of(sys.argv[1])
architecture = kind.architecture(kind.recipe(width=8), 3, 2, seed=1)
shapes = kind.shapes(architecture)
tensors = {name: np.zeros(shape, np.float32) for name, shape in shapes.items() if "permutation" not in name}
tensors |= {name: np.arange(shapes[name][0]) for name in shapes.keys() - tensors}
rows = Flow(sys.argv[1], architecture, tensors).sampler().from_noise(np.ones((9, 3)), np.ones((9, 2)))
assert rows.shape == (9, 3) and np.isfinite(rows).all()
"""


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


@pytest.mark.parametrize("kind", ["spline_maf", "flow_matching"])
def test_sampling_on_a_cpu_loads_nothing_heavy(kind):
    assert loaded_by(SAMPLE, kind) == []


@pytest.mark.parametrize("options", [(), ("--oversample", 2, "--flag-domain", "--threads", 1)])
def test_generating_on_a_cpu_loads_nothing_heavy(root, tmp_path, options):
    output = tmp_path / "flash.root"
    example = root / "examples" / "vbf_hmumu_gen.root"
    assert loaded_by(COMMAND, "generate", "--input", example, "--output", output, *options) == []
    assert output.is_file()
