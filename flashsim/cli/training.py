"""Commands that make training tables and train models, which `flashsim.cli.main` offers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flashsim.cli.completion import object_names, shipped
from flashsim.cli.console import begin, progress_of
from flashsim.cli.options import (
    Changes,
    Chunk,
    Device,
    Force,
    OutputFile,
    OutputFolder,
    Resume,
    Runs,
    Threads,
    changes_of,
)
from flashsim.execution.whole_files import check_output, check_output_folder

__all__ = ["COMMANDS"]

Object = Annotated[
    str,
    typer.Argument(
        metavar="OBJECT",
        help="A shipped one, such as jets, or the path of your own YAML file.",
        autocompletion=object_names,
    ),
]


def preprocess(
    *,
    what: Object,
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            help="FullSim NanoAOD: paths, globs, root:// URLs, or @FILE, a text file that lists them.",
        ),
    ],
    output: OutputFolder,
    changes: Changes = None,
    chunk: Chunk = 20_000,
    force: Force = False,
) -> None:
    """Make training tables of one object from FullSim NanoAOD.

    Examples:
      flashsim preprocess jets full_*.root --output tables/jets
      flashsim preprocess my_jets.yaml full.root --output tables/my_jets
    """
    changed = changes_of(changes)
    check_output_folder(output, force=force)
    begin(f"making tables of {what} -> {output}")
    from flashsim.interface import training

    with progress_of("events") as progress:
        made = training.preprocess(
            what, files, output, changes=changed, chunk=chunk, force=force, progress=progress
        )
    typer.echo(f"{output}: {made.declaration.name} of NanoAOD {made.nanoaod_version}")
    for split, events in made.events.items():
        unmatched = made.sourceless[split] + sum(by_split[split] for by_split in made.unmatched.values())
        typer.echo(
            f"  {split}: {events} events, {made.gen_objects[split]} gen objects, "
            f"{made.reconstructed[split]} reconstructed, {unmatched} unmatched"
        )
    for column, count in made.non_finite.items():
        typer.echo(f"  {count} values of {column} are not finite; training leaves their rows out")


def train(
    *,
    what: Annotated[
        str,
        typer.Argument(
            metavar="OBJECT",
            help="A shipped one, such as jets, or the name of your own.",
            autocompletion=object_names,
        ),
    ],
    tables: Annotated[Path, typer.Argument(metavar="TABLES", help="Folder that 'flashsim preprocess' made.")],
    output: OutputFile,
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="RECIPE",
            help="A shipped training recipe, such as jets_small, or the path of your own YAML file.",
            show_default="the object's",
            autocompletion=shipped("training", "*.yaml", holds="flow:"),
        ),
    ] = None,
    changes: Changes = None,
    runs: Runs = None,
    device: Device = "auto",
    threads: Threads = None,
    resume: Resume = False,
    force: Force = False,
) -> None:
    """Train the models of one object, in one file.

    They are its efficiency, its properties (a flow) and the objects without a gen object.

    Examples:
      flashsim train jets tables/jets --output jets.safetensors
      flashsim train jets tables/jets --output jets.safetensors --recipe jets_small
    """
    changed = changes_of(changes)
    check_output(output, force=force)
    begin(f"training {what} from {tables} -> {output}")
    from flashsim.interface import training

    with progress_of("epochs") as progress:
        trained = training.train(
            what,
            tables,
            output,
            recipe=recipe,
            changes=changed,
            runs=runs,
            resume=resume,
            device=device,
            threads=threads,
            force=force,
            progress=progress,
        )
    parameters = sum(trained.model.parameters().values())
    typer.echo(f"{output}: {parameters} parameters, {output.stat().st_size / 1e6:.2f} MB")
    for name, result in trained.results.items():
        typer.echo(
            f"  {name}: train {result.train_loss:.3f}, validation {result.validation_loss:.3f} "
            f"(epoch {result.best_epoch + 1} of {result.epochs})"
        )
    typer.echo(f"  losses: {trained.figure}")


COMMANDS = (preprocess, train)
