"""Commands of the analysis stage, which `flashsim.cli.main` offers."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from flashsim.cli.completion import object_names
from flashsim.cli.console import begin, note, progress_of
from flashsim.cli.options import (
    Changes,
    Chunk,
    Dask,
    Force,
    OutputFile,
    OutputFolder,
    Seed,
    Workers,
    changes_of,
    one_kind_of_workers,
)
from flashsim.execution.whole_files import check_output, check_output_folder, refuse_existing

__all__ = ["COMMANDS"]


def validate(
    *,
    reference: Annotated[
        str, typer.Argument(metavar="REFERENCE", help="NanoAOD that is taken for the truth.")
    ],
    candidate: Annotated[str, typer.Argument(metavar="CANDIDATE", help="NanoAOD that is judged.")],
    output: OutputFile,
    third: Annotated[
        str | None, typer.Option(metavar="INPUT", help="NanoAOD that is shown beside the candidate.")
    ] = None,
    objects: Annotated[
        list[str] | None,
        typer.Option(
            "--object",
            metavar="OBJECT",
            help="A shipped one, such as jets, or the path of your own YAML file.",
            show_default="all shipped ones",
            autocompletion=object_names,
        ),
    ] = None,
    recipe: Annotated[
        str,
        typer.Option(metavar="RECIPE", help="What is compared and where lights change: your own YAML file."),
    ] = "validation",
    changes: Changes = None,
    fail_above: Annotated[
        Literal["green", "amber"] | None,
        typer.Option(help="Exit with status 1 if a traffic light of the candidate is worse than this."),
    ] = None,
    force: Force = False,
) -> None:
    """Compare NanoAOD with a reference, object by object.

    The files hold the same gen events, or events of the same process. Writes one HTML page that needs no
    other file, and a JSON file beside it. Needs the extra 'analysis'.

    Examples:
      flashsim validate full.root flash.root --output report.html
      flashsim validate full.root flash.root --third fast.root --output report.html
    """
    changed = changes_of(changes)
    check_output(output, force=force)
    begin(f"comparing {candidate} with {reference} -> {output}")
    from flashsim.interface import analysis

    with progress_of("parts") as progress:
        found = analysis.validate(
            reference,
            candidate,
            output,
            third=third,
            objects=objects,
            recipe=recipe,
            changes=changed,
            force=force,
            progress=progress,
        )
    for name in found.absent:
        note(f"{name} are not in all files, and left out")
    counts = ", ".join(f"{number} {light}" for light, number in found.lights().items() if number)
    typer.echo(f"{output}: {counts} of {len(found.rows)} comparisons")
    for row in found.rows:
        if row.found["candidate"].light == "red":
            typer.echo(f"  red: {row.object}, {row.topic}, {row.quantity}")
    if fail_above is not None and found.is_above(fail_above):
        raise typer.Exit(1)


def analyze(
    *,
    samples: Annotated[
        str,
        typer.Argument(
            metavar="SAMPLES", help="YAML file of processes and simulations; an example is 'samples'."
        ),
    ],
    output: OutputFolder,
    selection: Annotated[
        str, typer.Option(metavar="RECIPE", help="The selection: your own YAML file.")
    ] = "vbf_hmumu",
    changes: Changes = None,
    steps: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="STEP", help="Optional step of the selection, such as bVeto."),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(metavar="CONCEPT", help="Concept that the files do not have, such as puId."),
    ] = None,
    figures: Annotated[Literal["png", "svg", "pdf"], typer.Option(help="Format of the figures.")] = "png",
    seed: Seed = 1,
    chunk: Chunk = 100_000,
    workers: Workers = 1,
    dask: Dask = None,
    force: Force = False,
) -> None:
    """Run a VBF H to mumu analysis on several simulations.

    Writes analysis.json, cutflow.csv and figures; prints the cutflow. The simulations are of the same
    processes.

    Examples:
      flashsim analyze samples.yaml --output vbf
      flashsim analyze samples.yaml --output vbf --with trigger --with bVeto --workers 4
    """
    one_kind_of_workers(workers, dask)
    changed = changes_of(changes)
    refuse_existing(output, force=force)
    check_output_folder(output, force=force)
    begin(f"analysing {samples} -> {output}")
    from flashsim.interface import analysis

    done = analysis.analyze(
        samples,
        output,
        selection=selection,
        changes=changed,
        steps=steps or (),
        without=without or (),
        figures=figures,
        chunk=chunk,
        workers=workers,
        dask=dask,
        seed=seed,
        force=force,
    )
    from flashsim.analysis.analyze import cutflow_text

    typer.echo(cutflow_text(done.results))
    if not done.discriminant["trained"]:
        note(f"no discriminant: {done.discriminant['reason']}")
    typer.echo(f"{output}: analysis.json, cutflow.csv and figures")


COMMANDS = (validate, analyze)
"""In the order of the help."""
