"""Training one point of a grid, in whatever process."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from flashsim import __version__
from flashsim.declarations.recipes import parse_recipe
from flashsim.errors import FlashSimError, OutputFileError
from flashsim.execution.locks import held
from flashsim.grid.folder import PointFolder
from flashsim.learning.devices import prepare_device
from flashsim.runs.log import RunLog

if TYPE_CHECKING:
    from flashsim.declarations.recipes import Recipe

__all__ = ["Job", "Trainer", "train_point"]


class Trainer(Protocol):
    """Trains one model; travels to other processes."""

    @property
    def recipe(self) -> type[Recipe]:
        """Class of the training recipe."""
        ...

    def digest(self, data: Path) -> str:
        """Give a text that is equal where training data are.

        Raises
        ------
        TableError
            If the folder holds no training data.
        """
        ...

    def train(
        self, recipe: Any, data: Path, output: Path, *, runs: Path, resume: bool, device: str
    ) -> object:
        """Train a model, in place of one that exists, from the checkpoints in `runs` if asked for.

        Raises
        ------
        FlashSimError
            For the reasons that a training has.
        """
        ...


@dataclass(frozen=True)
class Job:
    """Everything that training one point needs, in a form that travels to other processes.

    Parameters
    ----------
    folder
        Of the point.
    trainer
        What trains it.
    recipe
        Content of its training recipe.
    data
        Folder of tables or pairs.
    device, threads
        Where it is trained, and on how many threads.
    flashsim
        Version of the package, which must be the same wherever points of one grid are trained.
    """

    folder: str
    trainer: Trainer
    recipe: dict[str, Any]
    data: str
    device: str = "auto"
    threads: int = 1
    flashsim: str = __version__


# A process has one set of threads and one random state: a Dask worker with several threads takes turns.
_one_at_a_time = threading.Lock()


def train_point(job: Job) -> bool:
    """Train a point, from its checkpoints if there are any; one that is finished is left alone.

    Returns
    -------
    Whether there was anything left to train.

    Raises
    ------
    FlashSimError
        If another version of flashsim is installed here, another process trains the point, or for the
        reasons that a training has.
    """
    if job.flashsim != __version__:
        msg = f"a worker has flashsim {__version__}, the command line {job.flashsim}: use one environment"
        raise FlashSimError(msg)
    folder = PointFolder(Path(job.folder))
    with _one_at_a_time, held(folder.path) as mine:
        if not mine:
            msg = f"{folder.path}: is being trained by another process; wait for it"
            raise OutputFileError(msg)
        if folder.is_finished:
            return False
        folder.clear()
        try:
            device = prepare_device(job.device, job.threads)
            job.trainer.train(
                parse_recipe(job.trainer.recipe, job.recipe, origin=str(folder.path)),
                Path(job.data),
                folder.model,
                runs=folder.path,
                resume=folder.is_begun,
                device=device,
            )
        except Exception:
            if folder.state() != "queued":
                raise
            with RunLog(folder.path, folder.path.name):  # it failed before its own log began
                raise
    return True
