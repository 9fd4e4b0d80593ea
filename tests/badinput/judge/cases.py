"""A case: how an input is made, the command that reads it, and what is right."""

from __future__ import annotations

import gzip
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from judge.columns import write_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from judge.columns import Columns
    from judge.stock import Stock

__all__ = [
    "Case",
    "columns",
    "copied",
    "damaged",
    "edited",
    "json_edited",
    "several",
    "text",
    "yaml_edited",
]


@dataclass(frozen=True)
class Case:
    """One bad input, or one that only looks bad.

    Parameters
    ----------
    name
        What is wrong.
    command
        Arguments of ``flashsim``, as in a shell; ``{name}`` is a file of the stock.
    words
        What the one sentence of the refusal has, as regular expressions without regard to case.
    build
        Makes the input in the current folder, which is empty before.
    right
        The same command on a valid input: where it is given the bad input is accepted, and its outputs are
        equal to those of this command, bit by bit. Both write into the current folder.
    outputs
        What the two commands write.
    but
        Branches that are not compared, as regular expressions.
    told
        What stderr has, as regular expressions, of an input that is used but for a part of it.
    """

    name: str
    command: str
    words: tuple[str, ...] = ()
    build: Any = None
    right: str = ""
    outputs: tuple[str, str] = ("out.root", "right.root")
    but: tuple[str, ...] = ()
    told: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if bool(self.words) == bool(self.right or self.told):
            msg = f"{self.name}: is refused with some words, or is right as another command is"
            raise ValueError(msg)


def several(*builds: Any) -> Any:
    """Make several inputs."""

    def build(stock: Stock, folder: Path) -> None:
        for one in builds:
            one(stock, folder)

    return build


def text(name: str, content: str | bytes) -> Any:
    """Write a file."""

    def build(_: Stock, folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    return build


def copied(source: str, name: str = "") -> Any:
    """Copy a file or folder of the stock; ``tables/train`` is a file in one of its folders."""

    def build(stock: Stock, folder: Path) -> None:
        path = _found(stock, source)
        if path.is_dir():
            shutil.copytree(path, folder / (name or path.name))
        else:
            shutil.copy(path, folder / (name or path.name))

    return build


def damaged(source: str, name: str, change: Callable[[bytes], bytes]) -> Any:
    """Change the bytes of a file of the stock."""

    def build(stock: Stock, folder: Path) -> None:
        path = folder / name
        before = path if path.exists() else _found(stock, source)
        content = change(before.read_bytes())
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    return build


def edited(source: str, name: str, *changes: tuple[str, str], every: bool = False) -> Any:
    """Replace texts in a file of the stock, each once, or wherever it stands; it has to be there."""

    def change(before: bytes) -> bytes:
        found = before.decode()
        for old, new in changes:
            if old not in found:
                msg = f"{source}: has no {old!r}"
                raise AssertionError(msg)
            found = found.replace(old, new) if every else found.replace(old, new, 1)
        return found.encode()

    return damaged(source, name, change)


def json_edited(source: str, name: str, change: Callable[[Any], Any]) -> Any:
    """Change a JSON file of the stock; the function changes what it is given, or gives something else."""

    def changed(before: bytes) -> bytes:
        content = json.loads(before)
        given = change(content)
        return json.dumps(content if given is None else given).encode()

    return damaged(source, name, changed)


def yaml_edited(source: str, name: str, change: Callable[[Any], Any]) -> Any:
    """Change a YAML file of the stock, as `json_edited` does."""

    def changed(before: bytes) -> bytes:
        content = yaml.safe_load(before)
        given = change(content)
        return yaml.safe_dump(content if given is None else given, sort_keys=False).encode()

    return damaged(source, name, changed)


def columns(change: Callable[[Columns], Columns | None], name: str = "bad.root", source: str = "") -> Any:
    """Change the columns of a NanoAOD file of the stock, the gen-level one by default."""

    def build(stock: Stock, folder: Path) -> None:
        from judge.columns import read_columns

        content = read_columns(stock[source]) if source else stock.columns()
        given = change(content)
        write_columns(folder / name, content if given is None else given, stock.runs)

    return build


def compressed(source: str, name: str, change: Callable[[bytes], bytes] = lambda b: b) -> Any:
    """Compress a file of the stock with gzip, and change the bytes of that."""
    return damaged(source, name, lambda before: change(gzip.compress(before, mtime=0)))


def _found(stock: Stock, source: str) -> Path:
    name, _, rest = source.partition("/")
    return stock[name] / rest if rest else stock[name]


def unique(cases: Iterable[Case]) -> list[Case]:
    """Give cases whose names differ.

    Raises
    ------
    ValueError
        If two have one name.
    """
    found = list(cases)
    names = [case.name for case in found]
    if twins := {name for name in names if names.count(name) > 1}:
        msg = f"two cases are called {', '.join(sorted(twins))}"
        raise ValueError(msg)
    return found
