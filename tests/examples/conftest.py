"""Pages of the documentation, followed as a reader follows them: files are written, commands are run.

A test names a page and a heading; what it writes and runs are the page's own code blocks.
"""

from __future__ import annotations

import logging
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from flashsim.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
RECIPES = ("preprocessing", "training", "generation", "analysis", "reference")
_FENCE = re.compile(r'^```(?P<language>\w*)(?: title="(?P<title>[^"]+)")?$')


@dataclass(frozen=True)
class Block:
    """A code block of a page: under which heading, of which language, and to which file it belongs."""

    heading: str
    language: str
    title: str
    text: str


def all_blocks(page: str) -> list[Block]:
    """Give the code blocks of a page, which may have none."""
    found: list[Block] = []
    under, fence, lines = "", None, []
    for line in (ROOT / page).read_text(encoding="utf-8").splitlines():
        if fence is not None and line == "```":
            found.append(Block(under, fence["language"], fence["title"] or "", "\n".join([*lines, ""])))
            fence, lines = None, []
        elif fence is not None:
            lines.append(line)
        elif line.startswith("#"):
            under = line.lstrip("#").strip()
        else:
            fence = _FENCE.match(line)
    assert fence is None, f"{page}: a code block does not end"
    return found


def blocks_of(page: str, heading: str | None = None, language: str | None = None) -> list[Block]:
    """Give the code blocks of a page, or those below one of its headings, or of one language."""
    found = all_blocks(page)
    chosen = [b for b in found if heading in {None, b.heading} and language in {None, b.language}]
    assert chosen, f"{page}: no code under '{heading}'"
    return chosen


@dataclass
class Reader:
    """Follows code blocks in a folder.

    Parameters
    ----------
    folder
        The current folder of all commands.
    flashsim
        Runs the command line with some arguments; gives exit status, stdout and stderr.
    names
        What the Python of the blocks has defined.
    output
        What the last command has printed.
    """

    folder: Path
    flashsim: Callable[..., tuple[int, str, str]]
    names: dict[str, Any] = field(default_factory=dict)
    output: str = ""
    blocks_of = staticmethod(blocks_of)

    def follow(self, page: str, heading: str | None = None, language: str | None = None) -> dict[str, Any]:
        """Follow blocks of a page, see `blocks_of`; give what their Python has defined."""
        for block in blocks_of(page, heading, language):
            self.take(block, page)
        return self.names

    def take(self, block: Block, page: str = "") -> None:
        """Follow one block."""
        match block.language:
            case "bash":
                self.run(block.text)
            case "diff":
                change(self.folder / block.title, block.text)
            case "yaml" if block.title:
                write_yaml(self.folder / block.title, block.text)
            case _ if block.title:
                (self.folder / block.title).write_text(block.text, encoding="utf-8")
            case "python":
                exec(compile(block.text, f"{page}, {block.heading}", "exec"), self.names)

    def run(self, commands: str) -> None:
        """Run the commands of a block one after the other; each must succeed."""
        for line in commands.replace("\\\n", " ").splitlines():
            match shlex.split(line, comments=True):
                case []:
                    continue
                case ["cp", source, target]:
                    shutil.copy(self.folder / source, self.folder / target)
                case ["pip", "install", "."]:
                    install(self.folder)
                case ["flashsim", *arguments]:
                    status, self.output, errors = self.flashsim(*arguments)
                    assert status == 0, f"{line}\n{self.output}{errors}"
                case _:
                    pytest.fail(f"no test can run this line: {line}")


def write_yaml(path: Path, text: str) -> None:
    """Write a file, or add lines to one that is there as a reader would, under its keys."""
    if not path.exists():
        path.write_text(text, encoding="utf-8")
        return
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump(_added(content, yaml.safe_load(text)), sort_keys=False), encoding="utf-8")


def _added(old: Any, new: Any) -> Any:
    """Content with new entries; one of a name that is there takes the old one's place."""
    if isinstance(old, dict) and isinstance(new, dict):
        return old | {key: _added(old[key], value) if key in old else value for key, value in new.items()}
    if isinstance(old, list) and isinstance(new, list):
        named = {_name(entry): entry for entry in new}
        return [named.pop(_name(entry), entry) for entry in old] + list(named.values())
    return new


def _name(entry: Any) -> Any:
    return entry.get("branch", entry.get("name")) if isinstance(entry, dict) else entry


def change(path: Path, text: str) -> None:
    """Change a file of the package by the lines of a diff, which stand in it once."""
    lines = [(line[:1] or " ", line[1:]) for line in text.splitlines()]
    old = "\n".join(rest for sign, rest in lines if sign in " -")
    new = "\n".join(rest for sign, rest in lines if sign in " +")
    if not old:
        path.write_text(f"{new}\n", encoding="utf-8")
        return
    content = path.read_text(encoding="utf-8")
    assert content.count(f"{old}\n") == 1, f"{path.name} does not have once:\n{old}"
    path.unlink()  # a link to the original
    path.write_text(content.replace(f"{old}\n", f"{new}\n"), encoding="utf-8")


def install(folder: Path) -> None:
    """Do as ``pip install --editable .`` for a package whose modules lie in a folder that Python searches."""
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    place = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    place.mkdir()
    head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (place / "METADATA").write_text(head, encoding="utf-8")
    groups = [
        f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in points.items())
        for group, points in project["entry-points"].items()
    ]
    (place / "entry_points.txt").write_text("\n".join(groups), encoding="utf-8")


@pytest.fixture(name="all_blocks", scope="session")
def _all_blocks():
    return all_blocks


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Train on one thread: networks are small, and the cores are shared with other tests."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def workplace(tmp_path, nanoaod_dir, monkeypatch):
    """Give a current folder with the shipped recipes and a real file of tt events, full.root."""
    for name in RECIPES:
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "full.root").symlink_to(nanoaod_dir / "tt_2018_v5.root")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def reader(workplace, monkeypatch, capfd):
    """Give a reader whose commands run in this process."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    level = logging.getLogger("flashsim").level

    def flashsim(*arguments):
        monkeypatch.setattr(sys, "argv", ["flashsim", *arguments])
        capfd.readouterr()  # what the blocks' Python has printed
        with pytest.raises(SystemExit) as exited:
            main()
        out, err = capfd.readouterr()
        return exited.value.code or 0, out, err

    yield Reader(workplace, flashsim)
    for number, handler in handlers.items():
        signal.signal(number, handler)
    logging.getLogger("flashsim").setLevel(level)


@pytest.fixture
def developer(workplace):
    """Give a reader with a copy of the package that blocks can change, and processes for its commands."""

    def link(source: str, target: str) -> None:
        Path(target).symlink_to(source)

    # Links, the machine code of kernels among them: what is not changed is not compiled again.
    shutil.copytree(ROOT / "flashsim", workplace / "flashsim", copy_function=link)
    (workplace / "pyproject.toml").symlink_to(ROOT / "pyproject.toml")
    environment = os.environ | {"PYTHONPATH": str(workplace)}

    def flashsim(*arguments):
        done = subprocess.run(
            [sys.executable, "-c", "from flashsim.cli.main import main; main()", *arguments],
            cwd=workplace,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    return Reader(workplace, flashsim)
