"""The folder of a grid: what it is of, and a folder a point."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flashsim.errors import InputFileError, OutputFileError
from flashsim.execution.locks import held
from flashsim.execution.whole_files import write_whole
from flashsim.runs.folder import NOTE_FILE
from flashsim.runs.history import read_run
from flashsim.runs.log import RUN_FILE, RunLog, flat_parameters
from flashsim.text import read_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from flashsim.grid.recipe import Grid, Values
    from flashsim.runs.history import Run, State

__all__ = ["GRID_FILE", "MODEL_FILE", "GridFolder", "PointFolder"]

GRID_FILE = "grid.json"
MODEL_FILE = "model.safetensors"

_NAMES = {
    "search": "kind (points of a search or not)",
    "recipe": "recipe",
    "base": "base recipe",
    "data": "data",
}
"""What the folder is of, and how it is called."""


@dataclass(frozen=True)
class PointFolder:
    """The folder of one point: its log, checkpoints and model.

    Parameters
    ----------
    path
        The folder.
    """

    path: Path

    @property
    def model(self) -> Path:
        """The model file."""
        return self.path / MODEL_FILE

    @property
    def is_begun(self) -> bool:
        """Whether it was trained on, to the end or not."""
        return (self.path / NOTE_FILE).is_file()

    def clear(self) -> None:
        """Remove what a process that was killed left unfinished."""
        for part in self.path.glob(".*.part"):
            part.unlink(missing_ok=True)

    def run(self) -> Run | None:
        """Tell of its training as far as it has come; none if it is not even queued."""
        return read_run(self.path) if (self.path / RUN_FILE).is_file() else None

    def state(self) -> State:
        """Tell what has become of it."""
        run = self.run()
        return "queued" if run is None else run.state(time.time())

    @property
    def is_finished(self) -> bool:
        """Whether its model is there and its log complete."""
        return self.model.is_file() and self.state() == "finished"

    def queue(self, parameters: Values) -> None:
        """Note that it waits to be trained, unless some process is at it."""
        with held(self.path) as mine:
            if mine:
                RunLog(self.path, self.path.name, flat_parameters(parameters)).queued()


@dataclass(frozen=True)
class GridFolder:
    """The folder of a grid.

    Parameters
    ----------
    path
        The folder.
    """

    path: Path

    def point(self, number: int) -> PointFolder:
        """Folder of a point."""
        return PointFolder(self.path / f"point_{number:04}")

    def begin(self, grid: Grid, data: str, points: Sequence[Values], *, trials: bool) -> None:
        """Note what the folder is of; a grid can only be gone on with as what it was.

        Parameters
        ----------
        grid, points
            The grid and its points; those of a search so far.
        data
            What the training data are, as text that is equal where they are.
        trials
            Whether the points are those of a search.

        Raises
        ------
        OutputFileError
            If the folder is of another grid, of other data or of something else, or cannot be written.
        """
        wanted = {
            "search": trials,
            "recipe": grid.recipe.model_dump(mode="json"),
            "base": grid.base,
            "data": data,
        }
        numbered = [{"point": number, "values": values} for number, values in enumerate(points)]
        content = {"schema_version": 1, "varied": list(grid.recipe.vary), **wanted, "points": numbered}
        found = self._found()
        if found is not None:
            for key, form in json.loads(json.dumps(wanted)).items():
                if found.get(key) != form:
                    msg = f"{self.path}: holds a grid of another {_NAMES[key]}; name another --output"
                    raise OutputFileError(msg)
        write_whole(self.path / GRID_FILE, json.dumps(content, indent=1))

    def points(self) -> list[Values]:
        """Values of the points that are known.

        Raises
        ------
        InputFileError
            If the folder holds no grid.
        """
        if self._found() is None:
            msg = f"{self.path}: holds no grid; make one with 'flashsim grid'"
            raise InputFileError(msg)
        return self.known()

    def known(self) -> list[Values]:
        """Values of the points that are known; none where there is no grid yet."""
        found = self._found() or {}
        return [point["values"] for point in found.get("points", ())]

    def _found(self) -> dict[str, Any] | None:
        path = self.path / GRID_FILE
        try:
            found = read_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            msg = f"{path}: cannot be read ({error}); name another --output"
            raise OutputFileError(msg) from error
        if not isinstance(found, dict):
            msg = f"{path}: is no description of a grid; name another --output"
            raise OutputFileError(msg)
        points = found.get("points", [])
        if not (
            isinstance(points, list)
            and all(isinstance(point, dict) and isinstance(point.get("values"), dict) for point in points)
        ):
            msg = f"{path}: is damaged, its points have no values; name another --output"
            raise OutputFileError(msg)
        return found
