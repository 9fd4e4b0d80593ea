"""Files of trained networks: tensors as safetensors, everything else as a JSON header.

Nothing in a file is executed when it is read, and reading it needs no torch.
"""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from flashsim.errors import ModelFileError
from flashsim.execution.whole_files import refuse_existing, write_whole
from flashsim.text import read_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flashsim.flows.protocol import Tensors

__all__ = ["ModelFormat"]

T = TypeVar("T")

# What parts that are missing, of a wrong type or of a wrong shape raise, wherever in the file they are.
_DAMAGE = (
    SafetensorError,
    ArithmeticError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)

_CHECKSUM = "sha256"
"""Last entry of a header, with the `_checksum` of all else; files of before there was one lack it."""


@dataclass(frozen=True)
class ModelFormat:
    """What sort of model a file holds.

    Parameters
    ----------
    key
        Name of the header in the file.
    versions
        Versions of the format that are read; the last one is written.
    what, command
        For messages: what a file holds, and the command that makes one.
    """

    key: str
    versions: tuple[int, ...]
    what: str
    command: str

    def write(self, path: Path, header: dict[str, Any], tensors: Tensors, *, force: bool) -> None:
        """Write a file; it appears complete or not at all.

        Raises
        ------
        OutputFileError
            If it exists and `force` is not set, or cannot be written.
        """
        refuse_existing(path, force=force)
        text = json.dumps({"format_version": self.versions[-1], **header}, allow_nan=False)
        text = text[:-1] + _checksum_entry(_checksum(text, tensors))
        # Not safetensors' own writer: its files are readable by their owner only.
        write_whole(path, save(dict(tensors), metadata={self.key: text}))

    def header(self, path: Path) -> dict[str, Any]:
        """Header of a file, without its tensors.

        Raises
        ------
        ModelFileError
            If the file is missing, is of another sort, or has another format version.
        """
        return self._parsed(path, self._text(path))

    def load(self, path: Path, build: Callable[[dict[str, Any], Tensors, str], T]) -> T:
        """Build what a file holds from its header, its tensors and its SHA-256.

        Raises
        ------
        ModelFileError
            As for `header`, and if the file is damaged.
        """
        text = self._text(path)
        header = self._parsed(path, text)
        try:
            with safe_open(path, framework="np") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
            _verify(text, header, tensors)
            return build(header, tensors, hashlib.sha256(path.read_bytes()).hexdigest())
        except _DAMAGE as error:
            reason = " ".join(str(error).split())[:300]
            msg = f"{path}: is damaged or was made by another version of flashsim ({reason}); train it again"
            raise ModelFileError(msg) from error

    def _text(self, path: Path) -> str:
        if not path.is_file():
            msg = f"{path}: there is no such model file"
            raise ModelFileError(msg)
        try:
            with safe_open(path, framework="np") as file:
                metadata: dict[str, str] = file.metadata() or {}
        except (SafetensorError, OSError) as error:
            msg = f"{path}: is not a model file ({' '.join(str(error).split())[:200]})"
            raise ModelFileError(msg) from error
        if self.key not in metadata:
            msg = f"{path}: is a safetensors file, but not a {self.what}; make one with '{self.command}'"
            raise ModelFileError(msg)
        return metadata[self.key]

    def _parsed(self, path: Path, text: str) -> dict[str, Any]:
        try:
            header: dict[str, Any] = read_json(text)
            found = header.get("format_version")
        except (ValueError, AttributeError) as error:
            msg = f"{path}: is damaged: its header is no JSON object ({error})"
            raise ModelFileError(msg) from error
        if found not in self.versions:
            known = " and ".join(map(str, self.versions))
            msg = f"{path}: has format version {found}, this flashsim reads {known}; train the model again"
            raise ModelFileError(msg)
        return header


def _checksum_entry(checksum: str) -> str:
    return f', "{_CHECKSUM}": "{checksum}"}}'


def _verify(text: str, header: dict[str, Any], tensors: Tensors) -> None:
    """See that a header and tensors are what was written, where a checksum says so."""
    if _CHECKSUM in header:
        entry = _checksum_entry(header[_CHECKSUM])
        if header[_CHECKSUM] != _checksum(text.removesuffix(entry) + "}", tensors):
            msg = "its content is not what was written, by its checksum"
            raise ValueError(msg)


def _checksum(header: str, tensors: Tensors) -> str:
    """SHA-256 of a header and of all tensors with their names, types and shapes."""
    digest = hashlib.sha256()
    for name, tensor in [("", np.frombuffer(header.encode(), np.uint8)), *sorted(tensors.items())]:
        shape = "x".join(map(str, tensor.shape))
        label = f"{name} {tensor.dtype.str} {shape} ".encode()
        digest.update(struct.pack("<Q", len(label)) + label + np.ascontiguousarray(tensor).tobytes())
    return digest.hexdigest()
