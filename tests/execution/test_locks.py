from __future__ import annotations

import errno
import fcntl
import subprocess
import sys
import threading
import time

import pytest

from flashsim.errors import OutputFileError
from flashsim.execution.locks import (
    held,
    remove_unfinished,
    sole_maker,
    sole_user,
    sole_writer,
    wait_for_writer,
)

HOLDER = """
import sys, time
from pathlib import Path
from flashsim.execution.locks import sole_user, sole_writer
with globals()[sys.argv[1]](Path(sys.argv[2])):
    print("has it", flush=True)
    time.sleep(600)
"""

LOCKS = {"sole_user": sole_user, "sole_writer": sole_writer}


@pytest.fixture(params=LOCKS)
def held_elsewhere(request, tmp_path):
    """Function, path, and a process that has the lock."""
    path = tmp_path / "output"
    if request.param == "sole_user":
        path.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, request.param, path], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "has it\n"
    yield LOCKS[request.param], path, process
    process.kill()
    process.communicate()


def test_a_second_process_is_refused_until_the_first_is_gone(held_elsewhere):
    lock, path, process = held_elsewhere
    with (
        pytest.raises(OutputFileError, match=r"output: is being written by another process; wait"),
        lock(path),
    ):
        pass
    process.kill()
    process.wait()
    # The lock's file is still there, but its process is dead.
    files = path.iterdir() if path.is_dir() else path.parent.iterdir()
    assert any(file.name.endswith(".lock") for file in files)
    with lock(path):
        pass


@pytest.mark.parametrize("lock", LOCKS.values(), ids=LOCKS)
def test_nothing_is_left_of_a_lock(tmp_path, lock):
    path = tmp_path / "output"
    path.mkdir()
    for _ in range(2):
        with lock(path), pytest.raises(OutputFileError, match="another process"), lock(path):
            pass
        assert [file.name for file in tmp_path.rglob("*")] == ["output"]


def test_locks_of_other_names_are_apart(tmp_path):
    with held(tmp_path) as mine, sole_user(tmp_path, name=".other"):
        assert mine
        with held(tmp_path) as again:
            assert not again


def test_a_file_system_without_locks_stops_nobody(tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with sole_writer(tmp_path / "a"), held(tmp_path) as mine:
        assert mine


def test_of_many_that_want_it_one_has_it_at_a_time(tmp_path):
    """Removing the lock's file at the end lets no two processes in."""
    code = """
import sys, time
from pathlib import Path
from flashsim.errors import OutputFileError
from flashsim.execution.locks import sole_writer
path, end = Path(sys.argv[1]), time.time() + 1.5
while time.time() < end:
    try:
        with sole_writer(path):
            (path.parent / "inside").mkdir()
            (path.parent / "inside").rmdir()
    except OutputFileError:
        pass
"""
    processes = [subprocess.Popen([sys.executable, "-c", code, tmp_path / "a"]) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert list(tmp_path.iterdir()) == []


def test_what_killed_writers_left_is_removed_and_nothing_else(tmp_path):
    kept = [tmp_path / name for name in ("[a].root", ".[a].root.part", ".b.root.12.part")]
    for path in (*kept, tmp_path / ".[a].root.12ef.part"):
        path.touch()
    remove_unfinished(tmp_path / "[a].root")
    assert sorted(tmp_path.iterdir()) == sorted(kept)


def test_what_another_process_writes_is_left(held_elsewhere):
    lock, path, process = held_elsewhere
    if lock is not sole_writer:
        pytest.skip("outputs have the lock of a writer")
    part = path.with_name(f".{path.name}.12ef.part")
    part.touch()
    remove_unfinished(path)
    assert part.exists()
    process.kill()
    process.wait()
    remove_unfinished(path)
    assert not part.exists()


def test_a_writer_is_waited_for_as_long_as_there_is_patience(held_elsewhere):
    lock, path, process = held_elsewhere
    if lock is not sole_writer:
        pytest.skip("outputs have the lock of a writer")
    started = time.monotonic()
    wait_for_writer(path, 0.5)
    assert 0.4 < time.monotonic() - started < 30
    timer = threading.Timer(0.5, process.kill)
    timer.start()
    started = time.monotonic()
    wait_for_writer(path, 100)
    assert time.monotonic() - started < 60
    with sole_writer(path):
        pass
    wait_for_writer(path, 100)


def test_makers_of_one_file_wait_for_each_other(tmp_path):
    path, order = tmp_path / "output", []

    def make(name):
        with sole_maker(path, 60.0):
            order.append(name)
            time.sleep(0.3)
            order.append(name)

    threads = [threading.Thread(target=make, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert order in (["a", "a", "b", "b"], ["b", "b", "a", "a"])
    assert list(tmp_path.iterdir()) == []


def test_patience_with_a_maker_ends(tmp_path):
    path = tmp_path / "output"
    with (
        sole_maker(path, 0.0),
        pytest.raises(OutputFileError, match="output: is being written by another process; wait"),
        sole_maker(path, 0.3),
    ):
        pass
