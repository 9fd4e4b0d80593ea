"""Refiners: from pairs of a fast and a full simulation to a refined file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from flashsim.errors import InputFileError
from flashsim.interface.arguments import counted, names_of

if TYPE_CHECKING:
    from flashsim.interface.arguments import Names, PathLike, Progress
    from flashsim.refinement.apply import RefinementSummary
    from flashsim.refinement.pairs import PairDescription
    from flashsim.refinement.train import TrainedRefiner

__all__ = ["apply_refiner", "make_pairs", "train_refiner"]


def make_pairs(
    inputs: Names,
    output: PathLike,
    *,
    recipe: PathLike = "jets",
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
        load_refiner(str(recipe)),
        list(zip(files[::2], files[1::2], strict=True)),
        Path(output),
        chunk=chunk,
        force=force,
        progress=counted(progress, "pairs"),
    )


def train_refiner(
    pairs: PathLike,
    output: PathLike,
    *,
    recipe: PathLike = "jets",
    runs: PathLike | None = None,
    resume: bool = False,
    device: Literal["auto", "cpu", "cuda"] = "auto",
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
    runs
        Folder of checkpoints and logs; by default the output's name with ``.run``.
    resume
        Go on from the checkpoints; the model is that of a training without interruption.
    device
        ``"auto"`` takes a GPU if there is one.
    force
        Replace a model that exists.
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
        If the output exists and `force` is not set, or cannot be written.
    """
    from flashsim.declarations.refinement import load_refiner
    from flashsim.refinement import train

    def report(epoch: int, most: int, best: float) -> None:
        if progress is not None:
            progress("refiner", epoch, most, f"best validation discrepancy {best:.2e}")

    return train.train_refiner(
        Path(pairs),
        load_refiner(str(recipe)),
        Path(output),
        runs=None if runs is None else Path(runs),
        resume=resume,
        force=force,
        accelerator=device,
        report=report,
    )


def apply_refiner(
    source: PathLike,
    output: PathLike,
    *,
    model: PathLike,
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
    model
        The refiner.
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
        If the model is no refiner, or damaged.
    InputFileError
        If the input cannot be read, lacks a branch, or was refined before.
    OutputFileError
        If the output exists without `force`, is the input, or cannot be written.
    """
    from flashsim.refinement import apply
    from flashsim.refinement.model import RefinerModel

    return apply.apply_refiner(
        RefinerModel.load(Path(model)),
        source,
        Path(output),
        seed=seed,
        chunk=chunk,
        force=force,
        progress=counted(progress, Path(source).name),
    )
