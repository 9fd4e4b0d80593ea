"""From NanoAOD of a full simulation to the model of an object."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flashsim.execution.extras import needs_extra
from flashsim.execution.whole_files import refuse_input
from flashsim.interface.arguments import counted, names_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flashsim.declarations.changes import Changes
    from flashsim.interface.arguments import Names, PathLike, Progress
    from flashsim.learning.fitting import FitResult
    from flashsim.learning.tables import TableDescription
    from flashsim.models.object_model import ObjectModel

__all__ = ["Trained", "load_model", "preprocess", "train"]


@dataclass(frozen=True)
class Trained:
    """What a training gave.

    Parameters
    ----------
    model
        The model, as it stands in the file.
    results
        Losses of each network by its name: ``efficiency``, ``flow``, and for each source of
        unmatched objects ``unmatched_NAME_count`` and ``unmatched_NAME_flow``.
    figure
        Path of the figure of the losses.
    """

    model: ObjectModel
    results: Mapping[str, FitResult]
    figure: Path


@needs_extra("train", "preprocessing")
def preprocess(
    what: PathLike,
    inputs: Names,
    output: PathLike,
    *,
    changes: Changes | None = None,
    chunk: int = 20_000,
    force: bool = False,
    progress: Progress | None = None,
) -> TableDescription:
    """Make training tables of one object from NanoAOD of a full simulation.

    Parameters
    ----------
    what
        The object: a shipped one, such as ``"jets"``, or the path of your own YAML file.
    inputs
        NanoAOD files: one path, glob, ``root://`` URL or ``@FILE``, or several.
    output
        Folder of the tables.
    changes
        Values of the declaration that differ from the file's, by dotted key:
        ``{"unmatched.0.max_count": 10}``.
    chunk
        Events in memory at a time.
    force
        Replace tables that are there.
    progress
        Called with the object's name and the events done.

    Returns
    -------
    TableDescription
        Numbers of events, gen objects, reconstructed and unmatched objects by split.

    Raises
    ------
    RecipeError
        If there is no such object, or its declaration is not valid.
    InputFileError
        If a file cannot be read, lacks a branch, or is of another NanoAOD version than the first.
    OutputFileError
        If the folder holds tables and `force` is not set, or cannot be written.
    """
    from flashsim.declarations.objects import load_object
    from flashsim.nanoaod.inputs import expand_inputs

    files = expand_inputs(names_of(inputs))
    declaration = load_object(str(what), changes)
    from flashsim.preprocessing.preprocess import preprocess as make_tables  # after what is quick to refuse

    return make_tables(
        declaration,
        files,
        Path(output),
        chunk=chunk,
        force=force,
        progress=counted(progress, declaration.name),
    )


@needs_extra("train", "training")
def train(
    what: str,
    tables: PathLike,
    output: PathLike,
    *,
    recipe: PathLike | None = None,
    changes: Changes | None = None,
    runs: PathLike | None = None,
    resume: bool = False,
    device: str = "auto",
    threads: int | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Trained:
    """Train the networks of one object, and write them to one model file.

    Parameters
    ----------
    what
        The object: a shipped one, such as ``"jets"``, or the name of your own.
    tables
        Folder of the tables that `preprocess` made.
    output
        The model file, ``NAME.safetensors``.
    recipe
        Your own training recipe; by default the shipped one of this object.
    changes
        Values of the recipe that differ from the file's, by dotted key: ``{"flow.layers": 4}``.
    runs
        Folder of checkpoints and logs; by default the output's name with ``.run``.
    resume
        Go on from the checkpoints; the model is that of a training without interruption.
    device
        Where the networks run: ``"auto"`` (a GPU if there is one), ``"cpu"``, ``"cuda"``, ``"cuda:1"``.
    threads
        Threads of the networks; by default all cores.
    force
        Replace a model that exists, and begin a training that was not finished again from nothing; with
        `resume` it is gone on with all the same.
    progress
        Called after each epoch with the network, the epoch, the largest number of epochs, and the best
        validation loss as a remark.

    Raises
    ------
    RecipeError
        If the recipe is not valid, a loss is not finite, or `resume` finds checkpoints of something else.
    TableError
        If the tables are missing, of another object, or too small.
    OutputFileError
        If the output exists and `force` is not set, or cannot be written, another process trains into the
        same folder, or it holds an unfinished training and neither `resume` nor `force` is set.
    ModelFileError
        If a checkpoint that `resume` needs is damaged.
    FlashSimError
        If there is no such device.
    """
    from flashsim.declarations.training import load_training
    from flashsim.learning.devices import prepare_device
    from flashsim.learning.tables import table_files
    from flashsim.runs.folder import run_folder
    from flashsim.training.figure import draw_losses
    from flashsim.training.train import train as fit_models

    device = prepare_device(device, threads)
    output = Path(output)
    refuse_input(output, *table_files(Path(tables)), *([] if recipe is None else [recipe]))
    folder = run_folder(output, None if runs is None else Path(runs))

    def report(name: str, epoch: int, most: int, best: float) -> None:
        if progress is not None:
            progress(name, epoch, most, f"best validation loss {best:.3f}")

    model, results = fit_models(
        Path(tables),
        load_training(what if recipe is None else str(recipe), changes),
        output,
        runs=folder,
        resume=resume,
        force=force,
        accelerator=device,
        report=report,
    )
    return Trained(model, results, draw_losses(results, folder / "losses.png"))


def load_model(name: PathLike) -> ObjectModel:
    """Load the model of an object.

    Parameters
    ----------
    name
        A shipped model by its object, such as ``"jets"``, or the path of a model file.

    Returns
    -------
    ObjectModel
        Declaration, codecs, networks (on the CPU) and provenance.

    Raises
    ------
    ModelFileError
        If there is no such model, or the file is damaged or of another format version.

    Examples
    --------
    >>> load_model("muons").declaration.collection
    'Muon'
    """
    from flashsim.models.object_model import ObjectModel
    from flashsim.models.shipped import shipped_models

    shipped = {path.stem: path for path in shipped_models()}
    return ObjectModel.load(shipped.get(str(name), Path(name)))
