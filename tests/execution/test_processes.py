from __future__ import annotations

import os
import platform
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from flashsim.execution.processes import Processes


def kill_once(flag):
    """Kill the process that calls it, if nobody has called it before."""
    try:
        flag.touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def sleep_with_a_part(folder):
    """As a writer does: have something unfinished, and take it away on the way out."""
    part = folder / "x.root.part"
    part.touch()
    try:
        time.sleep(60)
    finally:
        part.unlink()


def test_a_pool_survives_the_death_of_a_process(tmp_path):
    with Processes(1) as processes:
        with pytest.raises(Exception, match="terminated abruptly"):
            processes.submit(kill_once, tmp_path / "flag").result()
        assert processes.submit(kill_once, tmp_path / "flag").result() is None


def test_processes_end_at_once_and_clean_up(tmp_path):
    started = time.monotonic()

    def work():
        with Processes(1) as processes:
            processes.submit(sleep_with_a_part, tmp_path)
            while not list(tmp_path.iterdir()):
                time.sleep(0.05)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert list(tmp_path.iterdir()) == []
    assert time.monotonic() - started < 50


SCRIPT = """
import os

from flashsim.execution.processes import Processes

print("script")
with Processes(2) as processes:
    found = [processes.submit(os.getppid) for _ in range(4)]
    print(all(one.result() > 1 for one in found))
"""


def test_a_script_needs_no_guard(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(SCRIPT, encoding="utf-8")
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("script\nTrue\n", "")


def new_pages(size):
    """Pages that an array takes anew when one of its size has just been freed."""
    np.ones(size, dtype=np.uint8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(size, dtype=np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not GNU's")
def test_freed_memory_is_kept_for_the_next_array():
    size = 3_000_000  # larger ones have huge pages from numpy
    with Processes(1) as processes:
        assert processes.submit(new_pages, size).result() < size // resource.getpagesize() // 10
