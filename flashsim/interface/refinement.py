"""Refiners: from pairs of a fast and a full simulation to a refined file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flashsim.errors import InputFileError, ModelFileError
from flashsim.execution.extras import needs_extra
from flashsim.execution.whole_files import refuse_input
from flashsim.interface.arguments import counted, names_of, paths_of

if TYPE_CHECKING:
    from flashsim.declarations.changes import Changes
    from flashsim.interface.arguments import Names, PathLike, Progress
    from flashsim.refinement.apply import RefinementSummary
    from flashsim.refinement.pairs import PairDescription
    from flashsim.refinement.train import TrainedRefiner

__all__ = ["apply_refiner", "make_pairs", "train_refiner"]


@needs_extra("refine", "refinement")
def make_pairs(
    inputs: Names,
    output: PathLike,
    *,
    recipe: PathLike = "jets",
    changes: Changes | None = None,
    chunk: int = 20_000,
    force: bool = False,
    progress: Progress | None = None,
) -> PairDescription:
    """Pair the objects of a fast and a full simulation of the same gen events.

    Parameters
    ----------
    inputs
        Paths or URLs of NanoAOD, in turn of a fast simulation and of the full one of the same events.
    output
        Folder of the pairs.
    recipe
        ``"jets"``, ``"muons"``, ``"pt"``, or the path of your own recipe.
    changes
        Values of the recipe that differ from the file's, by dotted key: ``{"pairs.distance": 0.3}``.
    chunk
        Events in memory at a time.
    force
        Replace pairs that are there.
    progress
        Called with ``"pairs"`` and the events done.

    Raises
    ------
    RecipeError
        If there is no such recipe, or it is not valid.
    InputFileError
        If the number of inputs is odd, a file cannot be read or lacks a branch, or two files have no event in
        common.
    OutputFileError
        If the folder holds pairs and `force` is not set, or cannot be written.
    """
    files = names_of(inputs)
    if len(files) % 2:
        msg = f"name a full simulation after each fast one, found {len(files)} files; add the missing one"
        raise InputFileError(msg)
    from flashsim.declarations.refinement import load_refiner
    from flashsim.refinement import pairs

    return pairs.make_pairs(
        load_refiner(str(recipe), changes),
        list(zip(files[::2], files[1::2], strict=True)),
        Path(output),
        chunk=chunk,
        force=force,
        progress=counted(progress, "pairs"),
    )


@needs_extra("refine", "refinement")
def train_refiner(
    pairs: PathLike,
    output: PathLike,
    *,
    recipe: PathLike = "jets",
    changes: Changes | None = None,
    runs: PathLike | None = None,
    resume: bool = False,
    device: str = "auto",
    threads: int | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> TrainedRefiner:
    """Train a refiner, and see how near it comes to the full simulation on pairs that it has not seen.

    Parameters
    ----------
    pairs
        Folder of the pairs that `make_pairs` made.
    output
        The model file, ``NAME.safetensors``.
    recipe
        ``"jets"``, ``"muons"``, ``"pt"``, or the path of your own recipe.
    changes
        Values of the recipe that differ from the file's, by dotted key: ``{"network.width": 64}``.
    runs
        Folder of checkpoints and logs; by default the output's name with ``.run``.
    resume
        Go on from the checkpoints; the model is that of a training without interruption.
    device
        Where the network runs: ``"auto"`` (a GPU if there is one), ``"cpu"``, ``"cuda"``, ``"cuda:1"``.
    threads
        Threads of the network; by default all cores.
    force
        Replace a model that exists, and begin a training that was not finished again from nothing; with
        `resume` it is gone on with all the same.
    progress
        Called after each epoch with ``"refiner"``, the epoch, the largest number of epochs, and the best
        validation discrepancy as a remark.

    Raises
    ------
    RecipeError
        If the recipe is not valid, a loss is not finite, or `resume` finds checkpoints of something else.
    TableError
        If there are no or too few pairs, or they are of another object or selection than the recipe's.
    OutputFileError
        If the output exists and `force` is not set, or cannot be written, another process trains into the
        same folder, or it holds an unfinished training and neither `resume` nor `force` is set.
    ModelFileError
        If a checkpoint that `resume` needs is damaged.
    FlashSimError
        If there is no such device.
    """
    from flashsim.declarations.refinement import load_refiner
    from flashsim.learning.devices import prepare_device
    from flashsim.learning.tables import table_files
    from flashsim.refinement import train

    device = prepare_device(device, threads)
    refuse_input(Path(output), *table_files(Path(pairs)), recipe)

    def report(epoch: int, most: int, best: float) -> None:
        if progress is not None:
            progress("refiner", epoch, most, f"best validation discrepancy {best:.2e}")

    return train.train_refiner(
        Path(pairs),
        load_refiner(str(recipe), changes),
        Path(output),
        runs=None if runs is None else Path(runs),
        resume=resume,
        force=force,
        accelerator=device,
        report=report,
    )


@needs_extra("refine", "refinement")
def apply_refiner(
    source: PathLike,
    output: PathLike,
    *,
    models: Names,
    seed: int = 1,
    chunk: int = 10_000,
    force: bool = False,
    progress: Progress | None = None,
) -> RefinementSummary:
    """Refine the objects of a file; what they were stands in branches that end in ``_unrefined``.

    Parameters
    ----------
    source
        Path or URL of NanoAOD of a fast simulation.
    output
        The refined file, ``NAME.root``; it appears complete or not at all.
    models
        The refiner: a model file, or a folder that holds one.
    seed
        The same seed gives the same objects, however the input is cut.
    chunk
        Events in memory at a time.
    force
        Replace an output that exists.
    progress
        Called with the name of the input and the events done.

    Raises
    ------
    ModelFileError
        If there is no such file, more than one, or it is no refiner or damaged.
    InputFileError
        If the input cannot be read, lacks a branch, or was refined before.
    OutputFileError
        If the output exists without `force`, is the input, or cannot be written.
    """
    from flashsim.models.shipped import model_files

    files = model_files(paths_of(models))
    if len(files) > 1:
        msg = f"{len(files)} models where one is applied at a time ({', '.join(map(str, files))}); name one"
        raise ModelFileError(msg)
    refuse_input(Path(output), source, *files)
    from flashsim.refinement import apply
    from flashsim.refinement.model import RefinerModel

    return apply.apply_refiner(
        RefinerModel.load(files[0]),
        source,
        Path(output),
        seed=seed,
        chunk=chunk,
        force=force,
        progress=counted(progress, Path(source).name),
    )
