"""Commands that make events to simulate, and their simulation, which `flashsim.cli.main` offers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from flashsim.cli.console import Force, Seed, progress_bars

__all__ = ["COMMANDS"]


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
    from flashsim.gen import make_gen

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


def reference(
    *,
    process: Annotated[
        str,
        typer.Argument(help="A shipped process, such as vbf_hmumu, or your own Pythia 8 command file."),
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
    from flashsim.interface.reference import simulate

    with progress_bars("events") as progress:
        bars: dict[str, Any] = {}

        def report(name: str, done: int, total: int | None, _: str) -> None:
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


COMMANDS = (gen, reference)
"""In the order of the help."""
