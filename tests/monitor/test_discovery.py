from __future__ import annotations

import json
import os

import pytest

from flashsim.monitor import discovery
from flashsim.monitor.discovery import Group, find, is_inside
from flashsim.runs.log import RUN_FILE


def make(folder, name=RUN_FILE, text=""):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")


def test_trainings_and_groups_are_found(half_grid):
    root, _ = half_grid
    found = find(root)
    assert found.groups == {"grid": Group("grid", ("network.width", "stages.0.primary"), 6)}
    points = {f"grid/point_{k:04}": "grid" for k in range(5)}
    assert found.trainings == points | {"jets.safetensors.run": None}


def test_the_folder_itself_may_be_a_training_or_a_group(tmp_path):
    make(tmp_path / "a")
    assert find(tmp_path / "a").trainings == {".": None}
    make(tmp_path / "b" / "point")
    make(tmp_path / "b", "grid.json", json.dumps({"varied": ["x"], "points": [1, 2]}))
    found = find(tmp_path / "b")
    assert (found.groups, found.trainings) == ({".": Group(".", ("x",), 2)}, {"point": "."})


@pytest.mark.parametrize("text", ["", "[]", "{", '{"varied": 1}', '{"varied": ["x"], "points": null}', "\0"])
def test_a_group_that_says_nothing_of_itself_is_one(tmp_path, text):
    make(tmp_path, "grid.json", text)
    assert find(tmp_path).groups == {".": Group(".")}


def test_links_that_lead_out_are_not_followed(tmp_path):
    root, outside = tmp_path / "runs", tmp_path / "outside"
    make(outside / "training", text="secret")
    make(outside, "grid.json", json.dumps({"varied": ["secret"], "points": []}))
    make(root / "good")
    (root / "folder").symlink_to(outside / "training")
    (root / "link").mkdir()
    (root / "link" / RUN_FILE).symlink_to(outside / "training" / RUN_FILE)
    (root / "grid").mkdir()
    (root / "grid" / "grid.json").symlink_to(outside / "grid.json")
    (root / "inner").mkdir()
    (root / "inner" / RUN_FILE).symlink_to(root / "good" / RUN_FILE)
    found = find(root)
    assert found.trainings == {"good": None, "inner": None}
    assert found.groups == {}


def test_what_is_no_file_is_passed_over(tmp_path):
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / RUN_FILE)
    (tmp_path / "folder" / RUN_FILE).mkdir(parents=True)
    (tmp_path / "dead").mkdir()
    (tmp_path / "dead" / RUN_FILE).symlink_to("nowhere")
    assert find(tmp_path).trainings == {"folder": None}  # told, with what is wrong
    assert not is_inside(tmp_path, tmp_path / "folder" / RUN_FILE)
    assert not is_inside(tmp_path, tmp_path / "missing")


def test_depth_and_number_are_bounded(tmp_path, monkeypatch, caplog):
    make(tmp_path.joinpath(*"abcdef"))
    make(tmp_path.joinpath(*"ghijklm"))
    assert list(find(tmp_path).trainings) == ["a/b/c/d/e/f"]
    monkeypatch.setattr(discovery, "_MOST_TRAININGS", 3)
    for number in range(5):
        make(tmp_path / f"run_{number}")
    assert len(find(tmp_path).trainings) == 3
    assert "more than 3 trainings" in caplog.text
