"""The folder of a training: what its checkpoints are of, and how long it has been trained."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from flashsim.errors import OutputFileError, RecipeError
from flashsim.execution.whole_files import write_whole
from flashsim.runs.history import read_run
from flashsim.runs.log import RUN_FILE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["NOTE_FILE", "begin_run"]

NOTE_FILE = "training.json"
"""Says what the checkpoints in a folder are of."""


def begin_run(
    folder: Path,
    content: dict[str, Any],
    *,
    resume: bool,
    upgrade: Callable[[dict[str, Any]], dict[str, Any]] = lambda begun: begun,
) -> float:
    """Note what is trained; a training can only be resumed as what it was.

    Checkpoints of anything else are removed, those of the folder and of its networks' folders.

    Parameters
    ----------
    folder
        Of the training; made if it is not there.
    content
        What the training is of, as JSON has it: parts by name.
    resume
        Whether what the folder holds is gone on with.
    upgrade
        Gives a note of an earlier version of a format as the present one has it.

    Returns
    -------
    Seconds that were trained before, of a training that is resumed; otherwise 0.

    Raises
    ------
    RecipeError
        If the folder was begun with other content and `resume` is set.
    OutputFileError
        If the folder cannot be read or written.
    """
    note = folder / NOTE_FILE
    resumed = resume and note.is_file()
    try:
        if resumed:
            begun = upgrade(json.loads(note.read_text(encoding="utf-8")))
            if changed := [name for name, value in content.items() if begun.get(name) != value]:
                msg = f"{folder}: was begun with another {changed[0]}; train without --resume"
                raise RecipeError(msg)
        else:
            for checkpoint in (*folder.glob("*.ckpt"), *folder.glob("*/*.ckpt")):
                checkpoint.unlink()
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        msg = f"{folder}: cannot keep checkpoints ({error})"
        raise OutputFileError(msg) from error
    write_whole(note, json.dumps(content, indent=1))
    return read_run(folder).worked if resumed and (folder / RUN_FILE).is_file() else 0.0
