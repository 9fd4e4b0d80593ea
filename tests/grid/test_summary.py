from __future__ import annotations

import json
import math

import pandas as pd
import pytest

from flashsim.grid.folder import GridFolder
from flashsim.grid.summary import Row, Summary, losses_of
from flashsim.runs.history import Run

LOSSES = {"best_epoch": 2, "epochs": 3, "train": 0.5, "validation": 0.25, "validation_mmd": 0.25}


@pytest.fixture
def summary():
    rows = [
        Row(0, {"seed": 1, "stages": [{"primary": "mse"}]}, "finished", LOSSES),
        Row(1, {"seed": 2, "stages": [{"primary": "mmd"}]}, "finished", LOSSES | {"validation": 0.125}),
        Row(2, {"seed": 3, "stages": [{"primary": "mmd"}]}, "running", LOSSES | {"validation": 0.01}),
        Row(3, {"seed": 4, "stages": [{"primary": "mmd"}]}, "finished", LOSSES | {"validation": math.nan}),
        Row(4, {"seed": 5, "stages": [{"primary": "mmd"}]}, "failed", {}),
    ]
    return Summary("validation", rows)


def test_the_best_of_the_finished_is_marked(summary):
    assert summary.best.point == 1
    head, *lines = summary.text().splitlines()
    assert head.split() == ["point", "state", "seed", "stages", "best_epoch", "epochs", "train", "validation"]
    assert [line.split()[0] for line in lines] == ["0", "1*", "2", "3", "4"]
    assert lines[1].split()[-4:] == ["2", "3", "0.5", "0.125"]
    assert lines[4].split()[:3] == ["4", "failed", "5"]


def test_files_hold_all_losses(summary, tmp_path):
    summary.write(GridFolder(tmp_path))
    table = pd.read_csv(tmp_path / "summary.csv")
    assert table["best"].tolist() == [False, True, False, False, False]
    assert table["validation_mmd"].tolist()[:2] == [0.25, 0.25]
    content = json.loads((tmp_path / "summary.json").read_text())
    assert (content["best"], content["objective"]) == (1, "validation")
    assert content["points"][3]["losses"]["validation"] is None
    assert sorted(p.name for p in tmp_path.iterdir()) == ["summary.csv", "summary.json"]


def test_nothing_is_the_best_of_nothing():
    assert Summary("validation", [Row(0, {}, "queued", {})]).best is None


def test_losses_are_those_of_the_best_epoch(tmp_path):
    run = Run(tmp_path)
    start = {"time": 1.0, "name": "a", "parameters": {}, "resumed": False, "host": "h", "pid": 1}
    run.add({"event": "start", "epochs": {"flow": 3, "unmatched_event_flow": 3}, **start})
    for number, (train, validation) in enumerate([(3.0, 3.0), (2.0, 1.0), (1.0, 2.0)], start=1):
        losses = {"train": train, "validation": validation}
        run.add(
            {"event": "epoch", "time": 2.0, "network": "flow", "epoch": number, "of": 3, "losses": losses}
        )
    expected = {"flow.best_epoch": 2, "flow.epochs": 3, "flow.train": 2.0, "flow.validation": 1.0}
    assert losses_of(run) == expected
    run.add({"event": "finish", "time": 3.0, "values": {"auc": 0.5}})
    assert losses_of(run) == expected | {"auc": 0.5}
