"""The commands of refinement as users meet them."""

from __future__ import annotations

import pytest
import yaml
from typer.testing import CliRunner

from flashsim.cli.main import app
from flashsim.declarations.recipes import recipe_path
from flashsim.errors import FlashSimError
from flashsim.nanoaod.reading import NanoFile

QUICK = {
    "min_rows": 4,
    "network": {"width": 8, "blocks": 1},
    "schedule": {"epochs": 2, "batch": 32, "min_steps": 2},
    "pairs": {"distance": 0.4, "isolation": 0.3},
    "validation_batch": 32,
}


@pytest.fixture
def refine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        return CliRunner().invoke(app, ["refine", *map(str, arguments)])

    return run


@pytest.fixture
def recipe(tmp_path):
    content = yaml.safe_load(recipe_path("training", "refine_pt").read_text(encoding="utf-8"))
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(content | QUICK), encoding="utf-8")
    return path


def test_from_two_simulations_to_a_refined_file(refine, recipe, made_process):
    fast, full = made_process / "fast.root", made_process / "full.root"
    made = refine("pairs", fast, full, "-o", "pairs", "--recipe", recipe)
    assert (made.exit_code, made.stderr) == (0, f"flashsim: pairing {fast} -> pairs\n")
    assert "240 events" in made.stdout
    assert "alone, full" in made.stdout
    trained = refine("train", "pairs", "-o", "pt.safetensors", "--recipe", recipe, "--device", "cpu")
    assert trained.exit_code == 0
    assert "(epoch " in trained.stdout
    assert "pt (all)" in trained.stdout
    applied = refine("apply", "-i", fast, "-m", "pt.safetensors", "-o", "refined.root")
    assert applied.exit_code == 0
    assert "objects refined" in applied.stdout
    with NanoFile("refined.root") as file:
        assert file.has("Jet_pt_unrefined")


def test_pairs_need_two_files_each(refine):
    result = refine("pairs", "fast.root", "-o", "pairs")
    assert result.exit_code == 2
    assert "name a full simulation after each fast one" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    "arguments",
    [
        ("pairs", "none.root", "none.root", "-o", "pairs"),
        ("train", "none", "-o", "out.safetensors"),
        ("apply", "none.root", "-m", "none.safetensors", "-o", "out.root"),
        ("train", "none", "-o", "out.safetensors", "--recipe", "none"),
    ],
)
def test_mistakes_are_errors_with_a_sentence_and_leave_nothing(refine, arguments, tmp_path):
    result = refine(*arguments)
    assert isinstance(result.exception, FlashSimError)
    assert list(tmp_path.iterdir()) == []
