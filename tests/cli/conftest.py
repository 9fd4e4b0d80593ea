"""Fixtures of the commands' tests."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
import yaml

from flashsim.cli import console
from flashsim.declarations.recipes import read_yaml, recipe_path


@pytest.fixture(autouse=True)
def _no_lines_of_progress(monkeypatch):
    """How quick the machine is does not change what is printed."""
    monkeypatch.setattr(console, "_SHORT", math.inf)


@pytest.fixture
def folder(tmp_path, monkeypatch, made_nanoaod):
    """Give an empty current folder; ``../in/made.root`` is the made file, seen from there."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "made.root").symlink_to(made_nanoaod)
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    return tmp_path / "out"


@pytest.fixture
def generate(flashsim, made_models):
    """Run `flashsim generate`, with barely trained models where the arguments name none."""

    def run(*arguments):
        return flashsim("generate", *arguments, *(() if "-m" in arguments else ("-m", made_models)))

    return run


@pytest.fixture
def refused():
    """Give the check that a command ended with one sentence, nothing printed."""

    def check(result, message):
        status, out, err = result
        assert (status, out) == (2, "")
        *begun, line = err.strip().splitlines()
        assert len(begun) <= 1
        assert all(re.fullmatch(r"flashsim: [a-z]+ing .* -> .*", text) for text in begun)
        assert line.startswith("flashsim: error: ")
        assert message in line

    return check


@pytest.fixture
def few_targets(folder):
    """A user's own declaration: muons with five targets."""
    content = read_yaml(recipe_path("preprocessing", "muons"))
    few = content["targets"][:5]  # in no unit that they have not
    content["targets"] = [{k: v for k, v in target.items() if k != "scale"} for target in few]
    content |= {"relations": [], "linked": [], "placed": None}  # of targets that it has not
    Path("few.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return "few.yaml"
