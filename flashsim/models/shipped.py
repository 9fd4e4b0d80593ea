"""The shipped models, one file per object, with a model card each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flashsim.errors import ModelFileError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["SUFFIX", "model_files", "shipped_models"]

SUFFIX = ".safetensors"

_FOLDER = Path(__file__).resolve().parent


def shipped_models() -> list[Path]:
    """Paths of the shipped models, sorted by object name; empty where an installation has none."""
    return sorted(_FOLDER.glob(f"*{SUFFIX}"))


def model_files(named: Sequence[Path] | None = None) -> list[Path]:
    """Model files that a user names, folders standing for the models in them; the shipped ones by default.

    Parameters
    ----------
    named
        Files and folders.

    Raises
    ------
    ModelFileError
        If a file does not exist, a folder holds no model, or nothing is named and no model is shipped.
    """
    if not named:
        if not (shipped := shipped_models()):
            msg = (
                f"{_FOLDER}: this installation of flashsim has no shipped models; name your own with "
                "--models, or make them with 'flashsim preprocess' and 'flashsim train'"
            )
            raise ModelFileError(msg)
        return shipped
    files: list[Path] = []
    for path in named:
        found = sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() else [path]
        if not found:
            msg = f"{path}: this folder holds no model, no file *{SUFFIX}"
            raise ModelFileError(msg)
        if not path.exists():
            msg = f"{path}: there is no such model file or folder"
            raise ModelFileError(msg)
        files += found
    return files
