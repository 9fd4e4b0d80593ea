"""Follow a command from file to file: python docs/calls.py [OPTION]... COMMAND [ARGUMENT]...

Runs ``flashsim COMMAND ARGUMENT...``, its output on stderr, and prints which public functions of the package
it calls, by the file that they stand in: each once, below its first caller, in the order of calls. Left out
are private functions, unless they are compiled, properties and methods of declarations. Only the first thread
is watched.
"""

from __future__ import annotations

import argparse
import inspect
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import flashsim
from flashsim.cli.main import app
from flashsim.execution.machine_code import Kernel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import CodeType, FrameType

__all__ = ["Calls", "Function"]

Key = tuple[str, str]
PACKAGE = Path(flashsim.__file__).parent
WIDTH = 44
"""Letters before the names of functions."""
MOST = 4
"""Functions of a file in a line."""


@dataclass
class Function:
    """A function that was called, and what it called for the first time in the list."""

    file: str
    name: str
    calls: list[Function] = field(default_factory=list)

    def lines(self, levels: int, depth: int = 0) -> Iterator[str]:
        """Give the function and what is below it, functions without calls of their own by file."""
        yield f"{'  ' * depth + self.file:{WIDTH}}{self.name}"
        if depth == levels:
            return
        deeper = depth + 1 < levels
        for alone, group in groupby(self.calls, lambda call: None if call.calls and deeper else call.file):
            if alone is None:
                for call in group:
                    yield from call.lines(levels, depth + 1)
            else:
                names = [call.name for call in group]
                shown = [*names[:MOST], "..."] if len(names) > MOST else names
                yield from Function(alone, ", ".join(shown)).lines(levels, depth + 1)


class Calls:
    """What a run calls, as trees of first calls.

    Parameters
    ----------
    inside
        Names of functions whose calls have a tree of their own.
    """

    def __init__(self, inside: Iterable[str] = ()) -> None:
        self._inside = set(inside)
        self._described: dict[Key, Function | None] = {}
        self._placed: dict[str, dict[Key, tuple[Function, Key | None]]] = {}
        self.roots: list[Function] = []

    def run(self, arguments: list[str]) -> None:
        """Run a command of flashsim and watch it.

        Raises
        ------
        FlashSimError
            If the command fails.
        """
        sys.setprofile(self._seen)
        try:
            with redirect_stdout(sys.stderr):
                app(arguments, standalone_mode=False)
        finally:
            sys.setprofile(None)

    def _seen(self, frame: FrameType, event: str, _: Any) -> None:
        """Take note of a call of Python, or of a kernel."""
        if event != "call" or frame.f_back is None:
            return
        code = frame.f_code
        if code is Kernel.__call__.__code__:
            code = frame.f_locals["self"].function.__code__
            self._describe(code, code.co_qualname)
        elif _key(code) not in self._described:
            self._describe(code, None if _is_property(frame) else _public_name(code))
        self._place(code, frame.f_back)

    def _describe(self, code: CodeType, name: str | None) -> None:
        path = Path(code.co_filename)
        listed = name is not None and path.is_relative_to(PACKAGE)
        self._described[_key(code)] = Function(path.relative_to(PACKAGE).as_posix(), name) if listed else None

    def _place(self, code: CodeType, caller: FrameType | None) -> None:
        """Put a function below its caller, if its list does not have it yet."""
        if (described := self._described[_key(code)]) is None:
            return
        above: list[Key] = []
        while caller is not None:
            if caller.f_code.co_name == "<module>" and caller.f_code.co_filename.startswith(str(PACKAGE)):
                return  # what an import calls
            above.append(_key(caller.f_code))
            caller = caller.f_back
        names = [one.name for one in map(self._described.get, above) if one is not None]
        tree = next((name for name in names if name in self._inside), "")
        self._add(tree, _key(code), above)
        if described.name in self._inside:
            self._add(described.name, _key(code), [])

    def _add(self, tree: str, key: Key, above: list[Key]) -> None:
        placed = self._placed.setdefault(tree, {})
        if key in placed:
            return
        # A caller counts if it was itself first called from here, else it stands in another branch.
        callers = (one for one in above if one in placed and placed[one][1] in {None, *above})
        parent = next(callers, None)
        described = self._described[key]
        node = Function(described.file, described.name)
        placed[key] = node, parent
        (self.roots if parent is None else placed[parent][0].calls).append(node)


def _key(code: CodeType) -> Key:
    """Name a function."""
    return code.co_filename, code.co_qualname


def _public_name(code: CodeType) -> str | None:
    """Give the name of a function that the package shows; bodies of classes and lambdas are none."""
    is_function = bool(code.co_flags & inspect.CO_NEWLOCALS) and "<" not in code.co_qualname
    hidden = any(part.startswith("_") for part in code.co_qualname.split("."))
    hidden |= Path(code.co_filename).is_relative_to(PACKAGE / "declarations") and "." in code.co_qualname
    return code.co_qualname if is_function and not hidden else None


def _is_property(frame: FrameType) -> bool:
    """Say whether a function reads an attribute."""
    owner = type(frame.f_locals.get("self"))
    attribute = inspect.getattr_static(owner, frame.f_code.co_name, None)
    return isinstance(attribute, property | cached_property)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--inside",
        action="append",
        default=[],
        metavar="FUNCTION[=DEPTH]",
        help="give what this function calls, such as Generator.piece, a list of its own",
    )
    parser.add_argument("--depth", type=int, default=99, help="calls below each other in a list")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND")
    options = parser.parse_args()
    depths = dict(text.partition("=")[::2] for text in options.inside)
    calls = Calls(depths)
    calls.run(options.command)
    roots = (root for root in calls.roots if root.calls)  # without what reads the command line
    lists = (root.lines(int(depths.get(root.name) or options.depth)) for root in roots)
    print("\n\n".join(map("\n".join, lists)))


if __name__ == "__main__":
    main()
