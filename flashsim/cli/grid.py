"""The command of grids, which `flashsim.cli.main` offers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from flashsim.cli.console import note, progress_bars
from flashsim.errors import FlashSimError, RecipeError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from flashsim.grid.recipe import Values
    from flashsim.grid.run import GridRun, Outcome

__all__ = ["COMMANDS"]


def grid(
    *,
    recipe: Annotated[str, typer.Argument(help="A shipped grid by name, or the path of your own YAML file.")],
    data: Annotated[
        Path,
        typer.Option(
            "--tables", "-t", "--pairs", "-p", help="Folder of the tables, or of a refiner's pairs."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the grid.")],
    workers: Annotated[int, typer.Option(help="Trainings at a time; none depends on it.", min=1)] = 1,
    threads: Annotated[int, typer.Option(help="Threads of each training.", min=1)] = 1,
    dask: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Train on the Dask cluster of this scheduler.")
    ] = None,
    point: Annotated[
        int | None,
        typer.Option(metavar="K", help="Train this point only, counted from 0.", min=0),
    ] = None,
    trials: Annotated[
        int | None, typer.Option(metavar="N", help="Search with N points that Optuna chooses.", min=1)
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoints; finished points are left alone.")
    ] = False,
    retries: Annotated[
        int, typer.Option(help="How often a point whose process is lost is gone on with.", min=0)
    ] = 1,
    device: Annotated[
        Literal["auto", "cpu", "cuda"], typer.Option(help="Where to train; auto: a GPU if there is one.")
    ] = "auto",
    summary: Annotated[bool, typer.Option("--summary", help="Train nothing, tell what there is.")] = False,
) -> None:
    """Train a grid of recipes, or search one, and tell which point is the best.

    Example: flashsim grid grid_refine_jets --pairs pairs/jets --output grids/jets --workers 2
    """
    if point is not None and (trials is not None or dask is not None or workers > 1):
        msg = "--point trains one point here; leave out --trials, --dask and --workers"
        raise typer.BadParameter(msg)
    if dask is not None and workers > 1 and trials is None:
        msg = "give --workers or --dask, not both: a Dask cluster has workers of its own"
        raise typer.BadParameter(msg)
    from flashsim.grid.folder import GridFolder
    from flashsim.grid.recipe import load_grid
    from flashsim.grid.run import GridRun, Resources
    from flashsim.interface.trainers import TRAINERS

    loaded, folder = load_grid(recipe), GridFolder(output)
    run = GridRun(
        loaded, folder, data, TRAINERS[loaded.recipe.kind], Resources(workers, dask, device, threads, retries)
    )
    if summary:
        _tell_summary(run, folder.points())
        return
    points = None if trials is not None else loaded.points()
    if points is not None and point is not None and point >= len(points):
        msg = f"--point {point}: the grid has the points 0 to {len(points) - 1}"
        raise RecipeError(msg)
    outcomes = []
    with progress_bars("points") as progress:
        total = 1 if point is not None else trials or len(points or ())
        bar = progress.add_task("grid", total=total, note="")
        for outcome in _outcomes(run, points, point, trials, resume):
            progress.advance(bar)
            outcomes.append(outcome)
            if outcome.error is not None:
                note(f"failed: {outcome.reason}")
    if point is None:
        _tell_summary(run, folder.points(), {outcome.number for outcome in outcomes if outcome.is_lost})
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    if failed:
        msg = f"{len(failed)} of {len(outcomes)} points failed; mend it and add --resume ({failed[0].reason})"
        raise FlashSimError(msg)


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


def _tell_summary(run: GridRun, points: list[Values], lost: Collection[int] = ()) -> None:
    from flashsim.grid.summary import summarise

    found = summarise(run.grid, run.folder, points, lost=lost)
    found.write(run.folder)
    typer.echo(found.text())


COMMANDS = (grid,)
