"""Whole events in a report: what is compared, and that a page shows it."""

from __future__ import annotations

import json

import pytest

from flashsim.analysis.validation import validate
from flashsim.analysis.validation.whole import NAME, judge_whole_events
from flashsim.declarations.objects import load_object


@pytest.fixture(scope="module")
def declarations():
    return [load_object(name) for name in ("jets", "muons", "event")]


@pytest.fixture(scope="module")
def report(made_process, declarations, recipe, tmp_path_factory):
    output = tmp_path_factory.mktemp("whole") / "report.html"
    files = [str(made_process / f"{name}.root") for name in ("full", "full_1", "fast")]
    return validate(
        files[0], files[1], declarations[:1], output, third=files[2], whole=declarations, recipe=recipe
    ), output


def test_two_draws_have_no_light_that_is_red(report):
    found, _ = report
    rows = [row for row in found.rows if row.object == NAME]
    topics = {str(row.topic) for row in rows}
    assert topics == {"Joint quantities", "Correlations", "Classifier"}
    assert all(row.found["candidate"].light == "green" for row in rows)
    quantities = {row.quantity for row in rows}
    assert "classifier, content of whole events" in quantities
    assert "classifier, matched Jet and neighbours" in quantities


def test_the_page_has_a_part_for_whole_events(report):
    found, output = report
    text = output.read_text(encoding="utf-8")
    part = found.objects[-1]
    assert part.name == NAME
    assert f'<h2 id="{NAME}">' in text
    for section in part.sections:
        assert text.count(f'<figure id="{section.anchor}"') == 1
    numbers = json.loads(output.with_suffix(".json").read_text(encoding="utf-8"))
    assert numbers["objects"][NAME]["shared_gen_events"] == {"candidate": 1.0, "third": 1.0}


def test_only_the_first_events_are_read(made_process, declarations, recipe):
    files = {role: str(made_process / "full.root") for role in ("reference", "candidate")}
    few = recipe.model_copy(update={"joint_events": 120})
    found = judge_whole_events(files, declarations, few, lambda *_: None)
    assert found.events == {"reference": 120, "candidate": 120}


def test_jets_of_another_energy_are_seen(made_process, declarations, recipe, monkeypatch):
    """Of the same file: only the jets of the candidate are scaled."""
    from flashsim.analysis.validation import whole

    read = whole.read_judged_events

    def scaled(path, *arguments, **options):
        events = read(path, *arguments, **options)
        if str(path).endswith("full_1.root"):
            events["Jet"].columns["pt"] = events["Jet"]["pt"] * 1.3
        return events

    monkeypatch.setattr(whole, "read_judged_events", scaled)
    files = {
        "reference": str(made_process / "full.root"),
        "candidate": str(made_process / "full_1.root"),
    }
    found = judge_whole_events(files, declarations, recipe, lambda *_: None)
    lights = {row.quantity: row.found["candidate"].light for s in found.sections for row in s.rows}
    assert lights["classifier, matched Jet and neighbours"] == "red"
