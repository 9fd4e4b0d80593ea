"""Options that several commands have: one name, one meaning, one help text and one default each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "RESUME",
    "Changes",
    "Chunk",
    "Dask",
    "Device",
    "Force",
    "Models",
    "OutputFile",
    "OutputFolder",
    "Resume",
    "Retries",
    "Runs",
    "Seed",
    "Threads",
    "Workers",
    "changes_of",
    "one_kind_of_workers",
]


def _device(name: str) -> str:
    if re.fullmatch(r"auto|cpu|cuda(:\d+)?", name) is None:
        msg = f"expected auto, cpu, cuda or cuda:N, found '{name}'"
        raise typer.BadParameter(msg)
    return name


Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change a value of the recipe, such as flow.layers=4; may be given several times.",
    ),
]
Chunk = Annotated[
    int,
    typer.Option(metavar="N", help="Events in memory at a time; the result does not depend on it.", min=1),
]
Dask = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Work on the Dask cluster of this scheduler: tcp://host:8786."),
]
Device = Annotated[
    str,
    typer.Option(
        metavar="DEVICE",
        callback=_device,
        help="Where the networks run: auto (a GPU if there is one), cpu, cuda or cuda:N.",
    ),
]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace an output that exists.")]
Models = Annotated[
    list[Path] | None,
    typer.Option("--models", "--model", "-m", metavar="PATH", help="Model files or folders."),
]
OutputFile = Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The file that is written.")]
OutputFolder = Annotated[
    Path, typer.Option("--output", "-o", metavar="DIR", help="The folder that is written to.")
]
RESUME = "--resume"
Resume = Annotated[
    bool, typer.Option(RESUME, help="Go on after an interruption; what is finished is left alone.")
]
Retries = Annotated[int, typer.Option(metavar="N", help="How often work that fails is tried again.", min=0)]
Runs = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder of checkpoints and logs.", show_default="OUTPUT.run"),
]
Seed = Annotated[
    int, typer.Option(metavar="N", help="Seed of all random numbers: the same seed, the same result.", min=0)
]
Threads = Annotated[
    int | None,
    typer.Option(
        metavar="N", help="Threads of each process.", min=1, show_default="all cores, shared out; in a grid 1"
    ),
]
Workers = Annotated[
    int, typer.Option(metavar="N", help="Processes; the result does not depend on their number.", min=1)
]


def changes_of(texts: Sequence[str] | None) -> dict[str, Any]:
    """Give the values by dotted key that ``--set`` names.

    Raises
    ------
    RecipeError
        If one is not ``KEY=VALUE``, or its value is not YAML.
    """
    if not texts:
        return {}
    from flashsim.declarations.changes import parse_changes

    return parse_changes(texts)


def one_kind_of_workers(workers: int, dask: str | None) -> None:
    """Refuse processes of this machine beside a cluster.

    Raises
    ------
    typer.BadParameter
        If both are asked for.
    """
    if dask is not None and workers > 1:
        msg = "give --workers or --dask, not both: a Dask cluster has workers of its own"
        raise typer.BadParameter(msg)
