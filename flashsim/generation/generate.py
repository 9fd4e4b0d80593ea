"""Gen-level NanoAOD in, simulated NanoAOD out, a chunk of events at a time."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np

from flashsim.collection import Collection
from flashsim.errors import InputFileError, ModelFileError, OutputFileError
from flashsim.generation.assembly import link_collections, ordered, rounded
from flashsim.generation.branches import CollectionPlan, copied_branches, plan_collection
from flashsim.generation.recipe import OutputRecipe
from flashsim.generation.simulate import ObjectSimulator
from flashsim.modelfile import ObjectModel
from flashsim.nanoaod.branch import Branch
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.schema import VERSIONS, detect_version
from flashsim.nanoaod.writing import NanoWriter
from flashsim.noise import event_hash
from flashsim.preprocessing.features import GenChunk
from flashsim.preprocessing.preprocess import EVENT_IDS, gen_branches, gen_chunk, require_branches

__all__ = ["DEFAULT_CHUNK", "Generator", "Summary"]

DEFAULT_CHUNK = 10_000
"""Events in memory at a time."""

_log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with (events done, events in all)."""


@dataclass(frozen=True)
class Summary:
    """What a generation did.

    Parameters
    ----------
    input, output
        Paths.
    version
        NanoAOD version of the output.
    events
        Number of events.
    objects
        Simulated objects by collection.
    left_out
        Targets that the models have and this NanoAOD version has not, by collection.
    seconds
        Wall time.
    """

    input: str
    output: str
    version: str
    events: int
    objects: dict[str, int]
    left_out: dict[str, list[str]]
    seconds: float = field(compare=False)


class Generator:
    """Simulates files with a set of models.

    Parameters
    ----------
    models
        One model a collection.
    recipe
        What the output holds besides.
    seed
        The same seed gives the same events.
    device
        Torch's name of the device that the networks run on.
    chunk
        Events in memory at a time.

    Raises
    ------
    ModelFileError
        If two models simulate one collection, or there is none.
    """

    def __init__(
        self,
        models: Sequence[ObjectModel],
        recipe: OutputRecipe,
        *,
        seed: int = 1,
        device: str = "cpu",
        chunk: int = DEFAULT_CHUNK,
    ) -> None:
        self.simulators = [ObjectSimulator(model, seed=seed, device=device) for model in models]
        self.collections = [simulator.collection for simulator in self.simulators]
        if not models:
            msg = "no models given: name at least one model file"
            raise ModelFileError(msg)
        if twice := sorted({name for name in self.collections if self.collections.count(name) > 1}):
            msg = f"two models simulate {twice[0]}: give one model a collection"
            raise ModelFileError(msg)
        self.recipe, self.seed, self.chunk = recipe, seed, chunk

    def run(
        self,
        source: str,
        output: Path,
        *,
        keep: Sequence[str] = (),
        version: str | None = None,
        compression: str = "zstd",
        force: bool = False,
        command: str = "",
        progress: Progress | None = None,
    ) -> Summary:
        """Simulate one file.

        Parameters
        ----------
        source
            Path or URL of gen-level NanoAOD; TTree or RNTuple.
        output
            The simulated file; it appears complete or not at all.
        keep
            Patterns of reconstructed branches of the input to keep.
        version
            NanoAOD version of the output; by default that of the input.
        compression
            Of the output.
        force
            Replace an existing output.
        command
            The command line, for the provenance.
        progress
            Called after every chunk.

        Raises
        ------
        InputFileError
            If the input cannot be read or lacks a branch.
        OutputFileError
            If the output exists and `force` is not set, cannot be written, or is the input.
        """
        started = time.monotonic()
        _refuse_same(source, output)
        with NanoFile(source) as file:
            plan = self._plan(file, version, keep)
            with NanoWriter(output, compression=compression, force=force) as writer:
                objects = self._write_events(file, writer, plan, progress)
                for name in file.trees:
                    branches, arrays = file.read_tree(name)
                    writer.tree(name, list(branches.values()))
                    writer.extend(name, arrays)
                writer.write_string("flashsim", json.dumps(self._provenance(file, plan, command)))
            events = file.num_entries
        left_out = {name: list(c.left_out) for name, c in plan.collections.items() if c.left_out}
        seconds = time.monotonic() - started
        return Summary(str(source), str(output), plan.version, events, objects, left_out, seconds)

    def _plan(self, file: NanoFile, version: str | None, keep: Sequence[str]) -> _Plan:
        declarations = [simulator.declaration for simulator in self.simulators]
        needed = sorted({branch for declaration in declarations for branch in gen_branches(declaration)})
        require_branches(file, [*EVENT_IDS, *needed], "to generate from it")
        version = version or detect_version(file.branches)
        if version not in VERSIONS:
            msg = f"{file.path}: NanoAOD {version} cannot be written; choose one of {', '.join(VERSIONS)}"
            raise InputFileError(msg)
        collections = {
            d.collection: plan_collection(d, file, version, self.recipe.links, self.collections)
            for d in declarations
        }
        copied = copied_branches(file, self.recipe, keep, self.collections)
        return _Plan(version, needed, copied, collections)

    def _write_events(
        self, file: NanoFile, writer: NanoWriter, plan: _Plan, progress: Progress | None
    ) -> dict[str, int]:
        simulated = [branch for c in plan.collections.values() for branch in c.branches.values()]
        writer.tree("Events", [*plan.copied, *simulated], title="Events")
        names = sorted({*EVENT_IDS, *plan.needed, *(branch.name for branch in plan.copied)})
        objects = dict.fromkeys(self.collections, 0)
        for _, stop, arrays in file.chunks(names, self.chunk):
            collections = self.simulate(arrays, plan)
            written: dict[str, Any] = {branch.name: arrays[branch.name] for branch in plan.copied}
            for name, collection in collections.items():
                written |= _jagged(collection, plan.collections[name])
                objects[name] += len(collection)
            writer.extend("Events", written)
            if progress is not None:
                progress(stop, file.num_entries)
        return objects

    def simulate(self, arrays: dict[str, ak.Array], plan: _Plan) -> dict[str, Collection]:
        """Simulate all collections of a chunk, ordered and linked."""
        events = event_hash(*(np.asarray(arrays[name]) for name in EVENT_IDS))
        chunks: list[tuple[object, GenChunk]] = []
        collections = {}
        for simulator in self.simulators:
            collection = simulator.simulate(self._gen_chunk(simulator, arrays, chunks), events)
            bits = plan.collections[simulator.collection].bits
            own_bits = {name: bits[name] for name in bits if name in collection.columns}
            collections[simulator.collection] = ordered(
                rounded(collection, simulator.declaration.targets, own_bits)
            )
        return link_collections(collections, self.recipe.links)

    @staticmethod
    def _gen_chunk(
        simulator: ObjectSimulator, arrays: dict[str, ak.Array], built: list[tuple[object, GenChunk]]
    ) -> GenChunk:
        """Gen-level content for one object, shared between objects of one gen view."""
        declaration = simulator.declaration
        chunk = gen_chunk(
            declaration,
            arrays,
            next((c.collections for view, c in built if view == declaration.gen_view), None),
        )
        built.append((declaration.gen_view, chunk))
        return chunk

    def _provenance(self, file: NanoFile, plan: _Plan, command: str) -> dict[str, Any]:
        return {
            "flashsim": package_version("flashsim"),
            "torch": package_version("torch"),
            "seed": self.seed,
            "command": command,
            "input": Path(file.path).name,
            "nanoaod_version": plan.version,
            "models": {s.declaration.name: {"sha256": s.model.digest} for s in self.simulators},
            "simulated": {name: list(c.branches) for name, c in plan.collections.items()},
            "copied": sorted(branch.name for branch in plan.copied),
        }


@dataclass(frozen=True)
class _Plan:
    """What is read from a file and what is written.

    Parameters
    ----------
    version
        NanoAOD version of the output.
    needed
        Gen-level branches that conditioning reads.
    copied
        Branches of the output that are the input's.
    collections
        Branches of the simulated collections.
    """

    version: str
    needed: list[str]
    copied: list[Branch]
    collections: dict[str, CollectionPlan]


def _refuse_same(source: str, output: Path) -> None:
    if "://" not in source and output.exists() and Path(source).exists() and output.samefile(source):
        msg = f"{output}: is the input; name another output"
        raise OutputFileError(msg)


def _jagged(collection: Collection, plan: CollectionPlan) -> dict[str, ak.Array]:
    return {
        branch.name: ak.unflatten(collection[name], collection.counts)
        for name, branch in plan.branches.items()
    }
