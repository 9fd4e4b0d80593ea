"""Grids of trainings: one recipe with several values of some keys."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flashsim.errors import FlashSimError, RecipeError
from flashsim.execution.extras import needs_extra

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flashsim.declarations.changes import Changes
    from flashsim.grid.recipe import Values
    from flashsim.grid.run import GridRun, Outcome
    from flashsim.grid.summary import Summary
    from flashsim.interface.arguments import PathLike, Progress

__all__ = ["TrainedGrid", "grid_summary", "train_grid"]


@dataclass(frozen=True)
class TrainedGrid:
    """What has become of the points of a grid.

    Parameters
    ----------
    outcomes
        Of the points that were trained now, in the order in which they ended.
    summary
        Of all points of the folder; none if one point was asked for.
    """

    outcomes: Sequence[Outcome]
    summary: Summary | None

    def check(self) -> None:
        """See that no point has failed.

        Raises
        ------
        FlashSimError
            If one has.
        """
        failed = [outcome for outcome in self.outcomes if outcome.error is not None]
        if failed:
            msg = (
                f"{len(failed)} of {len(self.outcomes)} points failed; mend it and add --resume "
                f"({failed[0].reason})"
            )
            raise FlashSimError(msg)


@needs_extra("train", "a grid")
def train_grid(
    recipe: PathLike,
    data: PathLike,
    output: PathLike,
    *,
    changes: Changes | None = None,
    workers: int = 1,
    threads: int | None = None,
    dask: str | None = None,
    point: int | None = None,
    trials: int | None = None,
    resume: bool = False,
    retries: int = 1,
    device: str = "auto",
    check: bool = True,
    progress: Progress | None = None,
) -> TrainedGrid:
    """Train a grid of recipes, or search one.

    Parameters
    ----------
    recipe
        A shipped grid by name, or the path of your own YAML file.
    data
        Folder of the tables, or of a refiner's pairs.
    output
        Folder of the grid; ``summary.csv`` and ``summary.json`` in it compare the points.
    changes
        Values of the recipe that is varied, in all points, by dotted key: ``{"flow.schedule.epochs": 2}``.
    workers
        Trainings at a time; none depends on it.
    threads
        Threads of each training; by default 1, as a model may depend on it.
    dask
        Address of the scheduler of a Dask cluster that trains in place of this machine.
    point
        Train this point only, counted from 0.
    trials
        Search: train so many points, which Optuna chooses.
    resume
        Go on from the checkpoints; finished points are left alone.
    retries
        How often a point whose process died is resumed.
    device
        Where the networks run: ``"auto"`` (a GPU if there is one), ``"cpu"``, ``"cuda"``, ``"cuda:1"``.
    check
        Raise if a point fails, once all others are done; otherwise see `TrainedGrid.outcomes`.
    progress
        Called with ``"grid"`` and the points done; why a point failed is a remark.

    Raises
    ------
    RecipeError
        If the grid is not valid, or has no such point.
    TableError
        If there are no data.
    OutputFileError
        If the folder is of something else, or points were begun and `resume` is not set.
    MissingDependencyError
        If Optuna or Dask is asked for and not installed.
    FlashSimError
        If a point failed.
    """
    run = _run(
        recipe,
        data,
        output,
        changes,
        workers=workers,
        dask=dask,
        device=device,
        threads=threads or 1,
        retries=retries,
    )
    points = None if trials is not None else run.grid.points()
    if points is not None and point is not None and point >= len(points):
        msg = f"--point {point}: the grid has the points 0 to {len(points) - 1}"
        raise RecipeError(msg)
    total = 1 if point is not None else trials or len(points or ())
    outcomes: list[Outcome] = []
    if progress is not None:
        progress("grid", 0, total, "")
    for outcome in _outcomes(run, points, point, trials, resume):
        outcomes.append(outcome)
        if progress is not None:
            remark = "" if outcome.error is None else f"failed: {outcome.reason}"
            progress("grid", len(outcomes), total, remark)
    lost = {outcome.number for outcome in outcomes if outcome.is_lost}
    done = TrainedGrid(outcomes, None if point is not None else _summary(run, lost))
    if check:
        done.check()
    return done


@needs_extra("train", "a grid")
def grid_summary(
    recipe: PathLike, data: PathLike, output: PathLike, *, changes: Changes | None = None
) -> Summary:
    """Read from the folder of a grid what has come of its points, and write it there as tables.

    Parameters
    ----------
    recipe, data, output, changes
        As `train_grid` takes them.

    Raises
    ------
    RecipeError
        If the grid is not valid.
    OutputFileError
        If the folder is of something else, or cannot be written.
    """
    return _summary(_run(recipe, data, output, changes))


def _run(
    recipe: PathLike,
    data: PathLike,
    output: PathLike,
    changes: Changes | None,
    **resources: Any,
) -> GridRun:
    from flashsim.grid.folder import GridFolder
    from flashsim.grid.recipe import load_grid
    from flashsim.grid.run import GridRun, Resources
    from flashsim.interface.trainers import TRAINERS

    grid = load_grid(str(recipe), changes)
    trainer = TRAINERS[grid.recipe.kind]
    return GridRun(grid, GridFolder(Path(output)), Path(data), trainer, Resources(**resources))


def _outcomes(
    run: GridRun, points: list[Values] | None, point: int | None, trials: int | None, resume: bool
) -> Iterator[Outcome]:
    from flashsim.grid.search import search

    if trials is not None:
        yield from search(run, trials, resume=resume)
    elif points is not None:
        wanted = range(len(points)) if point is None else [point]
        run.begin(points, wanted, resume=resume)
        yield from run.train((number, points[number]) for number in wanted)


def _summary(run: GridRun, lost: set[int] | None = None) -> Summary:
    from flashsim.grid.summary import summarise

    found = summarise(run.grid, run.folder, run.folder.points(), lost=lost or ())
    found.write(run.folder)
    return found
