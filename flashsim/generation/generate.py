"""Gen-level NanoAOD in, simulated NanoAOD out, a chunk of events at a time."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from importlib.metadata import version as package_version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np

from flashsim.assembly import link_collections, ordered, rounded
from flashsim.errors import ModelFileError, OutputFileError
from flashsim.generation.plan import plan_output
from flashsim.generation.simulate import ObjectSimulator
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.writing import NanoWriter
from flashsim.noise import event_hash
from flashsim.preprocessing.preprocess import EVENT_IDS, gen_chunk

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flashsim.collection import Collection
    from flashsim.generation.plan import CollectionPlan, OutputPlan
    from flashsim.generation.recipe import OutputRecipe
    from flashsim.modelfile import ObjectModel

__all__ = ["DEFAULT_CHUNK", "PROVENANCE", "Generator", "Progress", "Summary"]

DEFAULT_CHUNK = 5_000
"""Events in memory at a time."""

PROVENANCE = "flashsim"
"""Name of the text in an output, a TObjString of JSON, that says how it was made."""

if TYPE_CHECKING:
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
        Branches that the models have and this NanoAOD version has not.
    stale
        Branches that were to be kept and are left out, as they index objects that are simulated anew.
    trained_on
        By collection, the NanoAOD version of a model's training where it is another one.
    seconds
        Wall time.
    """

    input: str
    output: str
    version: str
    events: int
    objects: dict[str, int]
    left_out: list[str]
    stale: list[str]
    trained_on: dict[str, str]
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
        The same seed gives the same events, however the input is cut into chunks or files.
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
        if not models:
            msg = "no models given: name at least one model file"
            raise ModelFileError(msg)
        self.simulators = [ObjectSimulator(model, seed=seed, device=device) for model in models]
        self.collections = [simulator.collection for simulator in self.simulators]
        if twice := sorted({name for name in self.collections if self.collections.count(name) > 1}):
            msg = f"two models simulate {twice[0]}: give one model a collection"
            raise ModelFileError(msg)
        self.recipe, self.seed, self.chunk = recipe, seed, chunk

    def run(
        self,
        source: str | Path,
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
            Patterns of reconstructed branches of the input to keep; those of simulated collections, and
            indices into them, are not kept.
        version
            NanoAOD version of the output; by default that of the input.
        compression
            One of `flashsim.nanoaod.writing.COMPRESSIONS`.
        force
            Replace an existing output.
        command
            The command line, for the provenance.
        progress
            Called before the first and after every chunk.

        Raises
        ------
        InputFileError
            If the input cannot be read or lacks a branch, or a value that is needed is NaN.
        OutputFileError
            If the output exists and `force` is not set, cannot be written, or is the input.
        """
        started = time.monotonic()
        _refuse_same(source, output)
        with NanoFile(source) as file:
            plan = self.plan(file, keep=keep, version=version)
            with NanoWriter(output, compression=compression, force=force) as writer:
                objects = self._write_events(file, writer, plan, progress)
                for name in file.trees:
                    branches, arrays = file.read_tree(name)
                    writer.tree(name, list(branches.values()))
                    writer.extend(name, arrays)
                writer.write_string(PROVENANCE, json.dumps(self._provenance(file, plan, command)))
            events = file.num_entries
        trained_on = {s.collection: s.model.nanoaod_version for s in self.simulators}
        return Summary(
            input=str(source),
            output=str(output),
            version=plan.version,
            events=events,
            objects=objects,
            left_out=[f"{name}_{f}" for name, c in plan.collections.items() for f in c.left_out],
            stale=plan.stale,
            trained_on={name: found for name, found in trained_on.items() if found != plan.version},
            seconds=time.monotonic() - started,
        )

    def plan(self, file: NanoFile, *, keep: Sequence[str] = (), version: str | None = None) -> OutputPlan:
        """Plan what is generated from a file, see `plan_output`."""
        declarations = [simulator.declaration for simulator in self.simulators]
        return plan_output(file, declarations, self.recipe, keep=keep, version=version)

    def simulate(
        self, arrays: dict[str, ak.Array], plan: OutputPlan, *, origin: str = "input"
    ) -> dict[str, Collection]:
        """Simulate all collections of a chunk of events, ordered by pT and linked.

        Parameters
        ----------
        arrays
            At least the branches `OutputPlan.needed`, of E events.
        plan
            For the precision of the branches.
        origin
            Name of the input, for messages.

        Raises
        ------
        InputFileError
            If a value that is needed is NaN.
        """
        events = event_hash(*(np.asarray(arrays[name]) for name in EVENT_IDS))
        # Objects that share a gen view share its collections.
        views: dict[str, Mapping[str, Collection]] = {}
        simulated = {}
        for simulator in self.simulators:
            chunk = gen_chunk(simulator.declaration, arrays, views.get(simulator.gen_view))
            views[simulator.gen_view] = chunk.collections
            drawn = simulator.simulate(chunk, events, origin=origin)
            bits = plan.collections[simulator.collection].bits
            known = {name: bits[name] for name in bits if name in drawn.columns}
            simulated[simulator.collection] = ordered(rounded(drawn, simulator.declaration.targets, known))
        return link_collections(simulated, self.recipe.links)

    def _write_events(
        self, file: NanoFile, writer: NanoWriter, plan: OutputPlan, progress: Progress | None
    ) -> dict[str, int]:
        writer.tree("Events", plan.branches, title="Events", counter_titles=plan.counter_titles)
        if progress is not None:
            progress(0, file.num_entries)
        objects = dict.fromkeys(self.collections, 0)
        for _, stop, arrays in file.chunks(plan.read, self.chunk):
            written: dict[str, Any] = {branch.name: arrays[branch.name] for branch in plan.copied}
            for name, collection in self.simulate(arrays, plan, origin=file.path).items():
                written |= _jagged(collection, plan.collections[name])
                objects[name] += len(collection)
            writer.extend("Events", written)
            if progress is not None:
                progress(stop, file.num_entries)
        return objects

    def _provenance(self, file: NanoFile, plan: OutputPlan, command: str) -> dict[str, Any]:
        return {
            "flashsim": package_version("flashsim"),
            "torch": package_version("torch"),
            "seed": self.seed,
            "command": command,
            "input": Path(file.path).name,
            "nanoaod_version": plan.version,
            "models": {
                s.declaration.name: {"sha256": s.model.digest, "nanoaod_version": s.model.nanoaod_version}
                for s in self.simulators
            },
            "simulated": {name: list(c.branches) for name, c in plan.collections.items()},
            "copied": sorted(branch.name for branch in plan.copied),
        }


def _refuse_same(source: str | Path, output: Path) -> None:
    if "://" not in str(source) and output.exists() and Path(source).exists() and output.samefile(source):
        msg = f"{output}: is the input; name another output"
        raise OutputFileError(msg)


def _jagged(collection: Collection, plan: CollectionPlan) -> dict[str, ak.Array]:
    return {
        branch.name: ak.unflatten(collection[name], collection.counts)
        for name, branch in plan.branches.items()
    }
