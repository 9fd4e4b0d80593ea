"""The command that shows trainings, which `flashsim.cli.main` offers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flashsim.cli.console import note
from flashsim.cli.options import Force
from flashsim.execution.whole_files import check_output, refuse_existing, refuse_input

__all__ = ["COMMANDS"]


def monitor(
    *,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder with trainings at any depth below it.")
    ],
    port: Annotated[
        int, typer.Option(metavar="PORT", help="Port of the page; 0 takes a free one.", min=0, max=65535)
    ] = 8010,
    host: Annotated[
        str,
        typer.Option(metavar="HOST", help="Address to listen at; 0.0.0.0 lets the whole network read."),
    ] = "127.0.0.1",
    export: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the page as it is now to this HTML file; serve nothing."),
    ] = None,
    tensorboard: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write the losses as TensorBoard's event files to a new folder; serve nothing.",
        ),
    ] = None,
    force: Force = False,
) -> None:
    """Show trainings in a web page while they run.

    Examples:
      flashsim monitor runs/
      flashsim monitor runs/ --export trainings.html
    """
    if export is not None:
        check_output(export, force=force)
    if tensorboard is not None:
        refuse_existing(tensorboard, mend="name another folder")
    from flashsim.monitor.catalogue import Catalogue
    from flashsim.monitor.page import save_page

    catalogue = Catalogue(folder)
    if tensorboard is not None:
        from flashsim.monitor.tensorboard import save_events

        typer.echo(f"{tensorboard}: {save_events(folder, tensorboard)} trainings")
    if export is not None:
        catalogue.update()
        refuse_input(export, *catalogue.files())
        message = catalogue.message()
        save_page(message, export, force=force)
        typer.echo(f"{export}: {len(message['trainings'])} trainings in {len(message['groups'])} groups")
    if export is not None or tensorboard is not None:
        return
    from flashsim.monitor.server import serve

    serve(catalogue, host=host, port=port, ready=lambda address: note(f"{address} (end with Ctrl-C)"))


COMMANDS = (monitor,)
