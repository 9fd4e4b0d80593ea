from __future__ import annotations

import json
import sys

import pytest

from flashsim.errors import FlashSimError, OutputFileError, RecipeError
from flashsim.execution.locks import held
from flashsim.grid.run import Outcome
from flashsim.grid.search import search
from flashsim.grid.summary import summarise

SPACE = {
    "network.width": {"low": 4, "high": 8},
    "schedule.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
    "stages": [[{"primary": "mmd"}], [{"primary": "mse"}]],
}


class InterruptedSearchError(Exception):
    """Stands for whatever stops a search."""


def values(run):
    return [json.dumps(point, sort_keys=True) for point in run.folder.points()]


@pytest.fixture
def searched(grid_run, write_grid):
    """A search of four refiners."""
    run = grid_run(write_grid(SPACE))
    outcomes = list(search(run, 4, resume=False))
    assert [(o.number, o.error) for o in outcomes] == [(k, None) for k in range(4)]
    return run


def test_points_are_in_the_space_and_trained(searched):
    points = searched.folder.points()
    assert len({json.dumps(point) for point in points}) == 4
    for point in points:
        assert point["network.width"] in range(4, 9)
        assert 1e-4 <= point["schedule.learning_rate"] <= 1e-2
        assert point["stages"] in SPACE["stages"]
    rows = summarise(searched.grid, searched.folder, points).rows
    assert [row.state for row in rows] == ["finished"] * 4


def test_a_search_goes_on_as_if_never_stopped(searched, grid_run, write_grid):
    run = grid_run(write_grid(SPACE), folder="stopped")
    outcomes = search(run, 4, resume=False)
    assert next(outcomes).number == 0
    outcomes.close()
    with pytest.raises(OutputFileError, match="was searched before; add --resume"):
        list(search(run, 4, resume=False))
    assert [o.number for o in search(run, 4, resume=True)] == [1, 2, 3] or values(run) == values(searched)
    assert values(run) == values(searched)
    assert list(search(run, 4, resume=True)) == []


def test_what_was_lost_comes_first(grid_run, write_grid, monkeypatch):
    run = grid_run(write_grid(SPACE))

    def lose(job):
        raise InterruptedSearchError

    monkeypatch.setattr("flashsim.grid.run.train_point", lose)
    monkeypatch.setattr(Outcome, "is_lost", property(lambda self: self.error is not None))
    assert next(search(run, 2, resume=False)).is_lost
    monkeypatch.undo()
    lost = values(run)
    outcomes = list(search(run, 2, resume=True))
    assert [o.number for o in outcomes] == [0, 1]
    assert values(run)[:1] == lost


def test_the_objective_must_be_a_column(grid_run, write_grid):
    run = grid_run(write_grid(SPACE, objective="flow.validation"))
    with pytest.raises(
        RecipeError, match=r"objective: expected one of best_epoch, .* found 'flow\.validation'"
    ):
        list(search(run, 2, resume=False))


def test_a_grid_and_a_search_have_folders_of_their_own(searched, write_grid, train_grid, grid_run):
    with pytest.raises(OutputFileError, match="holds a grid of another kind"):
        train_grid(grid_run(write_grid({"seed": [1, 2]})), resume=True)


def test_one_command_searches_at_a_time(searched):
    with held(searched.folder.path), pytest.raises(OutputFileError, match="another command searches in it"):
        list(search(searched, 5, resume=True))


def test_optuna_is_optional(grid_run, write_grid, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    run = grid_run(write_grid(SPACE))
    with pytest.raises(FlashSimError, match=r"--trials needs the package optuna, .*flashsim\[search\]"):
        list(search(run, 2, resume=False))
    assert not run.folder.path.exists()
