"""Losses of all trainings below a folder as event files of TensorBoard, for those who compare them there."""

from __future__ import annotations

import json
import logging
import math
from typing import TYPE_CHECKING

from flashsim.errors import InputFileError
from flashsim.execution.extras import needs_extra
from flashsim.execution.whole_files import disk_errors, refuse_existing, unfinished
from flashsim.monitor.discovery import find
from flashsim.runs.history import read_run

if TYPE_CHECKING:
    from pathlib import Path

    from flashsim.runs.history import Run

__all__ = ["save_events"]

_log = logging.getLogger(__name__)


def save_events(root: Path, output: Path) -> int:
    """Write a folder of event files: one run a training, named like its folder below `root`.

    Scalars are called ``NETWORK/LOSS/SPLIT``, such as ``refiner/mmd/validation``; their steps are epochs and
    their wall times those of the logs. The recipe of a training is its text ``recipe``.

    Parameters
    ----------
    root
        Folder with trainings somewhere below it.
    output
        Folder to write; never one that is there, as only its owner knows what else is in it.

    Returns
    -------
    Number of trainings; one whose log cannot be read is left out, with a warning.

    Raises
    ------
    MissingDependencyError
        If tensorboardX is not installed.
    OutputFileError
        If the folder exists, or cannot be written.
    """
    refuse_existing(output, mend="name another folder")
    names, saved = sorted(find(root.resolve()).trainings), 0
    with disk_errors(output), unfinished(output) as part:
        part.mkdir(parents=True)
        for name in names:
            try:
                run = read_run(root / name)
            except InputFileError as error:
                _log.warning("%s; it is left out", error)
                continue
            _save(run, part / name)
            saved += 1
    return saved


def _save(run: Run, folder: Path) -> None:
    with needs_extra("monitor", "--tensorboard"):
        from tensorboardX import SummaryWriter  # noqa: PLC0415
    with SummaryWriter(str(folder)) as writer:
        recipe = json.dumps(run.parameters, indent=1)
        writer.add_text("recipe", f"```json\n{recipe}\n```", 0, run.started)
        for network, curves in run.curves.items():
            for loss, values in curves.losses.items():
                split, _, part = loss.partition("_")
                tag = f"{network}/{part or 'loss'}/{split}"
                for epoch, when, value in zip(curves.epochs, curves.times, values, strict=True):
                    if math.isfinite(value):
                        writer.add_scalar(tag, value, epoch, when)
