"""From gen-level events and their particles to the file that a detector gives."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim import __version__
from flashsim.declarations.eras import DEFAULT_ERA
from flashsim.errors import FlashSimError, InputFileError
from flashsim.events.collection import Collection
from flashsim.events.identity import event_keys, identity_branches
from flashsim.events.noise import EVENT_IDS
from flashsim.execution.processes import Processes
from flashsim.nanoaod.buffer import CheckedEntries, check_entries
from flashsim.nanoaod.provenance import GEN, REFERENCE, read_provenance
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.requirements import require_branches
from flashsim.nanoaod.schema import counter_titles, load_schema
from flashsim.nanoaod.stable import STABLE, STABLE_BRANCHES
from flashsim.nanoaod.writing import NanoWriter
from flashsim.reference.flow.recorded import record
from flashsim.reference.output.content import nano_branches
from flashsim.reference.output.matching import gen_collections, match_objects
from flashsim.reference.output.reconstruction import objects
from flashsim.reference.particles.overlay import Library
from flashsim.reference.particles.streams import Streams
from flashsim.reference.recipe import load_detector
from flashsim.reference.taggers.scores import Taggers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from flashsim.declarations.changes import Changes
    from flashsim.nanoaod.branch import Branch
    from flashsim.reference.recipe import DetectorRecipe

    Chunk = tuple[list[Branch], dict[str, Any], dict[str, Any]]

__all__ = ["DEFAULT_CHUNK", "Detection", "Detector", "detect"]

DEFAULT_CHUNK = 200
"""Events in memory at a time, for each process."""

_FIELDS = [branch.field for branch in STABLE_BRANCHES]
_PARTICLES = [branch.name for branch in STABLE_BRANCHES]
NEEDED = ["Pileup_nPU", "Pileup_nTrueInt", "GenVtx_x", "GenVtx_y", "GenVtx_z"]
"""Branches of the generator without which there is no pileup."""
SHOWN = ("Jet", "FatJet", "Muon", "Electron", "Photon", "Tau")
"""Collections whose objects are counted."""


@dataclass(frozen=True)
class Detection:
    """What a detector gave.

    Parameters
    ----------
    output
        Path of the file.
    events
        Number of events.
    objects
        Number of reconstructed objects by collection.
    """

    output: str
    events: int
    objects: dict[str, int]


@dataclass(frozen=True)
class Detector:
    """A detector that sees one draw of pileup; what processes share.

    Parameters
    ----------
    recipe
        Its numbers.
    streams
        Its random numbers.
    minbias
        File of minimum-bias interactions.
    """

    recipe: DetectorRecipe
    streams: Streams
    minbias: str

    def see(self, chunk: Chunk) -> CheckedEntries:
        """All branches of E events, of the generator's branches and the ``GenStable`` ones."""
        branches, gen, particles = chunk
        recipe, version = self.recipe, self.recipe.generation.nanoaod
        hard = Collection.of_branches(particles, STABLE, _FIELDS)
        library = _library(self.minbias, recipe.recording.pileup.min_pt)
        recorded = record(hard, gen, event_keys(gen), self.streams, library, recipe.recording)
        found, values = objects(recorded, recipe, Taggers.load(recipe.taggers))
        truth = gen_collections(gen)
        seen = nano_branches(match_objects(found, truth), values, truth, version)
        given = check_entries("Events", branches, gen)
        return CheckedEntries(seen.entries, given.values | seen.values, given.counts | seen.counts)


@cache
def _library(path: str, min_pt: float) -> Library:
    with NanoFile(path) as file:
        require_branches(file, _PARTICLES, "to make pileup of it")
        return Library.of(Collection.of_branches(file.read(_PARTICLES), STABLE, _FIELDS), min_pt)


def detect(
    gen: str | Path,
    particles: str | Path,
    minbias: str | Path,
    output: str | Path,
    *,
    era: str | Path = DEFAULT_ERA,
    detector: str = "full",
    parameters: str | Path | None = None,
    changes: Changes | None = None,
    seed: int = 1,
    draw: int = 0,
    chunk: int = DEFAULT_CHUNK,
    workers: int = 1,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Detection:
    """Let a detector see gen-level events and write what it finds as NanoAOD.

    The same seed gives the same output however it is cut into chunks and shared among processes. Detectors of
    other names and other draws have random numbers of their own; detectors share the pileup of a draw.

    Parameters
    ----------
    gen, particles
        The two files that `flashsim.gen.pythia_events.generate_gen` writes, of the same events.
    minbias
        Minimum-bias interactions that pileup is made of (`flashsim.gen.minbias`).
    output
        NanoAOD file to write; it appears when it is complete.
    era
        A shipped one by name (run2, run3), or a user's own file by path.
    detector
        Name of the detector, which its random numbers depend on.
    parameters
        Its level: a shipped one by name, or the path of a file; by default that of the detector's name.
    changes
        Numbers that differ from the files', by dotted key.
    seed
        Any integer.
    draw
        Number of the independent draw, from 0.
    chunk
        Events in memory at a time, for each process.
    workers
        Processes to work in.
    force
        Whether to replace an existing output.
    progress
        Called with the number of events done and to do, after each chunk.

    Raises
    ------
    RecipeError
        If the numbers of the detector are not there or not valid.
    InputFileError
        If an input cannot be read, lacks a branch, or the two are not of the same events.
    OutputFileError
        If the output exists (without `force`) or cannot be written.
    """
    recipe = load_detector(detector if parameters is None else parameters, era, changes)
    seen_by = Detector(recipe, Streams(seed, detector, draw), str(minbias))
    counted: Counter[str] = Counter()
    done = 0
    with (
        NanoFile(gen) as source,
        NanoFile(particles) as beside,
        NanoWriter(output, force=force, version=recipe.generation.nanoaod) as writer,
    ):
        for events in _seen(seen_by, _chunks(source, beside, chunk), workers):
            if done == 0:
                _declare(source, writer, list(events.values), recipe.generation.nanoaod)
            writer.extend("Events", events)
            done += events.entries
            counted.update({name: int(events.counts[name].sum()) for name in SHOWN})
            if progress is not None:
                progress(done, source.num_entries)
        if done == 0:
            msg = f"{source.path}: holds no events; generate at least one"
            raise InputFileError(msg)
        for name in source.trees:
            branches, arrays = source.read_tree(name)
            writer.tree(name, list(branches.values()), title=name)
            writer.extend(name, arrays)
        writer.write_string(REFERENCE, json.dumps(_provenance(source.path, seen_by, era)))
    return Detection(str(output), done, dict(counted))


def _seen(detector: Detector, chunks: Iterator[Chunk], workers: int) -> Iterator[CheckedEntries]:
    """Yield all branches of each chunk, in order."""
    if workers == 1:
        yield from map(detector.see, chunks)
        return
    with Processes(workers, preload=[__name__]) as pool:
        try:
            yield from pool.in_order(detector.see, chunks)
        except BrokenExecutor as error:
            msg = "a process of the detector has died (killed, or out of memory); try fewer --workers"
            raise FlashSimError(msg) from error


def _chunks(source: NanoFile, beside: NanoFile, size: int) -> Iterator[Chunk]:
    """Yield the branches of the generator, their values, and the particles of each chunk."""
    branches = list(source.branches.values())
    require_branches(source, [*identity_branches(source.branches), *NEEDED], "to simulate a detector")
    require_branches(beside, [*EVENT_IDS, *_PARTICLES], "to simulate a detector")
    if beside.num_entries != source.num_entries:
        msg = (
            f"{beside.path}: has {beside.num_entries} events, expected the {source.num_entries} of "
            f"{source.path}; make the two files together"
        )
        raise InputFileError(msg)
    pairs = zip(
        source.chunks(list(source.branches), size, needed=NEEDED),
        beside.chunks([*EVENT_IDS, *_PARTICLES], size, needed=_PARTICLES),
        strict=True,
    )
    for (_, _, arrays), (_, _, particles) in pairs:
        for name in EVENT_IDS:
            if not np.array_equal(np.asarray(arrays[name]), np.asarray(particles.pop(name))):
                msg = (
                    f"{beside.path}: '{name}' differs from that of {source.path}; make the two files together"
                )
                raise InputFileError(msg)
        yield branches, arrays, particles


def _declare(source: NanoFile, writer: NanoWriter, names: list[str], version: str) -> None:
    known = load_schema(version) | source.branches
    branches = [known[name] for name in names]
    collections = {branch.collection for branch in branches}
    titles = counter_titles(version) | source.counter_titles
    writer.tree(
        "Events",
        branches,
        title="Events",
        counter_titles={name: title for name, title in titles.items() if name in collections},
    )


def _provenance(gen: str, detector: Detector, era: str | Path) -> dict[str, Any]:
    return {
        "flashsim": __version__,
        "era": str(era),
        "detector": detector.streams.detector,
        "seed": detector.streams.seed,
        "draw": detector.streams.draw,
        "parameters": detector.recipe.model_dump(mode="json"),
        "gen": read_provenance(gen, GEN),
        "minbias": read_provenance(detector.minbias, GEN),
    }
