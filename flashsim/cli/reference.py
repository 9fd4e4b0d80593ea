"""Commands that make events to simulate, and their simulation, which `flashsim.cli.main` offers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flashsim.cli.completion import shipped
from flashsim.cli.console import begin, note, progress_of
from flashsim.cli.options import (
    Changes,
    Force,
    OutputFile,
    OutputFolder,
    Seed,
    Workers,
    changes_of,
)
from flashsim.declarations.eras import DEFAULT_ERA
from flashsim.declarations.event_numbers import (
    EVENTS_PER_LUMINOSITY_BLOCK,
    MOST_BLOCK,
    MOST_EVENT,
    MOST_RUN,
)
from flashsim.execution.whole_files import check_output

__all__ = ["COMMANDS"]


def gen(
    *,
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="HepMC or LHE events (files, globs, folders), or a Pythia 8 command file.",
        ),
    ],
    output: OutputFile,
    settings: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Pythia 8 settings for LHE events.", show_default="CP5-like tune"),
    ] = None,
    events: Annotated[
        int | None,
        typer.Option(
            "--events",
            "-n",
            metavar="N",
            help="Number of events.",
            min=1,
            show_default="all of HepMC and LHE, 1000 of Pythia",
        ),
    ] = None,
    seed: Seed = 1,
    run: Annotated[int, typer.Option(metavar="N", help="Run of the events.", min=1, max=MOST_RUN)] = 1,
    lumi: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help=f"First luminosity block; the next one begins after {EVENTS_PER_LUMINOSITY_BLOCK} events.",
            min=1,
            max=MOST_BLOCK,
            show_default="a hash of the first event",
        ),
    ] = None,
    first_event: Annotated[
        int, typer.Option(metavar="N", help="Number of the first event.", min=1, max=MOST_EVENT)
    ] = 1,
    weight: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Which weight of HepMC events is genWeight.",
            show_default="the nominal one, found by its name",
        ),
    ] = None,
    era: Annotated[
        str | None,
        typer.Option(
            metavar="ERA",
            help="Pileup, NanoAOD version and, for Pythia 8 settings, energy.",
            show_default="run2, with the energy of the settings",
            autocompletion=shipped("reference", "*.yaml", holds="generation:"),
        ),
    ] = None,
    workers: Workers = 1,
    force: Force = False,
) -> None:
    """Make gen-level NanoAOD from HepMC or LHE, or with Pythia 8.

    Needs the extra 'reference'.

    Examples:
      flashsim gen events.hepmc.gz --output gen.root
      flashsim gen events.lhe.gz --output gen.root
      flashsim gen vbf_hmumu.cmnd --events 1000 --output gen.root
    """
    check_output(output, force=force)
    name = Path(sources[0]).name if len(sources) == 1 else f"{len(sources)} inputs"
    begin(f"making gen-level events of {sources[0] if len(sources) == 1 else name} -> {output}")
    from flashsim.interface.gen import make_gen

    with progress_of("events") as progress:
        summary = make_gen(
            sources,
            output,
            settings=settings,
            events=events,
            seed=seed,
            weight=weight,
            workers=workers,
            era=era,
            run=run,
            lumi=lumi,
            first_event=first_event,
            force=force,
            progress=progress,
        )
    for text in summary.notes:
        note(text)
    told = (f"{summary.events} events from {name}", summary.cross_section_text, summary.weight_text)
    typer.echo(f"{output}: {', '.join(filter(None, told))}")


def reference(
    *,
    process: Annotated[
        str,
        typer.Argument(
            metavar="PROCESS",
            help="A shipped one, such as vbf_hmumu, or your own Pythia 8 command file.",
            autocompletion=shipped("reference", "*.cmnd", holds="include = cp5.cmnd"),
        ),
    ],
    output: OutputFolder,
    events: Annotated[
        int, typer.Option("--events", "-n", metavar="N", help="Number of events.", min=1)
    ] = 1000,
    seed: Seed = 1,
    era: Annotated[
        str,
        typer.Option(
            metavar="ERA",
            help="Energy, pileup, NanoAOD version and jets: run2 (v9, CHS) or run3 (v15, PUPPI).",
            autocompletion=shipped("reference", "*.yaml", holds="generation:"),
        ),
    ] = DEFAULT_ERA,
    detectors: Annotated[
        str, typer.Option(metavar="NAMES", help="Which detectors see the events, comma separated.")
    ] = "full,fast",
    draws: Annotated[
        int, typer.Option(metavar="N", help="Independent draws of each detector of the same events.", min=1)
    ] = 1,
    full: Annotated[
        Path | None,
        typer.Option(metavar="RECIPE", help="What differs in your own 'full'.", show_default="full.yaml"),
    ] = None,
    fast: Annotated[
        Path | None,
        typer.Option(metavar="RECIPE", help="What differs in your own 'fast'.", show_default="fast.yaml"),
    ] = None,
    minbias: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Minimum-bias interactions that pileup is made of.",
            show_default="20000 of the era's energy, made once and kept in the cache",
        ),
    ] = None,
    changes: Changes = None,
    workers: Workers = 1,
    force: Force = False,
) -> None:
    """Make events with Pythia 8, reconstructed by two detectors.

    Writes gen.root, particles.root, full.root and fast.root; gen-level files of the same process, seed, era
    and number of events are used again. This is not CMS simulation. Needs the extra 'reference'.

    Examples:
      flashsim reference ttbar --events 1000 --output ttbar
      flashsim reference ttbar --era run3 --events 1000 --output ttbar_run3
    """
    own: dict[str, Path | None] = {"full": full, "fast": fast}
    names = [name.strip() for name in detectors.split(",")]
    if unknown := [name for name in names if name not in own]:
        msg = f"'{unknown[0]}' is no detector; choose from full, fast"
        raise typer.BadParameter(msg)
    changed = changes_of(changes)
    from flashsim.interface.reference import detector_outputs, simulate

    for path in detector_outputs(output, names, draws).values():
        check_output(path, force=force)
    begin(f"making {events} events of {process} in {' and '.join(names)} -> {output}")
    with progress_of("events") as progress:
        made = simulate(
            process,
            output,
            events=events,
            seed=seed,
            era=era,
            workers=workers,
            minbias=minbias,
            detectors={name: own[name] or name for name in names},
            changes=changed,
            draws=draws,
            force=force,
            progress=progress,
        )
    typer.echo(f"{made.gen}: {events} events" + (", made before" if made.reused else ""))
    for detection in made.detections:
        counts = ", ".join(f"{number} {name}" for name, number in detection.objects.items())
        typer.echo(f"{detection.output}: {counts}")


COMMANDS = (gen, reference)
"""In the order of the help."""
