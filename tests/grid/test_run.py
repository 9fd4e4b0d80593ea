"""Points trained here and in processes, of which one is killed."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from safetensors.numpy import load_file

from flashsim.errors import FlashSimError, OutputFileError, TableError
from flashsim.execution.locks import held
from flashsim.grid.point import Job, train_point
from flashsim.grid.recipe import load_grid
from flashsim.grid.run import GridRun
from flashsim.grid.summary import losses_of, summarise
from flashsim.interface.trainers import TRAINERS
from flashsim.runs.history import read_run
from flashsim.runs.log import LOST_AFTER


def weights(run, number):
    return load_file(run.folder.point(number).model)


def same(one, other, number):
    a, b = weights(one, number), weights(other, number)
    return a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)


def errors(outcomes):
    return {number: outcome.reason for number, outcome in outcomes.items() if outcome.error}


@pytest.fixture
def trained(grid_run, write_grid, train_grid):
    """A grid of two refiners, trained here."""
    run = grid_run(write_grid({"network.width": [4, 8]}))
    assert errors(train_grid(run)) == {}
    return run


def test_a_folder_tells_what_its_points_are(trained, events):
    content = json.loads((trained.folder.path / "grid.json").read_text())
    assert content["varied"] == ["network.width"]
    assert content["points"] == [
        {"point": 0, "values": {"network.width": 4}},
        {"point": 1, "values": {"network.width": 8}},
    ]
    assert trained.folder.points() == trained.grid.points()
    for number, width in enumerate((4, 8)):
        folder = trained.folder.point(number)
        assert folder.path.name == f"point_000{number}"
        assert (folder.is_finished, folder.state()) == (True, "finished")
        assert [event["parameters"] for event in events(trained, number, "queued")] == [
            {"network.width": width}
        ]
        assert events(trained, number, "start")[0]["parameters"]["network.width"] == width


def test_finished_points_are_left_alone(trained, train_grid):
    before = {p: p.stat().st_mtime_ns for k in (0, 1) for p in trained.folder.point(k).path.iterdir()}
    again = train_grid(trained, resume=True)
    assert [outcome.trained for outcome in again.values()] == [False, False]
    assert all(p.stat().st_mtime_ns == then for p, then in before.items() if p.name != ".lock")


def test_points_are_not_begun_twice_unasked(trained, train_grid):
    with pytest.raises(OutputFileError, match=r"point_0000: was begun before; add --resume"):
        train_grid(trained)
    with pytest.raises(OutputFileError, match="point_0001"):
        train_grid(trained, wanted=[1])


@pytest.mark.parametrize("keys", [{"vary": {"seed": [1, 2]}}, {"fixed": {"seed": 3}}])
def test_a_folder_holds_one_grid(trained, grid_run, write_grid, train_grid, keys):
    before = (trained.folder.path / "grid.json").read_bytes()
    other = grid_run(write_grid(**({"vary": {"network.width": [4, 8]}} | keys), name="other"))
    with pytest.raises(OutputFileError, match="out: holds a grid of another recipe; name another --output"):
        train_grid(other, resume=True)
    assert (trained.folder.path / "grid.json").read_bytes() == before


def test_a_grid_of_other_data_is_another(trained, train_grid, tmp_path):
    data = tmp_path / "pairs"
    data.mkdir()
    content = json.loads((trained.data / "pairs.json").read_text())
    (data / "pairs.json").write_text(json.dumps(content | {"events": 7}), encoding="utf-8")
    other = GridRun(trained.grid, trained.folder, data, trained.trainer, trained.resources)
    with pytest.raises(OutputFileError, match="holds a grid of another data"):
        train_grid(other, resume=True)


def test_data_must_be_there(grid_run, write_grid, train_grid, tmp_path):
    run = grid_run(write_grid({"seed": [1]}))
    with pytest.raises(TableError):
        train_grid(GridRun(run.grid, run.folder, tmp_path / "none", run.trainer, run.resources))
    assert not run.folder.path.exists()


def test_one_point_at_a_time_gives_the_same_grid(trained, grid_run, train_grid, write_grid):
    run = grid_run(write_grid({"network.width": [4, 8]}), folder="by_point")
    assert list(train_grid(run, wanted=[1])) == [1]
    assert not run.folder.point(0).is_begun
    train_grid(run, wanted=[0], resume=True)
    assert all(same(run, trained, number) for number in (0, 1))


def test_a_point_that_fails_is_told_and_the_others_go_on(grid_run, write_grid, train_grid):
    run = grid_run(write_grid({"min_rows": [100_000, 4]}))
    outcomes = train_grid(run)
    assert list(errors(outcomes)) == [0]
    assert "expected at least 100000: pair more events" in outcomes[0].reason
    assert not outcomes[0].is_lost
    assert [run.folder.point(number).state() for number in (0, 1)] == ["failed", "finished"]
    assert run.folder.point(1).is_finished


def test_a_point_has_one_trainer_at_a_time(grid_run, write_grid, train_grid):
    run = grid_run(write_grid({"seed": [1]}))
    with held(run.folder.point(0).path) as mine:
        assert mine
        outcomes = train_grid(run)
    assert "point_0000: is being trained by another process" in outcomes[0].reason
    assert not run.folder.point(0).is_begun


def test_a_worker_of_another_version_is_refused(tmp_path):
    with pytest.raises(FlashSimError, match=r"a worker has flashsim .*, the command line 0\.0\.0"):
        train_point(Job(str(tmp_path), TRAINERS["object"], {}, str(tmp_path), flashsim="0.0.0"))


def test_models_of_objects_are_trained(grid_run, write_grid, train_grid):
    run = grid_run(write_grid({"flow.width": [4, 8]}, kind="object"), workers=2)
    assert errors(train_grid(run)) == {}
    summary = summarise(run.grid, run.folder, run.grid.points())
    losses = [row.losses["flow.validation"] for row in summary.rows]
    assert summary.best.point == losses.index(min(losses))
    assert set(summary.rows[0].losses) >= {
        "efficiency.validation",
        "flow.best_epoch",
        "unmatched_event_flow.train",
    }


@pytest.mark.parametrize("retries", [0, 1])
def test_a_killed_worker_loses_nothing_and_doubles_nothing(long, killing, train_grid, events, retries):
    alone, run = long(folder="alone"), long(workers=2, retries=retries)
    whole = list(range(1, run.grid.base["schedule"]["epochs"] + 1))
    train_grid(alone, wanted=[1])
    with killing(run, 1, epoch=3):
        outcomes = train_grid(run)
    if retries == 0:
        assert errors(outcomes) == {1: "point 1: its process was lost (killed, or out of memory)"}
        assert outcomes[1].is_lost
        lost = read_run(run.folder.point(1).path)
        assert lost.state(time.time() + LOST_AFTER + 1.0) == "lost"
        assert len(lost.curves["refiner"].epochs) < len(whole)
        assert summarise(run.grid, run.folder, run.grid.points(), lost={1}).rows[1].state == "lost"
        outcomes = train_grid(run, resume=True)
        assert [number for number, outcome in outcomes.items() if outcome.trained] == [1]
    assert errors(outcomes) == {}
    assert [event["resumed"] for event in events(run, 1, "start")] == [False, True]
    assert list(read_run(run.folder.point(1).path).curves["refiner"].epochs) == whole
    assert len(events(run, 1, "epoch")) <= len(whole) + 2, "it went on from its checkpoint"
    assert [len(events(run, k, "start")) for k in (0, 2)] == [1, 1]
    assert same(run, alone, 1)
    assert losses_of(read_run(run.folder.point(1).path)) == losses_of(read_run(alone.folder.point(1).path))


def test_resources_change_no_model(trained, grid_run, write_grid, train_grid):
    run = grid_run(write_grid({"network.width": [4, 8]}), folder="two", workers=2)
    assert errors(train_grid(run)) == {}
    assert all(same(run, trained, number) for number in (0, 1))


def test_the_best_has_the_smallest_validation_loss_by_default(write_grid):
    path = write_grid({"seed": [1]})
    assert load_grid(str(path)).objective == "validation"
    assert load_grid(str(write_grid({"seed": [1]}, kind="object"))).objective == "flow.validation"
