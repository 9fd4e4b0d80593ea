"""The whole benchmark on a tiny sample, and what it writes."""

from __future__ import annotations

import json
import re

import pytest
import torch

from benchmarks.fidelity.__main__ import main
from benchmarks.fidelity.page import page
from benchmarks.fidelity.report import render


@pytest.fixture(scope="module")
def found(made_process, made_models, tmp_path_factory):
    """Give the result of a run, and its folder."""
    threads, output = torch.get_num_threads(), tmp_path_factory.mktemp("fidelity")
    models = [f"{name}={made_models / name}.safetensors" for name in ("jets", "muons")]
    recipe = output / "recipe.yaml"
    flow = "{layers: 1, width: 8, depth: 1, bins: 4}"
    pairs = []
    for name in ("jets", "muons"):
        recipe = output / f"{name}.yaml"
        recipe.write_text(f"schema_version: 1\nobject: {name}\nflow: {flow}\n", encoding="utf-8")
        pairs.append(f"{name}={recipe}")
    folder = str(made_process)
    main(
        [
            *("--train", folder, "--test", folder, "--left-out", folder, "--models", *models),
            *("--recipes", *pairs, "--output", str(output), "--objects", "600", "--minutes", "0.01"),
            *("--threads", "1", "--page", str(output / "fidelity.md")),
        ]
    )
    torch.set_num_threads(threads)
    return json.loads((output / "fidelity.json").read_text(encoding="utf-8")), output


def test_everything_is_measured(found):
    result, _ = found
    assert result["schema_version"] == 1
    for measured in result["objects"].values():
        assert measured["gen_objects"] > 50
        assert {row["target"] for row in measured["distances"]} >= {"pt", "eta", "phi"}
        assert all(row["floor"]["value"] >= 0.0 for row in measured["distances"])
        assert set(measured["classifier"]) == {"full_1", "fast", "flash"}
        assert measured["violations"]["checked"] > 1000
        names = [row["name"] for row in measured["competitors"]]
        assert names == ["shipped model", "flashsim", "rq-nsf", "affine-maf", "flow-matching"]


def test_barely_trained_models_are_found_out_and_the_floor_is_not(found):
    """The made detector's values do not depend on gen; the models have seen eight steps."""
    jets = found[0]["objects"]["jets"]
    tests = jets["classifier"]
    assert tests["full_1"]["auc"] < 0.6
    assert jets["distance_summary"]["worst_ratio"] > 1.0


def test_only_events_outside_of_the_training_are_judged(found):
    """The process is trained on, too: its test split is what is left."""
    jets = found[0]["objects"]["jets"]
    assert jets["events"] < 0.3 * 240
    assert jets["left_out"]["events"] < 0.3 * 240


def test_page_needs_nothing_else(found):
    result, output = found
    html = (output / "fidelity.html").read_text(encoding="utf-8")
    assert html == page(result)
    assert html.count("<svg") >= 7 * 2
    assert not re.search(r'(src|href)="(?!#)', html)
    assert all(goal["goal"] in html for m in result["objects"].values() for goal in m["goals"])


def test_names_inside_of_figures_do_not_clash(found):
    html = (found[1] / "fidelity.html").read_text(encoding="utf-8")
    names = re.findall(r'\bid="([^"]+)"', html)
    assert len(names) == len(set(names))


def test_markdown_page_has_command_machine_and_goals(found):
    result, output = found
    text = (output / "fidelity.md").read_text(encoding="utf-8")
    assert text == render(result)
    assert result["command"] in text
    assert str(output) not in text
    assert result["machine"] in text


def test_tables_are_found_again(found, made_process, made_models):
    _, output = found
    made = {path: path.stat().st_mtime_ns for path in output.rglob("tables.json")}
    assert made
    models = [f"{name}={made_models / name}.safetensors" for name in ("jets", "muons")]
    main(
        [
            *("--test", str(made_process), "--models", *models, "--output", str(output)),
            *("--objects", "300", "--skip-competitors", "--threads", "1"),
        ]
    )
    assert {path: path.stat().st_mtime_ns for path in made} == made


def test_a_missing_sample_is_named(tmp_path, made_models, capsys):
    model = f"jets={made_models / 'jets.safetensors'}"
    with pytest.raises(SystemExit) as stop:
        main(["--test", str(tmp_path), "--models", model, "--output", str(tmp_path)])
    assert stop.value.code == 2
    assert "full.root: there is no such file" in capsys.readouterr().err
