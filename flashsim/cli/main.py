"""The command line: parses, calls one function, prints.

Results go to stdout or files; progress, notes and log lines go to stderr. What a user can mend ends with one
sentence and exit status 2.
"""

from __future__ import annotations

import json
import logging
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from flashsim.cli import analysis, grid, monitor, reference, refinement
from flashsim.cli.console import Force, Seed, note, progress_bars, run, warn
from flashsim.errors import FlashSimError

if TYPE_CHECKING:
    from flashsim.generation.campaign import Outcome

__all__ = ["app", "main"]

app = typer.Typer(
    name="flashsim",
    help="Simulated NanoAOD from generator-level events, with conditional normalizing flows.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Compression = Literal["zstd", "lz4", "zlib", "lzma", "none"]


def main() -> None:
    """Run the command line, as the console script does."""
    run(lambda: app(prog_name="flashsim"))


def _show_version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        typer.echo(f"flashsim {version('flashsim')}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[  # noqa: ARG001  # its callback has done all
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more, on stderr.")] = False,
) -> None:
    if verbose:
        logging.getLogger("flashsim").setLevel(logging.INFO)


@app.command()
def generate(
    *,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input", "-i", help="Gen-level NanoAOD: paths, globs, root:// URLs, or @FILE, a list of them."
        ),
    ] = None,
    more: Annotated[
        list[str] | None, typer.Argument(metavar="[INPUT]...", help="More inputs, as after '--input *.root'.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="NAME.root, or a folder; default: NAME_flash.root here."),
    ] = None,
    models: Annotated[
        list[Path] | None,
        typer.Option("--models", "-m", help="Model files or folders, in place of the shipped ones."),
    ] = None,
    seed: Seed = 1,
    keep: Annotated[
        list[str] | None,
        typer.Option(help="Pattern of reconstructed branches of the input to keep, such as 'HLT_*'."),
    ] = None,
    nano_version: Annotated[
        str | None, typer.Option(help="NanoAOD version of the output, such as v9; default: the input's.")
    ] = None,
    oversample: Annotated[
        int,
        typer.Option(help="Simulate every gen event so often, for a share of its weight.", min=1, max=65536),
    ] = 1,
    chunk: Annotated[int, typer.Option(help="Simulated events in memory at a time.", min=1)] = 5000,
    device: Annotated[str, typer.Option(help="Where the networks run: cpu, cuda, cuda:1.")] = "cpu",
    workers: Annotated[int, typer.Option(help="Processes; the result does not depend on it.", min=1)] = 1,
    threads: Annotated[
        int | None, typer.Option(help="Threads of each process; default: all cores, shared out.", min=1)
    ] = None,
    dask: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Generate on the Dask cluster of this scheduler.")
    ] = None,
    retries: Annotated[int, typer.Option(help="How often a file that fails is tried again.", min=0)] = 1,
    resume: Annotated[
        bool, typer.Option("--resume", help="Leave outputs alone that are finished and made in the same way.")
    ] = False,
    flag_domain: Annotated[
        bool,
        typer.Option("--flag-domain", help="Flag objects from outside of the training: Jet_outsideDomain."),
    ] = False,
    compression: Annotated[Compression, typer.Option(help="Of the output; lzma is smallest.")] = "zstd",
    force: Force = False,
) -> None:
    """Simulate events: gen-level NanoAOD in, NanoAOD with simulated objects out.

    Example: flashsim generate --input gen.root --output flash.root
    """
    named = [*(inputs or ()), *(more or ())]
    if not named:
        msg = "name at least one input, as in: flashsim generate --input gen.root"
        raise typer.BadParameter(msg)
    if dask is not None and workers > 1:
        msg = "give --workers or --dask, not both: a Dask cluster has workers of its own"
        raise typer.BadParameter(msg)
    if workers > 1:
        from flashsim.execution.processes import prepare
        from flashsim.generation import PRELOAD

        prepare(PRELOAD)
    from flashsim.execution.threads import threads_of_process
    from flashsim.generation.campaign import Order, run_campaign
    from flashsim.generation.jobs import plan_jobs
    from flashsim.generation.report import outside_table, outside_warnings, table
    from flashsim.generation.settings import Settings

    settings = Settings(
        models=None if models is None else tuple(str(path.absolute()) for path in models),
        seed=seed,
        oversample=oversample,
        keep=tuple(keep or ()),
        version=nano_version,
        chunk=chunk,
        device=device,
        flag_domain=flag_domain,
        threads=threads_of_process(threads, workers, dask),
        compression=compression,
    )
    generator = settings.generator()  # now, so that mistakes show before any work
    for name in generator.without_phase_space:
        note(f"the model of {name} does not know the domain of its training: what is outside is not counted")
    jobs = plan_jobs(named, output, force=force, resume=resume)
    notes: set[str] = set()
    with progress_bars("events") as progress:
        bars: dict[str, Any] = {}

        def advance(name: str, done: int, total: int) -> None:
            if name not in bars:
                bars[name] = progress.add_task(name, total=total, note="")
            progress.update(bars[name], completed=done)

        outcomes = run_campaign(
            jobs,
            settings,
            order=Order(force=force, resume=resume, command=shlex.join(["flashsim", *sys.argv[1:]])),
            workers=workers,
            dask=dask,
            retries=retries,
            report=lambda outcome: _tell(outcome, notes) if len(jobs) > 1 or outcome.summary else None,
            progress=advance,
        )
    failed = [outcome.error for outcome in outcomes if outcome.error is not None]
    if failed and len(jobs) == 1:
        raise failed[0]
    if len(jobs) > 1:
        typer.echo(table(outcomes))
    summaries = [outcome.summary for outcome in outcomes if outcome.summary is not None]
    if outside := outside_table(summaries, generator.phase_spaces):
        typer.echo(outside)
    for text in outside_warnings(summaries):
        warn(text)
    if failed:
        msg = f"{len(failed)} of {len(jobs)} files failed, the others are done; mend it and add --resume"
        raise FlashSimError(msg)


def _tell(outcome: Outcome, notes: set[str]) -> None:
    """Say what has become of a file; notes that were given already are not repeated."""
    from flashsim.generation.report import remarks, sentence

    if outcome.summary is None:
        note(f"failed after {outcome.attempts} attempt{'s'[: outcome.attempts - 1]}: {outcome.reason}")
        return
    typer.echo(sentence(outcome.summary))
    for text in remarks(outcome.summary):
        if text not in notes:
            note(text)
    notes.update(remarks(outcome.summary))


@app.command()
def preprocess(
    *,
    what: Annotated[
        str,
        typer.Argument(
            metavar="OBJECT", help="a shipped one, such as jets, or the path of your own YAML file."
        ),
    ],
    files: Annotated[list[str], typer.Argument(help="NanoAOD files: paths, globs or root:// URLs.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the tables.")],
    chunk: Annotated[int, typer.Option(help="Events in memory at a time.", min=1)] = 20_000,
    force: Force = False,
) -> None:
    """Make training tables of one object from NanoAOD.

    Example: flashsim preprocess jets full_*.root --output tables/jets
    """
    from flashsim.declarations.objects import load_object
    from flashsim.nanoaod.inputs import expand_inputs
    from flashsim.preprocessing.preprocess import preprocess as make_tables

    declaration = load_object(what)
    paths = expand_inputs(files)
    with progress_bars("events") as progress:
        bar = progress.add_task(declaration.name, total=None, note="")
        description = make_tables(
            declaration,
            paths,
            output,
            chunk=chunk,
            force=force,
            progress=lambda done, total: progress.update(bar, completed=done, total=total),
        )
    typer.echo(f"{output}: {declaration.name} of NanoAOD {description.nanoaod_version}")
    for split, events in description.events.items():
        typer.echo(
            f"  {split}: {events} events, {description.gen_objects[split]} gen objects, "
            f"{description.reconstructed[split]} reconstructed, {description.fakes[split]} unmatched"
        )
    for column, count in description.non_finite.items():
        typer.echo(f"  {count} values of {column} are not finite; training sets their rows aside")


@app.command()
def train(
    *,
    what: Annotated[
        str,
        typer.Argument(metavar="OBJECT", help="a shipped one, such as jets, or the name of your own object."),
    ],
    tables: Annotated[Path, typer.Option("--tables", "-t", help="Folder of the tables.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The model file, NAME.safetensors.")],
    recipe: Annotated[
        str | None, typer.Option(help="Your own training recipe; default: the shipped one of this object.")
    ] = None,
    runs: Annotated[
        Path | None, typer.Option(help="Folder of checkpoints and logs; default: OUTPUT.run.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoints.")] = False,
    device: Annotated[
        Literal["auto", "cpu", "cuda"], typer.Option(help="Where to train; auto: a GPU if there is one.")
    ] = "auto",
    force: Force = False,
) -> None:
    """Train the models of one object: efficiency, flow and fakes, in one file.

    Example: flashsim train jets --tables tables/jets --output jets.safetensors
    """
    from flashsim.declarations.training import load_training
    from flashsim.learning.devices import prepare_device
    from flashsim.training.figure import draw_losses
    from flashsim.training.train import train as fit_models

    if device != "auto":
        prepare_device(device)
    folder = runs or output.with_name(f"{output.name}.run")
    with progress_bars("epochs") as progress:
        bars: dict[str, Any] = {}

        def report(name: str, epoch: int, most: int, best: float) -> None:
            if name not in bars:
                bars[name] = progress.add_task(name, total=most, note="")
            progress.update(bars[name], completed=epoch, note=f"best validation loss {best:.3f}")

        model, results = fit_models(
            tables,
            load_training(recipe or what),
            output,
            runs=folder,
            resume=resume,
            force=force,
            accelerator=device,
            report=report,
        )
    figure = draw_losses(results, folder / "losses.png")
    typer.echo(
        f"{output}: {sum(model.parameters().values())} parameters, {output.stat().st_size / 1e6:.2f} MB"
    )
    for name, result in results.items():
        typer.echo(
            f"  {name}: train {result.train_loss:.3f}, validation {result.validation_loss:.3f} "
            f"(epoch {result.best_epoch + 1} of {result.epochs})"
        )
    typer.echo(f"  losses: {figure}")


@app.command()
def inspect(
    file: Annotated[str, typer.Argument(help="A model file or a NanoAOD file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell what a model or NanoAOD file holds, and what it can be used for."""
    from flashsim.cli.rendering import render
    from flashsim.interface import inspection

    description = inspection.inspect(file)
    typer.echo(json.dumps(description, indent=1) if as_json else render(description))


app.add_typer(refinement.app, name="refine")
COMMANDS = (*grid.COMMANDS, *monitor.COMMANDS, *reference.COMMANDS, *analysis.COMMANDS)
for command in COMMANDS:
    app.command()(command)
