"""Trainings as their logs tell of them: state, progress, losses. See `flashsim.runs.log` for the format."""

from __future__ import annotations

import math
import os
from array import array
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from flashsim.errors import InputFileError
from flashsim.runs.log import LOST_AFTER, RUN_FILE, Parameter
from flashsim.text import read_json

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["STATES", "Curves", "Run", "RunReader", "State", "read_run"]

State = Literal["queued", "running", "finished", "failed", "lost"]
STATES: tuple[State, ...] = get_args(State)

_PACE_EPOCHS = 20
"""Recent epochs that tell how long one takes."""
_MOST_ROWS = 20_000
_LONGEST_LINE = 1 << 20
_LARGEST_NUMBER = 1 << 53
"""Whole numbers up to here are exact wherever they are shown."""
_LAST_TIME = 1e11
"""In seconds since 1970: far beyond any clock, and short of what dates can be made of."""
_LONGEST_REASON = 150
_NOT_AN_EVENT = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class Curves:
    """Losses of one network by epoch, a column each.

    Of more than 20 000 epochs every other one is dropped, but never one where a loss is at its minimum.

    Attributes
    ----------
    epochs
        Numbers of the epochs, rising, from 1.
    times
        When they were over, in seconds since 1970.
    losses
        By name; NaN where an epoch lacks it.
    """

    def __init__(self) -> None:
        self.epochs, self.times = array("q"), array("d")
        self.losses: dict[str, array[float]] = {}

    def add(self, epoch: int, when: float, losses: dict[str, float]) -> None:
        """Take an epoch; an earlier one of its number, and all after that, are of a training done again."""
        while self.epochs and self.epochs[-1] >= epoch:
            self.epochs.pop()
            for column in (self.times, *self.losses.values()):
                column.pop()
        for name in losses.keys() - self.losses.keys():
            self.losses[name] = array("d", [math.nan]) * len(self.epochs)
        self.epochs.append(epoch)
        self.times.append(when)
        for name, column in self.losses.items():
            column.append(losses.get(name, math.nan))
        if len(self.epochs) > _MOST_ROWS:
            self._thin()

    def best(self, name: str) -> tuple[float, int] | None:
        """Smallest value of a loss and its epoch; None where it has no value."""
        values = np.asarray(self.losses[name])
        if not np.isfinite(values).any():
            return None
        row = int(np.nanargmin(values))
        return float(values[row]), self.epochs[row]

    def _thin(self) -> None:
        rows = len(self.epochs)
        keep = np.arange(rows) % 2 == rows % 2
        keep[-_PACE_EPOCHS:] = True
        for column in self.losses.values():
            values = np.asarray(column)
            if np.isfinite(values).any():
                keep[int(np.nanargmin(values))] = True
        self.epochs = array("q", np.asarray(self.epochs)[keep].tolist())
        self.times = array("d", np.asarray(self.times)[keep].tolist())
        for name, column in self.losses.items():
            self.losses[name] = array("d", np.asarray(column)[keep].tolist())


class Run:
    """One training, as far as its log has come.

    Attributes
    ----------
    folder
        Of the training.
    name, parameters, epochs, host, pid
        As noted at its (last) start.
    curves
        Losses by network.
    final
        What it ended with, when it finished.
    error
        Why it failed, if it did.
    started, seen
        Time of the first start and of the last sign of life, in seconds since 1970.
    damaged
        Lines that could not be read.
    fault
        What is wrong with the first of them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.name
        self.damaged, self.fault = 0, ""
        self._reset()

    def _reset(self) -> None:
        self.parameters: dict[str, Parameter] = {}
        self.epochs: dict[str, int] = {}
        self.host, self.pid = "", 0
        self.curves: dict[str, Curves] = {}
        self.final: dict[str, float] = {}
        self.error = ""
        self.started: float | None = None
        self._resumed = self.seen = self._alive = self._before = 0.0
        self._phase: State = "queued"
        self._network = ""

    def add(self, event: dict[str, Any]) -> None:
        """Take the next event of the log; one that is none changes nothing.

        Raises
        ------
        ArithmeticError, AttributeError, LookupError, TypeError, ValueError
            If it is no event.
        """
        kind, when = event["event"], _time(event["time"])
        match kind:
            case "queued" | "start":
                self._begin(event, when)
            case "epoch":
                name, number = str(event["network"]), _whole(event["epoch"], least=1)
                of, losses = _whole(event["of"]), _losses(event["losses"])
                self.epochs[name] = of
                self.curves.setdefault(name, Curves()).add(number, when, losses)
                self._network = name
            case "finish":
                self.final = _losses(event["values"])
                self._phase = "finished"
            case "fail":
                self.error = str(event["error"])
                self._phase = "failed"
        self.seen = max(self.seen, when)
        if kind != "queued":
            self._alive = self.seen

    def _begin(self, event: dict[str, Any], when: float) -> None:
        name, parameters = str(event["name"]), _parameters(event["parameters"])
        if event["event"] == "queued":
            # Only a training that begins again loses what it has; its start will say so.
            self._phase = "queued"
        else:
            epochs = {str(k): _whole(v) for k, v in event["epochs"].items()}
            resumed, host, pid = event["resumed"], str(event["host"]), _whole(event["pid"])
            if not resumed:
                self._reset()
            self.epochs |= epochs
            self._phase, self.error, self.final = "running", "", {}
            self.host, self.pid = host, pid
            self._before = self.worked
            self.started, self._resumed = when if self.started is None else self.started, when
        self.name, self.parameters = name, parameters

    @property
    def problem(self) -> str:
        """What of its log could not be read, in a sentence; empty where all could."""
        lines = "1 line" if self.damaged == 1 else f"{self.damaged} lines"
        return f"{lines} of {RUN_FILE} cannot be read ({self.fault})" if self.damaged else ""

    @property
    def worked(self) -> float:
        """Seconds that it trained, from each start to the last sign of life after it."""
        return self._before + max(0.0, self._alive - self._resumed)

    def state(self, now: float) -> State:
        """Tell what became of it by `now`, in seconds since 1970."""
        if self._phase == "running" and now - self.seen > LOST_AFTER:
            return "lost"
        if self.damaged and not self.seen:  # a log without an event that can be read
            return "lost"
        return self._phase

    def done(self) -> tuple[int, int]:
        """Epochs that are done and that were planned, of all networks; one that stopped early is done."""
        done = 0
        planned = sum(self.epochs.values())
        if self._phase == "finished":
            return planned, planned
        for name, most in self.epochs.items():
            if name == self._network:
                return done + self.curves[name].epochs[-1], planned
            done += most if self._network else 0
        return done, planned

    def time_left(self, now: float) -> float | None:
        """Seconds to its end, at the pace of the last epochs; None where that is not known.

        All epochs that were planned are counted, those of networks that have not begun like those of the one
        that trains: an early stop makes it shorter.
        """
        if self.state(now) != "running" or not self._network:
            return None
        times = np.asarray(self.curves[self._network].times[-_PACE_EPOCHS - 1 :])
        # The median, so that the time between an interruption and a resumption counts little.
        pace = float(np.median(np.diff(times))) if len(times) > 1 else float(times[-1]) - self._resumed
        done, planned = self.done()
        return max(0.0, (planned - done) * pace - (now - float(times[-1])))


class RunReader:
    """Follows the log of one training: every look reads only what was added since the last one.

    Parameters
    ----------
    folder
        Of the training.
    """

    def __init__(self, folder: Path) -> None:
        self.run = Run(folder)
        self._path = folder / RUN_FILE
        self._offset = 0
        self._within = False  # a line that is too long
        self._line = 0
        self._file: int | None = None

    def update(self) -> bool:
        """Read on; tells whether there was anything new.

        Raises
        ------
        OSError
            If the log cannot be read.
        """
        with self._path.open("rb") as file:
            before = self._start(os.fstat(file.fileno()))
            file.seek(self._offset)
            while line := file.readline(_LONGEST_LINE):
                whole = line.endswith(b"\n")
                if not whole and len(line) < _LONGEST_LINE:
                    break  # torn, or not there in full yet: a later look begins here again
                self._offset += len(line)
                self._line += not self._within
                if whole and not self._within:
                    self._take(line)
                elif not whole and not self._within:
                    self._note(f"it has more than {_LONGEST_LINE} bytes")
                self._within = not whole
        return self._offset > before

    def _start(self, status: os.stat_result) -> int:
        """Begin again where the log is another file than before; gives the offset to read from."""
        if self._file not in {None, status.st_ino} or status.st_size < self._offset:
            self.run = Run(self.run.folder)
            self._offset, self._line, self._within = 0, 0, False
        self._file = status.st_ino
        return self._offset

    def _take(self, line: bytes) -> None:
        if not line.strip():
            return
        try:
            self.run.add(read_json(line))
        except _NOT_AN_EVENT as error:
            reason = " ".join(str(error).split())[:_LONGEST_REASON]
            self._note(f"no {reason}" if isinstance(error, KeyError) else reason)

    def _note(self, reason: str) -> None:
        self.run.damaged += 1
        self.run.fault = self.run.fault or f"line {self._line}: {reason}"


def _time(value: Any) -> float:
    when = float(value)
    if not 0.0 <= when <= _LAST_TIME:
        msg = f"{when!r} is no time"
        raise ValueError(msg)
    return when


def _whole(value: Any, *, least: int = 0) -> int:
    number = int(value)
    if not least <= number <= _LARGEST_NUMBER:
        msg = f"expected a number from {least} to 2^53, found {number}"
        raise ValueError(msg)
    return number


def _losses(values: dict[str, Any]) -> dict[str, float]:
    return {str(name): math.nan if value is None else float(value) for name, value in values.items()}


def _parameters(values: dict[str, Any]) -> dict[str, Parameter]:
    if strange := [name for name, value in values.items() if not isinstance(value, Parameter)]:
        msg = f"expected a text or a number as parameter '{strange[0]}'"
        raise TypeError(msg)
    return dict(values)


def read_run(folder: Path) -> Run:
    """Read the log of the training in a folder, as far as it has come.

    Raises
    ------
    InputFileError
        If there is none, or it cannot be read.
    """
    reader = RunReader(folder)
    try:
        reader.update()
    except OSError as error:
        msg = f"{folder / RUN_FILE}: the log of the training cannot be read ({error.strerror})"
        raise InputFileError(msg) from error
    return reader.run
