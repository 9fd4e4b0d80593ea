"""`import flashsim` is quick, and its names are those that it says."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import flashsim

HEAVY = {"awkward", "coffea", "lightning", "matplotlib", "numba", "numpy", "pandas", "torch", "uproot"}


def test_import_loads_nothing_heavy():
    look = "import sys, json, flashsim; print(json.dumps([dir(flashsim), sorted(sys.modules)]))"
    run = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    names, modules = json.loads(run.stdout)
    assert set(flashsim.__all__) <= set(names)
    assert HEAVY & set(modules) == set()
    assert not any(name.startswith("flashsim.") for name in modules)


@pytest.mark.parametrize("name", [name for name in flashsim.__all__ if name != "__version__"])
def test_every_name_is_documented(name):
    found = getattr(flashsim, name)
    assert found.__name__ == name
    assert "Parameters\n" in found.__doc__
    assert "Raises\n" in found.__doc__


def test_names_that_are_not_there():
    with pytest.raises(AttributeError, match="'flashsim' has no attribute 'simulate_all'"):
        flashsim.simulate_all  # noqa: B018
    from flashsim import generation  # a stage is a module still

    assert generation.__name__ == "flashsim.generation"
