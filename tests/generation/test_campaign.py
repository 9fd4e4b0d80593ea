"""Many files, several processes, and what happens when some of it fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from flashsim.errors import FlashSimError, InputFileError
from flashsim.execution.threads import number_of_threads, set_threads
from flashsim.generation import campaign
from flashsim.generation.campaign import Order, run_campaign
from flashsim.generation.report import table
from flashsim.generation.settings import Settings

FILES = 4


@pytest.fixture(scope="module")
def settings(made_models):
    return Settings(models=(str(made_models),), threads=1)


@pytest.fixture
def _threads_restored():
    threads = number_of_threads()
    yield
    set_threads(threads)


@pytest.fixture
def jobs(made_nanoaod, tmp_path):
    made = []
    for number in range(FILES):
        source = tmp_path / f"in{number}.root"
        source.symlink_to(made_nanoaod)
        made.append((str(source), tmp_path / "out" / f"out{number}.root"))
    (tmp_path / "out").mkdir()
    return made


def run(jobs, settings, *, order=None, **options):
    reports = []
    outcomes = run_campaign(jobs, settings, order=order or Order(), report=reports.append, **options)
    assert sorted(map(repr, reports)) == sorted(map(repr, outcomes))
    return outcomes


def assert_all_there(jobs, content, generated_alone):
    folder = jobs[0][1].parent
    assert sorted(folder.iterdir()) == sorted(output for _, output in jobs)
    for _, output in jobs:
        assert content(output) == generated_alone


@pytest.mark.parametrize("workers", [2, 3])
def test_workers_change_nothing(jobs, settings, content, generated_alone, workers):
    """Neither where files are shared out, nor where the events of one are."""
    for some in (jobs[:1], jobs[:workers]):
        outcomes = run(some, settings, workers=workers, order=Order(force=True))
        assert [o.attempts for o in outcomes] == [1] * len(some)
        assert [o.error for o in outcomes] == [None] * len(some)
        assert_all_there(some, content, generated_alone)


@pytest.mark.parametrize("chunk", [7, 100])
def test_neither_do_pieces(jobs, made_models, content, generated_alone, chunk):
    seen = []
    settings = Settings(models=(str(made_models),), threads=1, chunk=chunk)
    run(jobs[:1], settings, workers=2, progress=lambda *told: seen.append(told))
    assert_all_there(jobs[:1], content, generated_alone)
    assert seen[0] == (jobs[0][0], 0, 240)
    assert seen[-1] == (jobs[0][0], 240, 240)
    assert len(seen) > 3


@pytest.mark.parametrize("overlap", [None, 2])
@pytest.mark.usefixtures("_threads_restored")
def test_neither_do_threads(jobs, made_models, content, generated_alone, overlap):
    run(jobs[:1], Settings(models=(str(made_models),), threads=overlap, chunk=50))
    assert_all_there(jobs[:1], content, generated_alone)


def test_finished_files_are_left_alone(jobs, settings, content, generated_alone):
    run(jobs[:2], settings)
    times = [output.stat().st_mtime_ns for _, output in jobs[:2]]
    outcomes = run(jobs, settings, order=Order(resume=True))
    assert [o.summary.reused for o in outcomes] == [True, True, False, False]
    assert [output.stat().st_mtime_ns for _, output in jobs[:2]] == times
    assert outcomes[0].summary.objects == outcomes[2].summary.objects
    assert_all_there(jobs, content, generated_alone)


@pytest.mark.parametrize("change", [{"seed": 2}, {"oversample": 2}, {"version": "v12"}, {"keep": ("HLT*",)}])
def test_files_that_were_made_otherwise_are_not_finished(jobs, settings, change):
    run(jobs[:1], settings)
    other = Settings(**vars(settings) | change)
    (outcome,) = run(jobs[:1], other, order=Order(resume=True))
    assert "is finished, but of another" in str(outcome.error)
    assert outcome.attempts == 1
    (outcome,) = run(jobs[:1], other, order=Order(resume=True, force=True))
    assert outcome.error is None
    assert not outcome.summary.reused


def test_neither_are_files_of_something_else(jobs, settings):
    jobs[0][1].write_bytes(b"something else")
    (outcome,) = run(jobs[:1], settings, order=Order(resume=True))
    assert "is no finished output" in str(outcome.error)
    assert jobs[0][1].read_bytes() == b"something else"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_file_that_fails_is_tried_again_and_told(jobs, settings, content, generated_alone, workers):
    Path(jobs[1][0]).unlink()
    Path(jobs[1][0]).write_bytes(b"no ROOT file")
    outcomes = run(jobs, settings, workers=workers, retries=2)
    assert [o.attempts for o in outcomes] == [1, 3, 1, 1]
    assert isinstance(outcomes[1].error, InputFileError)
    assert outcomes[1].reason.startswith(f"{jobs[1][0]}: is not a ROOT file")
    assert_all_there([jobs[0], *jobs[2:]], content, generated_alone)
    lines = table(outcomes).splitlines()
    assert [line.split()[1] for line in lines[1:5]] == ["done", "failed", "done", "done"]
    assert lines[-1].split() == ["total", "3", "done,", "1", "failed", "6", "720"]


def test_errors_that_nobody_expects_have_their_type_in_the_reason(jobs, settings, monkeypatch):
    def fail(*_, **__):
        msg = "division by zero"
        raise ZeroDivisionError(msg)

    monkeypatch.setattr(campaign, "_generate_here", fail)
    (outcome,) = run(jobs[:1], settings)
    assert outcome.reason == f"{jobs[0][0]}: ZeroDivisionError: division by zero"
    assert outcome.attempts == 2


def test_a_wrong_version_is_refused(settings):
    with pytest.raises(FlashSimError, match=r"a worker has flashsim .*, the command line 0\.0\.0"):
        Settings(**vars(settings) | {"flashsim": "0.0.0"}).generator()
