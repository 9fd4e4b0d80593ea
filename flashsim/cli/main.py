"""The command line: each command parses, calls one function, prints.

Results go to stdout or files; progress, notes and log lines go to stderr. What a user can mend ends with one
sentence and exit status 2.
"""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from flashsim.cli import analysis, generation, grid, inspection, monitor, reference, refinement, training
from flashsim.cli.console import add_commands, run

__all__ = ["app", "main"]

_SETTINGS = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    name="flashsim",
    help="Simulated NanoAOD from generator-level events, with conditional normalizing flows.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings=_SETTINGS,
)
refine = typer.Typer(
    help="Make objects of a fast simulation like those of the full one.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings=_SETTINGS,
)


def main() -> None:
    """Run the command line, as the console script does."""
    run(app)


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
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print more, on stderr.")] = False,
) -> None:
    if verbose:
        logging.getLogger("flashsim").setLevel(logging.INFO)


COMMANDS = (
    *generation.COMMANDS,
    *training.COMMANDS,
    *inspection.COMMANDS,
    *grid.COMMANDS,
    *monitor.COMMANDS,
    *reference.COMMANDS,
    *analysis.COMMANDS,
)
"""In the order of the help."""

add_commands(app, COMMANDS)
add_commands(refine, refinement.COMMANDS)
app.add_typer(refine, name="refine")
