from __future__ import annotations

import json
import re

import pytest

from flashsim.errors import OutputFileError
from flashsim.monitor.catalogue import Catalogue
from flashsim.monitor.page import SCRIPTS, live_page, read_static, save_page, saved_page


@pytest.fixture
def message(half_grid):
    catalogue = Catalogue(half_grid[0])
    catalogue.update()
    return catalogue.message()


def test_a_saved_page_needs_nothing_else(message):
    page = saved_page(message)
    for name in (*SCRIPTS, "page.css"):
        assert read_static(name) in page
        page = page.replace(read_static(name), "")
    assert re.findall(r'(?:src|href)="([^"]*)"', page) == ["data:,", "export"]
    assert "http" not in page


def test_the_data_come_back_and_cannot_end_their_script(message):
    message["trainings"][0]["error"] = '</script><script>alert("1")</script><!--'
    page = saved_page(message)
    data = re.search(r'<script id="data" type="application/json">(.*?)</script>', page, flags=re.DOTALL)
    assert json.loads(data[1]) == json.loads(json.dumps(message))
    assert "<!--" not in data[1]


def test_a_live_page_asks_its_own_server_only():
    page = live_page('<b>"runs"</b>')
    assert re.findall(r'(?:src|href)="([^"]*)"', page) == [
        "data:,",
        "static/page.css",
        "export",
        *(f"static/{name}" for name in SCRIPTS),
    ]
    assert "<b>" not in page


def test_a_page_is_not_replaced_unasked(message, tmp_path):
    path = tmp_path / "page.html"
    save_page(message, path)
    with pytest.raises(OutputFileError, match="exists already; name another output or add --force"):
        save_page(message, path)
    save_page(message | {"folder": "other"}, path, force=True)
    assert "<title>other" in path.read_text(encoding="utf-8")
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_a_place_that_cannot_be_written_is_an_error(message, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputFileError, match="cannot be written"):
        save_page(message, tmp_path / "file" / "page.html")


def test_the_chart_library_has_its_licence():
    assert "Apache License" in read_static("echarts.LICENSE.txt")
    assert read_static("echarts.min.js").startswith("\n/*\n* Licensed to the Apache Software Foundation")
