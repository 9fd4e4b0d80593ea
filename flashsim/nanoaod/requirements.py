"""What must be in a NanoAOD file, and what a user can do where it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flashsim.errors import InputFileError
from flashsim.events.noise import EVENT_IDS
from flashsim.nanoaod.schema import known_branches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flashsim.nanoaod.branch import Branch, Branches

__all__ = ["require_branches"]


def require_branches(file: Branches, wanted: Sequence[str], purpose: str) -> None:
    """Check that a file has all branches, and as what NanoAOD has them.

    Parameters
    ----------
    file
        The input.
    wanted
        Full branch names.
    purpose
        What they are wanted for, to end "needed ...".

    Raises
    ------
    InputFileError
        Naming the file, the missing branches, what they are wanted for, and the mend; or the branch, what it
        is, and what it should be.
    """
    for name in wanted:
        _require_kind(file, name, purpose)
    wanted = list(dict.fromkeys(wanted))
    missing = [name for name in wanted if not file.has(name)]
    if not missing:
        return
    shown = ", ".join(missing[:4]) + (f" and {len(missing) - 4} more" if len(missing) > 4 else "")
    found = f"{len(wanted) - len(missing)} of {len(wanted)} branches"
    msg = f"{file.path}: lacks {shown}, needed {purpose} (found {found}): {_mend(file, missing)}"
    raise InputFileError(msg)


_HELD = {"f": "fiu", "i": "iu", "u": "iu", "b": "biu"}
"""Kinds of types by the kind that NanoAOD has: those that can hold the same numbers."""


def _require_kind(file: Branches, name: str, purpose: str) -> None:
    """Refuse a branch with another kind or number of values than NanoAOD has of this name."""
    known = known_branches(name)
    expected = "numbers, one or a list for each event"
    if known:
        types = " or ".join(dict.fromkeys(str(branch.dtype) for branch in known))
        expected = f"{types}, {_number(known[0])} for each event"
    if name in file.unsupported:
        found = file.unsupported[name]
    elif not known or not file.has(name):
        return
    else:
        branch = file.branches[name]
        if any(b.jagged == branch.jagged and branch.dtype.kind in _HELD[b.dtype.kind] for b in known):
            return
        found = f"{branch.dtype}, {_number(branch)} for each event"
    msg = f"{file.path}: {name} is {found}, expected {expected} ({purpose}); mend it or make the file again"
    raise InputFileError(msg)


def _number(branch: Branch) -> str:
    return "a list" if branch.jagged else "one"


def _mend(file: Branches, missing: Sequence[str]) -> str:
    """Advise what to do about missing branches, from what else the file has."""
    present = {name.partition("_")[0] for name in file.branches}
    if not present & {"GenPart", "GenJet", "Generator", "genWeight"}:
        return "it has no generator level, as collision data; use simulated NanoAOD"
    if absent := sorted({name.partition("_")[0] for name in missing} - present - set(EVENT_IDS)):
        return f"it has no {' and no '.join(absent)} at all; use NanoAOD of full content, as CMS makes it"
    if set(missing) & set(EVENT_IDS):
        return f"events are told apart by {', '.join(EVENT_IDS)}; make the file again with all three kept"
    return "make the file again with these branches kept"
