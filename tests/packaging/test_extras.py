"""Without the packages of an extra, what does not need them works, and all else says how to install them."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from flashsim.errors import MissingDependencyError
from flashsim.execution.extras import needs_extra

IMPORTED_AS = {"scikit-learn": "sklearn"}
BLOCKED = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocked())
from flashsim.cli.main import main
main()
"""
COMMANDS = {
    "train": ["train jets {here} -o model.safetensors"],
    "grid": ["grid grid_jets.yaml {here} -o grid"],
    "cuda": ["generate {example} -o out.root --device cuda"],
    "refine": [
        "refine pairs {example} {example} -o pairs",
        "refine train {here} -o refiner.safetensors",
    ],
    "monitor": ["monitor {here} --port 0"],
    "analysis": ["validate {example} {example} -o report.html", "analyze vbf_hmumu.yaml -o report"],
    "reference": ["gen vbf_hmumu.cmnd -o gen.root -n 1", "reference vbf_hmumu.cmnd -o reference -n 1"],
    "dask": ["generate {example} -o out.root --dask tcp://localhost:1"],
}
"""Command lines by what they need."""
EXTRAS = {"grid": "train", "cuda": "train"}
"""Where the extra has another name."""


@pytest.fixture(scope="module")
def optional(root):
    """Names under which the packages of all extras, and of no base install, are imported."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    needed = ("train", "search", "monitor", "analysis", "dask", "reference")
    names = {Requirement(line).name for extra in needed for line in extras[extra]} - {"flashsim"}
    assert {"torch", "pandas", "coffea"} <= names
    return {IMPORTED_AS.get(name, name) for name in names}


@pytest.fixture
def run(optional, tmp_path, root):
    """Runs a command line where the packages are not installed, all or these."""

    def run_command(line, blocked=None):
        words = line.format(here=tmp_path, example=root / "examples" / "vbf_hmumu_gen.root").split()
        program = BLOCKED.format(names=sorted(optional if blocked is None else blocked))
        return subprocess.run(
            [sys.executable, "-c", program, *words], cwd=tmp_path, capture_output=True, text=True, check=False
        )

    return run_command


def test_the_base_install_generates_and_inspects(run, tmp_path, root):
    generated = run("generate --input {example} --output flash.root")
    assert (generated.returncode, (tmp_path / "flash.root").is_file()) == (0, True), generated.stderr
    for file in ("flash.root", root / "flashsim" / "models" / "jets.safetensors"):
        inspected = run(f"inspect {file}")
        assert inspected.returncode == 0, inspected.stderr
        assert str(file) in inspected.stdout


@pytest.mark.parametrize(
    ("need", "line"), [(need, line) for need, lines in COMMANDS.items() for line in lines]
)
def test_what_is_not_installed_is_named_in_a_sentence(run, tmp_path, need, line):
    done = run(line)
    (error,) = (text for text in done.stderr.splitlines() if "error: " in text)
    assert f"pip install 'flashsim[{EXTRAS.get(need, need)}]'" in error
    assert "Traceback" not in done.stderr
    assert done.returncode == 2
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_searches_name_their_own_extra(run, tmp_path):
    done = run("grid grid_jets.yaml {here} -o grid --trials 2", {"optuna"})
    assert done.returncode == 2
    assert "--trials needs the package optuna" in done.stderr
    assert "flashsim[search]" in done.stderr


def test_mistakes_of_the_package_itself_are_not_hidden():
    with pytest.raises(ModuleNotFoundError), needs_extra("train", "training"):
        import flashsim.no_such_module  # noqa: F401
    sentence = r"^training needs the package no_such_package, .*: pip install 'flashsim\[train\]'$"
    with pytest.raises(MissingDependencyError, match=sentence), needs_extra("train", "training"):
        import no_such_package.part  # noqa: F401


def test_every_extra_that_is_named_exists(root):
    extras = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    texts = (path.read_text(encoding="utf-8") for path in Path(root / "flashsim").rglob("*.py"))
    named = {
        part.split('"')[1] for text in texts for part in text.split("needs_extra(")[1:] if part[0] == '"'
    }
    assert named == set(COMMANDS) - set(EXTRAS) | {"search"}
    assert named <= extras["optional-dependencies"].keys()
