"""The whole benchmark on a tiny sample, and what it writes."""

from __future__ import annotations

import json
import re

import pytest
import torch

from benchmarks.fidelity.__main__ import main
from benchmarks.fidelity.figures import draw_counts, draw_importance, svg
from benchmarks.fidelity.report import render, render_kinds
from benchmarks.fidelity.samples import Workplace
from flashsim.errors import TableError
from flashsim.models.object_model import ObjectModel


@pytest.fixture(scope="module")
def found(made_process, made_models, tmp_path_factory):
    """Give the result of a run, and its folder."""
    threads, output = torch.get_num_threads(), tmp_path_factory.mktemp("fidelity")
    model, recipe = made_models / "jets.safetensors", output / "jets.yaml"
    flow = "{layers: 1, width: 8, depth: 1, bins: 4}"
    recipe.write_text(f"schema_version: 1\nobject: jets\nflow: {flow}\n", encoding="utf-8")
    folder = str(made_process)
    main(
        [
            *("--train", folder, "--test", folder, "--left-out", folder, "--models", f"jets={model}"),
            *(
                "--recipes",
                f"jets={recipe}",
                "--output",
                str(output),
                "--objects",
                "600",
                "--minutes",
                "0.01",
            ),
            *("--threads", "1", "--page", str(output / "fidelity.md")),
            *("--kinds-page", str(output / "flows.md")),
        ]
    )
    torch.set_num_threads(threads)
    return json.loads((output / "fidelity.json").read_text(encoding="utf-8")), output


def test_everything_is_measured(found):
    result, _ = found
    assert result["schema_version"] == 1
    for measured in result["objects"].values():
        assert measured["gen_objects"] > 20
        assert {row["target"] for row in measured["distances"]} >= {"pt", "eta", "phi"}
        assert all(row["floor"]["value"] >= 0.0 for row in measured["distances"])
        assert set(measured["classifier"]) == {"full_1", "fast", "flash"}
        assert measured["violations"]["checked"] > 1000
        names = [row["name"] for row in measured["competitors"]]
        ours = ["shipped model", "flashsim spline_maf", "flashsim flow_matching"]
        assert names == [*ours, "rq_nsf", "affine_maf", "flow_matching"]


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
    assert html.count("<svg") >= 7
    assert not re.search(r'(src|href)="(?!#|data:)', html)
    assert all(goal["goal"] in html for m in result["objects"].values() for goal in m["goals"])


def test_names_inside_of_figures_do_not_clash(found):
    jets = found[0]["objects"]["jets"]
    drawn = [svg(draw, jets, name) for name in ("jets", "muons") for draw in (draw_importance, draw_counts)]
    names = [set(re.findall(r'\bid="([^"]+)"', figure)) for figure in drawn]
    assert all(names)
    assert sum(map(len, names)) == len(set.union(*names))
    # Every reference inside of a figure is to a name of its own.
    for figure, known in zip(drawn, names, strict=True):
        assert set(re.findall(r'(?:url\(#|href="#)([^")]+)', figure)) <= known


def test_markdown_page_has_command_machine_and_goals(found):
    result, output = found
    text = (output / "fidelity.md").read_text(encoding="utf-8")
    assert text == render(result)
    assert result["command"] in text
    assert str(output) not in text
    assert result["machine"] in text


def test_another_page_has_the_competition_alone(found):
    result, output = found
    text = (output / "flows.md").read_text(encoding="utf-8")
    assert text == render_kinds(result)
    rows = result["objects"]["jets"]["competitors"]
    assert all(f"| {row['name']} | {row['preprocessing']} |" in text for row in rows)


def test_tables_are_found_again(found, made_process, made_models):
    _, output = found
    model = ObjectModel.load(made_models / "jets.safetensors")
    place = Workplace(output, [model])
    folder = place.tables(made_process, "full", model.declaration)
    made = (folder / "tables.json").stat().st_mtime_ns
    assert place.tables(made_process, "full", model.declaration) == folder
    assert (folder / "tables.json").stat().st_mtime_ns == made


def test_variants_of_other_events_are_refused(made_process, made_models, tmp_path):
    process = tmp_path / "mixed"
    process.mkdir()
    for name in ("gen", "full"):
        (process / f"{name}.root").symlink_to(made_process / f"{name}.root")
    (process / "full_1.root").symlink_to(made_process / "other.root")
    model = ObjectModel.load(made_models / "muons.safetensors")
    with pytest.raises(TableError, match=r"full_1\.root has not the gen objects of full\.root"):
        Workplace(tmp_path, [model]).samples([process], model.declaration, [], 100)


def test_a_missing_sample_is_named(tmp_path, made_models, capsys):
    model = f"jets={made_models / 'jets.safetensors'}"
    with pytest.raises(SystemExit) as stop:
        main(["--test", str(tmp_path), "--models", model, "--output", str(tmp_path)])
    assert stop.value.code == 2
    assert "full.root: there is no such file" in capsys.readouterr().err
