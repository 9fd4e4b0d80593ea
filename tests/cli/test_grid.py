"""The command of grids as users meet it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from flashsim.cli.main import app
from flashsim.declarations.recipes import recipe_path
from flashsim.declarations.refinement import load_refiner
from flashsim.errors import FlashSimError
from flashsim.refinement.pairs import make_pairs

QUICK = {
    "min_rows": 4,
    "network": {"width": 8, "blocks": 1},
    "schedule": {"epochs": 2, "batch": 512, "min_steps": 2},
    "pairs": {"distance": 0.4, "isolation": 0.3},
    "validation_batch": 32,
}


@pytest.fixture(scope="module")
def pairs(made_process, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli_grid")
    content = yaml.safe_load(recipe_path("training", "refine_pt").read_text(encoding="utf-8"))
    (folder / "base.yaml").write_text(yaml.safe_dump(content | QUICK), encoding="utf-8")
    files = [(str(made_process / "fast.root"), str(made_process / "full.root"))]
    make_pairs(load_refiner(str(folder / "base.yaml")), files, folder / "pairs")
    return folder / "pairs"


@pytest.fixture
def recipe(pairs, tmp_path):
    """Give the function that writes a grid recipe."""

    def write(**vary):
        base = str(pairs.parent / "base.yaml")
        content = {"schema_version": 1, "kind": "refiner", "base": base, "vary": vary}
        (tmp_path / "grid.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
        return tmp_path / "grid.yaml"

    return write


@pytest.fixture
def grid(pairs, tmp_path, monkeypatch):
    """Run `flashsim grid` in an empty folder."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def run(recipe, *arguments, data=None):
        named = ["grid", recipe, data or pairs, "-o", "out", "--device", "cpu", *arguments]
        return CliRunner().invoke(app, [str(a) for a in named])

    return run


def test_from_a_recipe_to_a_table(grid, recipe, pairs, tmp_path):
    path = recipe(seed=[1, 2])
    done = grid(path)
    assert done.exit_code == 0
    assert done.stderr == f"flashsim: training {path} from {pairs} -> out\n"
    head, *lines = done.stdout.splitlines()
    assert head.split()[:3] == ["point", "state", "seed"]
    assert [line.split()[1:3] for line in lines] == [["finished", "1"], ["finished", "2"]]
    assert sum("*" in line for line in lines) == 1
    summary = json.loads((tmp_path / "here/out/summary.json").read_text())
    assert f"{summary['best']}*" in done.stdout
    assert (tmp_path / "here/out/summary.csv").is_file()
    again = grid(path, "--resume")
    assert (again.exit_code, again.stdout) == (0, done.stdout)
    assert grid(path, "--summary").stdout == done.stdout


def test_points_of_batch_jobs(grid, recipe):
    path = recipe(seed=[1, 2])
    for number in (1, 0):
        done = grid(path, "--point", number, "--resume")
        assert (done.exit_code, done.stdout) == (0, "")
    assert grid(path, "--summary").stdout.count("finished") == 2


def test_a_search(grid, recipe):
    path = recipe(**{"schedule.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}})
    done = grid(path, "--trials", 2)
    assert done.exit_code == 0
    assert done.stdout.count("finished") == 2


def test_values_that_all_points_share(grid, recipe, tmp_path):
    done = grid(recipe(seed=[1, 2]), "--set", "schedule.epochs=1", "--set", "network.width=4")
    assert done.exit_code == 0
    noted = json.loads((tmp_path / "here/out/grid.json").read_text())
    assert noted["recipe"]["fixed"] == {"schedule.epochs": 1, "network.width": 4}
    assert noted["base"]["network"]["width"] == 4
    again = grid(recipe(seed=[1, 2]), "--set", "schedule.epochs=2", "--resume")
    assert "holds a grid of another recipe" in str(again.exception)


def test_a_failed_point_ends_in_a_sentence(grid, recipe):
    done = grid(recipe(min_rows=[100_000, 4]))
    assert isinstance(done.exception, FlashSimError)
    assert str(done.exception).startswith("1 of 2 points failed; mend it and add --resume (point 0: ")
    assert "failed: point 0: " in done.stderr
    assert [line.split()[1] for line in done.stdout.splitlines()[1:]] == ["failed", "finished"]


@pytest.mark.parametrize(
    ("vary", "arguments", "fault"),
    [
        ({"seeds": [1]}, (), "seeds: is no key of this recipe"),
        ({"seed": [1]}, ("--point", 1), "--point 1: the grid has the points 0 to 0"),
        ({"seed": {"low": 1, "high": 2}}, (), "seed: is a range"),
        ({"seed": [1]}, ("--summary",), "out: holds no grid"),
    ],
)
def test_mistakes_are_errors_with_a_sentence_and_leave_nothing(grid, recipe, vary, arguments, fault):
    done = grid(recipe(**vary), *arguments)
    assert isinstance(done.exception, FlashSimError)
    assert fault in str(done.exception)
    assert list(Path.cwd().iterdir()) == []


def test_no_tables_are_an_error(grid, recipe):
    done = grid(recipe(seed=[1]), data="none")
    assert isinstance(done.exception, FlashSimError)
    assert str(done.exception).startswith("none: ")
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [("--point", 0, "--trials", 2), ("--point", 0, "--workers", 2), ("--dask", "x", "--workers", 2)],
)
def test_options_that_do_not_go_together(grid, recipe, arguments):
    done = grid(recipe(seed=[1]), *arguments)
    assert done.exit_code == 2
