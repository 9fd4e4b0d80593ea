"""environment.yml and pyproject.toml name the same packages with the same bounds."""

from __future__ import annotations

import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base"}


@pytest.fixture(scope="module")
def project(root):
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def pip_bounds(lines):
    """Bounds by normalised package name."""
    parsed = [Requirement(line) for line in lines]
    return {r.name.lower(): r.specifier for r in parsed if r.name != "flashsim"}


def conda_bounds(lines):
    """Like `pip_bounds`; a single equals sign is conda's way to write a prefix."""
    found = {}
    for line in lines:
        name = line.rstrip("0123456789.*,<>=!")
        bounds = line.removeprefix(name)
        found[name] = SpecifierSet(f"={bounds}" if bounds[:1] == "=" and bounds[:2] != "==" else bounds)
    return found


def test_environment_is_in_step_with_the_project(root, project):
    environment = yaml.safe_load((root / "environment.yml").read_text(encoding="utf-8"))
    extras = project["optional-dependencies"]
    names = ("analysis", "benchmarks", "dask", "monitor", "reference", "search", "test", "train")
    groups = (project["dependencies"], *(extras[name] for name in names))
    expected = pip_bounds([line for lines in groups for line in lines])
    expected = {CONDA_NAMES.get(name, name): bounds for name, bounds in expected.items()}

    (pip,) = (entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    found = conda_bounds(entry for entry in environment["dependencies"] if isinstance(entry, str))
    assert found.pop("python") == SpecifierSet(project["requires-python"])
    found.pop("pip")
    assert "-e ." in pip
    assert found | pip_bounds(line for line in pip if line != "-e .") == expected


def test_no_range_reaches_the_gpu_builds(project):
    """An open range of torch resolves to gigabytes of libraries for devices that most machines lack."""
    assert pip_bounds(project["optional-dependencies"]["train"])["torch"] == SpecifierSet("==2.13.*")
