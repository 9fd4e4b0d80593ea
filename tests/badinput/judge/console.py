"""Commands run in children of a process that has imported the package already."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

_GIGABYTE = 1 << 30


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    arguments: tuple[str, ...]
    status: int
    """Exit status, or the negative number of the signal that killed it."""
    out: str
    err: str
    timed_out: bool
    seconds: float
    sent: bool
    """Whether it was still running when the signal that was asked for came."""

    @property
    def faults(self) -> list[str]:
        """What no command may ever do, whatever its input: crash, hang, show a traceback."""
        found = []
        if self.timed_out:
            found.append(f"ran for more than {self.seconds:.0f} s")
        elif self.status < 0:
            found.append(f"was killed by {signal.Signals(-self.status).name}")
        elif self.status not in {0, 2}:
            found.append(f"ended with status {self.status}")
        if "Traceback (most recent call last)" in self.err:
            found.append("shows a traceback")
        if self.status == 2 and not self.sentences:
            found.append("says nothing")
        if strange := [line for line in self.lines if not line.startswith("flashsim: ")]:
            found.append(f"a library speaks: {strange[0][:200]}")
        return found

    @property
    def lines(self) -> list[str]:
        """Lines of stderr that are not empty."""
        return [line for line in self.err.splitlines() if line.strip()]

    @property
    def sentences(self) -> list[str]:
        """Its errors."""
        return [line for line in self.lines if line.startswith("flashsim: error: ")]

    def says(self, *words: str) -> bool:
        """Whether its error has all these words, in any case; a word is a regular expression."""
        text = " ".join(self.sentences)
        return all(re.search(word, text, re.IGNORECASE) for word in words)


class Console:
    """Runs commands; a context manager.

    Parameters
    ----------
    parts
        What is imported before the first command: names of `zygote`'s parts of the package.
    """

    def __init__(self, *parts: str) -> None:
        path = os.pathsep.join(filter(None, (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH"))))
        own = {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "COLUMNS": "140", "MPLBACKEND": "agg"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "judge.zygote", *parts],
            env=os.environ | own,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._read()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def run(
        self,
        *arguments: object,
        folder: Path,
        seconds: float = 60.0,
        memory: int = 4 * _GIGABYTE,
        kill: tuple[int, float] | None = None,
        environment: dict[str, str] | None = None,
        call: str = "",
    ) -> Ended:
        """Run `flashsim` with some arguments.

        Parameters
        ----------
        arguments
            Behind ``flashsim``.
        folder
            The current folder.
        seconds
            When it is stopped, as one that hangs.
        memory
            Bytes that it may take beyond what the imports took; 0: any number.
        kill
            A signal, and after how many seconds it is sent.
        environment
            Variables that are set.
        call
            Dotted name of a function that is called in place of the command line; what it gives is printed.
        """
        out, err = (folder.parent / f".{folder.name}.{name}" for name in ("out", "err"))
        given = tuple(str(a) for a in arguments)
        request = {
            "arguments": given,
            "folder": str(folder),
            "out": str(out),
            "err": str(err),
            "seconds": seconds,
            "memory": memory,
            "kill": kill and [int(kill[0]), kill[1]],
            "environment": environment or {},
            "call": call,
        }
        self._process.stdin.write(f"{json.dumps(request)}\n")
        self._process.stdin.flush()
        answer = self._read()
        texts = [path.read_text(encoding="utf-8", errors="replace") for path in (out, err)]
        out.unlink(), err.unlink()
        answer.pop("memory")
        return Ended(given, out=texts[0], err=texts[1], **answer)

    def called(self, function: str, *arguments: object, folder: Path) -> Any:
        """Call a function in a child, which may come to harm; gives what it gives, None where it fails."""
        ended = self.run(*arguments, folder=folder, call=function)
        return json.loads(ended.out) if ended.status == 0 else None

    def warm(self, *arguments: object, folder: Path) -> None:
        """Run a command in the process that the others are forked from, so that they need not load it."""
        request = {"warm": True, "arguments": [str(a) for a in arguments], "folder": str(folder)}
        self._process.stdin.write(f"{json.dumps(request)}\n")
        self._process.stdin.flush()
        answer = self._read()
        assert answer == {"status": 0, "threads": 1}, answer

    def _read(self) -> dict[str, Any]:
        line = self._process.stdout.readline()
        if not line:
            msg = "the process that forks commands has died"
            raise RuntimeError(msg)
        return json.loads(line)
