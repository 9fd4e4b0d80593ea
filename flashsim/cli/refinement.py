"""Commands of the refinement stage, which `flashsim.cli.main` offers as ``flashsim refine``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flashsim.cli.completion import shipped
from flashsim.cli.console import begin, progress_of
from flashsim.cli.options import (
    Changes,
    Chunk,
    Device,
    Force,
    Models,
    OutputFile,
    OutputFolder,
    Resume,
    Runs,
    Seed,
    Threads,
    changes_of,
)
from flashsim.execution.whole_files import check_output, check_output_folder

if TYPE_CHECKING:
    from flashsim.refinement.evaluation import Agreement

__all__ = ["COMMANDS"]

Recipe = Annotated[
    str,
    typer.Option(
        metavar="RECIPE",
        help="A shipped one: jets, muons, pt; or the path of your own YAML file.",
        autocompletion=shipped("training", "*.yaml", prefix="refine_"),
    ),
]


def pairs(
    *,
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FAST FULL...", help="Fast and full simulation of the same gen events, in turn."
        ),
    ],
    output: OutputFolder,
    recipe: Recipe = "jets",
    changes: Changes = None,
    chunk: Chunk = 20_000,
    force: Force = False,
) -> None:
    """Pair the objects of a fast and a full simulation.

    Both are simulations of the same gen events.

    Example:
      flashsim refine pairs fast.root full.root --output pairs/jets
    """
    if len(files) % 2:
        msg = "name a full simulation after each fast one, as in: flashsim refine pairs fast.root full.root"
        raise typer.BadParameter(msg)
    changed = changes_of(changes)
    check_output_folder(output, force=force)
    begin(f"pairing {files[0] if len(files) == 2 else f'{len(files) // 2} pairs of files'} -> {output}")
    from flashsim.interface import refinement

    with progress_of("events") as progress:
        made = refinement.make_pairs(
            files, output, recipe=recipe, changes=changed, chunk=chunk, force=force, progress=progress
        )
    typer.echo(f"{output}: {', '.join(f'{n} {split}' for split, n in made.pairs.items())}")
    typer.echo(f"  {made.events} events, {made.events_apart} without the other simulation left out")
    for cut, left in made.counts.items():
        typer.echo(f"  {cut}: {left}")


def train(
    *,
    pairs: Annotated[Path, typer.Argument(metavar="PAIRS", help="Folder that 'flashsim refine pairs' made.")],
    output: OutputFile,
    recipe: Recipe = "jets",
    changes: Changes = None,
    runs: Runs = None,
    device: Device = "auto",
    threads: Threads = None,
    resume: Resume = False,
    force: Force = False,
) -> None:
    """Train a refiner.

    Prints how close it comes to the full simulation on pairs that were not trained on.

    Example:
      flashsim refine train pairs/jets --output refine_jets.safetensors
    """
    changed = changes_of(changes)
    check_output(output, force=force)
    begin(f"training a refiner of {recipe} from {pairs} -> {output}")
    from flashsim.interface import refinement

    with progress_of("epochs") as progress:
        trained = refinement.train_refiner(
            pairs,
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
    result = trained.result
    typer.echo(
        f"{output}: {trained.model.parameters} parameters, discrepancy {result.validation_loss:.2e} "
        f"(epoch {result.best_epoch + 1} of {result.epochs})"
    )
    _print_agreement(trained.agreement)


def _print_agreement(agreement: Agreement) -> None:
    """Print distances to the full simulation."""
    typer.echo(f"  {'Wasserstein distance to full':32} {'pairs':>8} {'fast':>9} {'refined':>9} {'floor':>9}")
    for d in agreement.distances:
        name = f"{d.variable} ({d.group})"
        typer.echo(f"  {name:32} {d.rows:8} {d.fast:9.4g} {d.refined:9.4g} {d.floor:9.4g}")
    fast, refined = (agreement.correlation[name] for name in ("fast", "refined"))
    typer.echo(f"  largest difference of correlations: fast {fast:.3f}, refined {refined:.3f}")
    if agreement.sums:
        text = ", ".join(f"{name} {value:.4f}" for name, value in agreement.sums.items())
        typer.echo(f"  mean sum of probabilities: {text}")


def apply(
    *,
    source: Annotated[
        str | None,
        typer.Argument(metavar="INPUT", help="NanoAOD of a fast simulation.", show_default=False),
    ] = None,
    named: Annotated[
        str | None, typer.Option("--input", "-i", metavar="INPUT", help="The same, as an option.")
    ] = None,
    output: OutputFile,
    models: Models = None,
    seed: Seed = 1,
    chunk: Chunk = 10_000,
    force: Force = False,
) -> None:
    """Refine the objects of a file.

    What they were before stands in branches that end in _unrefined.

    Example:
      flashsim refine apply fast.root --models refine_jets.safetensors --output refined.root
    """
    if (source is None) == (named is None):
        msg = "name one input, as in 'flashsim refine apply fast.root'"
        raise typer.BadParameter(msg)
    source = source or named or ""
    if not models:
        msg = (
            "name a refiner, as in '--models refine_jets.safetensors'; make one with 'flashsim refine train'"
        )
        raise typer.BadParameter(msg)
    check_output(output, force=force)
    begin(f"refining {source} -> {output}")
    from flashsim.interface import refinement

    with progress_of("events") as progress:
        found = refinement.apply_refiner(
            source, output, models=models, seed=seed, chunk=chunk, force=force, progress=progress
        )
    typer.echo(
        f"{output}: {found.events} events, {found.refined} of {found.objects} objects refined, "
        f"{found.unmatched} without a gen match as they were, order changed in {found.reordered} events"
    )


COMMANDS = (pairs, train, apply)
"""In the order of the help."""
