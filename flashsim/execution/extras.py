"""Packages that only some of the work needs: extras of the installation."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from flashsim.errors import MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["needs_extra"]


@contextmanager
def needs_extra(name: str, work: str) -> Iterator[None]:
    """Say how to install what a block, or a function that this decorates, imports and does not find.

    Parameters
    ----------
    name
        The extra of the installation that has the packages, see ``pyproject.toml``.
    work
        What needs them, as the beginning of a sentence.

    Raises
    ------
    MissingDependencyError
        If a package is not installed.

    Examples
    --------
    >>> with needs_extra("train", "training"):
    ...     import json
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in {"", __name__.partition(".")[0]}:
            raise
        msg = f"{work} needs the package {package}, which is not installed: pip install 'flashsim[{name}]'"
        raise MissingDependencyError(msg) from error
