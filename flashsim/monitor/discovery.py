"""Which trainings and which groups of them there are below a folder."""

from __future__ import annotations

import logging
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flashsim.runs.log import RUN_FILE
from flashsim.text import read_json

__all__ = ["GROUP_FILE", "Found", "Group", "find", "is_inside"]

_log = logging.getLogger(__name__)

GROUP_FILE = "grid.json"
_DEEPEST = 6
_MOST_TRAININGS = 2000
_LARGEST_GROUP_FILE = 16 << 20


@dataclass(frozen=True)
class Group:
    """Trainings that belong together, as those of a grid.

    Parameters
    ----------
    id
        Its folder, relative to the one that is watched.
    varied
        Names of the parameters that tell its trainings apart.
    points
        How many trainings there will be.
    """

    id: str
    varied: tuple[str, ...] = ()
    points: int = 0


@dataclass
class Found:
    """What a look below a folder found: groups by folder, and group or none by folder of a training."""

    groups: dict[str, Group] = field(default_factory=dict)
    trainings: dict[str, str | None] = field(default_factory=dict)


def find(root: Path) -> Found:
    """Look for logs of trainings, at most six folders deep; symbolic links to folders are not followed.

    Parameters
    ----------
    root
        The folder, resolved.
    """
    found = Found()
    for path, folders, files in os.walk(root, onerror=None, followlinks=False):
        here = Path(path)
        name = here.relative_to(root).as_posix()
        depth = 0 if name == "." else name.count("/") + 1
        # Where a folder has the name of a log, the page shows that as the training's problem.
        if (RUN_FILE in files and is_inside(root, here / RUN_FILE)) or RUN_FILE in folders:
            if len(found.trainings) == _MOST_TRAININGS:
                _log.warning("%s: has more than %d trainings; the others are left out", root, _MOST_TRAININGS)
                break
            found.trainings[name] = _group_of(name, found.groups)
            folders.clear()
            continue
        if GROUP_FILE in files and is_inside(root, here / GROUP_FILE):
            found.groups[name] = _read_group(here / GROUP_FILE, name)
        folders[:] = sorted(f for f in folders if not f.startswith(".")) if depth < _DEEPEST else []
    return found


def is_inside(root: Path, path: Path) -> bool:
    """Whether a path is a regular file below a folder, with symbolic links resolved.

    A link that leads out of the folder is none of the user's business, and a pipe would never end.
    """
    try:
        whole = path.resolve(strict=True)
        return whole.is_relative_to(root) and stat.S_ISREG(whole.stat().st_mode)
    except OSError:
        return False


def _group_of(name: str, groups: dict[str, Group]) -> str | None:
    """Group of the nearest folder above."""
    above = [p.as_posix() for p in Path(name).parents]
    return next((folder for folder in above if folder in groups), None)


def _read_group(path: Path, name: str) -> Group:
    """Read what a grid says of itself; one that cannot be read is a group all the same."""
    try:
        if path.stat().st_size > _LARGEST_GROUP_FILE:
            return Group(name)
        content: dict[str, Any] = read_json(path.read_text(encoding="utf-8"))
        return Group(name, tuple(map(str, content["varied"])), len(content["points"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Group(name)
