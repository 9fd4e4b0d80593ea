"""Gen-level NanoAOD in, simulated NanoAOD out, a chunk of events at a time."""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from dataclasses import asdict, replace
from importlib.metadata import version as package_version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.declarations.conditioning import RECO
from flashsim.declarations.order import drawing_order
from flashsim.declarations.trigger import load_trigger
from flashsim.errors import ModelFileError, OutputFileError
from flashsim.events.collection import jagged_column
from flashsim.events.gen_chunk import gen_chunk
from flashsim.events.identity import event_keys
from flashsim.events.sketch import EventSketch
from flashsim.execution.whole_files import refuse_input
from flashsim.generation.completion import COMPLETION, complete
from flashsim.generation.linked import LinkFollower, points
from flashsim.generation.oversampling import MOST_FOLDS
from flashsim.generation.pileup import choose_pileup
from flashsim.generation.plan import plan_output
from flashsim.generation.provenance import check_finished
from flashsim.generation.report import version_warnings
from flashsim.generation.results import Piece, Summary
from flashsim.generation.simulate import ObjectSimulator
from flashsim.generation.stream import read_ahead, write_behind
from flashsim.generation.trigger import TRIGGER, emulate
from flashsim.models.origin import trained_on
from flashsim.nanoaod.assembly import falling_pt, link_collections, rounded
from flashsim.nanoaod.provenance import GENERATION, read_provenance
from flashsim.nanoaod.reading import STANDARD_TREES, NanoFile
from flashsim.nanoaod.writing import NanoWriter
from flashsim.transforms.phase_space import OutsideCount

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from collections.abc import Generator as Generator_

    import awkward as ak
    from numpy.typing import NDArray

    from flashsim.declarations.objects import ObjectDeclaration
    from flashsim.declarations.output import Link, OutputRecipe
    from flashsim.events.collection import Collection
    from flashsim.generation.plan import CollectionPlan, OutputPlan
    from flashsim.generation.results import Pieces, Progress
    from flashsim.models.object_model import ObjectModel
    from flashsim.nanoaod.branch import Branches
    from flashsim.transforms.phase_space import PhaseSpace

__all__ = ["DEFAULT_CHUNK", "Generator"]

DEFAULT_CHUNK = 5_000
"""Simulated events in memory at a time."""

_MOST_NAMED = 8
"""Fields that a message lists."""


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
        Torch's name of the device that the flows run on; ``cpu`` needs no torch.
    chunk
        Simulated events in memory at a time.
    oversample
        How often each gen event is simulated: the number of folds, each with an equal share of its weight.
    flag_domain
        Whether objects say that what they come from was outside of the phase space of the training.
    pileup
        What events are simulated with in place of the input's pileup, see `choose_pileup`.

    Raises
    ------
    RecipeError
        If there is no such pileup, or no such trigger recipe as the output recipe names.
    ModelFileError
        If two models simulate one collection, or there is none, or `flag_domain` is set and one of them does
        not know the phase space of its training.
    ValueError
        If the number of folds is not positive or above `MOST_FOLDS`.
    """

    def __init__(
        self,
        models: Sequence[ObjectModel],
        recipe: OutputRecipe,
        *,
        seed: int = 1,
        device: str = "cpu",
        chunk: int = DEFAULT_CHUNK,
        oversample: int = 1,
        flag_domain: bool = False,
        pileup: str | None = None,
    ) -> None:
        if not models:
            msg = "no models given: name at least one model file"
            raise ModelFileError(msg)
        named = [model.declaration.collection for model in models]
        if twice := sorted({name for name in named if named.count(name) > 1}):
            msg = f"two models simulate {twice[0]}: give one model a collection"
            raise ModelFileError(msg)
        self.simulators = [
            ObjectSimulator(models[row], seed=seed, device=device, flag_domain=flag_domain)
            for row in drawing_order([model.declaration for model in models])
        ]
        _check_given([simulator.declaration for simulator in self.simulators], recipe.links)
        self.collections = [s.collection for s in self.simulators if s.declaration.per == "object"]
        if not 1 <= oversample <= MOST_FOLDS:
            msg = f"an event is simulated 1 to {MOST_FOLDS} times, found {oversample}"
            raise ValueError(msg)
        self.recipe, self.seed, self.folds, self.device = recipe, seed, oversample, device
        self.flag_domain = flag_domain
        self.pileup = None if pileup is None else choose_pileup(pileup, models)
        self.trigger = None if recipe.trigger is None else load_trigger(recipe.trigger)
        self.chunk = max(1, chunk // oversample)

    @property
    def phase_spaces(self) -> dict[str, PhaseSpace]:
        """Domains of the trainings, by the names that summaries have for what is outside of them."""
        return {name: space for s in self.simulators for name, space in s.phase_spaces.items()}

    @property
    def without_phase_space(self) -> list[str]:
        """Names of the models that do not know the phase space of their training."""
        return [s.declaration.name for s in self.simulators if not s.phase_spaces]

    def run(
        self,
        source: str | Path,
        output: Path,
        *,
        keep: Sequence[str] = (),
        version: str | None = None,
        compression: str = "zstd",
        force: bool = False,
        resume: bool = False,
        campaign: str = "",
        command: str = "",
        progress: Progress | None = None,
        pieces: Pieces | None = None,
        overlap: bool = False,
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
        resume
            Leave an existing output as it is if it was made from the same input in the same way.
        campaign
            Name of a set of generations, of which each makes an output once: one that has this name is left
            as it is.
        command
            The command line, for the provenance.
        progress
            Called before the first and after every chunk.
        pieces
            Simulates the file in place of this process, see `flashsim.generation.workers`.
        overlap
            Read the next chunk and write the last one, in a thread each, while one is simulated.

        Raises
        ------
        InputFileError
            If the input cannot be read or lacks a branch, or a value that is needed is NaN.
        OutputFileError
            If the output exists and neither `force` nor `resume` allows it, cannot be written, or is the
            input.
        """
        started = time.monotonic()
        refuse_input(output, source)
        with NanoFile(source) as file:
            plan = self.plan(file, keep=keep, version=version)
            record = self._provenance(file, plan, command) | {"campaign": campaign}
            made = _finished(output, record, force=force, resume=resume) if output.exists() else None
            reused, sketch = made is not None, EventSketch()
            if made is None:
                with NanoWriter(output, compression=compression, force=force, version=plan.version) as writer:
                    writer.tree("Events", plan.branches, "Events", counter_titles=plan.counter_titles)
                    simulated = (pieces or self._pieces(overlap))(file, plan)
                    told = progress or _say_nothing
                    made, sketch = self._write_events(
                        writer, simulated, lambda done: told(done, file.num_entries), overlap
                    )
                    self._write_trees(file, writer, plan)
                    summary = self._summary(file, output, plan, made, reused=False, started=started)
                    warned = {"warnings": version_warnings([summary])}
                    writer.write_string(GENERATION, json.dumps(record | made | warned))
            summary = self._summary(file, output, plan, made, reused=reused, started=started)
        return replace(summary, sketch=sketch)

    def _summary(
        self,
        file: NanoFile,
        output: Path,
        plan: OutputPlan,
        made: dict[str, Any],
        *,
        reused: bool,
        started: float,
    ) -> Summary:
        versions = {s.collection: s.model.nanoaod_version for s in self.simulators}
        return Summary(
            input=file.path,
            output=str(output),
            version=plan.version,
            events=file.num_entries * self.folds,
            oversample=self.folds,
            objects=made["objects"],
            outside_counts={name: OutsideCount(**count) for name, count in made["outside"].items()},
            left_out=plan.left_out,
            stale=plan.stale,
            pileup=plan.pileup.sentence(),
            trees_left=plan.trees_left,
            objects_left=plan.objects_left,
            doubt=plan.doubt,
            trained_on={name: found for name, found in versions.items() if found != plan.version},
            renamed=plan.renamed,
            origins={s.collection: trained_on(s.model) for s in self.simulators},
            special=made.get("special", {}),
            trigger=plan.trigger.sentences(),
            seconds=time.monotonic() - started,
            reused=reused,
        )

    def plan(self, file: Branches, *, keep: Sequence[str] = (), version: str | None = None) -> OutputPlan:
        """Plan what is generated from a file, see `plan_output`."""
        declarations = [simulator.declaration for simulator in self.simulators]
        return plan_output(
            file,
            declarations,
            self.recipe,
            keep=keep,
            version=version,
            folds=self.folds,
            flag_domain=self.flag_domain,
            pileup=self.pileup,
            trigger=self.trigger,
        )

    def piece(self, arrays: dict[str, ak.Array], plan: OutputPlan, stop: int, *, origin: str) -> Piece:
        """Simulate a chunk of events, and give what is written of it.

        Parameters
        ----------
        arrays
            The branches `OutputPlan.read` of E events.
        plan
            What is written.
        stop
            Number of gen events of the file up to the end of the chunk.
        origin
            Name of the input, for messages.

        Raises
        ------
        InputFileError
            If a value that is needed is NaN.
        """
        arrays = arrays | plan.pileup.columns(arrays, self.seed)
        columns = plan.oversampling.repeated(arrays, [*plan.copied, *plan.pileup.branches])
        objects = {}
        simulated, outside_counts = self.simulate(arrays, plan, origin=origin)
        special = self._special(simulated, plan)
        for name, collection in simulated.items():
            columns |= _columns(collection, plan.collections[name])
            if name in self.collections:
                objects[name] = len(collection)
        return Piece(stop, columns, objects, outside_counts, EventSketch.of(arrays), special)

    def _special(self, simulated: Mapping[str, Collection], plan: OutputPlan) -> dict[str, int]:
        """Count placeholder values such as -1, of models of another NanoAOD version than the output's."""
        return {
            branch.name: int(np.isin(simulated[s.collection][target.branch], target.special).sum())
            for s in self.simulators
            if s.declaration.per == "object" and s.model.nanoaod_version != plan.version
            for target in s.declaration.targets
            if target.special
            and (branch := plan.collections[s.collection].branches.get(target.branch)) is not None
        }

    def simulate(
        self, arrays: dict[str, ak.Array], plan: OutputPlan, *, origin: str = "input"
    ) -> tuple[dict[str, Collection], dict[str, OutsideCount]]:
        """Simulate all collections of a chunk of events, ordered by pT and linked; see `ObjectSimulator`.

        Besides, count what was outside of the phase spaces of the trainings.

        Parameters
        ----------
        arrays
            At least the branches `OutputPlan.needed` and those of `OutputPlan.pileup`, of E events.
        plan
            For the precision of the branches.
        origin
            Name of the input, for messages.

        Raises
        ------
        InputFileError
            If a value that is needed is NaN.
        """
        events = event_keys(arrays)
        # Objects that share a gen view share its collections.
        views: dict[str, Mapping[str, Collection]] = {}
        simulated: dict[str, Collection] = {}
        bits = {name: collection.bits for name, collection in plan.collections.items()}
        follower = LinkFollower([s.declaration for s in self.simulators], bits, arrays)
        outside_counts: dict[str, OutsideCount] = {}
        for simulator in self.simulators:
            declaration = simulator.declaration
            chunk = gen_chunk(declaration, arrays, views.get(simulator.gen_view))
            views[simulator.gen_view] = chunk.collections
            drawn = simulator.simulate(
                chunk, events, folds=range(self.folds), simulated=simulated, origin=origin
            )
            name, made = simulator.collection, drawn.collection
            simulated[name], follower.exact[name] = _rounded(made, simulator, plan), made
            if declaration.per == "object":
                rows = falling_pt(simulated[name])
                simulated[name], follower.exact[name] = simulated[name].take(rows), made.take(rows)
            # References between collections are part of what is known of those that are drawn.
            simulated = link_collections(simulated, self.recipe.links, points)
            simulated |= follower.after(name, simulated)
            outside_counts |= drawn.outside_counts
        single = _single(simulated, plan)
        simulated[COMPLETION] = self._completed(arrays, events, simulated, single, plan)
        return simulated | self._fired(events, simulated, single, plan), outside_counts

    def _completed(
        self,
        arrays: dict[str, ak.Array],
        events: NDArray[np.uint64],
        simulated: Mapping[str, Collection],
        single: dict[str, NDArray[np.float64]],
        plan: OutputPlan,
    ) -> Collection:
        """Make what events have besides; see `flashsim.generation.completion`."""
        completed = complete(
            plan.completion,
            self.recipe,
            arrays,
            single,
            simulated,
            events=events,
            trained={s.collection: s.model.nanoaod_version for s in self.simulators},
            seed=self.seed,
            folds=self.folds,
        )
        return rounded(completed, (), plan.collections[COMPLETION].bits)

    def _fired(
        self,
        events: NDArray[np.uint64],
        simulated: Mapping[str, Collection],
        single: Mapping[str, NDArray[np.float64]],
        plan: OutputPlan,
    ) -> dict[str, Collection]:
        """Emulate the trigger; see `flashsim.generation.trigger`."""
        if self.trigger is None or not plan.trigger.paths:
            return {}
        decisions, objects = emulate(
            plan.trigger, self.trigger, simulated, single, events=events, seed=self.seed, folds=self.folds
        )
        fired = {TRIGGER: decisions}
        if plan.trigger.objects:
            name = self.trigger.collection
            fired[name] = rounded(objects, (), plan.collections[name].bits)
        return fired

    def _pieces(self, overlap: bool) -> Pieces:
        """Give what simulates a file in this process."""

        def pieces(file: NanoFile, plan: OutputPlan) -> Generator_[Piece, None, None]:
            with contextlib.closing(
                read_ahead(file.chunks(plan.read, self.chunk, needed=plan.needed), overlap)
            ) as chunks:
                for _, stop, arrays in chunks:
                    yield self.piece(arrays, plan, stop, origin=file.path)

        return pieces

    def _write_events(
        self,
        writer: NanoWriter,
        pieces: Generator_[Piece, None, None],
        progress: Callable[[int], None],
        overlap: bool,
    ) -> tuple[dict[str, Any], EventSketch]:
        """Write all pieces; give what the provenance says about them, and a sketch of their events."""
        progress(0)
        objects = dict.fromkeys(self.collections, 0)
        outside_counts = dict.fromkeys(self.phase_spaces, OutsideCount())
        sketch = EventSketch()
        special: Counter[str] = Counter()
        with contextlib.closing(pieces), write_behind(writer.extend, overlap) as extend:
            for piece in pieces:
                extend("Events", piece.columns)
                for name, number in piece.objects.items():
                    objects[name] += number
                special.update(piece.special)
                for name, count in piece.outside_counts.items():
                    outside_counts[name] += count
                sketch += piece.sketch
                progress(piece.stop)
        outside = {name: asdict(count) for name, count in outside_counts.items()}
        return {"objects": objects, "special": dict(special), "outside": outside}, sketch

    def _write_trees(self, file: NanoFile, writer: NanoWriter, plan: OutputPlan) -> None:
        """Write the other trees; entries of gen events are repeated as these are."""
        for name in plan.trees:
            standard = name in STANDARD_TREES
            entries = file.tree_entries(name)
            folds = self.folds if not standard and entries == file.num_entries else 1
            step = max(entries, 1) if standard else self.chunk
            for start in range(0, max(entries, 1), step):
                branches, arrays = file.read_tree(name, start, start + step)
                if start == 0:
                    writer.tree(name, list(branches.values()))
                if standard:
                    arrays = plan.oversampling.summed(arrays, self.recipe)
                elif folds > 1:
                    rows = np.repeat(np.arange(len(next(iter(arrays.values())))), folds)
                    arrays = {column: values[rows] for column, values in arrays.items()}
                writer.extend(name, arrays)

    def _provenance(self, file: NanoFile, plan: OutputPlan, command: str) -> dict[str, Any]:
        return {
            "flashsim": package_version("flashsim"),
            **({} if self.device == "cpu" else {"torch": package_version("torch")}),
            "seed": self.seed,
            "oversample": self.folds,
            "command": command,
            "input": Path(file.path).name,
            "input_uuid": file.uuid,
            "events": file.num_entries * self.folds,
            "nanoaod_version": plan.version,
            "pileup": plan.pileup.describe(),
            "models": {
                s.declaration.name: {"sha256": s.model.digest, "nanoaod_version": s.model.nanoaod_version}
                for s in self.simulators
            },
            "training": {s.declaration.name: trained_on(s.model) for s in self.simulators},
            "origins": plan.origins,
            "trees": [name for name in plan.trees if name not in STANDARD_TREES],
            "recipe": self.recipe.model_dump(mode="json", by_alias=True),
            "trigger": None
            if self.trigger is None
            else self.trigger.model_dump(mode="json", exclude_defaults=True),
        }


def _say_nothing(done: int, events: int) -> None:
    pass


def _finished(output: Path, wanted: dict[str, Any], *, force: bool, resume: bool) -> dict[str, Any] | None:
    """Provenance of an output that exists and is what is wanted; none if it is to be made, or replaced."""
    found = read_provenance(output, GENERATION)
    again = found is not None and bool(wanted["campaign"]) and found.get("campaign") == wanted["campaign"]
    if not (resume or again):
        return None
    try:
        check_finished(output, found, wanted)
    except OutputFileError:
        if force:
            return None
        raise
    return found


def _check_given(declarations: Sequence[ObjectDeclaration], links: Sequence[Link]) -> None:
    """See that what objects are drawn given is simulated: values of whole events, and fields of objects."""
    known = {d.collection: {*d.fields(), d.match} for d in declarations}
    for name, fields in known.items():
        fields.update(field for link in links for field in link.fields_of(name))
    whole = {d.collection for d in declarations if d.per == "event"}
    for declaration in declarations:
        for entry in declaration.event_results():
            name = entry.of.removeprefix(RECO)
            if name not in whole:
                msg = (
                    f"{declaration.name} are drawn given {entry.branch} of {name}, which no model here "
                    f"simulates: name a model of {name}, too"
                )
                raise ModelFileError(msg)
            if known[name].isdisjoint((entry.branch, *entry.otherwise)):
                raise _lacks(declaration, name, [entry.branch], known[name])
        for name, wanted in declaration.reconstructed().items():
            if name in known and (missing := sorted(set(wanted) - known[name])):
                raise _lacks(declaration, name, missing, known[name])


def _lacks(given: ObjectDeclaration, name: str, missing: Sequence[str], found: set[str]) -> ModelFileError:
    """Tell what a model of a collection does not simulate that others are drawn given."""
    has = ", ".join(sorted(found - {""})[:_MOST_NAMED])
    return ModelFileError(
        f"{given.name} are drawn given {', '.join(missing)} of {name}, which the model of {name} does not "
        f"simulate (it has {has}{', ...' if len(found) > _MOST_NAMED else ''}): train it from files with "
        f"these branches, or name a model of {given.name} that was trained without them"
    )


def _single(simulated: Mapping[str, Collection], plan: OutputPlan) -> dict[str, NDArray[np.float64]]:
    """Values of events that models simulate, under the names that they are written under."""
    return {
        branch.name: simulated[name][field].astype(np.float64)
        for name, collection in plan.collections.items()
        if collection.per == "event" and name in simulated
        for field, branch in collection.branches.items()
    }


def _rounded(collection: Collection, simulator: ObjectSimulator, plan: OutputPlan) -> Collection:
    bits = plan.collections[simulator.collection].bits
    known = {name: bits[name] for name in bits if name in collection.columns}
    return rounded(collection, simulator.declaration.targets, known)


def _columns(collection: Collection, plan: CollectionPlan) -> dict[str, Any]:
    if plan.per == "event":
        return {branch.name: collection[name] for name, branch in plan.branches.items()}
    return {
        branch.name: jagged_column(collection.offsets, collection[name])
        for name, branch in plan.branches.items()
    }
