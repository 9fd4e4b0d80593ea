"""Checkpoints of a fit: written whole or not at all, and looked at before a fit goes on from them."""

from __future__ import annotations

import io
import logging
import pickle
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from flashsim.errors import ModelFileError
from flashsim.execution.whole_files import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

__all__ = ["Checkpoints", "WholeCheckpoints"]

_log = logging.getLogger(__name__)

# What torch, pickle and zip raise where bytes are missing or wrong.
_DAMAGE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    zlib.error,
)


class WholeCheckpoints(TorchCheckpointIO):
    """How Lightning keeps checkpoints: a file appears complete or not at all."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint.

        Raises
        ------
        OutputFileError
            If it cannot be written, as on a full disk; one that was there stays.
        """
        del storage_options
        content = io.BytesIO()
        torch.save(checkpoint, content)
        write_whole(Path(path), content.getvalue())


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of a network in its folder.

    Parameters
    ----------
    folder
        Of the network.
    """

    folder: Path

    @property
    def best(self) -> Path:
        """After the epoch with the smallest validation loss so far."""
        return self.folder / "best.ckpt"

    @property
    def last(self) -> Path:
        """After the last epoch."""
        return self.folder / "last.ckpt"

    @property
    def losses(self) -> Path:
        """CSV file of the losses of all epochs."""
        return self.folder / "losses.csv"

    @property
    def are_there(self) -> bool:
        """Whether there is all that a fit goes on from."""
        return self.last.is_file() and self.best.is_file() and self.losses.is_file()

    def clear(self) -> None:
        """Remove them."""
        for path in (self.best, self.last, self.losses):
            path.unlink(missing_ok=True)

    def newest(self, state: Mapping[str, Tensor]) -> tuple[Path, int, pd.DataFrame]:
        """Find what a fit goes on from: the last checkpoint, or the best where the last is damaged.

        Parameters
        ----------
        state
            Of the network and its loss, by whose names and shapes a checkpoint is checked.

        Returns
        -------
        Its path, its epoch from 0, and the losses up to it.

        Raises
        ------
        ModelFileError
            If the best checkpoint or the losses are damaged, without which a fit cannot end.
        """
        epoch = self.read(self.best, state)["epoch"]
        path = self.best
        try:
            epoch, path = _checked(self.last, state)["epoch"], self.last
        except _DAMAGE as error:
            _log.warning(
                "%s: is damaged (%s); going on from %s, after epoch %d",
                self.last,
                _reason(error),
                self.best.name,
                epoch + 1,
            )
        return path, epoch, self._history(epoch)

    def read(self, path: Path, state: Mapping[str, Tensor]) -> dict[str, Any]:
        """Read a checkpoint, on the CPU.

        Raises
        ------
        ModelFileError
            If it is damaged: names the file, and how to go on.
        """
        try:
            return _checked(path, state)
        except _DAMAGE as error:
            raise self._damaged(path, _reason(error)) from error

    def _history(self, epoch: int) -> pd.DataFrame:
        """Losses of the epochs up to one, each once and finite or NaN."""
        try:
            text = self.losses.read_text(encoding="utf-8")
            losses = pd.read_csv(io.StringIO(text))
            # The losses of an epoch are written before its checkpoint, which an interruption may prevent.
            losses = losses[losses["epoch"] <= epoch].astype(float).astype({"epoch": int})
            whole = text.endswith("\n") and {"train", "validation"} <= set(losses)
            whole = whole and losses["epoch"].tolist() == list(range(epoch + 1))
        except _DAMAGE as error:
            raise self._damaged(self.losses, _reason(error)) from error
        if not whole:
            raise self._damaged(self.losses, f"expected the losses of {epoch + 1} epochs")
        return losses

    def _damaged(self, path: Path, reason: str) -> ModelFileError:
        return ModelFileError(
            f"{path}: is damaged ({reason}); remove this file to train its network again, and go on with "
            "--resume"
        )


def _checked(path: Path, state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read a checkpoint whose bytes are those that were written, and whose tensors are those of a state."""
    with zipfile.ZipFile(path) as archive:
        if (wrong := archive.testzip()) is not None:
            msg = f"its part {wrong} is not what was written"
            raise ValueError(msg)
    checkpoint: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    found = {name: tuple(tensor.shape) for name, tensor in checkpoint["state_dict"].items()}
    if found != {name: tuple(tensor.shape) for name, tensor in state.items()}:
        msg = "its network is of another architecture"
        raise ValueError(msg)
    if type(checkpoint["epoch"]) is not int or checkpoint["epoch"] < 0:
        msg = f"it is of epoch {checkpoint['epoch']!r}"
        raise ValueError(msg)
    return checkpoint


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:150] or type(error).__name__
