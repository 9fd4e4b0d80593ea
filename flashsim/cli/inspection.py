"""The command that looks into files, which `flashsim.cli.main` offers."""

from __future__ import annotations

import json
from typing import Annotated

import typer

__all__ = ["COMMANDS"]


def inspect(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A model file or a NanoAOD file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print what a model or NanoAOD file holds.

    Of NanoAOD, also whether it can be simulated and which objects can be trained on it.

    Examples:
      flashsim inspect gen.root
      flashsim inspect jets.safetensors --json
    """
    from flashsim.cli.rendering import render
    from flashsim.interface import inspection

    description = inspection.inspect(file)
    typer.echo(json.dumps(description, indent=1) if as_json else render(description))


COMMANDS = (inspect,)
