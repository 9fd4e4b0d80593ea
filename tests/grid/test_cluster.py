"""A grid on a Dask cluster of separate processes, of which one is killed."""

from __future__ import annotations

import pytest

from flashsim.runs.history import read_run

POINTS = 3
KILLED = 1


@pytest.mark.slow
def test_a_point_goes_on_where_another_worker_is(start_cluster, long, train_grid, killing, events):
    with start_cluster(2) as address:
        run = long(dask=address)
        with killing(run, KILLED, epoch=3):
            outcomes = train_grid(run)
        assert [outcome.reason for outcome in outcomes.values()] == [""] * POINTS
        again = train_grid(run, resume=True)
    assert not any(outcome.trained for outcome in again.values())
    begun = events(run, KILLED, "start")
    assert [event["resumed"] for event in begun] == [False, True]
    assert begun[0]["pid"] != begun[1]["pid"]
    whole = list(range(1, run.grid.base["schedule"]["epochs"] + 1))
    for number in range(POINTS):
        assert run.folder.point(number).is_finished
        assert list(read_run(run.folder.point(number).path).curves["refiner"].epochs) == whole
