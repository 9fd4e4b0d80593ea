"""Gen-level NanoAOD from a Pythia 8 command file."""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np

from flashsim import __version__
from flashsim.nanoaod.branch import Branch
from flashsim.nanoaod.mantissa import round_mantissa
from flashsim.nanoaod.schema import counter_titles, load_schema, mantissa_bits
from flashsim.nanoaod.writing import NanoWriter
from flashsim.recipes import recipe_path
from flashsim.reference.genjets import gen_jets, gen_met
from flashsim.reference.hidden import BRANCHES as HIDDEN_BRANCHES
from flashsim.reference.hidden import hidden as hidden_variables
from flashsim.reference.libraries import require
from flashsim.reference.particles import gen_part
from flashsim.reference.pileup import gen_vertex, pileup
from flashsim.reference.pythia import MAX_SEED, CrossSection, GeneratedEvents, PythiaGenerator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["EVENTS_PER_BLOCK", "GenSummary", "generate_gen"]

EVENTS_PER_BLOCK = 500
"""Events made with one Pythia seed: the unit of work, whatever the number of workers."""

_EVENTS_PER_LUMINOSITY_BLOCK = 1000
_RUN = 1
_VERSION = "v9"

_RUNS = (
    Branch("run", np.dtype("uint32"), title="run/i"),
    Branch("genEventCount", np.dtype("int64"), title="event count"),
    Branch("genEventSumw", np.dtype("float64"), title="sum of gen weights"),
    Branch("genEventSumw2", np.dtype("float64"), title="sum of gen (weight^2)"),
)
_LUMINOSITY_BLOCKS = (
    Branch("run", np.dtype("uint32"), title="run/i"),
    Branch("luminosityBlock", np.dtype("uint32"), title="luminosityBlock/i"),
)

_EVENT_IDS = (
    Branch("run", np.dtype("uint32"), title="run/i"),
    Branch("luminosityBlock", np.dtype("uint32"), title="luminosityBlock/i"),
    Branch("event", np.dtype("uint64"), title="event/l"),
)
HIDDEN_NAMES = tuple(branch.name for branch in HIDDEN_BRANCHES)

Columns = dict[str, Any]


@dataclass(frozen=True)
class GenSummary:
    """What was generated.

    Parameters
    ----------
    events
        Number of events written.
    cross_section, cross_section_error
        In pb, as Pythia estimates it, with its statistical error.
    sum_of_weights, sum_of_squared_weights
        Of `genWeight`.
    """

    events: int
    cross_section: float
    cross_section_error: float
    sum_of_weights: float
    sum_of_squared_weights: float


def generate_gen(
    command_file: str | Path,
    output: str | Path,
    *,
    events: int,
    seed: int,
    force: bool = False,
    workers: int = 1,
    hidden: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> GenSummary:
    """Generate events with Pythia 8 and write them as gen-level NanoAOD (v9 branches).

    The same seed gives the same events whatever the number of workers, and the first n events of a longer
    run: events are made in blocks of `EVENTS_PER_BLOCK`, each with a Pythia seed of its own.

    Parameters
    ----------
    command_file
        Pythia settings: a shipped one such as ``vbf_hmumu.cmnd``, or the path of any.
    output
        NanoAOD file to write; it appears when it is complete.
    events
        How many to write, at least 1.
    seed
        Any integer.
    force
        Whether to replace an existing output.
    workers
        Processes to work in.
    hidden
        A second file, for the hidden variables of the same events (`flashsim.reference.hidden`).
    progress
        Called with the number of events done and to do, after each block.

    Raises
    ------
    RecipeError
        If there is no such command file, or Pythia does not accept it.
    OutputFileError
        If the output exists (without `force`) or cannot be written.
    MissingDependencyError
        If pythia8mc or fastjet is not installed.
    ValueError
        If `events` or `workers` is below 1.
    """
    if events < 1 or workers < 1:
        msg = f"events and workers must be at least 1, found {events} and {workers}"
        raise ValueError(msg)
    settings = recipe_path("reference", command_file)
    for package in ("pythia8mc", "fastjet"):
        require(package)
    sections: list[CrossSection] = []
    sumw = sumw2 = 0.0
    done = 0
    with contextlib.ExitStack() as files:
        writer = files.enter_context(NanoWriter(output, force=force))
        beside = files.enter_context(NanoWriter(hidden, force=force)) if hidden is not None else None
        writer.tree("Runs", _RUNS, title="Runs")
        writer.tree("LuminosityBlocks", _LUMINOSITY_BLOCKS, title="LuminosityBlocks")
        for columns, section in _blocks(settings, seed, events, workers):
            unseen = {name: columns.pop(name) for name in HIDDEN_NAMES}
            if not sections:
                _declare_events(writer, columns)
            writer.extend("Events", columns)
            if beside is not None:
                if not sections:
                    beside.tree("Events", (*_EVENT_IDS, *HIDDEN_BRANCHES), title="Events")
                beside.extend("Events", unseen | {branch.name: columns[branch.name] for branch in _EVENT_IDS})
            sections.append(section)
            weights = np.asarray(columns["genWeight"], dtype=np.float64)
            sumw += float(weights.sum())
            sumw2 += float(np.square(weights).sum())
            done += len(weights)
            if progress is not None:
                progress(done, events)
        section = CrossSection.combined(sections)
        summary = GenSummary(done, section.value, section.error, sumw, sumw2)
        writer.extend("Runs", _runs(summary))
        writer.extend("LuminosityBlocks", _luminosity_blocks(done))
        writer.write_string("flashsim_gen", _provenance(settings, seed, summary))
    return summary


def _blocks(settings: Path, seed: int, events: int, workers: int) -> Iterator[tuple[Columns, CrossSection]]:
    """Yield all blocks in order, made by this process or by several."""
    tasks = [
        _Block(settings, seed, number, first=start + 1, events=min(EVENTS_PER_BLOCK, events - start))
        for number, start in enumerate(range(0, events, EVENTS_PER_BLOCK))
    ]
    if workers == 1 or len(tasks) == 1:
        yield from map(_generate, tasks)
        return
    # Workers are forked from a process that has imported everything and done nothing: a fork of this one
    # would share libraries in the middle of use, and fresh ones would all import for seconds.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(min(workers, len(tasks)), mp_context=context) as pool:
        waiting: deque[Future[tuple[Columns, CrossSection]]] = deque()
        try:
            for task in tasks:
                waiting.append(pool.submit(_generate, task))
                # Blocks ahead of the writer are held in memory, so they are limited.
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


@dataclass(frozen=True)
class _Block:
    """A unit of work: `events` events from event number `first` on."""

    settings: Path
    seed: int
    number: int
    first: int
    events: int


def _generate(block: _Block) -> tuple[Columns, CrossSection]:
    """Generate the events of a block and give their NanoAOD branches."""
    generator = PythiaGenerator(block.settings, _block_seed(block.seed, block.number))
    parts = []
    first = block.first
    for batch in generator.batches(block.events):
        numbers = np.arange(first, first + batch.record.events, dtype=np.uint64)
        parts.append(_columns(batch, block.seed, numbers))
        first += batch.record.events
    columns = {name: ak.concatenate([part[name] for part in parts]) for name in parts[0]}
    return columns, generator.cross_section()


def _block_seed(seed: int, block: int) -> int:
    digest = hashlib.blake2b(f"{seed}\0{block}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") % MAX_SEED + 1


def _columns(batch: GeneratedEvents, seed: int, event: NDArray[np.uint64]) -> Columns:
    """All branches of a batch under their NanoAOD names, with NanoAOD's precision."""
    run = np.full(len(event), _RUN, dtype=np.uint32)
    luminosity_block = _luminosity_block(event)
    columns: Columns = {
        "run": run,
        "luminosityBlock": luminosity_block,
        "event": event,
        "genWeight": batch.weight,
        "Generator_weight": batch.weight,
        "Generator_binvar": batch.pt_hat,
        "Generator_scalePDF": batch.scale_pdf,
        "Generator_id1": batch.id1,
        "Generator_id2": batch.id2,
        "Generator_x1": batch.x1,
        "Generator_x2": batch.x2,
        "Generator_xpdf1": batch.xpdf1,
        "Generator_xpdf2": batch.xpdf2,
    }
    particles, jets = gen_part(batch.record), gen_jets(batch.record)
    columns |= particles.branches | jets.branches | gen_met(batch.record)
    columns |= gen_vertex(seed, run, luminosity_block, event)
    columns |= pileup(seed, run, luminosity_block, event)
    schema = load_schema(_VERSION)
    stored = {name: _stored(values, schema[name]) for name, values in columns.items()}
    return stored | hidden_variables(batch.record, jets, particles)


def _stored(values: Any, branch: Branch) -> ak.Array:
    values = ak.values_astype(ak.Array(values), branch.dtype)
    bits = mantissa_bits(_VERSION, branch.name)
    if bits is None or branch.dtype != np.float32:
        return values
    if not branch.jagged:
        return ak.Array(round_mantissa(ak.to_numpy(values), bits))
    return ak.unflatten(round_mantissa(ak.to_numpy(ak.flatten(values)), bits), ak.num(values))


def _declare_events(writer: NanoWriter, columns: Columns) -> None:
    schema = load_schema(_VERSION)
    branches = [schema[name] for name in columns]
    collections = {branch.collection for branch in branches}
    titles = {name: title for name, title in counter_titles(_VERSION).items() if name in collections}
    writer.tree("Events", branches, title="Events", counter_titles=titles)


def _luminosity_block(event: NDArray[np.uint64]) -> NDArray[np.uint32]:
    return ((event - 1) // _EVENTS_PER_LUMINOSITY_BLOCK + 1).astype(np.uint32)


def _runs(summary: GenSummary) -> dict[str, NDArray[Any]]:
    return {
        "run": np.array([_RUN], dtype=np.uint32),
        "genEventCount": np.array([summary.events], dtype=np.int64),
        "genEventSumw": np.array([summary.sum_of_weights]),
        "genEventSumw2": np.array([summary.sum_of_squared_weights]),
    }


def _luminosity_blocks(events: int) -> dict[str, NDArray[np.uint32]]:
    blocks = np.unique(_luminosity_block(np.array([1, events], dtype=np.uint64)))
    numbers = np.arange(1, blocks[-1] + 1, dtype=np.uint32)
    return {"run": np.full(len(numbers), _RUN, dtype=np.uint32), "luminosityBlock": numbers}


def _provenance(settings: Path, seed: int, summary: GenSummary) -> str:
    return json.dumps(
        {
            "flashsim": __version__,
            "command_file": settings.name,
            "settings": settings.read_text(encoding="utf-8", errors="replace"),
            "seed": seed,
            **asdict(summary),
        }
    )
