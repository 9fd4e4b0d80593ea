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

from flashsim.console import note, progress_bars, run
from flashsim.errors import FlashSimError

if TYPE_CHECKING:
    from flashsim.generation.generate import Generator, Summary

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

Force = Annotated[bool, typer.Option("--force", "-f", help="Replace an output that exists.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same events.", min=0)]
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
    chunk: Annotated[int, typer.Option(help="Events in memory at a time.", min=1)] = 5000,
    device: Annotated[str, typer.Option(help="Where the networks run: cpu, cuda, cuda:1.")] = "cpu",
    threads: Annotated[
        int | None, typer.Option(help="Threads of the networks; default: all cores.", min=1)
    ] = None,
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
    from flashsim.generation.generate import Generator
    from flashsim.generation.jobs import plan_jobs, prepare_device
    from flashsim.generation.recipe import load_output
    from flashsim.modelfile import ObjectModel
    from flashsim.models import model_files

    prepare_device(device, threads)
    loaded = [ObjectModel.load(path) for path in model_files(models)]
    generator = Generator(loaded, load_output(), seed=seed, device=device, chunk=chunk)
    options = {"keep": keep or (), "version": nano_version, "compression": compression, "force": force}
    notes: set[str] = set()
    jobs = plan_jobs(named, output, force=force)
    for done, (source, target) in enumerate(jobs):
        try:
            summary = _generate_file(generator, source, target, options)
        except FlashSimError:
            if done:
                note(f"{done} of {len(jobs)} files are done and stay")
            raise
        typer.echo(_sentence(summary))
        for text in _notes(summary):
            if text not in notes:
                note(text)
        notes.update(_notes(summary))


def _generate_file(generator: Generator, source: str, target: Path, options: dict[str, Any]) -> Summary:
    with progress_bars("events") as progress:
        bar = progress.add_task(Path(source).name, total=None, note="")
        return generator.run(
            source,
            target,
            command=shlex.join(["flashsim", *sys.argv[1:]]),
            progress=lambda done, total: progress.update(bar, completed=done, total=total),
            **options,
        )


def _sentence(summary: Summary) -> str:
    counts = ", ".join(f"{number} {name}" for name, number in summary.objects.items())
    rate = summary.events / max(summary.seconds, 1e-9)
    return (
        f"{summary.output}: {summary.events} events of NanoAOD {summary.version}, {counts}, "
        f"in {summary.seconds:.1f} s ({rate:,.0f} events/s)"
    )


def _notes(summary: Summary) -> list[str]:
    version = summary.version
    notes = [
        f"the model of {name} was trained on NanoAOD {trained}, the output is {version}: expect differences"
        for name, trained in summary.trained_on.items()
    ]
    if summary.left_out:
        notes.append(f"NanoAOD {version} does not have, so left out: {', '.join(summary.left_out)}")
    if summary.stale:
        notes.append(f"not kept, as they index objects that are simulated anew: {', '.join(summary.stale)}")
    return notes


@app.command()
def preprocess(
    *,
    what: Annotated[
        str, typer.Argument(metavar="OBJECT", help="jets, muons, or the path of your own YAML file.")
    ],
    files: Annotated[list[str], typer.Argument(help="NanoAOD files: paths, globs or root:// URLs.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the tables.")],
    chunk: Annotated[int, typer.Option(help="Events in memory at a time.", min=1)] = 20_000,
    force: Force = False,
) -> None:
    """Make training tables of one object from NanoAOD.

    Example: flashsim preprocess jets full_*.root --output tables/jets
    """
    from flashsim.nanoaod.inputs import expand_inputs
    from flashsim.objects import load_object
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
        str, typer.Argument(metavar="OBJECT", help="jets, muons, or the name of your own object.")
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
    from flashsim.generation.jobs import prepare_device
    from flashsim.training.figure import draw_losses
    from flashsim.training.recipe import load_training
    from flashsim.training.tables import Tables
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
            Tables(tables),
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
    from flashsim.inspection import describe, render

    description = describe(file)
    typer.echo(json.dumps(description, indent=1) if as_json else render(description))


@app.command()
def gen(
    *,
    source: Annotated[
        str,
        typer.Argument(metavar="INPUT", help="HepMC events (.hepmc, .hepmc.gz), or a Pythia 8 command file."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The gen-level NanoAOD file.")],
    events: Annotated[
        int | None,
        typer.Option("--events", "-n", help="How many; default: all of HepMC, 1000 of Pythia.", min=1),
    ] = None,
    seed: Seed = 1,
    workers: Annotated[
        int, typer.Option(help="Processes of Pythia; the result does not depend on it.", min=1)
    ] = 1,
    force: Force = False,
) -> None:
    """Make gen-level NanoAOD from HepMC events or with Pythia 8 (needs the extra 'reference').

    Example: flashsim gen events.hepmc.gz --output gen.root
    """
    from flashsim.reference import make_gen

    with progress_bars("events") as progress:
        bar = progress.add_task(Path(source).name, total=events, note="")
        summary = make_gen(
            source,
            output,
            events=events,
            seed=seed,
            workers=workers,
            force=force,
            progress=lambda done, total: progress.update(bar, completed=done, total=total),
        )
    typer.echo(f"{output}: {summary.events} events from {Path(source).name}, {summary.cross_section_text}")


@app.command()
def reference(
    *,
    process: Annotated[
        str,
        typer.Argument(help="vbf_hmumu, dy_mumu, ewk_zjj_like, ttbar, or your own Pythia 8 command file."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the files.")],
    events: Annotated[int, typer.Option("--events", "-n", help="Number of events.", min=1)] = 1000,
    seed: Seed = 1,
    workers: Annotated[int, typer.Option(help="Processes; the result does not depend on it.", min=1)] = 1,
    detectors: Annotated[
        str, typer.Option(help="Which detectors see the events, comma separated: full, fast.")
    ] = "full,fast",
    draws: Annotated[
        int, typer.Option(help="Independent draws of each detector of the same events.", min=1)
    ] = 1,
    full: Annotated[Path | None, typer.Option(help="Your own parameters in place of full.yaml.")] = None,
    fast: Annotated[Path | None, typer.Option(help="Your own parameters in place of fast.yaml.")] = None,
    force: Force = False,
) -> None:
    """Simulate events with Pythia 8 and two parametrised detectors (needs the extra 'reference').

    Writes gen.root, hidden.root, full.root and fast.root; gen-level files of the same process, seed and
    number of events are used again. This is not CMS simulation.

    Example: flashsim reference ttbar -n 1000 --output ttbar
    """
    own: dict[str, Path | None] = {"full": full, "fast": fast}
    names = [name.strip() for name in detectors.split(",")]
    if unknown := [name for name in names if name not in own]:
        msg = f"'{unknown[0]}' is no detector; choose from full, fast"
        raise typer.BadParameter(msg)
    from flashsim.reference import simulate

    with progress_bars("events") as progress:
        bars: dict[str, Any] = {}

        def report(name: str, done: int, total: int) -> None:
            if name not in bars:
                bars[name] = progress.add_task(name, total=total, note="")
            progress.update(bars[name], completed=done)

        made = simulate(
            process,
            output,
            events=events,
            seed=seed,
            workers=workers,
            detectors={name: own[name] or name for name in names},
            draws=draws,
            force=force,
            progress=report,
        )
    typer.echo(f"{made.gen}: {events} events" + (", made before" if made.reused else ""))
    for detection in made.detections:
        counts = ", ".join(f"{number} {name}" for name, number in detection.objects.items())
        typer.echo(f"{detection.output}: {counts}")
