"""What an output says about how it was made, and whether that is what is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flashsim.errors import OutputFileError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["check_finished"]

_DECISIVE = {
    "flashsim": "version of flashsim",
    "input_uuid": "identity of the input",
    "events": "number of events",
    "seed": "seed",
    "oversample": "number of folds",
    "nanoaod_version": "NanoAOD version",
    "pileup": "pileup",
    "models": "models",
    "origins": "set of branches",
    "trees": "set of kept trees",
    "recipe": "output recipe",
    "trigger": "trigger recipe",
}
"""What two outputs with the same content have in common, and what it is called."""


def check_finished(path: Path, found: dict[str, Any] | None, wanted: dict[str, Any]) -> None:
    """Check that an output that exists is what would be generated now.

    Parameters
    ----------
    path
        The output, for the message.
    found
        Its provenance.
    wanted
        What would be written into it now.

    Raises
    ------
    OutputFileError
        If it is something else: says what differs.
    """
    if found is None:
        msg = f"{path}: exists and is no finished output of flashsim; name another output or add --force"
        raise OutputFileError(msg)
    for key, meaning in _DECISIVE.items():
        if found.get(key) != wanted.get(key):
            values = (found.get(key), wanted.get(key))
            short = all(isinstance(value, str | int) for value in values)
            detail = f" ({values[0]}, now {values[1]})" if short else ""
            msg = (
                f"{path}: is finished, but of another {meaning}{detail}; name another output, or add --force "
                "to replace it"
            )
            raise OutputFileError(msg)
