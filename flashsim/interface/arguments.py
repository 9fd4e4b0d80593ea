"""What the functions for files have in common: how inputs are named, and how progress is reported."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeAlias

__all__ = [
    "Names",
    "PathLike",
    "Progress",
    "counted",
    "counted_by_name",
    "model_paths",
    "names_of",
    "paths_of",
]

PathLike: TypeAlias = str | Path
"""A path."""

Names: TypeAlias = str | Path | Iterable[str | Path]
"""One name or several: paths, globs, URLs, or ``@FILE``, a list of them in a text file."""

Progress: TypeAlias = Callable[[str, int, int | None, str], None]
"""Called with (what is worked on, how much is done, how much there is or none if not known, a remark)."""


def names_of(named: Names) -> list[str]:
    """Give one name or several as a list of texts.

    Examples
    --------
    >>> names_of("gen_*.root")
    ['gen_*.root']
    """
    return [str(name) for name in ([named] if isinstance(named, str | Path) else named)]


def paths_of(named: Names) -> list[Path]:
    """Give one path or several as a list of paths."""
    return [Path(name) for name in names_of(named)]


def model_paths(models: Names | None) -> tuple[str, ...] | None:
    """Give model files or folders by absolute paths, as workers may have another folder; none if none."""
    return None if models is None else tuple(str(path.absolute()) for path in paths_of(models))


def counted_by_name(progress: Progress | None) -> Callable[[str, int, int | None], None] | None:
    """Give what stages call with (what is worked on, done, total); none if nobody listens."""
    return None if progress is None else lambda name, done, total: progress(name, done, total, "")


def counted(progress: Progress | None, name: str) -> Callable[[int, int | None], None] | None:
    """Give what stages call with (done, total), for work that has one name; none if nobody listens."""
    return None if progress is None else lambda done, total: progress(name, done, total, "")
