"""Commands of the analysis stage, which `flashsim.cli.main` offers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from flashsim.cli.console import Force, Seed, note, progress_bars

__all__ = ["COMMANDS"]


def validate(
    *,
    reference: Annotated[str, typer.Argument(help="NanoAOD that is taken for the truth.")],
    candidate: Annotated[str, typer.Argument(help="NanoAOD that is judged.")],
    third: Annotated[str | None, typer.Option(help="NanoAOD that is shown beside the candidate.")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The page; a JSON file stands beside it.")],
    objects: Annotated[
        list[str] | None,
        typer.Option(
            "--object", help="a shipped one, such as jets, or your own YAML file; default: all shipped ones."
        ),
    ] = None,
    recipe: Annotated[
        str, typer.Option(help="Your own YAML file of what is looked at and where lights change.")
    ] = "validation",
    fail_above: Annotated[
        Literal["green", "amber"] | None,
        typer.Option(help="Exit with status 1 if a light of the candidate is worse."),
    ] = None,
    force: Force = False,
) -> None:
    """Compare the objects of NanoAOD files with those of a reference (needs the extra 'analysis').

    The files hold the same gen events, or events of the same process. Writes one HTML page with everything
    in it, and a JSON file.

    Example: flashsim validate full.root flash.root --third fast.root --output report.html
    """
    from flashsim.analysis.validation import load_validation
    from flashsim.analysis.validation import validate as compare
    from flashsim.analysis.validation.samples import shared_objects
    from flashsim.declarations.objects import load_object
    from flashsim.interface.inspection import shipped_objects

    if objects:
        declarations = [load_object(name) for name in objects]
    else:
        shipped = shipped_objects("object")
        declarations = shared_objects(shipped, [reference, candidate, *([third] if third else [])])
        for name in (one.name for one in shipped if one not in declarations):
            note(f"{name} are not in all files, and left out")
    with progress_bars("") as progress:
        bars: dict[str, Any] = {}

        def report(name: str, done: int, total: int) -> None:
            if name not in bars:
                bars[name] = progress.add_task(name, total=total, note="")
            progress.update(bars[name], completed=done)

        found = compare(
            reference,
            candidate,
            declarations,
            output,
            third=third,
            recipe=load_validation(recipe),
            force=force,
            progress=report,
        )
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
        str, typer.Argument(help="YAML file of processes and simulations; an example is 'samples'.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of tables and figures.")],
    selection: Annotated[str, typer.Option(help="Your own YAML file of the selection.")] = "vbf_hmumu",
    steps: Annotated[
        list[str] | None, typer.Option("--with", help="Optional step of the selection, such as bVeto.")
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(help="Concept that the files do not have, such as puId.")
    ] = None,
    figures: Annotated[Literal["png", "svg", "pdf"], typer.Option(help="Format of the figures.")] = "png",
    chunk: Annotated[int, typer.Option(help="Events in memory at a time.", min=1)] = 100_000,
    workers: Annotated[int, typer.Option(help="Processes.", min=1)] = 1,
    dask: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Run on the Dask cluster of this scheduler.")
    ] = None,
    seed: Seed = 1,
    force: Force = False,
) -> None:
    """Run the first steps of the VBF H to mumu analysis on simulations of the same processes.

    Writes analysis.json, cutflow.csv and figures; prints the cutflow.

    Example: flashsim analyze samples.yaml --output vbf
    """
    from flashsim.analysis.analyze import analyze as run
    from flashsim.analysis.analyze import check_output, cutflow_text, write

    check_output(output, force=force)
    done = run(
        samples,
        selection=selection,
        steps=steps or (),
        without=without or (),
        chunk=chunk,
        workers=workers,
        dask=dask,
        seed=seed,
    )
    write(done, output, figures=figures, force=force)
    typer.echo(cutflow_text(done.results))
    if not done.discriminant["trained"]:
        note(f"no discriminant: {done.discriminant['reason']}")
    typer.echo(f"{output}: analysis.json, cutflow.csv and figures")


COMMANDS = (validate, analyze)
"""In the order of the help."""
