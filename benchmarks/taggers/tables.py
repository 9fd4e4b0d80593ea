"""Tables of objects that networks are trained on: their features and what they are by the generator."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.taggers.truth import truth_of
from flashsim.events.collection import Collection
from flashsim.events.identity import event_keys
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.stable import STABLE, STABLE_BRANCHES
from flashsim.reference.flow.recorded import record
from flashsim.reference.output.reconstruction import objects
from flashsim.reference.particles.overlay import Library
from flashsim.reference.particles.streams import Streams
from flashsim.reference.recipe import load_detector
from flashsim.reference.taggers.scores import Taggers

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    Table = dict[str, NDArray[Any]]

__all__ = ["read_table", "record_table"]

_CHUNK = 200
_LEAST_PT = {"Jet": 15.0}  # GeV; files have no softer ones
_FIELDS = [branch.field for branch in STABLE_BRANCHES]
_PARTICLES = [branch.name for branch in STABLE_BRANCHES]


class _Collector(Taggers):
    """Notes features and truth of objects in place of scoring them."""

    def __init__(self, gen: Mapping[str, Any]) -> None:
        super().__init__({})
        self.gen = gen
        self.tables: dict[str, Table] = {}

    def scored(self, name: str, objects: Collection, features: Mapping[str, NDArray[Any]]) -> Collection:
        """Note the features."""
        every = {**objects.columns, **features, **truth_of(self.gen, name, objects)}
        kept = objects["pt"] >= _LEAST_PT.get(name, 0.0)
        self.tables[name] = {k: v[kept] for k, v in every.items() if v.dtype.kind in "biufU"}
        return objects


def record_table(source: Path, minbias: Path, path: Path, *, era: str, events: int) -> None:
    """Record events with the detector `full` and write columns of their objects, as ``COLLECTION/FEATURE``.

    Parameters
    ----------
    source
        Folder with ``gen.root`` and ``particles.root``.
    minbias
        Minimum-bias interactions.
    path
        NumPy file to write.
    era
        Of the detector.
    events
        How many, in whole chunks of 200.
    """
    recipe = load_detector("full", era)
    with NanoFile(minbias) as file:
        every = Collection.of_branches(file.read(_PARTICLES), STABLE, _FIELDS)
    library = Library.of(every, recipe.recording.pileup.min_pt)
    parts: dict[str, list[Table]] = {}
    with NanoFile(source / "gen.root") as gen_file, NanoFile(source / "particles.root") as beside:
        chunks = zip(
            gen_file.chunks(list(gen_file.branches), _CHUNK),
            beside.chunks(_PARTICLES, _CHUNK),
            strict=True,
        )
        for (_, _, gen), (_, _, particles) in islice(chunks, -(-events // _CHUNK)):
            hard = Collection.of_branches(particles, STABLE, _FIELDS)
            recorded = record(hard, gen, event_keys(gen), Streams(1, "full"), library, recipe.recording)
            collector = _Collector(gen)
            objects(recorded, recipe, collector)
            for name, table in collector.tables.items():
                parts.setdefault(name, []).append(table)
    columns = {
        f"{name}/{column}": np.concatenate([table[column] for table in tables])
        for name, tables in parts.items()
        for column in tables[0]
    }
    np.savez_compressed(path, allow_pickle=False, **columns)


def read_table(path: Path, collection: str) -> Table:
    """Read the objects of a collection, columns of shape (N,) by name."""
    prefix = f"{collection}/"
    with np.load(path) as file:
        return {name.removeprefix(prefix): file[name] for name in file.files if name.startswith(prefix)}
