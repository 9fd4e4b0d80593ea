from __future__ import annotations

import threading

import pytest

from flashsim.execution.threads import number_of_threads, run_shares, set_threads, threads_of_process


@pytest.fixture(autouse=True)
def _as_before():
    before = number_of_threads()
    yield
    set_threads(before)


def test_the_number_that_was_set_goes_first(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    set_threads(None)
    assert number_of_threads() == 5
    set_threads(3)
    assert number_of_threads() == 3


@pytest.mark.parametrize("text", ["", "0", "2,1", "many"])
def test_the_machine_decides_otherwise(monkeypatch, text):
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2, 3, 4, 5, 6}, raising=False)
    set_threads(None)
    assert number_of_threads() == 7


@pytest.mark.parametrize(
    ("threads", "workers", "dask", "expected"),
    [(None, 1, None, None), (3, 2, None, 3), (None, 64, None, 1), (None, 1, "tcp://x:1", 1)],
)
def test_threads_are_shared_out(threads, workers, dask, expected):
    set_threads(2)
    assert threads_of_process(threads, workers, dask) == expected


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("pieces", [0, 1, 7])
def test_every_piece_is_done_once(threads, pieces):
    set_threads(threads)
    done = []
    for _ in range(2):
        run_shares(lambda share, shares: done.extend(range(share, pieces, shares)), pieces)
    assert sorted(done) == sorted([*range(pieces), *range(pieces)])


def test_shares_run_side_by_side():
    set_threads(2)
    both = threading.Barrier(2, timeout=30.0)
    run_shares(lambda share, shares: both.wait(), 2)


def test_what_fails_in_a_thread_is_raised():
    set_threads(2)
    with pytest.raises(ZeroDivisionError):
        run_shares(lambda share, shares: 1 // share, 2)
