"""Hooks, tasks, workflows and versions agree with pyproject.toml and with each other."""

from __future__ import annotations

import ast
import re
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version


@pytest.fixture(scope="module")
def project(root):
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def pythons(project):
    """Versions that the classifiers name."""
    found = re.findall(r"Python :: (\d\.\d+)", "\n".join(project["classifiers"]))
    assert found
    return found


@pytest.fixture(scope="module")
def sessions(root):
    """Functions of noxfile.py."""
    tree = ast.parse((root / "noxfile.py").read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.fixture(scope="module")
def workflows(root):
    paths = sorted((root / ".github" / "workflows").glob("*.yml"))
    return {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in paths}


@pytest.fixture(scope="module")
def tasks(workflows):
    """Names of sessions, by workflow."""
    return {name: flow["jobs"]["task"]["strategy"]["matrix"]["task"] for name, flow in workflows.items()}


def test_tests_run_on_every_python(tasks, pythons):
    assert [task for task in tasks["ci"] if task.startswith("tests-")] == [f"tests-{p}" for p in pythons]


def test_workflows_run_every_session(tasks, sessions):
    assert {task.split("-")[0] for names in tasks.values() for task in names} == sessions


def test_actions_are_pinned(root):
    used = [
        line.split("uses:")[1].strip()
        for path in (root / ".github" / "workflows").glob("*.yml")
        for line in path.read_text(encoding="utf-8").splitlines()
        if "uses:" in line
    ]
    assert used
    assert [use for use in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use)] == []


def test_hooks_use_a_ruff_that_the_project_allows(root, project):
    hooks = yaml.safe_load((root / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    (pinned,) = (repo["rev"] for repo in hooks if repo["repo"].endswith("/ruff-pre-commit"))
    (bound,) = (r for r in map(Requirement, project["optional-dependencies"]["test"]) if r.name == "ruff")
    assert bound.specifier.contains(pinned.removeprefix("v"))


def test_versions_agree(root, project):
    citation = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    changes = re.findall(
        r"^## (\S+) \(", (root / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    assert citation["version"] == project["version"]
    assert Version(project["version"]).base_version == changes[0]
    assert changes == sorted(changes, key=Version, reverse=True)
