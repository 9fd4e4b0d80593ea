"""All trainings below a folder, followed as they go on, and told in JSON to pages."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.errors import InputFileError
from flashsim.monitor.discovery import GROUP_FILE, Found, find, is_inside
from flashsim.runs.history import RunReader
from flashsim.runs.log import RUN_FILE
from flashsim.text import json_ready

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from flashsim.runs.history import Curves, Run

__all__ = ["Catalogue"]

_MOST_POINTS = 600
"""Points of a curve that a page gets."""
_SHARE = 0.1
"""Largest share of the time that looking for new trainings may take: network disks are slow."""


@dataclass
class _Entry:
    """A training that is followed, and the number of the look that last found something new in it."""

    reader: RunReader
    group: str | None
    state: str = ""
    problem: str = ""
    epochs: tuple[tuple[str, int, int], ...] = ()
    told: int = 0
    drawn: int = 0


class Catalogue:
    """Follows all trainings below a folder. Only ever reads.

    Parameters
    ----------
    folder
        The folder.
    clock
        Gives the time in seconds since 1970.

    Raises
    ------
    InputFileError
        If there is no such folder.

    Attributes
    ----------
    root
        The folder, resolved.
    revision, changed
        Number of the last look, and of the last one that found something new.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        if not folder.is_dir():
            msg = f"{folder}: is no folder; name one with trainings below it"
            raise InputFileError(msg)
        self.root = folder.resolve()
        self.revision = self.changed = 0
        self._clock = clock
        self._found = Found()
        self._entries: dict[str, _Entry] = {}
        self._look_again = -math.inf

    def update(self) -> bool:
        """Look for what is new; tells whether there is anything."""
        self.revision += 1
        changed = self._discover()
        for name, entry in list(self._entries.items()):
            changed |= self._follow(name, entry)
        if changed:
            self.changed = self.revision
        return changed

    def message(self, since: int = 0) -> dict[str, Any]:
        """Tell what a page needs to know that was told everything up to a revision, as JSON."""
        return {
            "revision": self.revision,
            "now": self._clock(),
            "folder": self.root.name,
            "ids": list(self._entries),
            "groups": [
                {
                    "id": g.id,
                    "name": self.root.name if g.id == "." else g.id,
                    "varied": g.varied,
                    "points": g.points,
                }
                for g in self._found.groups.values()
            ],
            "trainings": [
                json_ready(self._training(name, entry, with_curves=entry.drawn > since))
                for name, entry in self._entries.items()
                if entry.told > since
            ],
        }

    def files(self) -> list[Path]:
        """Files that are read: logs of trainings and descriptions of groups."""
        logs = [self.root / name / RUN_FILE for name in self._entries]
        return logs + [self.root / group / GROUP_FILE for group in self._found.groups]

    def _discover(self) -> bool:
        begun = time.monotonic()
        if begun < self._look_again:
            return False
        found = find(self.root)
        ended = time.monotonic()
        self._look_again = ended + (ended - begun) / _SHARE
        changed, self._found = found != self._found, found
        entries = {}
        for name, group in found.trainings.items():
            entry = self._entries.get(name) or _Entry(RunReader(self.root / name), group)
            if entry.group != group:
                entry.group, entry.told = group, self.revision
            entries[name] = entry
        self._entries = entries
        return changed

    def _follow(self, name: str, entry: _Entry) -> bool:
        path = self.root / name / RUN_FILE
        unreadable = f"{RUN_FILE} is a folder, expected a file" if path.is_dir() else ""
        try:
            # Again every time: what was a log may have been replaced by a link to somewhere else.
            new = is_inside(self.root, path) and entry.reader.update()
        except OSError as error:
            new, unreadable = False, f"{RUN_FILE} cannot be read ({error.strerror or error})"
        run = entry.reader.run
        state = run.state(self._clock())
        problem = unreadable or run.problem or ("" if run.seen else f"{RUN_FILE} holds no event")
        if not new and (state, problem) == (entry.state, entry.problem):
            return False
        entry.state, entry.problem, entry.told = state, problem, self.revision
        epochs = tuple((n, len(c.epochs), c.epochs[-1]) for n, c in run.curves.items())
        if epochs != entry.epochs or not entry.drawn:
            entry.epochs, entry.drawn = epochs, self.revision
        return True

    def _training(self, name: str, entry: _Entry, *, with_curves: bool) -> dict[str, Any]:
        run = entry.reader.run
        now = self._clock()
        left = run.time_left(now)
        done, planned = run.done()
        told: dict[str, Any] = {
            "id": name,
            "name": run.name if entry.group is None else name.rpartition("/")[2],
            "group": entry.group,
            "state": entry.state,
            "done": done,
            "planned": planned,
            "ends": None if left is None else now + left,
            "started": run.started,
            "seen": run.seen,
            "host": run.host,
            "error": run.error,
            "problem": entry.problem,
            "parameters": run.parameters,
            "final": {key: _number(value) for key, value in run.final.items()},
        }
        if with_curves:
            told["networks"] = _networks(run)
        return told


def _networks(run: Run) -> dict[str, Any]:
    """Curves of every network, with the values that summaries are made of."""
    return {name: _curves(curves) for name, curves in run.curves.items()}


def _curves(curves: Curves) -> dict[str, Any]:
    losses = {name: np.asarray(column) for name, column in curves.losses.items()}
    best = {name: row for name, values in losses.items() if (row := _best_row(name, values)) is not None}
    kept = best.get("validation")
    rows = _rows(len(curves.epochs), set(best.values()))
    return {
        "epochs": [curves.epochs[row] for row in rows],
        "losses": {name: [_number(values[row]) for row in rows] for name, values in losses.items()},
        "best": {name: [_number(losses[name][row]), curves.epochs[row]] for name, row in best.items()},
        "last": {name: _number(values[-1]) for name, values in losses.items()},
        "kept": {} if kept is None else {name: _number(values[kept]) for name, values in losses.items()},
        "kept_epoch": None if kept is None else curves.epochs[kept],
    }


def _best_row(name: str, values: NDArray[np.float64]) -> int | None:
    """Row of the smallest value; what is missing of a constraint is best at zero, from either side."""
    if "infeasibility_" in name:
        values = np.abs(values)
    return None if not np.isfinite(values).any() else int(np.nanargmin(values))


def _rows(count: int, wanted: set[int]) -> list[int]:
    """Rows to show of a curve: all, or some of them, evenly, with those that are wanted and the last one."""
    if count <= _MOST_POINTS:
        return list(range(count))
    spread = np.linspace(0, count - 1, _MOST_POINTS).round().astype(int)
    return sorted(wanted | set(spread.tolist()))


def _number(value: float) -> float | None:
    """Six digits of a number, which are plenty for a picture; none where it is not finite."""
    return float(f"{value:.6g}") if math.isfinite(value) else None
