"""The shipped models, one file an object, with a model card each."""

from __future__ import annotations

from pathlib import Path

from flashsim.errors import ModelFileError

__all__ = ["SUFFIX", "model_files", "shipped_models"]

SUFFIX = ".safetensors"


def shipped_models() -> list[Path]:
    """Paths of the shipped models, by object name."""
    return sorted(Path(__file__).resolve().parent.glob(f"*{SUFFIX}"))


def model_files(named: list[Path] | None) -> list[Path]:
    """Model files that a user names, folders standing for the models in them; the shipped ones by default.

    Raises
    ------
    ModelFileError
        If a file does not exist, or a folder holds no model.
    """
    if not named:
        return shipped_models()
    files: list[Path] = []
    for path in named:
        found = sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() else [path]
        if not found or not all(file.is_file() for file in found):
            msg = f"{path}: there is no such model file, or no *{SUFFIX} in this folder"
            raise ModelFileError(msg)
        files += found
    return files
