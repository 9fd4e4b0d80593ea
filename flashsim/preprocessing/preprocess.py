"""NanoAOD in, training tables out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from flashsim.errors import InputFileError
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.schema import detect_version
from flashsim.noise import Stream, event_hash
from flashsim.objects import ObjectDeclaration
from flashsim.collection import Collection, flat_column
from flashsim.preprocessing.features import GenChunk, conditioning_branches, conditioning_columns
from flashsim.preprocessing.genview import build_gen_view, gen_view_branches
from flashsim.preprocessing.matching import match
from flashsim.tables import SPLITS, TableDescription, TableWriter

__all__ = ["EVENT_IDS", "gen_branches", "gen_chunk", "preprocess", "require_branches"]

EVENT_IDS = ("run", "luminosityBlock", "event")

_log = logging.getLogger(__name__)


def gen_branches(declaration: ObjectDeclaration) -> list[str]:
    """Branches that conditioning needs, apart from the event's numbers; sorted."""
    event_values = conditioning_branches([*declaration.conditioning, *declaration.fakes.conditioning])
    return sorted({*gen_view_branches(declaration.gen_view), *event_values})


def gen_chunk(
    declaration: ObjectDeclaration,
    arrays: dict[str, ak.Array],
    collections: Mapping[str, Collection] | None = None,
) -> GenChunk:
    """Build the gen-level content of a chunk, from at least `gen_branches` and the event's numbers.

    `collections` may be those of another object with the same gen view, to spare building them again.
    """
    event_values = conditioning_branches([*declaration.conditioning, *declaration.fakes.conditioning])
    return GenChunk(
        collections=collections or build_gen_view(declaration.gen_view, arrays),
        event_values={name: np.asarray(arrays[name]) for name in event_values},
        events=len(arrays["event"]),
    )


def require_branches(file: NanoFile, wanted: Sequence[str], purpose: str) -> None:
    """Check that a file has all branches.

    Raises
    ------
    InputFileError
        Naming the file, the missing branches and what they are wanted for.
    """
    missing = [name for name in wanted if not file.has(name)]
    if not missing:
        return
    shown = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
    is_data = not any(name.startswith(("GenPart", "GenJet", "Generator")) for name in file.branches)
    hint = (
        "it has no gen-level branches at all: is it collision data?" if is_data else "use simulated NanoAOD"
    )
    msg = f"{file.path}: lacks {shown}, needed {purpose}; {hint}"
    raise InputFileError(msg)


def preprocess(
    declaration: ObjectDeclaration,
    files: Sequence[str],
    output: Path,
    *,
    chunk: int = 20_000,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> TableDescription:
    """Make the training tables of one object.

    Targets that not all inputs have are left out, with a log line; every other missing branch is an error.

    Parameters
    ----------
    declaration
        The object.
    files
        Paths or URLs of NanoAOD files.
    output
        Folder of the tables.
    chunk
        Events in memory at a time.
    force
        Replace tables that are there.
    progress
        Called with (events done, events in all).

    Raises
    ------
    InputFileError
        If a file cannot be read, lacks a needed branch, or is of another NanoAOD version than the first.
    TableError
        If the folder holds tables already.
    """
    declaration, version, total = _survey(declaration, files)
    maker = _ChunkTables(declaration)
    done = 0
    with TableWriter(output, force=force) as writer:
        for path in files:
            with NanoFile(path) as file:
                for _, stop, arrays in file.chunks(maker.branches, chunk):
                    maker.write(writer, arrays)
                    if progress is not None:
                        progress(done + stop, total)
                done += file.num_entries
    description = TableDescription(
        schema_version=1,
        declaration=declaration,
        nanoaod_version=version,
        files=[str(path) for path in files],
        events={split: writer.rows["events", split] for split in SPLITS},
        gen_objects={split: writer.rows["objects", split] for split in SPLITS},
        reconstructed=maker.reconstructed,
        fakes={split: writer.rows["fakes", split] for split in SPLITS},
        non_finite=dict(writer.non_finite),
    )
    writer.describe(description)
    return description


def _survey(declaration: ObjectDeclaration, files: Sequence[str]) -> tuple[ObjectDeclaration, str, int]:
    """Declaration with the targets that all files have, their NanoAOD version, and the number of events."""
    kept = {target.branch for target in declaration.targets}
    versions: dict[str, str] = {}
    events = 0
    collection = declaration.collection
    for path in files:
        with NanoFile(path) as file:
            needed = [*EVENT_IDS, *gen_branches(declaration)]
            needed += [f"{collection}_{field}" for field in ("pt", "eta", "phi", declaration.match)]
            require_branches(file, needed, f"to preprocess {declaration.name}")
            versions[detect_version(file.branches)] = file.path
            kept &= {
                name.removeprefix(f"{collection}_") for name in file.branches if name.startswith(collection)
            }
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
    targets = [target for target in declaration.targets if target.branch in kept]
    return declaration.model_copy(update={"targets": targets}), next(iter(versions)), events


@dataclass
class _ChunkTables:
    """Turns chunks of arrays into table rows."""

    declaration: ObjectDeclaration

    def __post_init__(self) -> None:
        d = self.declaration
        self.reco_fields = sorted({d.match, "eta", "phi", *(target.branch for target in d.targets)})
        reco = [f"{d.collection}_{field}" for field in self.reco_fields]
        self.branches = sorted({*EVENT_IDS, *gen_branches(d), *reco})
        self.reconstructed = dict.fromkeys(SPLITS, 0)

    def write(self, writer: TableWriter, arrays: dict[str, ak.Array]) -> None:
        d = self.declaration
        chunk = gen_chunk(d, arrays)
        gen, reco = chunk.collections[d.gen], self._reco(arrays)
        ids = {name: np.asarray(arrays[name]).astype(np.int64) for name in EVENT_IDS}
        split = self._split(ids)
        rows = match(gen, reco, d.match)
        found = rows >= 0
        unmatched = np.ones(len(reco), dtype=bool)
        unmatched[rows[found]] = False
        for number, name in enumerate(SPLITS):
            self.reconstructed[name] += int(np.count_nonzero(found & (split[gen.event_rows] == number)))

        event_conditioning = _prefixed("conditioning", conditioning_columns(d.fakes.conditioning, chunk))
        object_columns = _prefixed("conditioning", conditioning_columns(d.conditioning, chunk, d.gen))
        object_columns |= _prefixed("gen", {field: gen[field] for field in d.references()})
        targets = {target.branch: reco[target.branch].astype(np.float32) for target in d.targets}
        safe = np.maximum(rows, 0)
        for name, values in targets.items():
            taken = values[safe] if len(values) else np.zeros(len(gen), dtype=np.float32)
            object_columns[f"target.{name}"] = np.where(found, taken, np.float32(np.nan))

        fakes = reco.select(unmatched)
        counts = fakes.counts
        self._extend(writer, "objects", split, ids, gen.event_rows, {"reconstructed": found} | object_columns)
        fake_columns = {name: values[fakes.event_rows] for name, values in event_conditioning.items()}
        fake_columns |= _prefixed("target", {name: values[unmatched] for name, values in targets.items()})
        self._extend(writer, "fakes", split, ids, fakes.event_rows, fake_columns)
        every = np.arange(chunk.events)
        self._extend(writer, "events", split, ids, every, {"fakes": counts} | event_conditioning)

    def _reco(self, arrays: dict[str, ak.Array]) -> Collection:
        flat = {
            field: flat_column(arrays[f"{self.declaration.collection}_{field}"]) for field in self.reco_fields
        }
        offsets = flat[self.reco_fields[0]][0]
        return Collection(offsets, {field: values for field, (_, values) in flat.items()})

    def _split(self, ids: dict[str, NDArray[np.int64]]) -> NDArray[np.int64]:
        """Number of the split of each event: by its identity, so that no file order can mix them."""
        events = event_hash(*(ids[name] for name in EVENT_IDS))
        u = Stream(0, "event", "split").uniform(events, np.zeros(len(events), dtype=np.int64), 1)[:, 0]
        share = self.declaration.split
        return np.where(u < share.test, 2, np.where(u < share.test + share.validation, 1, 0)).astype(np.int64)

    @staticmethod
    def _extend(
        writer: TableWriter,
        kind: str,
        split: NDArray[np.int64],
        ids: dict[str, NDArray[np.int64]],
        rows: NDArray[np.int64],
        columns: dict[str, NDArray[Any]],
    ) -> None:
        named = {name: values[rows] for name, values in ids.items()}
        writer.extend(kind, split[rows], named | {name: _compact(values) for name, values in columns.items()})


def _prefixed(prefix: str, columns: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {f"{prefix}.{name}": values for name, values in columns.items()}


def _compact(values: NDArray[Any]) -> NDArray[Any]:
    return values.astype(np.float32) if values.dtype == np.float64 else values
