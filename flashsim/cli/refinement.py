"""Commands of the refinement stage, which `flashsim.cli.main` offers as ``flashsim refine``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from flashsim.cli.console import Force, Seed, progress_bars

if TYPE_CHECKING:
    from flashsim.refinement.evaluation import Agreement

__all__ = ["app"]

app = typer.Typer(
    help="Refine a fast simulation: make its objects look like those of the full one.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Recipe = Annotated[str, typer.Option(help="jets, muons, pt, or the path of your own recipe.")]


@app.command()
def pairs(
    *,
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FAST FULL...", help="Fast and full simulation of the same gen events, in turn."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the pairs.")],
    recipe: Recipe = "jets",
    chunk: Annotated[int, typer.Option(help="Events in memory at a time.", min=1)] = 20_000,
    force: Force = False,
) -> None:
    """Pair the objects of a fast and a full simulation of the same gen events.

    Example: flashsim refine pairs fast.root full.root --output pairs/jets
    """
    if len(files) % 2:
        msg = "name a full simulation after each fast one, as in: flashsim refine pairs fast.root full.root"
        raise typer.BadParameter(msg)
    from flashsim.declarations.refinement import load_refiner
    from flashsim.refinement.pairs import make_pairs

    with progress_bars("events") as progress:
        bar = progress.add_task("pairs", total=None, note="")
        made = make_pairs(
            load_refiner(recipe),
            list(zip(files[::2], files[1::2], strict=True)),
            output,
            chunk=chunk,
            force=force,
            progress=lambda done, total: progress.update(bar, completed=done, total=total),
        )
    typer.echo(f"{output}: {', '.join(f'{n} {split}' for split, n in made.pairs.items())}")
    typer.echo(f"  {made.events} events, {made.events_apart} without the other simulation left out")
    for cut, left in made.counts.items():
        typer.echo(f"  {cut}: {left}")


@app.command()
def train(
    *,
    pairs: Annotated[Path, typer.Option("--pairs", "-p", help="Folder of the pairs.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The model file, NAME.safetensors.")],
    recipe: Recipe = "jets",
    runs: Annotated[
        Path | None, typer.Option(help="Folder of checkpoints and logs; default: OUTPUT.run.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoints.")] = False,
    device: Annotated[
        Literal["auto", "cpu", "cuda"], typer.Option(help="Where to train; auto: a GPU if there is one.")
    ] = "auto",
    force: Force = False,
) -> None:
    """Train a refiner, and tell how near it comes to the full simulation on pairs that it has not seen.

    Example: flashsim refine train --pairs pairs/jets --output refine_jets.safetensors
    """
    from flashsim.declarations.refinement import load_refiner
    from flashsim.refinement.train import train_refiner

    with progress_bars("epochs") as progress:
        bar = progress.add_task("refiner", total=None, note="")

        def report(epoch: int, most: int, best: float) -> None:
            progress.update(bar, completed=epoch, total=most, note=f"best validation discrepancy {best:.2e}")

        trained = train_refiner(
            pairs,
            load_refiner(recipe),
            output,
            runs=runs,
            resume=resume,
            force=force,
            accelerator=device,
            report=report,
        )
    result = trained.result
    typer.echo(
        f"{output}: {trained.model.parameters} parameters, discrepancy {result.validation_loss:.2e} "
        f"(epoch {result.best_epoch + 1} of {result.epochs})"
    )
    _tell(trained.agreement)


def _tell(agreement: Agreement) -> None:
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


@app.command()
def apply(
    *,
    source: Annotated[str, typer.Option("--input", "-i", help="NanoAOD of a fast simulation.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The refined file, NAME.root.")],
    model: Annotated[Path, typer.Option("--model", "-m", help="The refiner.")],
    seed: Seed = 1,
    chunk: Annotated[int, typer.Option(help="Events in memory at a time.", min=1)] = 10_000,
    force: Force = False,
) -> None:
    """Refine the objects of a file; what they were stands in branches that end in _unrefined.

    Example: flashsim refine apply --input fast.root --model refine_jets.safetensors --output refined.root
    """
    from flashsim.refinement.apply import apply_refiner
    from flashsim.refinement.model import RefinerModel

    with progress_bars("events") as progress:
        bar = progress.add_task(Path(source).name, total=None, note="")
        found = apply_refiner(
            RefinerModel.load(model),
            source,
            output,
            seed=seed,
            chunk=chunk,
            force=force,
            progress=lambda done, total: progress.update(bar, completed=done, total=total),
        )
    typer.echo(
        f"{output}: {found.events} events, {found.refined} of {found.objects} objects refined, "
        f"{found.unmatched} without a gen match as they were, order changed in {found.reordered} events"
    )
