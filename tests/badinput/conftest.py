"""Valid files, and what runs commands on damaged ones."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from judge.console import Console
from judge.stock import Stock


@pytest.fixture(scope="session")
def console():
    """Give what runs commands, in children of one process with everything that they import."""
    with Console("core", "gen", "learning", "analysis") as running:
        yield running


@pytest.fixture(scope="session")
def stock(console, made_process, made_models, made_dimuons, tmp_path_factory):
    """Give valid files of every kind; all commands only read them."""
    folder = tmp_path_factory.mktemp("stock")
    found = Stock(folder, console, made_process, made_models, made_dimuons)
    console.warm("gen", found["hepmc"], "-o", "warm.root", folder=folder)
    return found


@pytest.fixture(scope="session")
def made_dimuons(tmp_path_factory):
    """Give the folder of made samples of the analysis's own tests."""
    path = Path(__file__).parents[1] / "analysis" / "conftest.py"
    spec = importlib.util.spec_from_file_location("analysis_conftest", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder = tmp_path_factory.mktemp("dimuons")
    for name, options in {"full": {}, "flash": {"detector": 2}}.items():
        module.write_dimuon_nanoaod(folder / f"{name}.root", 200, signal=True, **options)
        module.write_dimuon_nanoaod(folder / f"dy_{name}.root", 200, seed=2, **options)
    return folder
