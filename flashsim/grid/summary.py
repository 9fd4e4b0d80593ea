"""What came of a grid: a row a point, as text, CSV and JSON."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from flashsim.execution.whole_files import write_whole
from flashsim.grid.recipe import text_of
from flashsim.text import text_table

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from flashsim.grid.folder import GridFolder
    from flashsim.grid.recipe import Grid, Values
    from flashsim.runs.history import Run, State
from flashsim.text import json_ready

__all__ = ["Row", "Summary", "summarise"]

CSV_FILE, JSON_FILE = "summary.csv", "summary.json"


@dataclass(frozen=True)
class Row:
    """What came of a point.

    Parameters
    ----------
    point, varied
        Its number and its values of what is varied.
    state
        What has become of it.
    losses
        Of the best epoch of each network, and what was found in the end; of a training that is not finished
        as far as it has come.
    """

    point: int
    varied: Values
    state: State
    losses: dict[str, float]


@dataclass(frozen=True)
class Summary:
    """What came of a grid.

    Parameters
    ----------
    objective
        Column of the losses whose smallest value is the best.
    rows
        A row a point.
    """

    objective: str
    rows: list[Row]

    @property
    def best(self) -> Row | None:
        """The finished point with the smallest objective; none if there is none."""
        known = [row for row in self.rows if row.state == "finished" and self._has_objective(row)]
        return min(known, key=lambda row: row.losses[self.objective], default=None)

    def text(self) -> str:
        """Make a table with the varied values and the losses that matter most; the best point has a star."""
        best = self.best
        varied = list(dict.fromkeys(key for row in self.rows for key in row.varied))
        network = self.objective.rpartition(".")[0]
        prefix = f"{network}." if network else ""
        columns = list(
            dict.fromkeys((f"{prefix}best_epoch", f"{prefix}epochs", f"{prefix}train", self.objective))
        )
        rows = [
            (
                f"{row.point}{'*' if row is best else ''}",
                row.state,
                *(text_of(row.varied.get(key, "")) for key in varied),
                *(_number(row.losses.get(column, math.nan)) for column in columns),
            )
            for row in self.rows
        ]
        return text_table(("point", "state", *varied, *columns), rows, texts=2)

    def to_json(self) -> dict[str, Any]:
        """JSON form; losses that are not finite are null."""
        best = self.best
        return {
            "objective": self.objective,
            "best": None if best is None else best.point,
            "points": [
                {
                    "point": row.point,
                    "state": row.state,
                    "values": row.varied,
                    "losses": json_ready(row.losses),
                }
                for row in self.rows
            ],
        }

    def write(self, folder: GridFolder) -> None:
        """Write CSV and JSON, each of which appears complete or not at all.

        Raises
        ------
        OutputFileError
            If they cannot be written.
        """
        best = self.best
        table = pd.DataFrame(
            {"point": row.point, "state": row.state, "best": row is best, **row.varied, **row.losses}
            for row in self.rows
        )
        contents = {CSV_FILE: table.to_csv(index=False), JSON_FILE: json.dumps(self.to_json(), indent=1)}
        for name, content in contents.items():
            write_whole(folder.path / name, content)

    def _has_objective(self, row: Row) -> bool:
        return math.isfinite(row.losses.get(self.objective, math.nan))


def summarise(
    grid: Grid, folder: GridFolder, points: Sequence[Values], *, lost: Collection[int] = ()
) -> Summary:
    """Read from the logs of the points what came of them.

    Parameters
    ----------
    grid
        The grid.
    folder
        Its folder.
    points
        Values of its points.
    lost
        Numbers of points that are known to be lost, as their logs do not tell at once.
    """
    rows = []
    for number, values in enumerate(points):
        point = folder.point(number)
        run = point.run()
        state: State = "lost" if number in lost else point.state()
        rows.append(Row(number, values, state, {} if run is None else losses_of(run)))
    return Summary(grid.objective, rows)


def losses_of(run: Run) -> dict[str, float]:
    """Losses of the best epoch of each network, its number and that of all; and what was found in the end.

    Columns are named for the network, as ``flow.validation``, where a training has several.
    """
    found: dict[str, float] = {}
    for network, curves in run.curves.items():
        prefix = f"{network}." if len(run.epochs) > 1 else ""
        best = curves.best("validation")
        if best is None:
            continue
        row = curves.epochs.index(best[1])
        found |= {f"{prefix}best_epoch": best[1], f"{prefix}epochs": curves.epochs[-1]}
        found |= {f"{prefix}{name}": curves.losses[name][row] for name in sorted(curves.losses)}
    return found | run.final


def _number(value: float) -> str:
    if not math.isfinite(value):
        return ""
    return str(value) if isinstance(value, int) else f"{value:.4g}"
