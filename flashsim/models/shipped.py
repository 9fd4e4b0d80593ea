"""The shipped models, one file per object, with a model card each."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from flashsim.errors import ModelFileError
from flashsim.models.object_model import ObjectModel, read_header

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "SUFFIX",
    "model_files",
    "shipped_digests",
    "shipped_models",
    "with_what_they_need",
    "write_digests",
]

SUFFIX = ".safetensors"
_DIGESTS = "SHA256SUMS"

_FOLDER = Path(__file__).resolve().parent


def shipped_models() -> list[Path]:
    """Paths of the shipped models, sorted by object name; empty where an installation has none."""
    return sorted(_FOLDER.glob(f"*{SUFFIX}"))


def shipped_digests() -> dict[str, str]:
    """SHA-256 of the shipped models by file name, as they were when they were shipped."""
    listed = _FOLDER / _DIGESTS
    lines = listed.read_text(encoding="utf-8").splitlines() if listed.is_file() else []
    return {name: digest for digest, name in (line.split() for line in lines)}


def write_digests(folder: Path = _FOLDER) -> None:
    """List the SHA-256 of all models of a folder, as ``sha256sum --check`` reads it."""
    models = sorted(folder.glob(f"*{SUFFIX}"))
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in models]
    (folder / _DIGESTS).write_text("".join(lines), encoding="utf-8")


def model_files(named: Sequence[Path] | None = None) -> list[Path]:
    """Model files that a user names, folders standing for the models in them; the shipped ones by default.

    Parameters
    ----------
    named
        Files and folders.

    Raises
    ------
    ModelFileError
        If a file does not exist, a folder holds no model, or nothing is named and no model is shipped or one
        of them is damaged.
    """
    if not named:
        if not (shipped := shipped_models()):
            msg = (
                f"{_FOLDER}: this installation of flashsim has no shipped models; name your own with "
                "--models, or make them with 'flashsim preprocess' and 'flashsim train'"
            )
            raise ModelFileError(msg)
        _verify(shipped)
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


def with_what_they_need(models: Sequence[ObjectModel]) -> list[ObjectModel]:
    """Add shipped models of what some are drawn given and none of them simulates.

    A user who trains jets anew has leptons for them, and muons the vertices of their events.
    """
    found, files = list(models), shipped_models()
    shipped = {read_header(path)["declaration"]["collection"]: path for path in files}
    while True:
        known = {model.declaration.collection for model in found}
        wanted = {name for model in found for name in model.declaration.needs()} - known
        if not (added := sorted(wanted & shipped.keys())):
            return found
        _verify([shipped[name] for name in added])
        found += [ObjectModel.load(shipped[name]) for name in added]


def _verify(shipped: Sequence[Path]) -> None:
    """Refuse a shipped model that is not as it was shipped."""
    digests = shipped_digests()
    for path in shipped:
        if path.name in digests and hashlib.sha256(path.read_bytes()).hexdigest() != digests[path.name]:
            msg = (
                f"{path}: is not the model that flashsim shipped, by its SHA-256 in {_DIGESTS}: it is "
                "damaged or replaced; install flashsim again, or name your own models with --models"
            )
            raise ModelFileError(msg)
