"""Pythia 8 command files, as far as something must be known of them before Pythia reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flashsim.declarations.recipes import recipe_folder
from flashsim.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CommandFile"]

_LINE = re.compile(r"^\s*(?P<name>\w[\w:]*)\s*(?:=|\s)\s*(?P<value>.*?)\s*$")
_REMARK = re.compile(r"[!#].*$")
_MATCHING = re.compile(r"jetmatching:merge|merging:do(?!xsectionestimate)\w*")
_ON, _LHE_FRAME = {"on", "yes", "true", "ok", "1"}, "4"
_INCLUDE, _TUNE = "include", ("tune:pp", "tune:ee")


@dataclass(frozen=True)
class CommandFile:
    """A command file and those that it includes.

    Parameters
    ----------
    path
        The file.
    settings
        Values by setting in small letters, the last given; as text, and as they stand.

    Notes
    -----
    Pythia itself follows ``include`` without end and crashes where files include each other.
    """

    path: Path
    settings: dict[str, str]

    @classmethod
    def read(cls, path: str | Path) -> CommandFile:
        """Read a file and what it includes.

        Raises
        ------
        RecipeError
            If it cannot be read, or files include each other: names them.
        """
        path = Path(path)
        return cls(path, dict(_values(path, path.parent, ())))

    @property
    def has_tune(self) -> bool:
        """Whether a tune of showers and underlying event is chosen."""
        return any(name in self.settings for name in _TUNE)

    @property
    def matches(self) -> bool:
        """Whether a matching or merging of matrix elements and showers is on, which refuses events."""
        return any(
            _MATCHING.fullmatch(name) and value.lower() in _ON for name, value in self.settings.items()
        )

    @property
    def reads_events(self) -> bool:
        """Whether Pythia reads events of a file (``Beams:frameType = 4``)."""
        return self.settings.get("beams:frametype", "") == _LHE_FRAME

    def notes(self, *, tuned: bool = False) -> list[str]:
        """Give what a user may not expect of these settings; `tuned` if those before them choose a tune."""
        notes = []
        if not (tuned or self.has_tune):
            notes.append(
                f"{self.path} names no tune (Tune:pp): Pythia's default is used, Monash 2013; "
                "'include = cp5.cmnd' in it takes the CP5-like one of the shipped processes"
            )
        if self.settings.get("powheg:veto", "0") not in {"0", ""}:
            notes.append(
                f"{self.path}: POWHEG:veto has no effect, pythia8mc has no PowhegHooks; showers begin at the "
                "scale of each LHE event (SCALUP)"
            )
        return notes

    def path_of(self, setting: str) -> Path | None:
        """Path of a file that a setting names, relative to the command file or to the current folder.

        Returns
        -------
        None where the setting is not given.

        Raises
        ------
        RecipeError
            If there is no such file.
        """
        named = self.settings.get(setting.lower(), "").strip("\"'")
        if named.lower() in {"", "void", "none"}:
            return None
        for candidate in (self.path.parent / named, Path(named)):
            if candidate.is_file():
                return candidate
        msg = f"{self.path}: {setting} = {named}: there is no such file beside the command file or here"
        raise RecipeError(msg)


def _values(path: Path, folder: Path, above: tuple[Path, ...]) -> Iterator[tuple[str, str]]:
    """Yield settings in the order in which Pythia reads them; `above` are the files that include this one."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror or error})"
        raise RecipeError(msg) from error
    chain = (*above, path.resolve())
    for line in re.sub(r"(?ms)^\s*/\*.*?^.*?\*/.*?$", "", text).splitlines():
        found = _LINE.match(_REMARK.sub("", line))
        if found is None:
            continue
        name, value = found["name"].lower(), found["value"]
        if name != _INCLUDE:
            yield name, value
        elif (inner := _included(value, folder)) is not None:
            if inner.resolve() in chain:
                names = " -> ".join(one.name for one in (*chain, inner))
                msg = f"{chain[0]}: files include each other without end ({names}); remove one include"
                raise RecipeError(msg)
            yield from _values(inner, folder, chain)


def _included(name: str, folder: Path) -> Path | None:
    """Find a file as Pythia does: from here, then beside the command file, then among the shipped ones."""
    name = name.strip("\"'")
    for candidate in (Path(name), folder / name, recipe_folder("reference") / name):
        if candidate.is_file():
            return candidate
    return None
