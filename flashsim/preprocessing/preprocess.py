"""NanoAOD in, training tables out."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from flashsim.declarations.optional import for_file
from flashsim.declarations.output import load_output
from flashsim.declarations.unmatched import PLACE
from flashsim.errors import InputFileError
from flashsim.events.collection import Collection, flat_column
from flashsim.events.conditioning import conditioning_columns
from flashsim.events.copies import copy_branches, of_last_copies
from flashsim.events.gen_chunk import gen_branches, gen_chunk, reconstructed_before, with_simulated
from flashsim.events.identity import content_branches
from flashsim.events.matching import match
from flashsim.events.noise import EVENT_IDS
from flashsim.events.recoil import components
from flashsim.events.sketch import EventSketch, same_numbers
from flashsim.events.sources import assign_sources, placed_objects, with_drawn
from flashsim.learning.tables import (
    EVENTS,
    OBJECTS,
    PLACED,
    SOURCES,
    SPLITS,
    TRAINING_TABLES,
    UNMATCHED,
    TableDescription,
    TableWriter,
    TestedRelation,
    split_of,
)
from flashsim.nanoaod.provenance import REFERENCE, read_provenance
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.requirements import require_branches
from flashsim.nanoaod.schema import detect_version
from flashsim.transforms.blocks import linked_name
from flashsim.transforms.codec import allows
from flashsim.transforms.linked import LinkedTests
from flashsim.transforms.relation_tests import RelationTests

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import awkward as ak

    from flashsim.declarations.objects import ObjectDeclaration, Split
    from flashsim.events.gen_chunk import GenChunk
    from flashsim.transforms.relation_tests import RelationTest

__all__ = ["needed_branches", "preprocess"]

_log = logging.getLogger(__name__)


Columns = dict[str, NDArray[Any]]
Rows = NDArray[np.int64]


def preprocess(
    declaration: ObjectDeclaration,
    files: Sequence[str],
    output: Path,
    *,
    chunk: int = 20_000,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> TableDescription:
    """Make the training tables of one object, see `flashsim.interface.training.preprocess`.

    Targets that not all inputs have are left out, with a log line; every other missing branch is an error.

    Parameters
    ----------
    declaration, files, output, chunk, force
        As there.
    progress
        Called with (events done, events in all).
    """
    load_output().refuse_clash(declaration)
    declaration, version, total = _survey(declaration, files)
    done = 0
    sketches = dict.fromkeys(files, EventSketch())
    with TableWriter(TRAINING_TABLES, output, force=force) as writer:
        tests, linked = RelationTests(declaration, version), LinkedTests(declaration, version)
        tables = _ChunkTables(declaration, writer, tests, linked)
        for path in files:
            with NanoFile(path) as file:
                wanted = sorted({*tables.branches, *content_branches(file.branches)})
                for _, stop, arrays in file.chunks(wanted, chunk, needed=gen_branches(declaration)):
                    tables.write(arrays)
                    sketches[path] += EventSketch.of(arrays)
                    if progress is not None:
                        progress(done + stop, total)
                done += file.num_entries
        description = TableDescription(
            schema_version=1,
            declaration=linked.tested(tests.tested()),
            nanoaod_version=version,
            files=[str(path) for path in files],
            events=_written(writer, EVENTS),
            gen_objects=_written(writer, OBJECTS),
            reconstructed=tables.reconstructed,
            unmatched={s.name: _written(writer, f"{UNMATCHED}/{s.name}") for s in declaration.unmatched},
            sources={s.name: _written(writer, f"{SOURCES}/{s.name}") for s in declaration.unmatched},
            sourceless=tables.sourceless,
            non_finite=dict(writer.non_finite),
            relations=[_found(test) for test in (*tests.tests, *linked.tests)],
            reference=all(read_provenance(path, REFERENCE) is not None for path in files),
        )
        writer.describe(description)
    if text := same_numbers({str(path): sketch for path, sketch in sketches.items()}):
        _log.warning("%s", text)
    tests.report(_log)
    linked.report(_log)
    for branch, count in tables.not_allowed.items():
        if count:
            _log.warning(
                "%d values of %s_%s are outside of what the declaration allows; generated ones will not be",
                count,
                declaration.collection,
                branch,
            )
    if declaration.unmatched and (count := sum(tables.sourceless.values())):
        _log.warning(
            "%d unmatched %s are in the cone of no source: generation makes none of these",
            count,
            declaration.name,
        )
    return description


def _written(writer: TableWriter[TableDescription], kind: str) -> dict[str, int]:
    return {split: writer.rows[kind, split] for split in SPLITS}


def needed_branches(declaration: ObjectDeclaration) -> list[str]:
    """Branches without which a file cannot be preprocessed; targets can be left out."""
    reco = [f"{name}_{field}" for name, fields in declaration.reconstructed().items() for field in fields]
    reco += [entry.branch for entry in declaration.event_results()]
    if declaration.per == "object":
        own = dict.fromkeys((*declaration.drawn_fields(), declaration.match, *declaration.own_fields()))
        reco += [declaration.branch(field) for field in own]
        reco += copy_branches(declaration)
    return [*EVENT_IDS, *gen_branches(declaration), *reco]


def _survey(declaration: ObjectDeclaration, files: Sequence[str]) -> tuple[ObjectDeclaration, str, int]:
    """Find the targets and links that all files have, their NanoAOD version, and the number of events."""
    kept = {target.branch for target in declaration.targets}
    links = declaration.linked
    versions: dict[str, str] = {}
    events = 0
    for path in files:
        with NanoFile(path) as file:
            if not versions:
                declaration = declaration.with_branches(file.has)
            declaration, missing = for_file(declaration, file.has)
            if missing:
                _log.info("not in %s, and left out: %s", file.path, ", ".join(missing))
            require_branches(file, needed_branches(declaration), f"to preprocess {declaration.name}")
            versions[detect_version(file.branches)] = file.path
            kept &= {t.branch for t in declaration.targets if all(map(file.has, declaration.sources(t)))}
            links = [linked for linked in links if all(map(file.has, declaration.link_branches(linked)))]
            events += file.num_entries
    if len(versions) > 1:
        found = ", ".join(f"{path} is {version}" for version, path in versions.items())
        msg = f"inputs are of different NanoAOD versions ({found}): preprocess them apart"
        raise InputFileError(msg)
    if events == 0:
        msg = f"{', '.join(str(path) for path in files)}: holds no events to train on"
        raise InputFileError(msg)
    if left_out := [target.branch for target in declaration.targets if target.branch not in kept]:
        _log.info("targets that the inputs do not have, left out: %s", ", ".join(left_out))
    for linked in declaration.linked:
        if linked not in links:
            _log.info(
                "%s do not follow from %s: the inputs do not have all of %s",
                ", ".join(linked.formulas),
                linked.to,
                ", ".join(declaration.link_branches(linked)),
            )
    with_links = declaration.model_copy(update={"linked": links})
    return with_links.with_targets(kept), next(iter(versions)), events


@dataclass
class _ChunkTables:
    """Turns chunks of arrays into table rows."""

    declaration: ObjectDeclaration
    writer: TableWriter[TableDescription]
    tests: RelationTests
    linked: LinkedTests

    def __post_init__(self) -> None:
        d = self.declaration
        self.own: list[str] = []
        if d.per == "object":
            self.own = sorted({d.match, "eta", "phi", *d.own_fields(), *(t.branch for t in d.targets)})
        reco = [f"{name}_{field}" for name, fields in d.reconstructed().items() for field in fields]
        reco += [d.branch(field) for field in self.own]
        sources = [branch for target in d.targets for branch in d.sources(target)]
        values = [entry.branch for entry in d.event_results()]
        links = [branch for linked in d.linked for branch in d.link_branches(linked)]
        self.branches = sorted({*needed_branches(d), *reco, *values, *sources, *links})
        self.reconstructed = dict.fromkeys(SPLITS, 0)
        self.sourceless = dict.fromkeys(SPLITS, 0)
        self.not_allowed: Counter[str] = Counter()

    def write(self, arrays: dict[str, ak.Array]) -> None:
        """Append the rows of a chunk."""
        d = self.declaration
        chunk = with_simulated(d, gen_chunk(d, arrays), reconstructed_before(d, arrays))
        events = _Events(arrays, d.split)
        gen = chunk.collections[d.gen]
        if d.per == "event":
            reco = self._of_events(arrays, gen)
        else:
            reco = of_last_copies(d, arrays, Collection.of_branches(arrays, d.collection, self.own))
        reco = reco.with_columns(_links(d, arrays))
        self._test_links(arrays, reco)
        for target in d.targets:
            self.not_allowed[target.branch] += int(np.count_nonzero(~allows(target, reco[target.branch])))
        rows = np.arange(len(gen)) if d.per == "event" else match(gen, reco, d.match)
        found = rows >= 0
        events.write(self.writer, EVENTS, np.arange(chunk.events), {})
        _count(self.reconstructed, events.split[gen.event_rows[found]])
        chunk = replace(chunk, counterparts=_counterparts(reco, rows, d.own_fields()))
        self._write_objects(events, chunk, reco, rows)
        if d.per == "object":
            is_matched = np.zeros(len(reco), dtype=bool)
            is_matched[rows[found]] = True
            self._write_unmatched(events, chunk, reco.select(is_matched), reco.select(~is_matched))

    def _test_links(self, arrays: dict[str, ak.Array], reco: Collection) -> None:
        """See whether what is declared of linked objects holds, of matched and unmatched ones."""
        d = self.declaration
        for number, linked in enumerate(d.linked):
            to = Collection.of_branches(arrays, linked.to, linked.fields)
            wanted = [entry for entry in d.event_values() if entry.name in linked.needs.event]
            values = {entry.name: np.asarray(arrays[entry.branch]) for entry in wanted}
            self.linked.add(number, reco, to, values)

    def _of_events(self, arrays: dict[str, ak.Array], event: Collection) -> Collection:
        """Targets of whole events, one row each."""
        d = self.declaration
        columns: Columns = {}
        for recoil in d.drawn_recoils:
            values = [np.asarray(arrays[name]).astype(np.float64) for name in recoil.branches]
            columns |= components(recoil, values, event[recoil.gen_fields[1]])
        for target in d.targets:
            if target.branch not in columns:
                columns[target.branch] = np.asarray(arrays[target.branch])
        return Collection(event.offsets, columns)

    def _write_objects(self, events: _Events, chunk: GenChunk, reco: Collection, rows: Rows) -> None:
        d = self.declaration
        gen, found = chunk.collections[d.gen], rows >= 0
        columns: Columns = {"reconstructed": found}
        columns |= _prefixed("conditioning", conditioning_columns(d.conditioning, chunk, d.gen))
        columns |= _prefixed("gen", {field: gen[field] for field in d.references()})
        for name in (target.branch for target in d.targets):
            column = np.full(len(gen), np.nan, dtype=np.float32)
            column[found] = reco[name][rows[found]]
            columns[f"target.{name}"] = column
        for name in (linked_name(branch) for branch in d.linked_branches()):
            columns[name] = np.zeros(len(gen), dtype=bool)
            columns[name][found] = reco[name][rows[found]]
        self.tests.add(_as_related(columns, found))
        events.write(self.writer, OBJECTS, gen.event_rows, columns)

    def _write_unmatched(
        self, events: _Events, chunk: GenChunk, matched: Collection, unmatched: Collection
    ) -> None:
        d = self.declaration
        source, assigned = np.full(len(unmatched), -1), list[str]()
        for found in assign_sources(d.unmatched, chunk, d.collection, matched, unmatched):
            objects, rows = found.objects.objects, found.source_rows
            conditioning = _prefixed("conditioning", found.objects.conditioning)
            gen = {field: objects[field] for field in found.source.references(d.source_targets())}
            columns = {name: column[rows] for name, column in (conditioning | _prefixed("gen", gen)).items()}
            columns |= self._targets(unmatched, found.rows)
            source[found.rows] = len(assigned)
            assigned.append(found.source.name)
            kinds = (f"{kind}/{found.source.name}" for kind in (UNMATCHED, SOURCES))
            events.write(self.writer, next(kinds), unmatched.event_rows[found.rows], columns)
            counted = {"number": found.counts, **conditioning}
            events.write(self.writer, next(kinds), objects.event_rows, counted)
        self._write_placed(events, with_drawn(chunk, d.collection, matched), unmatched, source)
        _count(self.sourceless, events.split[unmatched.event_rows[source < 0]])

    def _write_placed(
        self, events: _Events, chunk: GenChunk, unmatched: Collection, source: NDArray[np.int64]
    ) -> None:
        """Append unmatched objects of all sources, given where they are; `source` is -1 of those of none."""
        if (placed := self.declaration.placed) is None:
            return
        found = unmatched.with_columns({"source": source}).select(source >= 0)
        objects = placed_objects(placed, chunk, found)
        columns = _prefixed("conditioning", objects.conditioning)
        columns |= _prefixed("gen", {field: found[field] for field in PLACE})
        columns |= self._targets(found, np.arange(len(found)))
        events.write(self.writer, PLACED, found.event_rows, columns)

    def _targets(self, reco: Collection, rows: Rows) -> Columns:
        branches = [target.branch for target in self.declaration.targets]
        columns: Columns = {f"target.{branch}": reco[branch][rows].astype(np.float32) for branch in branches}
        links = [linked_name(branch) for branch in self.declaration.linked_branches()]
        return columns | {name: reco[name][rows] for name in links}


def _links(declaration: ObjectDeclaration, arrays: Mapping[str, ak.Array]) -> Columns:
    """Give indices of linked objects, and for branches that follow from one which rows have it."""
    columns: Columns = {}
    for linked in declaration.linked:
        _, columns[linked.index] = flat_column(arrays[declaration.branch(linked.index)])
        columns |= {linked_name(branch): columns[linked.index] >= 0 for branch in linked.formulas}
    return columns


class _Events:
    """Identity and split of the events of a chunk."""

    def __init__(self, arrays: dict[str, ak.Array], share: Split) -> None:
        self.ids = {name: np.asarray(arrays[name]).astype(np.int64) for name in EVENT_IDS}
        self.split = split_of([self.ids[name] for name in EVENT_IDS], share)

    def write(self, writer: TableWriter[TableDescription], kind: str, rows: Rows, columns: Columns) -> None:
        """Append table rows that belong to the events of these rows."""
        named = {name: values[rows] for name, values in self.ids.items()}
        named |= {name: _compact(values) for name, values in columns.items()}
        writer.extend(kind, self.split[rows], named)


def _as_related(columns: Columns, found: NDArray[np.bool_]) -> Columns:
    """Columns of the objects that were reconstructed, by the names that relations have for them."""
    named = {name.removeprefix("target."): column for name, column in columns.items()}
    return {name: column[found] for name, column in named.items()}


def _found(test: RelationTest) -> TestedRelation:
    return TestedRelation(
        title=test.title, rows=test.rows, held=test.held, largest=test.largest, kept=test.holds
    )


def _counterparts(reco: Collection, rows: Rows, fields: Sequence[str]) -> Columns:
    """Fields of the reconstructed object of each gen object, NaN where there is none."""
    found, columns = rows >= 0, {}
    for field in fields:
        column = np.full(len(rows), np.nan)
        column[found] = reco[field][rows[found]]
        columns[field] = column
    return columns


def _count(counts: dict[str, int], split: Rows) -> None:
    """Add the number of rows in each split."""
    for number, name in enumerate(SPLITS):
        counts[name] += int(np.count_nonzero(split == number))


def _prefixed(prefix: str, columns: Mapping[str, NDArray[Any]]) -> Columns:
    return {f"{prefix}.{name}": values for name, values in columns.items()}


def _compact(values: NDArray[Any]) -> NDArray[Any]:
    return values.astype(np.float32) if values.dtype == np.float64 else values
