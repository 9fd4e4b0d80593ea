"""Named exceptions: each says in one sentence what is wrong, where, and how to mend it.

Everything that a user can cause is a `FlashSimError`. The command line prints its text and exits with
status 2; a traceback is for bugs only.
"""

from __future__ import annotations

__all__ = [
    "FlashSimError",
    "InputFileError",
    "MissingDependencyError",
    "ModelFileError",
    "OutputFileError",
    "RecipeError",
    "TableError",
    "reason_of",
]


class FlashSimError(Exception):
    """Base of all errors that a user can cause and mend."""


class InputFileError(FlashSimError):
    """A NanoAOD (or other event) input cannot be used: names the file, the branch, and the mend."""


class OutputFileError(FlashSimError):
    """An output cannot be written: it exists already, or its folder does not."""


class RecipeError(FlashSimError):
    """A recipe (YAML) is not valid: names the file, the key, what was expected and what was found."""


class ModelFileError(FlashSimError):
    """A model file cannot be read, or does not fit the object or file that it is used for."""


class TableError(FlashSimError):
    """Training tables are missing, damaged, or too small for what is asked of them."""


class MissingDependencyError(FlashSimError):
    """An optional package is not installed: names the package and the extra that has it."""


def reason_of(error: Exception) -> str:
    """Give the first line of an error's text, with its type where it is none that a user can cause."""
    text = (str(error).strip().splitlines() or [""])[0]
    return text if isinstance(error, FlashSimError) else f"{type(error).__name__}: {text}"
