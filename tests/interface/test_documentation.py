"""Examples of the interface's docstrings and of the README run as they stand."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import awkward as ak
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Give an empty current folder, from where examples/ is seen as from the checkout."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["arguments", "generation", "simulator", "training"])
def test_docstrings(name, folder):
    found = doctest.testmod(importlib.import_module(f"flashsim.interface.{name}"))
    assert found.attempted > 0
    assert found.failed == 0


def test_readme(folder, capsys):
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), flags=re.DOTALL)
    names = {}
    exec(compile(block, "README.md", "exec"), names)
    assert re.fullmatch(r"\{'Electron': \d+, 'Muon': \d+, 'Jet': \d+\}\n", capsys.readouterr().out)
    assert names["simulated"].Jet.pt.tolist() == names["events"].Jet.pt.tolist()
    assert names["made"].summaries[0].objects["Jet"] == ak.count(names["simulated"].Jet.pt)
    assert 0.8 < ak.mean(names["response"]) < 1.2
    assert (folder / "flash.root").is_file()
