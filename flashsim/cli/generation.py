"""The command that simulates events, which `flashsim.cli.main` offers."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from flashsim.cli.console import begin, note, progress_of, warn
from flashsim.cli.options import (
    Changes,
    Chunk,
    Dask,
    Device,
    Force,
    Models,
    Resume,
    Retries,
    Seed,
    Threads,
    Workers,
    changes_of,
    one_kind_of_workers,
)

if TYPE_CHECKING:
    from flashsim.generation.campaign import Outcome
    from flashsim.interface.generation import Generated

__all__ = ["COMMANDS", "Compression", "generate"]

Compression = Literal["zstd", "lz4", "zlib", "lzma", "none"]


def generate(
    *,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT",
            help="Gen-level NanoAOD: paths, globs, root:// URLs, or @FILE, a text file that lists them.",
            show_default=False,
        ),
    ] = None,
    named: Annotated[
        list[str] | None, typer.Option("--input", "-i", metavar="INPUT", help="The same, as an option.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="NAME.root, or a folder for files NAME_flash.root.",
            show_default="the current folder",
        ),
    ] = None,
    models: Models = None,
    seed: Seed = 1,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help="Reconstructed branches and trees of the input that are kept, such as 'HLT_*'.",
        ),
    ] = None,
    nano_version: Annotated[
        str | None,
        typer.Option(
            metavar="VERSION", help="NanoAOD version of the output, such as v9.", show_default="the input's"
        ),
    ] = None,
    oversample: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Simulate each gen event N times, each with 1/N of its weight.",
            min=1,
            max=65536,
        ),
    ] = 1,
    flag_domain: Annotated[
        bool,
        typer.Option(
            "--flag-domain",
            help="Write branches such as Jet_outsideDomain, which mark objects from outside of the training.",
        ),
    ] = False,
    pileup: Annotated[
        str | None,
        typer.Option(
            metavar="PROFILE",
            help="Simulate with this pileup, such as run2_2018: a shipped profile, a YAML file, a number of "
            "interactions, or drawn (as in the training).",
            show_default="the input's",
        ),
    ] = None,
    compression: Annotated[Compression, typer.Option(help="Compression of the output.")] = "zstd",
    changes: Changes = None,
    chunk: Chunk = 5000,
    device: Device = "auto",
    workers: Workers = 1,
    threads: Threads = None,
    dask: Dask = None,
    retries: Retries = 1,
    resume: Resume = False,
    force: Force = False,
) -> None:
    """Simulate events: gen-level NanoAOD in, NanoAOD out.

    The shipped models are used unless --models names others.

    Examples:
      flashsim generate --input gen.root --output flash.root
      flashsim generate gen_*.root --output simulated/ --workers 8
    """
    sources = [*(named or ()), *(inputs or ())]
    if not sources:
        msg = "name at least one input, as in 'flashsim generate gen.root'"
        raise typer.BadParameter(msg)
    one_kind_of_workers(workers, dask)
    changed = changes_of(changes)
    from flashsim.generation.jobs import plan_jobs
    from flashsim.interface.generation import generate as simulate

    jobs = plan_jobs(sources, output, force=force, resume=resume)
    many = len(jobs) > 1
    source, target = (f"{len(jobs)} files", output or Path()) if many else jobs[0]
    begin(f"simulating {source} -> {target}")
    notes: set[str] = set()
    with progress_of("events") as progress:
        made = simulate(
            sources,
            output,
            models=models,
            seed=seed,
            keep=keep or (),
            nano_version=nano_version,
            oversample=oversample,
            chunk=chunk,
            changes=changed,
            device=device,
            workers=workers,
            threads=threads,
            dask=dask,
            retries=retries,
            resume=resume,
            flag_domain=flag_domain,
            pileup=pileup,
            compression=compression,
            force=force,
            command=shlex.join(["flashsim", *sys.argv[1:]]),
            check=not many,
            report=lambda outcome: _print_outcome(outcome, notes) if many or outcome.summary else None,
            progress=progress,
        )
    _print_whole(made, many)
    made.check()


def _print_outcome(outcome: Outcome, notes: set[str]) -> None:
    """Print what has become of a file; notes that were given already are not repeated."""
    from flashsim.generation.report import remarks, sentence

    if outcome.summary is None:
        note(f"failed after {outcome.attempts} attempt{'s'[: outcome.attempts - 1]}: {outcome.reason}")
        return
    typer.echo(sentence(outcome.summary))
    for text in remarks(outcome.summary):
        if text not in notes:
            note(text)
    notes.update(remarks(outcome.summary))


def _print_whole(made: Generated, many: bool) -> None:
    """Print what has become of all files, what models were trained on, and what was unlike the training.

    What may make a result wrong comes last, where it is seen.
    """
    from flashsim.generation.report import (
        number_warning,
        origin_lines,
        outside_table,
        outside_warnings,
        table,
        version_warnings,
    )

    if many:
        typer.echo(table(made.outcomes))
    for text in origin_lines(made.summaries):
        note(text)
    for name in made.without_phase_space:
        note(f"the model of {name} does not know the domain of its training: what is outside is not counted")
    if outside := outside_table(made.summaries, made.phase_spaces):
        typer.echo(outside)
    for text in (*outside_warnings(made.summaries), *version_warnings(made.summaries)):
        warn(text)
    if text := number_warning(made.summaries):
        warn(text)


COMMANDS = (generate,)
