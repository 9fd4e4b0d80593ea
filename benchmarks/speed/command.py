"""One run of `flashsim generate` as a command: its seconds and its memory."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Run", "package_of", "run_generate"]

_POLL = 0.05


@dataclass(frozen=True)
class Run:
    """One run of the command.

    Parameters
    ----------
    seconds, cpu
        Of the clock, and of processors in the process itself, with the start of Python and the imports.
    memory_mb
        Largest resident memory; of several processes the sum.
    """

    seconds: float
    cpu: float
    memory_mb: float


def run_generate(source: Path, output: Path, *options: str, checkout: Path | None = None) -> Run:
    """Simulate a file.

    Parameters
    ----------
    source, output
        Gen-level events, and what is written of them.
    options
        More options of the command.
    checkout
        Folder of the code and models that run; by default those of this process.

    Raises
    ------
    RuntimeError
        If the command fails.
    """
    files = ("--input", str(source.resolve()), "-o", str(output.resolve()))
    code = "from flashsim.cli.main import main; main()"
    return _run([sys.executable, "-c", code, "generate", "--force", *files, *options], checkout)


def package_of(checkout: Path) -> str:
    """Give the file of the package that `run_generate` runs, or nothing if there is none."""
    command = (sys.executable, "-c", "import flashsim; print(flashsim.__file__)")
    said = subprocess.run(command, **_place(checkout), capture_output=True, text=True, check=False)
    found: str = said.stdout.strip()
    return found


def _place(checkout: Path | None) -> dict[str, Any]:
    """Where a process runs: Python looks for packages in the folder that it runs in, and in its path."""
    if checkout is None:
        return {}
    root = str(checkout.resolve())
    return {"cwd": root, "env": {**os.environ, "PYTHONPATH": root}}


def _run(command: Sequence[str], checkout: Path | None) -> Run:
    started = time.perf_counter()
    # A session of its own tells the processes that it starts from all others.
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        **_place(checkout),
    ) as process:
        peaks: dict[int, float] = {}
        while True:
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
            if ended:
                break
            peaks |= _peaks(process.pid)
            time.sleep(_POLL)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said = process.stderr.read().decode() if process.stderr else ""
            msg = f"{' '.join(command)} ended with status {process.returncode}: {said}"
            raise RuntimeError(msg)
    return Run(seconds, usage.ru_utime + usage.ru_stime, sum(peaks.values()))


def _peaks(session: int) -> dict[int, float]:
    """Largest resident memory so far of each process of a session, MB; shared pages count in each.

    What the system tells of a process that has ended includes the memory of the one that it was forked from.
    """
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            stat = (process / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            if int(stat[3]) == session:
                status = (process / "status").read_text(encoding="utf-8")
                found[int(process.name)] = int(status.partition("VmHWM:")[2].split()[0]) / 1e3
    return found
