"""Reconstructed objects of NanoAOD files with the gen objects that they belong to, as flat columns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from flashsim.analysis.statistics.residuals import compared_field, residual
from flashsim.declarations.conditioning import RECO, Earlier
from flashsim.errors import InputFileError
from flashsim.events.collection import Collection
from flashsim.events.conditioning import conditioning_columns
from flashsim.events.copies import copy_branches, of_last_copies
from flashsim.events.gen_chunk import GenChunk, conditioning_branches
from flashsim.events.gen_view import build_gen_view, gen_view_branches
from flashsim.events.matching import match
from flashsim.events.noise import EVENT_IDS, hash_events
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.requirements import require_branches

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from flashsim.declarations.conditioning import Conditioning
    from flashsim.declarations.objects import ObjectDeclaration, Target

__all__ = [
    "Columns",
    "Sample",
    "Selected",
    "common_columns",
    "number_events",
    "read_sample",
    "shared_objects",
]

Columns = dict[str, NDArray[Any]]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Selected:
    """What of a declaration all files have: conditioning variables and targets."""

    declaration: ObjectDeclaration
    conditioning: Sequence[Conditioning]
    targets: Sequence[Target]

    @property
    def left_out(self) -> list[str]:
        """Names of targets and conditioning variables that a file lacks."""
        had = {t.branch for t in self.targets} | {entry.name for entry in self.conditioning}
        declared = [t.branch for t in self.declaration.targets]
        known = [e.name for e in self.declaration.conditioning if _is_given(e)]
        return [name for name in [*declared, *known] if name not in had]


@dataclass(frozen=True)
class Sample:
    """Gen objects (N) and reconstructed objects (M) of a file with E events.

    Parameters
    ----------
    events
        Number of each event, shape (E,); see `number_events`.
    hashes, contents
        Of each event, shape (E,): a hash of run, luminosityBlock and event, and a sum over its gen objects.
    gen_event, reco_event
        Row of the event of each gen and each reconstructed object.
    conditioning, gen
        Columns of the gen objects, shape (N,).
    reco
        Columns of the reconstructed objects, shape (M,).
    rows
        Shape (N,): row of the reconstructed object of each gen object, or -1.
    """

    events: Ints
    hashes: NDArray[np.uint64]
    contents: NDArray[np.float64]
    gen_event: Ints
    reco_event: Ints
    conditioning: Columns
    gen: Columns
    reco: Columns
    rows: Ints

    @property
    def found(self) -> NDArray[np.bool_]:
        """Whether each gen object was reconstructed, shape (N,)."""
        return self.rows >= 0

    @property
    def unmatched(self) -> NDArray[np.bool_]:
        """Whether each reconstructed object has no gen object, shape (M,)."""
        alone = np.ones(len(self.reco_event), dtype=bool)
        alone[self.rows[self.found]] = False
        return alone

    @property
    def matched_event(self) -> Ints:
        """Number of the event of each reconstructed gen object."""
        return self.events[self.gen_event[self.found]]

    def matched(self, kind: str) -> Columns:
        """Columns of the reconstructed gen objects; `kind` is ``conditioning``, ``gen`` or ``reco``."""
        rows = self.rows[self.found] if kind == "reco" else np.flatnonzero(self.found)
        columns: Columns = getattr(self, kind)
        return {name: column[rows].astype(np.float64) for name, column in columns.items()}

    def residual(self, target: Target) -> NDArray[np.float64]:
        """Values of a target relative to gen, of the reconstructed gen objects."""
        values = self.reco[target.branch][self.rows[self.found]].astype(np.float64)
        gen = {
            name: self.gen[name][self.found].astype(np.float64) for name in [compared_field(target)] if name
        }
        return residual(target, values, gen)

    def first(self, objects: int) -> Sample:
        """Keep only the first events, with at most about so many reconstructed gen objects."""
        total = np.cumsum(np.bincount(self.gen_event[self.found], minlength=len(self.events)))
        events = max(int(np.searchsorted(total, objects, side="right")), 1)
        gen, reco = self.gen_event < events, self.reco_event < events

        def kept(columns: Columns, rows: NDArray[np.bool_]) -> Columns:
            return {name: column[rows] for name, column in columns.items()}

        return Sample(
            events=self.events[:events],
            hashes=self.hashes[:events],
            contents=self.contents[:events],
            gen_event=self.gen_event[gen],
            reco_event=self.reco_event[reco],
            conditioning=kept(self.conditioning, gen),
            gen=kept(self.gen, gen),
            reco=kept(self.reco, reco),
            rows=self.rows[gen],
        )


def common_columns(declaration: ObjectDeclaration, paths: Sequence[str]) -> Selected:
    """Find what all files have of a declaration.

    Raises
    ------
    InputFileError
        If a file cannot be read, holds no events, or lacks what objects cannot be matched without.
    """
    collection = declaration.collection
    targets = list(declaration.targets)
    conditioning = [entry for entry in declaration.conditioning if _is_given(entry)]
    needed = [*EVENT_IDS, *gen_view_branches(declaration.gen_view), *copy_branches(declaration)]
    needed += [f"{collection}_{name}" for name in ("pt", "eta", "phi", declaration.match)]
    for path in paths:
        with NanoFile(path) as file:
            require_branches(file, needed, f"to validate {declaration.name}")
            targets = [t for t in targets if file.has(f"{collection}_{t.branch}")]
            conditioning = [
                e for e in conditioning if all(file.has(name) for name in conditioning_branches([e]))
            ]
            if not file.num_entries:
                msg = f"{path}: holds no events to compare"
                raise InputFileError(msg)
    return Selected(declaration, conditioning, targets)


def _is_given(entry: Conditioning) -> bool:
    """Tell whether the generator gives it: what was simulated before is for judges of whole events."""
    collections = (getattr(entry, "of", None), getattr(entry, "without", None))
    of_results = any(name is not None and name.startswith(RECO) for name in collections)
    return not of_results and not isinstance(entry, Earlier)


def shared_objects(
    declarations: Sequence[ObjectDeclaration], paths: Sequence[str]
) -> list[ObjectDeclaration]:
    """Keep the objects that all files have; all objects where that would be none, to be refused by name.

    Parameters
    ----------
    declarations
        Objects in question.
    paths
        The files. What models have simulated may lack what a full simulation has, such as electrons.

    Raises
    ------
    InputFileError
        If a file cannot be read.
    """
    kept = list(declarations)
    for path in paths:
        with NanoFile(path) as file:
            kept = [o for o in kept if any(file.has(f"{o.collection}_{t.branch}") for t in o.targets)]
    return kept or list(declarations)


def read_sample(
    path: str | Path,
    selected: Selected,
    *,
    chunk: int = 20_000,
    progress: Callable[[int, int], None] | None = None,
) -> Sample:
    """Read a file; events are numbered by their rows until `number_events`.

    Raises
    ------
    InputFileError
        If the file is damaged.
    """
    reader = _Reader(selected)
    with NanoFile(path) as file:
        for _, stop, arrays in file.chunks(reader.branches, chunk, needed=reader.needed):
            reader.add(arrays)
            if progress is not None:
                progress(stop, file.num_entries)
    return reader.sample()


def number_events(reference: Sample, others: Mapping[str, Sample]) -> tuple[dict[str, Ints], int]:
    """Give events numbers so that the same gen events have the same number in all samples.

    Events are the same if run, luminosityBlock, event and gen objects are. The folds of an oversampled event
    have one number.

    Returns
    -------
    Numbers of the events of the others, by name, and how many numbers there are. Those of the reference,
    whose events are numbered by rows, come first.
    """
    names, place = np.unique(reference.hashes, return_index=True)
    total, found = len(reference.hashes), {}
    for name, sample in others.items():
        near = np.minimum(np.searchsorted(names, sample.hashes), len(names) - 1)
        twin = place[near]
        same = (names[near] == sample.hashes) & np.isclose(
            reference.contents[twin], sample.contents, rtol=1e-4, atol=1e-4
        )
        new, number = np.unique(sample.hashes[~same], return_inverse=True)
        numbers = twin.astype(np.int64)
        numbers[~same] = total + number
        total += len(new)
        found[name] = numbers
    return found, total


@dataclass
class _Reader:
    """Collects the columns of chunks."""

    selected: Selected
    parts: list[dict[str, Any]] = field(default_factory=list)
    events: int = 0

    def __post_init__(self) -> None:
        d = self.selected.declaration
        self.fields = sorted({d.match, "pt", "eta", "phi", *(t.branch for t in self.selected.targets)})
        self.gen_fields = sorted({"pt", "eta", *d.references()})
        self.event_values = conditioning_branches(self.selected.conditioning)
        reco = [f"{d.collection}_{name}" for name in self.fields]
        self.needed = [*gen_view_branches(d.gen_view), *copy_branches(d), *self.event_values]
        self.branches = sorted({*EVENT_IDS, *self.needed, *reco})

    def add(self, arrays: Mapping[str, Any]) -> None:
        """Append a chunk."""
        d = self.selected.declaration
        chunk = GenChunk(
            collections=build_gen_view(d.gen_view, arrays),
            event_values={name: np.asarray(arrays[name]) for name in self.event_values},
            events=len(arrays["event"]),
        )
        gen = chunk.collections[d.gen]
        reco = of_last_copies(d, arrays, Collection.of_branches(arrays, d.collection, self.fields))
        rows = match(gen, reco, d.match)
        before = sum(len(part["reco_event"]) for part in self.parts)
        self.parts.append(
            {
                "hashes": hash_events(arrays),
                "contents": sum(_content(c) for c in chunk.collections.values()),
                "gen_event": self.events + gen.event_rows,
                "reco_event": self.events + reco.event_rows,
                "conditioning": conditioning_columns(self.selected.conditioning, chunk, d.gen),
                "gen": {name: gen[name] for name in self.gen_fields},
                "reco": {t: reco[t] for t in self.fields if t != d.match},
                "rows": np.where(rows >= 0, rows + before, -1),
            }
        )
        self.parts[-1] |= {kind: _single(self.parts[-1][kind]) for kind in ("conditioning", "gen", "reco")}
        self.events += chunk.events

    def sample(self) -> Sample:
        """All chunks together."""
        parts = self.parts
        flat: dict[str, Any] = {
            name: np.concatenate([part[name] for part in parts])
            for name in ("hashes", "contents", "gen_event", "reco_event", "rows")
        }
        columns: dict[str, Any] = {
            kind: {name: np.concatenate([part[kind][name] for part in parts]) for name in parts[0][kind]}
            for kind in ("conditioning", "gen", "reco")
        }
        return Sample(
            events=np.arange(self.events),
            **flat,
            **columns,
        )


def _content(collection: Collection) -> NDArray[np.float64]:
    """Sum of 1 + pT over the objects of each event: enough to tell one gen event from another."""
    weights = 1.0 + collection["pt"]
    content = np.bincount(collection.event_rows, weights=weights, minlength=collection.events)
    return content.astype(np.float64)


def _single(columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
    """NanoAOD has no more than single precision, and memory is short with millions of objects."""
    return {name: column.astype(np.float32) for name, column in columns.items()}
