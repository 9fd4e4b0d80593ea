"""The command of grids, which `flashsim.cli.main` offers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flashsim.cli.completion import shipped
from flashsim.cli.console import begin, kept_when_stopped, note, progress_of
from flashsim.cli.options import (
    Changes,
    Dask,
    Device,
    OutputFolder,
    Resume,
    Retries,
    Threads,
    Workers,
    changes_of,
    one_kind_of_workers,
)

__all__ = ["COMMANDS"]


def grid(
    *,
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE",
            help="A shipped grid, such as grid_jets, or the path of your own YAML file.",
            autocompletion=shipped("training", "grid_*.yaml"),
        ),
    ],
    data: Annotated[
        Path,
        typer.Argument(
            metavar="TABLES",
            help="Folder that 'flashsim preprocess' made, or 'flashsim refine pairs' for a refiner.",
        ),
    ],
    output: OutputFolder,
    changes: Changes = None,
    point: Annotated[
        int | None,
        typer.Option(metavar="K", help="Train point K only; points count from 0.", min=0),
    ] = None,
    trials: Annotated[
        int | None, typer.Option(metavar="N", help="Search: train N points that Optuna chooses.", min=1)
    ] = None,
    summary: Annotated[
        bool, typer.Option("--summary", help="Train nothing, print what there is so far.")
    ] = False,
    device: Device = "auto",
    workers: Workers = 1,
    threads: Threads = None,
    dask: Dask = None,
    retries: Retries = 1,
    resume: Resume = False,
) -> None:
    """Train with many settings and print which is best.

    The settings are all combinations of some values, or what a search chooses (--trials).

    Examples:
      flashsim grid grid_jets tables/jets --output grids/jets --workers 2
      flashsim grid grid_refine_jets pairs/jets --output grids/refine_jets --point 3 --resume
    """
    if point is not None and (trials is not None or dask is not None or workers > 1):
        msg = "--point trains one point here; leave out --trials, --dask and --workers"
        raise typer.BadParameter(msg)
    if trials is None:  # a search on a cluster has so many points at a time
        one_kind_of_workers(workers, dask)
    changed = changes_of(changes)
    from flashsim.interface import grid as interface

    if summary:
        typer.echo(interface.grid_summary(recipe, data, output, changes=changed).text())
        return
    begin(f"training {recipe} from {data} -> {output}")
    with kept_when_stopped(f"what is trained is in {output}"), progress_of("points") as progress:

        def report(name: str, done: int, total: int | None, remark: str) -> None:
            progress(name, done, total, "")
            if remark:
                note(remark)

        trained = interface.train_grid(
            recipe,
            data,
            output,
            changes=changed,
            workers=workers,
            threads=threads,
            dask=dask,
            point=point,
            trials=trials,
            resume=resume,
            retries=retries,
            device=device,
            check=False,
            progress=report,
        )
    if trained.summary is not None:
        typer.echo(trained.summary.text())
    trained.check()


COMMANDS = (grid,)
