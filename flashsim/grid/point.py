"""Training one point of a grid, in whatever process."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flashsim import __version__
from flashsim.devices import prepare_device
from flashsim.errors import FlashSimError, OutputFileError
from flashsim.grid.folder import PointFolder, held
from flashsim.grid.recipe import MODELS
from flashsim.recipes import parse_recipe
from flashsim.refinement.pairs import read_pairs_description
from flashsim.refinement.recipe import RefinerRecipe
from flashsim.refinement.train import train_refiner
from flashsim.runlog import RunLog
from flashsim.tables import read_description
from flashsim.training.recipe import TrainingRecipe
from flashsim.training.tables import Tables
from flashsim.training.train import train

if TYPE_CHECKING:
    from flashsim.grid.recipe import Kind

__all__ = ["Job", "data_of", "train_point"]


@dataclass(frozen=True)
class Job:
    """Everything that training one point needs, in a form that travels to other processes.

    Parameters
    ----------
    folder
        Of the point.
    kind
        As in `GridRecipe`.
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
    kind: Kind
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
            prepare_device("cpu" if job.device == "auto" else job.device, job.threads)
            _train(job, folder)
        except Exception:
            if folder.state() != "queued":
                raise
            with RunLog(folder.path, folder.path.name):  # it failed before its own log began
                raise
    return True


def _train(job: Job, folder: PointFolder) -> None:
    recipe = parse_recipe(MODELS[job.kind], job.recipe, origin=str(folder.path))
    options: dict[str, Any] = {
        "runs": folder.path,
        "resume": folder.is_begun,
        "force": True,  # a model whose log has no end is of a process that was lost right then
        "accelerator": job.device,
    }
    if isinstance(recipe, RefinerRecipe):
        train_refiner(Path(job.data), recipe, folder.model, **options)
    elif isinstance(recipe, TrainingRecipe):
        train(Tables(Path(job.data)), recipe, folder.model, **options)


def data_of(kind: Kind, folder: Path) -> str:
    """Give a text that is equal where training data are: a digest of their description.

    Raises
    ------
    TableError
        If the folder holds no tables, or no pairs.
    """
    description = read_pairs_description(folder) if kind == "refiner" else read_description(folder)
    content = description.model_dump_json(exclude={"files"})
    return hashlib.sha256(content.encode()).hexdigest()
