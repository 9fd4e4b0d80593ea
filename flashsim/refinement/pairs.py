"""Pairs of a fast and a full simulation of the same gen objects, as Parquet tables.

A folder of pairs holds ``pairs.json`` and ``train.parquet``, ``validation.parquet``, ``test.parquet``, with a
row a gen object that both simulations reconstructed: ``run``, ``luminosityBlock``, ``event``, ``gen.*``,
``fast.*`` and ``full.*``.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from flashsim.declarations.refinement import RefinerRecipe, load_gen_view
from flashsim.errors import InputFileError
from flashsim.events.gen_view import gen_view_branches
from flashsim.events.identity import content_branches, event_keys
from flashsim.events.noise import EVENT_IDS, event_hash, hash_events
from flashsim.events.sketch import EventSketch, same_numbers
from flashsim.learning.tables import SPLITS, Description, TableFormat, TableWriter, split_of
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.requirements import require_branches
from flashsim.refinement.matching import SelectedPairs, pair_branches, select_pairs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from flashsim.learning.tables import ColumnType

_log = logging.getLogger(__name__)

__all__ = ["PAIRS", "PairDescription", "PairRows", "make_pairs", "read_pairs"]


class PairDescription(Description):
    """What a folder of pairs holds, and what became of the gen objects."""

    schema_version: Literal[1] = Field(description="version of this format")
    recipe: RefinerRecipe = Field(description="what was selected and is refined")
    files: list[tuple[str, str]] = Field(description="fast and full simulation")
    events: int = Field(description="events that both have")
    events_apart: int = Field(description="events of the fast simulation that the full one lacks")
    counts: dict[str, int] = Field(description="gen objects left after each cut")
    pairs: dict[str, int] = Field(description="pairs by split")


PAIRS = TableFormat("pairs", "flashsim refine pairs", "pairs.json", PairDescription)


@dataclass(frozen=True)
class PairRows:
    """Pairs of one split.

    Parameters
    ----------
    gen
        Shape (N, G), fields as `RefinerRecipe.gen_fields` lists them.
    fast, full
        Shape (N, V), branches as `RefinerRecipe.branches` lists them.
    event
        `flashsim.events.noise.event_hash` of each pair's event, shape (N,).
    """

    gen: NDArray[np.float32]
    fast: NDArray[np.float32]
    full: NDArray[np.float32]
    event: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.gen)


def make_pairs(
    recipe: RefinerRecipe,
    files: Sequence[tuple[str, str]],
    output: Path,
    *,
    chunk: int = 20_000,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> PairDescription:
    """Pair the objects of simulations of the same gen events, see `flashsim.interface.refinement.make_pairs`.

    Events are found by numbers and gen content, in whatever order the files have them, and by their numbers
    alone where no content is the same; gen objects are found by their momenta.

    Parameters
    ----------
    recipe, output, force
        As there.
    files
        Fast and full simulation of each sample: paths or URLs of NanoAOD.
    chunk
        Events in memory at a time, of the fast simulation; needed branches of the full one are read whole.
    progress
        Called with (events done, events in all).
    """
    counts: Counter[str] = Counter()
    total = sum(_events(fast) for fast, _ in files)
    done = 0
    sketches = dict.fromkeys((fast for fast, _ in files), EventSketch())
    with TableWriter(PAIRS, output, force=force) as writer:
        for fast, full in files:
            with NanoFile(fast) as source, NanoFile(full) as target:
                for stop, selected, sketch in _chunks(recipe, source, target, chunk):
                    counts.update(selected.counts)
                    sketches[fast] += sketch
                    ids = [selected.columns[name] for name in EVENT_IDS]
                    writer.extend("", split_of(ids, recipe.split), selected.columns)
                    if progress is not None:
                        progress(done + stop, total)
                done += source.num_entries
        description = PairDescription(
            schema_version=1,
            recipe=recipe,
            files=list(files),
            events=counts.pop("events"),
            events_apart=counts.pop("events apart"),
            counts=dict(counts),
            pairs={split: writer.rows["", split] for split in SPLITS},
        )
        writer.describe(description)
    if text := same_numbers(sketches):
        _log.warning("%s", text)
    return description


def read_pairs(folder: Path, split: str, recipe: RefinerRecipe) -> PairRows:
    """Read the pairs of one split, in the recipe's order of columns; rows that are not finite are left out.

    Raises
    ------
    TableError
        If the table is missing or damaged, or lacks a column that the recipe needs or has it of another type.
    """
    names = {
        "gen": [f"gen.{field}" for field in recipe.gen_fields],
        "fast": [f"fast.{branch}" for branch in recipe.branches],
        "full": [f"full.{branch}" for branch in recipe.branches],
    }
    numbers = [name for part in names.values() for name in part]
    wanted = [*EVENT_IDS, *numbers]
    columns: dict[str, ColumnType] = {
        **dict.fromkeys(EVENT_IDS, "whole"),
        **dict.fromkeys(numbers, "number"),
    }
    rows = PAIRS.read_description(folder).pairs.get(split)
    table = PAIRS.read(folder, split, columns=columns, rows=rows)
    finite = np.isfinite(table[wanted].to_numpy(np.float64)).all(axis=1)
    if count := int(np.count_nonzero(~finite)):
        _log.warning("%s/%s: %d rows set aside, not finite", folder, split, count)
    # Copies, as torch wants memory that it may write to.
    parts = {kind: table.loc[finite, part].to_numpy(np.float32, copy=True) for kind, part in names.items()}
    event = event_hash(*(table.loc[finite, name].to_numpy() for name in EVENT_IDS))
    return PairRows(**parts, event=event)


def _events(path: str) -> int:
    with NanoFile(path) as file:
        return file.num_entries


def _chunks(
    recipe: RefinerRecipe, source: NanoFile, target: NanoFile, size: int
) -> Iterator[tuple[int, SelectedPairs, EventSketch]]:
    """Yield for each chunk of the fast simulation the events done, their pairs, and a sketch of them."""
    view = load_gen_view(recipe)
    names, needed = pair_branches(recipe, view), gen_view_branches(view)
    for file in (source, target):
        require_branches(file, names, f"to pair {recipe.object}")
    content = content_branches(source.branches.keys() & target.branches.keys())
    full, places = target.read(names, needed=needed), _Places.of(target, content, size)
    common = gen_objects = 0
    for _, stop, fast in source.chunks(sorted({*names, *content}), size, needed=needed):
        row = places.rows(event_keys(fast, content), hash_events(fast))
        found = row >= 0
        common += int(np.count_nonzero(found))
        selected = select_pairs(
            recipe,
            view,
            {name: fast[name][found] for name in names},
            {name: array[row[found]] for name, array in full.items()},
        )
        gen_objects += selected.counts["in both files"]
        selected.counts["events apart"] = int(np.count_nonzero(~found))
        yield stop, selected, EventSketch.of({name: fast[name] for name in (*EVENT_IDS, *content)})
    if common == 0:
        msg = (
            f"{source.path}: has no event in common with {target.path} (run, luminosityBlock, event); "
            "simulate the same gen events"
        )
        raise InputFileError(msg)
    if gen_objects == 0:
        _log.warning(
            "%s: its events and those of %s carry the same run, luminosityBlock and event, but no gen "
            "object is in both files, so there are no pairs: simulate the same gen events",
            source.path,
            target.path,
        )


@dataclass(frozen=True)
class _Places:
    """Where the events of a file stand.

    Parameters
    ----------
    keys, numbers
        `event_keys` and `hash_events` of the events, rising, shape (E,) each, with the row of each.
    """

    keys: tuple[NDArray[np.uint64], NDArray[np.int64]]
    numbers: tuple[NDArray[np.uint64], NDArray[np.int64]]

    @classmethod
    def of(cls, file: NanoFile, content: Sequence[str], size: int) -> _Places:
        parts = [
            (event_keys(arrays, content), hash_events(arrays))
            for *_, arrays in file.chunks([*EVENT_IDS, *content], size)
        ]
        none = np.empty(0, dtype=np.uint64)
        keys, numbers = (np.concatenate([none, *(part[k] for part in parts)]) for k in (0, 1))
        return cls(_ordered(keys), _ordered(numbers))

    def rows(self, keys: NDArray[np.uint64], numbers: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Give the row of the event of the same key, else of the same numbers, else -1, shape (N,)."""
        same = _found(self.keys, keys)
        return np.where(same >= 0, same, _found(self.numbers, numbers))


def _ordered(hashes: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    order = np.argsort(hashes, kind="stable")
    return hashes[order], order


def _found(
    ordered: tuple[NDArray[np.uint64], NDArray[np.int64]], wanted: NDArray[np.uint64]
) -> NDArray[np.int64]:
    hashes, rows = ordered
    if not len(hashes):
        return np.full(len(wanted), -1, dtype=np.int64)
    place = np.minimum(np.searchsorted(hashes, wanted), len(hashes) - 1)
    return np.where(hashes[place] == wanted, rows[place], -1)
