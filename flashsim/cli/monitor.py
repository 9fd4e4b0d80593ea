"""The command that shows trainings, which `flashsim.cli.main` offers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flashsim.cli.console import Force, note

__all__ = ["COMMANDS"]


def monitor(
    *,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder with trainings somewhere below it.")],
    port: Annotated[int, typer.Option(help="Port of the page; 0 takes a free one.", min=0, max=65535)] = 8010,
    host: Annotated[
        str, typer.Option(help="Address to listen at; others than this machine's own let others read.")
    ] = "127.0.0.1",
    export: Annotated[
        Path | None, typer.Option(help="Write the page as it is now to this HTML file, and serve nothing.")
    ] = None,
    tensorboard: Annotated[
        Path | None,
        typer.Option(help="Write the losses as TensorBoard's event files to a new folder; serve nothing."),
    ] = None,
    force: Force = False,
) -> None:
    """Show trainings and grids in a web page while they run: losses, states, best models.

    Example: flashsim monitor runs/
    """
    from flashsim.monitor.catalogue import Catalogue
    from flashsim.monitor.page import save_page

    catalogue = Catalogue(folder)
    if tensorboard is not None:
        from flashsim.monitor.tensorboard import save_events

        typer.echo(f"{tensorboard}: {save_events(folder, tensorboard)} trainings")
    if export is not None:
        catalogue.update()
        message = catalogue.message()
        save_page(message, export, force=force)
        typer.echo(f"{export}: {len(message['trainings'])} trainings in {len(message['groups'])} groups")
    if export is not None or tensorboard is not None:
        return
    from flashsim.monitor.server import serve

    serve(catalogue, host=host, port=port, ready=lambda address: note(f"{address} (end with Ctrl-C)"))


COMMANDS = (monitor,)
