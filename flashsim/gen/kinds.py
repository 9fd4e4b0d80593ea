"""What an input of `flashsim gen` is: recognised by its content, not by its name."""

from __future__ import annotations

import re
import stat
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flashsim.errors import InputFileError
from flashsim.gen.opened import DAMAGED, decompressed
from flashsim.nanoaod.inputs import expand_inputs, opening

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["LHE_MARK", "NOT_READ", "Kind", "inputs_of_one_kind", "kind_of"]

_HEAD = 4096
_LHE_EVENT = re.compile(rb"^\s*<(event|init)\b", re.MULTILINE)
_TEXT = bytes({*range(0x20, 0x100), *b"\t\n\r\f"} - {0x7F})
_EXPECTED = "expected HepMC text, LHE or a Pythia 8 command file"
_SUFFIXES = (".hepmc", ".hepmc2", ".hepmc3", ".lhe", ".root", ".gz", ".bz2", ".xz", ".zst", ".zstd")
LHE_MARK = b"<LesHouchesEvents"
"""What every LHE file has at its beginning."""
NOT_READ = {
    b"\x89HDF": f"is HDF5; {_EXPECTED}: write the events as HepMC or LHE text",
    b"HepMC::IO_Ascii": "is a HepMC file of a format before 2.0; write HepMC3",
}
"""Files that nothing here reads: a mark of their first bytes, and what to say."""


class Kind(Enum):
    """A kind of input, with its name in messages."""

    HEPMC = "HepMC"
    LHE = "LHE"
    SETTINGS = "Pythia 8 settings"


def kind_of(path: str | Path) -> Kind:
    """Tell what a file holds.

    A pipe can be read only once: it is taken for LHE if its name has ``.lhe``, else for HepMC.

    Raises
    ------
    InputFileError
        If there is no such file, or it holds nothing that `flashsim gen` reads: says what it is.
    """
    path = Path(path)
    with opening(path):
        mode = path.stat().st_mode
    if stat.S_ISFIFO(mode):
        return Kind.LHE if ".lhe" in path.name.lower() else Kind.HEPMC
    head = _head(path)
    if LHE_MARK in head:
        return Kind.LHE
    if head.startswith(b"root"):
        raise InputFileError(_root_reason(path))
    if reason := next((reason for mark, reason in NOT_READ.items() if mark in head[:256]), None):
        msg = f"{path}: {reason}"
        raise InputFileError(msg)
    if b"HepMC::" in head:
        return Kind.HEPMC
    if _LHE_EVENT.search(head):
        msg = (
            f"{path}: holds LHE events without <LesHouchesEvents> and <init> before them; give the whole file"
        )
        raise InputFileError(msg)
    if not head.strip():
        msg = f"{path}: is empty; {_EXPECTED}"
        raise InputFileError(msg)
    if head.translate(None, _TEXT):
        msg = f"{path}: is no file that gen reads; {_EXPECTED}"
        raise InputFileError(msg)
    return Kind.SETTINGS


def inputs_of_one_kind(named: Iterable[str | Path]) -> tuple[Kind, list[Path]]:
    """Files that a user names, and what all of them are.

    Parameters
    ----------
    named
        Paths, globs, ``@FILE`` (a list of them), or folders, which stand for the HepMC and LHE files in them.
        What is no file is the name of a shipped command file.

    Raises
    ------
    InputFileError
        If a file is not there or cannot be read, or two are of different kinds: names both.
    """
    found: list[tuple[Path, Kind]] = []
    for name in named:
        found += _found(str(name))
    found = list(dict.fromkeys(found))
    if not found:
        msg = f"no input is named; {_EXPECTED}"
        raise InputFileError(msg)
    first, kind = found[0]
    for path, other in found[1:]:
        if other is not kind:
            msg = f"{path}: is {other.value}, and {first} is {kind.value}; give files of one kind at a time"
            raise InputFileError(msg)
    return kind, [path for path, _ in found]


def _found(name: str) -> list[tuple[Path, Kind]]:
    path = Path(name)
    if path.is_dir():
        return _in_folder(path)
    if name.startswith("@") or any(mark in name for mark in "*?["):
        return [(Path(match), kind_of(match)) for match in expand_inputs([name])]
    if not path.exists() and (path.suffix.lower() not in _SUFFIXES or path.suffix == ""):
        # The recipes know what is shipped, and refuse what is not.
        return [(path, Kind.SETTINGS)]
    return [(path, kind_of(path))]


def _in_folder(folder: Path) -> list[tuple[Path, Kind]]:
    """Event files of a folder in the order of their names; other files there are nobody's concern."""
    found = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not path.is_file():
            continue
        head = _head(path)
        if b"HepMC::" in head or LHE_MARK in head:
            found.append((path, kind_of(path)))
    if not found:
        msg = f"{folder}: is a folder without HepMC or LHE files; name a file, or a folder that has some"
        raise InputFileError(msg)
    return found


def _head(path: Path) -> bytes:
    """Read the first bytes, decompressed."""
    try:
        with decompressed(path) as file:
            return file.read(_HEAD)
    except DAMAGED as error:
        msg = f"{path}: cannot be decompressed ({error}); give a complete file"
        raise InputFileError(msg) from error


def _root_reason(path: Path) -> str:
    """Say what a ROOT file is, and what to do with it."""
    import uproot  # noqa: PLC0415  # only what is wrong needs it

    try:
        with uproot.open(path) as file:
            root: Any = file
            names = set(root.keys(cycle=False))
            branches = set(root["Events"].keys()) if "Events" in names else set()
    except Exception as error:  # noqa: BLE001  # uproot raises what it stumbles over
        return f"{path}: is a ROOT file that cannot be read ({type(error).__name__}); {_EXPECTED}"
    if names & {"hepmc3_tree", "hepmc3_event"} or any(name.startswith("hepmc3") for name in names):
        return (
            f"{path}: is a HepMC3 ROOT file, which no reader at hand knows; write HepMC3 text, with HepMC3's "
            "convert_example.exe or in the generator's settings"
        )
    if any(name.startswith("GenPart_") for name in branches):
        return f"{path}: is NanoAOD already; give it to 'flashsim generate'"
    return f"{path}: is a ROOT file without HepMC events or gen-level NanoAOD; {_EXPECTED}"
