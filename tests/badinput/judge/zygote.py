"""A process that has imported the package once and forks a child for each command.

Reads a request a line from stdin, as JSON, and answers each with a line on stdout. A child may be killed,
or take too long or too much memory: the others know nothing of it.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path

_GIGABYTE = 1 << 30
_HEAVY = {
    "core": ("flashsim.interface.generation", "flashsim.generation.generate", "flashsim.nanoaod.writing"),
    "gen": (
        "pyhepmc",
        "fastjet",
        "pythia8mc",
        "flashsim.gen",
        "flashsim.interface.gen",
        "flashsim.reference",
    ),
    "learning": (
        "torch",
        "lightning",
        "pandas",
        "pyarrow.parquet",
        "flashsim.interface.training",
        "flashsim.interface.refinement",
        "flashsim.interface.grid",
        "flashsim.training.train",
        "flashsim.refinement.train",
    ),
    "analysis": ("coffea.processor", "hist", "matplotlib.pyplot", "flashsim.interface.analysis"),
}
"""What is imported before the first fork; without any of it the commands import it themselves, each time."""


def main(parts: list[str]) -> None:
    """Import, then fork for each request until stdin ends."""
    import importlib

    for part in parts:
        for module in _HEAVY[part]:
            with contextlib.suppress(ImportError):
                importlib.import_module(module)
    import flashsim.cli.main  # noqa: F401

    gc.freeze()
    print(json.dumps({"ready": True}), flush=True)  # noqa: T201
    for line in sys.stdin:
        print(json.dumps(_answer(json.loads(line))), flush=True)  # noqa: T201


def _answer(request: dict) -> dict:
    if request.get("warm"):
        return _warm(request)
    child = os.fork()
    if child == 0:
        _run(request)
    return _wait(child, request)


def _warm(request: dict) -> dict:
    """Run a command in this process: what it loads and compiles, all children have from then on."""
    from flashsim.cli.main import main as command

    os.chdir(request["folder"])
    sys.argv = ["flashsim", *request["arguments"]]
    out, sys.stdout = sys.stdout, sys.stderr
    try:
        command()
    except SystemExit as ended:
        return {"status": ended.code or 0, "threads": threading.active_count()}
    finally:
        sys.stdout = out
    return {"status": 0, "threads": threading.active_count()}


def _wait(child: int, request: dict) -> dict:
    """Wait for a child, or stop it at its limit, or send a signal at the moment that was asked for."""
    started = time.monotonic()
    limit, stop = request["seconds"], request.get("kill")
    sent = timed_out = False
    while True:
        pid, status, usage = os.wait4(child, os.WNOHANG)
        passed = time.monotonic() - started
        if pid:
            break
        if stop and not sent and passed >= stop[1]:
            sent = True
            os.kill(child, stop[0])
        if passed > limit:
            timed_out = True
            os.killpg(child, signal.SIGKILL)
        time.sleep(0.002)
    return {
        "status": os.waitstatus_to_exitcode(status),
        "timed_out": timed_out,
        "sent": sent,
        "seconds": passed,
        "memory": usage.ru_maxrss << 10,
    }


def _run(request: dict) -> None:
    """Be the command; never returns."""
    status = 70
    try:
        os.setsid()
        os.chdir(request["folder"])
        os.environ.update(request["environment"])
        for number, name in ((1, request["out"]), (2, request["err"])):
            handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(handle, number)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
        sys.stdout = open(1, "w", closefd=False, encoding="utf-8")  # noqa: SIM115
        sys.stderr = open(2, "w", closefd=False, encoding="utf-8", buffering=1)  # noqa: SIM115
        if request["memory"]:
            most = _virtual() + request["memory"]
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
        if request["call"]:
            _call(request["call"], request["arguments"])
        else:
            sys.argv = ["flashsim", *request["arguments"]]
            from flashsim.cli.main import main

            main()
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001  # what Python would print, and its exit status
        sys.excepthook(*sys.exc_info())
        status = 1
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
        with contextlib.suppress(Exception):
            sys.stderr.flush()
        os._exit(status)


def _call(name: str, arguments: list[str]) -> None:
    """Call a function by its dotted name and print what it gives as JSON."""
    from importlib import import_module

    module, _, function = name.rpartition(".")
    print(json.dumps(getattr(import_module(module), function)(*arguments)))  # noqa: T201


def _virtual() -> int:
    """Bytes of address space that this process has."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    return pages * resource.getpagesize()


if __name__ == "__main__":
    main(sys.argv[1:])
