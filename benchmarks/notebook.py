"""Make the samples of the VBF H to mumu notebook, and execute it.

    python -m benchmarks.notebook --workers 2

makes ``WORK/samples/PROCESS/`` with ``gen.root``, ``full.root``, ``fast.root`` and ``flash.root`` and further
passes of the same events (``full_1.root`` and so on) of the processes of the analysis
(``benchmarks/samples.yaml``), the signal with variations of the showers, and some of its gen events 25 times;
then executes ``analysis/vbf_hmumu.py`` there and writes its outputs into
``analysis/vbf_hmumu.ipynb``. What is complete is kept; another number of events is another ``--work``.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jupytext
import nbformat
from nbclient import NotebookClient

from benchmarks.samples import ROOT, Samples, load_samples
from flashsim.declarations.output import load_output
from flashsim.gen import generate_gen
from flashsim.generation.generate import Generator
from flashsim.interface.reference import simulate
from flashsim.models.object_model import ObjectModel
from flashsim.models.shipped import model_files

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["execute", "main", "make_samples"]

NOTEBOOK = ROOT / "analysis" / "vbf_hmumu.py"
SIGNAL = "vbf_hmumu"
FOLDS = 25
OVERSAMPLED = 0.04
"""Share of the signal's gen events that is simulated `FOLDS` times."""
SEED = 20
"""Of flash simulation; further passes have the next ones."""
LONGEST = 3600
"""Seconds that a cell may take."""


def make_samples(samples: Samples, work: Path, workers: int) -> None:
    """Make what is not there yet."""
    models = [ObjectModel.load(path) for path in model_files()]
    folder = work / "samples"
    folder.mkdir(parents=True, exist_ok=True)
    varied = folder / f"{SIGNAL}_varied.cmnd"
    varied.write_text(f"include = {SIGNAL}.cmnd\ninclude = shower_variations.cmnd\n", encoding="utf-8")
    seed, draws = samples.analysis.seed, samples.analysis.draws
    for process, events in samples.analysis.events.items():
        started, settings = time.monotonic(), varied if process == SIGNAL else process
        detected = [_named(name, draw) for name in ("full", "fast") for draw in range(draws)]
        if _missing(folder / process, *detected):
            simulate(
                settings,
                folder / process,
                events=events,
                seed=seed,
                workers=workers,
                draws=draws,
                force=True,
            )
        for draw in range(draws):
            if _missing(folder / process, _named("flash", draw)):
                _flash(models, folder / process, draw)
        over = folder / f"{SIGNAL}_{FOLDS}"
        if process == SIGNAL and _missing(over, "flash.root"):
            over.mkdir(exist_ok=True)
            some = max(1, round(OVERSAMPLED * events))
            # The same gen events as the first of the sample.
            generate_gen(varied, over / "gen.root", events=some, seed=seed, workers=workers, force=True)
            _flash(models, over, folds=FOLDS)
        print(f"{folder / process}: {events} events, {time.monotonic() - started:.0f} s", flush=True)


def _named(simulation: str, draw: int) -> str:
    """Name of a pass, as `flashsim.interface.reference` gives it."""
    return f"{simulation}_{draw}.root" if draw else f"{simulation}.root"


def _missing(folder: Path, *names: str) -> bool:
    return not all((folder / name).is_file() for name in names)


def _flash(models: Sequence[ObjectModel], folder: Path, draw: int = 0, folds: int = 1) -> None:
    generator = Generator(models, load_output(), seed=SEED + draw, oversample=folds)
    generator.run(str(folder / "gen.root"), folder / _named("flash", draw))


def execute(notebook: Path, folder: Path) -> Any:
    """Execute a notebook of jupytext's percent format.

    Parameters
    ----------
    notebook
        The Python file.
    folder
        Folder that its samples are in.

    Returns
    -------
    The notebook with its outputs, in the form of nbformat.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        If a cell fails.
    """
    content = jupytext.read(notebook)
    for number, cell in enumerate(content.cells):
        cell["id"] = f"cell-{number}"  # random ones would differ from run to run
    before = os.environ.get("FLASHSIM_SAMPLES")
    os.environ["FLASHSIM_SAMPLES"] = str(folder.resolve())
    try:
        folders = {"metadata": {"path": str(notebook.parent)}}
        client = NotebookClient(content, timeout=LONGEST, resources=folders, record_timing=False)
        done: Any = client.execute()
    finally:
        if before is None:
            del os.environ["FLASHSIM_SAMPLES"]
        else:
            os.environ["FLASHSIM_SAMPLES"] = before
    return done


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--work", type=Path, default=ROOT / "runs" / "vbf_hmumu", help="folder of the samples"
    )
    parser.add_argument("--workers", type=int, default=2, help="processes that make events")
    parser.add_argument("--scale", type=float, default=1.0, help="fraction or multiple of the events")
    parser.add_argument(
        "--output", type=Path, default=NOTEBOOK.with_suffix(".ipynb"), help="the notebook with its outputs"
    )
    options = parser.parse_args()
    make_samples(load_samples().scaled(options.scale), options.work, options.workers)
    started = time.monotonic()
    nbformat.write(execute(NOTEBOOK, options.work), options.output)  # type: ignore[no-untyped-call]
    print(f"{options.output}: {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
