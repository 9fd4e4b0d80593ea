"""The folder of a training: what its checkpoints are of, its log, and how long it has been trained."""

from __future__ import annotations

import contextlib
import json
import platform
import time
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from flashsim.errors import OutputFileError, RecipeError
from flashsim.execution.locks import sole_user
from flashsim.execution.whole_files import refuse_existing, write_whole
from flashsim.runs.history import read_run
from flashsim.runs.log import RUN_FILE, RunLog
from flashsim.text import read_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from flashsim.declarations.recipes import Recipe

__all__ = ["NOTE_FILE", "TrainingRun", "begin_run", "has_checkpoints", "run_folder"]

NOTE_FILE = "training.json"
"""Says what the checkpoints in a folder are of."""

_LOCK = ".training.lock"  # not that of a grid, which keeps a point's folder to itself while it is trained
_PACKAGES = ("flashsim", "torch", "nflows", "lightning", "numpy", "uproot")


def run_folder(output: Path, folder: Path | None) -> Path:
    """Folder of checkpoints and logs of a model file: one that is named, or the file's name with ``.run``."""
    return folder or output.with_name(f"{output.name}.run")


class TrainingRun:
    """What every training does around its networks: refuses, notes, logs, and says how it was made.

    Parameters
    ----------
    output
        The model file.
    folder
        Of checkpoints and logs, see `run_folder`.
    resume
        Go on from the checkpoints in the folder.
    force
        Replace an existing model file.

    Raises
    ------
    OutputFileError
        If the output exists and `force` is not set.
    """

    def __init__(self, output: Path, folder: Path | None, *, resume: bool, force: bool) -> None:
        refuse_existing(output, force=force)
        self.folder, self.resume, self.force = run_folder(output, folder), resume, force
        self._started = time.monotonic()

    @contextlib.contextmanager
    def log(
        self,
        recipe: Recipe,
        tables: Mapping[str, Any],
        epochs: Mapping[str, int],
        *,
        upgrade: Callable[[dict[str, Any]], dict[str, Any]] = lambda begun: begun,
    ) -> Iterator[RunLog]:
        """Begin the training, see `begin_run`, and log it until the block ends.

        Parameters
        ----------
        recipe
            How to train.
        tables
            What to train on, by name, as JSON has it.
        epochs
            Largest number of epochs of each network, in the order of their training.
        upgrade
            As `begin_run` takes it.

        Raises
        ------
        OutputFileError
            If another process trains into the folder, or for the reasons of `begin_run`.
        """
        content = {"recipe": recipe.model_dump(mode="json"), **tables}
        with _folder_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        with sole_user(self.folder, name=_LOCK):
            before = begin_run(self.folder, content, resume=self.resume, force=self.force, upgrade=upgrade)
            self._started -= before
            try:
                with RunLog.of_recipe(self.folder, recipe, epochs, resumed=self.resume) as log:
                    yield log
            except BaseException as stopped:
                if not isinstance(stopped, Exception) and has_checkpoints(self.folder):
                    stopped.add_note(f"the checkpoints are in {self.folder}")
                    if isinstance(stopped, KeyboardInterrupt):  # of Python; commands say how by themselves
                        stopped.add_note("go on with resume=True")
                raise

    def provenance(self) -> dict[str, Any]:
        """Wall time, date, machine and packages of the training, for its model file."""
        import torch  # noqa: PLC0415  # whoever only reads logs needs none

        return {
            "wall_time_s": round(time.monotonic() - self._started, 1),
            "date": datetime.now(UTC).date().isoformat(),
            "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
            "packages": {name: version(name) for name in _PACKAGES},
        }


def begin_run(
    folder: Path,
    content: dict[str, Any],
    *,
    resume: bool,
    force: bool = False,
    upgrade: Callable[[dict[str, Any]], dict[str, Any]] = lambda begun: begun,
) -> float:
    """Note what is trained; a training can only be resumed as what it was.

    Checkpoints of anything else are removed, those of the folder and of its networks' folders; those of a
    training that was not finished only if asked for.

    Parameters
    ----------
    folder
        Of the training; made if it is not there.
    content
        What the training is of, as JSON has it: parts by name.
    resume
        Whether what the folder holds is gone on with.
    force
        Begin again from nothing where the folder holds checkpoints of a training that was not finished.
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
        If the folder cannot be read or written, or holds checkpoints of a training that was not finished and
        neither `resume` nor `force` is set.
    """
    note = folder / NOTE_FILE
    resumed = resume and note.is_file()
    if resumed:
        begun = _begun(note, upgrade)
        if changed := [name for name, value in content.items() if begun.get(name) != value]:
            msg = (
                f"{folder}: was begun with another {changed[0]}; train without --resume, and with --force to "
                "begin again"
            )
            raise RecipeError(msg)
    elif not force and has_checkpoints(folder) and not _is_finished(folder):
        msg = (
            f"{folder}: holds the checkpoints of a training that was not finished; go on with --resume, or "
            "begin again with --force"
        )
        raise OutputFileError(msg)
    with _folder_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for checkpoint in () if resumed else _checkpoints(folder):
            checkpoint.unlink()
    write_whole(note, json.dumps(content, indent=1))
    return read_run(folder).worked if resumed and (folder / RUN_FILE).is_file() else 0.0


def has_checkpoints(folder: Path) -> bool:
    """Whether the folder of a training holds checkpoints, of one network or of several."""
    return any(_checkpoints(folder))


def _checkpoints(folder: Path) -> list[Path]:
    return [*folder.glob("*.ckpt"), *folder.glob("*/*.ckpt")]


def _is_finished(folder: Path) -> bool:
    """Whether the log in a folder ends with the end of its training."""
    return (folder / RUN_FILE).is_file() and read_run(folder).state(time.time()) == "finished"


def _begun(note: Path, upgrade: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """Read what a folder was begun with."""
    try:
        return upgrade(dict(read_json(note.read_text(encoding="utf-8"))))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        msg = (
            f"{note}: does not say what the checkpoints are of ({reason}); train without --resume, and with "
            "--force to begin again"
        )
        raise OutputFileError(msg) from error


@contextlib.contextmanager
def _folder_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        msg = f"{folder}: cannot keep checkpoints ({error.strerror or error})"
        raise OutputFileError(msg) from error
