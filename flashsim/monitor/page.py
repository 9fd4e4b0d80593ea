"""The page: one file of HTML that holds its style, its scripts and, when saved, its data."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from flashsim.execution.whole_files import refuse_existing, write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SCRIPTS", "live_page", "read_static", "save_page", "saved_page"]

_STATIC = Path(__file__).with_name("static")
SCRIPTS = ("echarts.min.js", "model.js", "charts.js", "tables.js", "page.js")
"""In the order in which the page needs them."""


def read_static(name: str) -> str:
    """Content of a file of the page."""
    return (_STATIC / name).read_text(encoding="utf-8")


def live_page(title: str) -> str:
    """Page that follows the server it comes from."""
    links = [f'<script src="static/{name}"></script>' for name in SCRIPTS]
    return _fill(title, '<link rel="stylesheet" href="static/page.css">', "\n".join(links))


def saved_page(message: Mapping[str, Any]) -> str:
    """Page with the data in it, which needs no server.

    Parameters
    ----------
    message
        Everything that `Catalogue.message` tells.
    """
    # In a script element only an end tag or a comment could be taken for HTML.
    data = json.dumps(message, allow_nan=False).replace("<", "\\u003c")
    scripts = [f'<script id="data" type="application/json">{data}</script>']
    scripts += [f"<script>{read_static(name)}</script>" for name in SCRIPTS]
    return _fill(message["folder"], f"<style>{read_static('page.css')}</style>", "\n".join(scripts))


def save_page(message: Mapping[str, Any], path: Path, *, force: bool = False) -> None:
    """Write the page with the data in it.

    Raises
    ------
    OutputFileError
        If the file exists and `force` is not set, or cannot be written.
    """
    refuse_existing(path, force=force)
    write_whole(path, saved_page(message))


def _fill(title: str, style: str, scripts: str) -> str:
    template = Template(read_static("page.html"))
    return template.substitute(title=escape(title), style=style, scripts=scripts)
