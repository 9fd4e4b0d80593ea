from __future__ import annotations

import json
import re
import sys

import pytest

from flashsim.analysis.validation import validate
from flashsim.analysis.validation.report import SCHEMA_VERSION
from flashsim.errors import InputFileError, MissingDependencyError, OutputFileError


@pytest.fixture(scope="module")
def found(report_page):
    return json.loads(report_page.with_suffix(".json").read_text(encoding="utf-8"))


def test_the_json_holds_what_the_page_shows(found, report_page):
    assert found["schema_version"] == SCHEMA_VERSION
    text = report_page.read_text(encoding="utf-8")
    for row in found["table"]:
        assert f'href="#{row["figure"]}"' in text
        assert row["figure"] in found["objects"][row["object"]]["figures"]
    lights = [row["found"]["candidate"]["light"] for row in found["table"]]
    assert {light: lights.count(light) for light in set(lights)} == {
        light: number for light, number in found["lights"]["candidate"].items() if number
    }


def test_it_knows_what_the_files_share(found):
    jets = found["objects"]["jets"]
    assert jets["shared_gen_events"] == {"candidate": 1.0, "third": 1.0}
    assert jets["events"] == {"reference": 240, "candidate": 240, "third": 240}
    assert jets["left_out"] == []


def test_every_distance_has_an_error_and_a_floor(found):
    rows = [row for row in found["table"] if row["topic"] == "Distributions"]
    assert len(rows) == 10  # six targets, four of them relative to gen, too
    for row in rows:
        for role in ("candidate", "third"):
            differences = row["found"][role]["differences"]
            assert set(differences) == {"wasserstein", "ks"}
            assert all(one["error"] > 0.0 and one["floor"] > 0.0 for one in differences.values())


def test_the_page_loads_nothing_from_elsewhere(report_page):
    text = report_page.read_text(encoding="utf-8")
    assert set(re.findall(r'\bsrc="(.{0,26})', text)) == {"data:image/svg+xml;base64,"}
    assert "@import" not in text
    assert re.findall(r'href="[^#]', text) == []


def test_what_is_there_is_not_replaced(report_page, declaration, recipe):
    before = report_page.read_bytes()
    with pytest.raises(OutputFileError, match="exists already"):
        validate("a.root", "b.root", [declaration], report_page, recipe=recipe)
    assert report_page.read_bytes() == before


@pytest.mark.parametrize(
    ("output", "message"), [("report.pdf", "ends with .html"), ("none/report.html", "does not exist")]
)
def test_outputs_that_cannot_be(declaration, tmp_path, output, message):
    with pytest.raises(OutputFileError, match=message):
        validate("a.root", "b.root", [declaration], tmp_path / output)


def test_nothing_is_left_of_a_report_that_fails(declaration, made_process, tmp_path):
    with pytest.raises(InputFileError, match="no such file"):
        validate(str(made_process / "full.root"), "none.root", [declaration], tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []


def test_the_extra_is_named_where_it_is_not_installed(declaration, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MissingDependencyError, match=r"flashsim\[analysis\]"):
        validate("a.root", "b.root", [declaration], tmp_path / "report.html")
