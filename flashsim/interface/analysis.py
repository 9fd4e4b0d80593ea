"""What files are worth: compared with a reference object by object, and in an analysis."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from flashsim.execution.extras import needs_extra
from flashsim.execution.whole_files import refuse_input
from flashsim.interface.arguments import counted_by_name, names_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flashsim.analysis.analyze import Analysis
    from flashsim.analysis.validation import Report
    from flashsim.declarations.changes import Changes
    from flashsim.interface.arguments import Names, PathLike, Progress

__all__ = ["analyze", "validate"]


@needs_extra("analysis", "validation")
def validate(
    reference: PathLike,
    candidate: PathLike,
    output: PathLike,
    *,
    third: PathLike | None = None,
    objects: Names | None = None,
    recipe: PathLike = "validation",
    changes: Changes | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Compare the objects of NanoAOD files with those of a reference (needs the extra ``analysis``).

    Parameters
    ----------
    reference
        NanoAOD that is taken for the truth.
    candidate
        NanoAOD that is judged: of the same gen events, or of the same process.
    output
        The HTML page; a JSON file of the same name stands beside it.
    third
        NanoAOD that is shown beside the candidate.
    objects
        Shipped objects, such as ``"jets"``, or paths of your own YAML files; by default all shipped ones that
        the files have, the others are named in `Report.absent`.
    recipe
        What is compared and where lights change: your own YAML file.
    changes
        Values of the recipe that differ from the file's, by dotted key: ``{"pt_edges": [20, 50, 100]}``.
    force
        Replace a report that exists.
    progress
        Called with what is compared, and how much of it is done.

    Returns
    -------
    Report
        ``rows`` of distances with their errors, ``lights()`` counts them by colour.

    Raises
    ------
    RecipeError
        If there is no such object or recipe, or it is not valid.
    InputFileError
        If a file cannot be read, or lacks what an object needs.
    OutputFileError
        If the output exists without `force`, is an input or no HTML file, or cannot be written.
    MissingDependencyError
        If a package of the extra ``analysis`` is not installed.
    """
    from dataclasses import replace

    from flashsim.analysis import validation
    from flashsim.analysis.validation.samples import shared_objects
    from flashsim.declarations.objects import load_object
    from flashsim.interface.inspection import shipped_objects

    files = [str(name) for name in (reference, candidate, third) if name is not None]
    for path in (Path(output), Path(output).with_suffix(".json")):
        refuse_input(path, *files)
    wanted = shipped_objects("object") if objects is None else [load_object(n) for n in names_of(objects)]
    declarations = shared_objects(wanted, files) if objects is None else wanted
    found = validation.validate(
        str(reference),
        str(candidate),
        declarations,
        Path(output),
        third=None if third is None else str(third),
        whole=[*declarations, *(shipped_objects("event") if objects is None else ())],
        recipe=validation.load_validation(str(recipe), changes),
        force=force,
        progress=counted_by_name(progress),
    )
    return replace(found, absent=tuple(one.name for one in wanted if one not in declarations))


@needs_extra("analysis", "an analysis")
def analyze(
    samples: PathLike,
    output: PathLike,
    *,
    selection: PathLike = "vbf_hmumu",
    changes: Changes | None = None,
    steps: Sequence[str] = (),
    without: Sequence[str] = (),
    figures: Literal["png", "svg", "pdf"] = "png",
    chunk: int = 100_000,
    workers: int = 1,
    dask: str | None = None,
    seed: int = 1,
    force: bool = False,
) -> Analysis:
    """Run the first steps of the VBF H to mumu analysis on simulations of the same processes.

    Parameters
    ----------
    samples
        YAML file of processes and simulations; an example is the shipped ``"samples"``.
    output
        Folder of ``analysis.json``, ``cutflow.csv`` and figures, which appears when all is done.
    selection
        The selection: your own YAML file.
    changes
        Values of the selection that differ from the file's, by dotted key: ``{"jets.min_pt": 30}``.
    steps
        Optional steps of the selection, such as ``"bVeto"``.
    without
        Concepts that the files do not have, such as ``"puId"``.
    figures
        Format of the figures.
    chunk
        Events in memory at a time.
    workers
        Processes.
    dask
        Address of the scheduler of a Dask cluster that runs it in place of this machine.
    seed
        Of the discriminant.
    force
        Replace the folder of another analysis.

    Raises
    ------
    OutputFileError
        If the folder exists without `force`, holds something else or an input, or cannot be made.
    FlashSimError
        If the samples or the selection are not valid, or a file cannot be used.
    """
    from flashsim.analysis import analyze as stage
    from flashsim.analysis.samples import load_samples
    from flashsim.analysis.selection import load_selection
    from flashsim.nanoaod.inputs import expand_inputs

    stage.check_output(Path(output), force=force)
    declared = load_samples(str(samples))
    refuse_input(Path(output), samples, selection, *expand_inputs(declared.inputs))
    done = stage.analyze(
        declared,
        selection=load_selection(str(selection), changes),
        steps=steps,
        without=without,
        chunk=chunk,
        workers=workers,
        dask=dask,
        seed=seed,
    )
    stage.write(done, Path(output), figures=figures, force=force)
    return done
