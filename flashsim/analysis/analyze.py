"""The whole analysis of some samples: processor, discriminant, comparison, and what is written of it."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import logging
import shutil
import sys
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from coffea import processor
from coffea.util import coffea_console

from flashsim.analysis.concepts import resolve
from flashsim.analysis.discriminant import train_discriminant
from flashsim.analysis.drawing import draw_histogram, draw_processes, draw_variations
from flashsim.analysis.figures import save
from flashsim.analysis.results import Results, edges_of
from flashsim.analysis.samples import load_samples, open_datasets
from flashsim.analysis.selection import load_selection
from flashsim.analysis.vbf_hmumu import SCORE, AnalysisSchema, VbfHmumu
from flashsim.errors import InputFileError, OutputFileError, TableError
from flashsim.events.identity import content_branches
from flashsim.events.sketch import same_numbers
from flashsim.execution.extras import needs_extra
from flashsim.execution.locks import sole_writer
from flashsim.execution.whole_files import disk_errors, refuse_existing, require_parent, unfinished
from flashsim.text import json_ready

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from flashsim.analysis.concepts import ResolvedSelection
    from flashsim.analysis.samples import Dataset, SamplesRecipe
    from flashsim.analysis.selection import SelectionRecipe
    from flashsim.events.sketch import EventSketch

__all__ = [
    "SCHEMA_VERSION",
    "Analysis",
    "add_scores",
    "analyze",
    "check_output",
    "cutflow_text",
    "process",
    "write",
]

_log = logging.getLogger(__name__)

SCHEMA_VERSION = 1
"""Of the JSON file."""


@dataclass(frozen=True)
class Analysis:
    """An analysis that is done.

    Parameters
    ----------
    results
        What was found.
    selection
        The selection as it was resolved.
    discriminant
        What became of the discriminant.
    """

    results: Results
    selection: ResolvedSelection
    discriminant: dict[str, Any]


def process(
    datasets: Sequence[Dataset],
    selection: ResolvedSelection,
    *,
    chunk: int = 100_000,
    workers: int = 1,
    dask: str | None = None,
) -> dict[str, dict[str, Any]]:
    """Run the processor over data sets.

    Parameters
    ----------
    datasets
        What `flashsim.analysis.samples.open_datasets` gives.
    selection
        What `flashsim.analysis.concepts.resolve` gives.
    chunk
        Events in memory at a time, about.
    workers
        Processes.
    dask
        Address of the scheduler of a Dask cluster, instead.

    Returns
    -------
    Output of `VbfHmumu` by name of the data set.

    Raises
    ------
    InputFileError
        If a data set holds no events.
    MissingDependencyError
        If Dask is asked for and is not there.
    """
    fileset = {
        d.name: {
            "files": dict.fromkeys(d.files, "Events"),
            "metadata": {"view": d.view, "content": _content_of(d.process, datasets)},
        }
        for d in datasets
    }
    with _executor(workers, dask) as executor, _progress_on_stderr(), warnings.catch_warnings():
        # From coffea, of collections that are not read.
        warnings.filterwarnings("ignore", r"Branch \w+ already exists", RuntimeWarning)
        run = processor.Runner(
            executor=executor,
            pre_executor=processor.IterativeExecutor(status=False),
            schema=AnalysisSchema,
            chunksize=chunk,
            # The default one outlives the run, and would hold on to another view of a file.
            metadata_cache={},
        )
        found: dict[str, dict[str, Any]] = run(fileset, VbfHmumu(selection))
    if empty := [d for d in datasets if d.name not in found]:
        msg = f"{', '.join(empty[0].files)}: holds no events; {empty[0].name} needs some"
        raise InputFileError(msg)
    return found


def _content_of(process_name: str, datasets: Sequence[Dataset]) -> list[str]:
    """Name what stands for the content of a gen event in all files of a process: they must compare."""
    files = [some for d in datasets if d.process == process_name for some in d.branches.values()]
    return list(content_branches(frozenset.intersection(*files)))


@contextlib.contextmanager
def _progress_on_stderr() -> Iterator[None]:
    """Send coffea's progress bars, which it always draws, to stderr, and nowhere if that is no terminal.

    In a notebook they would leave empty widgets behind.
    """
    settings = {"file": sys.stderr, "quiet": not sys.stderr.isatty(), "is_jupyter": False}
    before = {name: getattr(coffea_console, name) for name in settings}
    try:
        for name, value in settings.items():
            setattr(coffea_console, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(coffea_console, name, value)


@contextlib.contextmanager
def _executor(workers: int, dask: str | None) -> Iterator[Any]:
    if dask is not None:
        with needs_extra("dask", "--dask"):
            from distributed import Client  # noqa: PLC0415
        with Client(dask) as client:  # type: ignore[no-untyped-call]
            yield processor.DaskExecutor(client=client, status=False)
    elif workers > 1:
        yield processor.FuturesExecutor(workers=workers, status=False)
    else:
        yield processor.IterativeExecutor(status=False)


def add_scores(results: Results, *, seed: int = 1) -> dict[str, Any]:
    """Train the discriminant on the reference; add its score to all tables that have its inputs.

    Returns
    -------
    What became of it: ``trained``, and either ``validation_losses`` or the ``reason`` why not.
    """
    recipe, samples = results.recipe.discriminant, results.samples
    tables: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
    normalised = all(declared.cross_section is not None for declared in samples.processes.values())
    for name, declared in samples.processes.items():
        key = f"{name}/{samples.reference}"
        table = results.table(key)
        inside = results.inside(key, recipe.region)
        columns = {column: table[column][inside] for column in ("event", *recipe.inputs)}
        # Without cross sections all processes of a kind count the same.
        scale = results.scale(key) if normalised else 1.0 / max(table["weight"][inside].sum(), 1e-300)
        columns["mass_error_relative"] = table["mass_error_relative"][inside]
        tables[declared.signal].append({**columns, "weight": table["weight"][inside] * scale})
    if not tables[True] or not tables[False]:
        return {"trained": False, "reason": "the samples have no signal, or no background"}
    try:
        discriminant = train_discriminant(tables[True], tables[False], recipe, seed=seed)
    except TableError as error:
        return {"trained": False, "reason": str(error)}
    for name in results.datasets:
        table = results.table(name)
        scores = discriminant.score(table)
        if np.isfinite(scores).any():
            table[SCORE] = scores
    return {"trained": True, "validation_losses": discriminant.losses}


def analyze(
    samples: str | SamplesRecipe,
    *,
    selection: str | SelectionRecipe = "vbf_hmumu",
    steps: Sequence[str] = (),
    without: Sequence[str] = (),
    chunk: int = 100_000,
    workers: int = 1,
    dask: str | None = None,
    seed: int = 1,
) -> Analysis:
    """Analyse samples; nothing is written.

    Parameters
    ----------
    samples
        Path of a YAML file, or its content.
    selection
        Name of a shipped selection, path of the user's own, or its content.
    steps, without
        Optional steps that are on, and concepts that the files do not have.
    chunk, workers, dask
        As `process` takes them.
    seed
        Of the discriminant.

    Raises
    ------
    FlashSimError
        If the samples or the selection are not valid, or a file cannot be used.
    """
    declared = load_samples(samples) if isinstance(samples, str) else samples
    recipe = load_selection(selection) if isinstance(selection, str) else selection
    datasets = open_datasets(declared)
    branches = {path: d.branches[path] for d in datasets if d.view == "reco" for path in d.files}
    resolved = resolve(recipe, branches, era=declared.era, without=without, steps=steps)
    found = process(datasets, resolved, chunk=chunk, workers=workers, dask=dask)
    if text := same_numbers(_sketches(found)):
        _log.warning("%s", text)
    results = Results(declared, recipe, {d.name: d for d in datasets}, found)
    return Analysis(results, resolved, add_scores(results, seed=seed))


def write(analysis: Analysis, output: Path, *, figures: str = "png", force: bool = False) -> Path:
    """Write ``analysis.json``, ``cutflow.csv`` and figures into a folder, which appears when all is done.

    Parameters
    ----------
    analysis
        What `analyze` gives.
    output
        The folder.
    figures
        Suffix of the figures' files: png, svg or pdf.
    force
        Replace the folder of another analysis.

    Raises
    ------
    OutputFileError
        If the folder is there already, holds something else, or has no place to be in.
    """
    check_output(output, force=force)
    with sole_writer(output), disk_errors(output), unfinished(output) as folder:
        (folder / "figures").mkdir(parents=True)
        content = _content(analysis)
        text = json.dumps(json_ready(content), indent=1, allow_nan=False)
        (folder / "analysis.json").write_text(text, encoding="utf-8")
        (folder / "cutflow.csv").write_text(_as_csv(content["cutflow"]), encoding="utf-8")
        _draw(analysis, folder / "figures", figures)
        if output.exists():
            shutil.rmtree(output)
    return output


def check_output(output: Path, *, force: bool) -> None:
    """Refuse a folder that cannot be written, before any work.

    Raises
    ------
    OutputFileError
        As `write`.
    """
    require_parent(output)
    refuse_existing(output, force=force, mend="name another folder or add --force")
    if output.exists() and not (output / "analysis.json").is_file():
        msg = f"{output}: holds no analysis, so it is not replaced; name another folder"
        raise OutputFileError(msg)


def cutflow_text(results: Results) -> str:
    """Lay out the cutflow: a row a step, a column a simulation; efficiency, and ratio with its error."""
    rows = results.cutflow()
    lines = []
    for process_name, declared in results.samples.processes.items():
        names = results.simulations(process_name)
        labels = [results.samples.simulations[name].label for name in names]
        lines += [f"{declared.label} (efficiency in %, ratio to {labels[0]})"]
        lines += ["  " + f"{'':16}" + "".join(f"{label:>28}" for label in labels)]
        mine = {(r["step"], r["simulation"]): r for r in rows if r["process"] == process_name}
        for step in dict.fromkeys(step for step, _ in mine):
            cells = [_cell(mine.get((step, name))) for name in names]
            lines += [f"  {step:16}" + "".join(f"{cell:>28}" for cell in cells)]
        lines += [""]
    return "\n".join(line.rstrip() for line in lines)


def _sketches(found: dict[str, dict[str, Any]]) -> dict[str, EventSketch]:
    """Sketches of the gen events of all files."""
    return {path: sketch for one in found.values() for path, sketch in one["totals"]["sketches"].items()}


def _cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    text = f"{100 * row['efficiency']:.2f}"
    if "ratio" not in row:
        return f"{text} ± {100 * row['error']:.2f}"
    return f"{text}  ({row['ratio']:.3f} ± {row['ratio_error']:.3f})" if row["ratio"] > 0 else text


def _content(analysis: Analysis) -> dict[str, Any]:
    results = analysis.results
    return {
        "schema_version": SCHEMA_VERSION,
        "era": analysis.selection.era,
        "selection": results.recipe.model_dump(mode="json"),
        "concepts": analysis.selection.says(),
        "optional_steps": list(analysis.selection.steps),
        "reference": results.samples.reference,
        "files": {name: list(dataset.files) for name, dataset in results.datasets.items()},
        "shares_gen_events": {name: results.shared(name) for name in results.samples.processes},
        "cutflow": results.cutflow(),
        "dimuon_mass": results.masses(),
        "discriminant": analysis.discriminant,
        "histograms": [
            {
                "process": name,
                "observable": h.observable,
                "region": h.region,
                "edges": edges_of(h),
                "simulations": {simulation: vars(curve) for simulation, curve in curves.items()},
            }
            for name in results.samples.processes
            for h in results.recipe.histograms
            if (curves := results.curves(name, h))
        ],
        "oversampling": results.gains(),
    }


def _as_csv(rows: list[dict[str, Any]]) -> str:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _draw(analysis: Analysis, folder: Path, suffix: str) -> None:
    """Draw each histogram of each process; overlays of the processes; variations that files have."""
    results = analysis.results
    for h in results.recipe.histograms:
        for name in results.samples.processes:
            if figure := draw_histogram(results, h, [name]):
                save(figure, folder / f"{name}_{h.name}.{suffix}")
            if h.overlay and (figure := draw_variations(results, h, name)):
                save(figure, folder / f"{name}_{h.name}_variations.{suffix}")
        if h.overlay and (figure := draw_processes(results, h)):
            save(figure, folder / f"overlay_{h.name}.{suffix}")
