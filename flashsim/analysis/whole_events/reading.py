"""Whole events of a NanoAOD file, whoever made it, as flat columns: objects of all kinds side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np

from flashsim.events.collection import Collection
from flashsim.nanoaod.reading import NanoFile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["COLLECTIONS", "EVENT_BRANCHES", "WholeEvents", "read_whole_events"]

COLLECTIONS = (
    *("Jet", "Muon", "Electron", "Photon", "Tau", "FatJet", "SubJet", "SV", "FsrPhoton", "SoftActivityJet"),
    *("CorrT1METJet", "OtherPV", "GenJet", "GenJetAK8", "GenPart", "GenVisTau"),
)
EVENT_BRANCHES = (
    *("run", "luminosityBlock", "event", "Pileup_nTrueInt", "Pileup_nPU", "fixedGridRho", "Rho_", "PV_"),
    *("GenMET_", "MET_", "PuppiMET_", "RawMET_", "RawPuppiMET_", "PFMET_", "RawPFMET_", "SoftActivityJet"),
)
"""Beginnings of the names of branches of one number for each event."""


@dataclass(frozen=True)
class WholeEvents:
    """Events of a NanoAOD file.

    Parameters
    ----------
    events
        Number of events E.
    collections
        Objects by name of their collection, those that the file has.
    values
        Branches of one number for each event, by name, shapes (E,).
    """

    events: int
    collections: dict[str, Collection]
    values: dict[str, NDArray[Any]]

    def __getitem__(self, name: str) -> Collection:
        """Objects of a collection; none if the file does not have it."""
        return self.collections.get(name, Collection(np.zeros(self.events + 1, dtype=np.int64), {}))

    def take(self, rows: NDArray[np.int64]) -> WholeEvents:
        """Events by row, in any order and as often as named."""
        return WholeEvents(
            len(rows),
            {name: _taken(objects, rows) for name, objects in self.collections.items()},
            {name: column[rows] for name, column in self.values.items()},
        )

    @classmethod
    def joined(cls, samples: Sequence[WholeEvents]) -> WholeEvents:
        """Put the events of samples one after the other; what not all have is left out."""
        first = samples[0]
        collections = {}
        for name in (n for n in first.collections if all(n in sample.collections for sample in samples)):
            parts = [sample.collections[name] for sample in samples]
            fields = [f for f in parts[0].columns if all(f in part.columns for part in parts)]
            columns = {f: np.concatenate([part[f] for part in parts]) for f in fields}
            counts = np.concatenate([part.counts for part in parts])
            collections[name] = Collection.of_counts(counts, columns)
        values = {
            name: np.concatenate([sample.values[name] for sample in samples])
            for name in first.values
            if all(name in sample.values for sample in samples)
        }
        return cls(sum(sample.events for sample in samples), collections, values)

    def value(self, *names: str) -> NDArray[np.float64] | None:
        """Look up the first of some event quantities that is there, shape (E,)."""
        found = next((name for name in names if name in self.values), None)
        return None if found is None else np.asarray(self.values[found], dtype=np.float64)


def read_whole_events(
    path: str | Path, collections: Sequence[str] = COLLECTIONS, *, stop: int | None = None
) -> WholeEvents:
    """Read objects and event quantities of a NanoAOD file; taggers as v9 has them if it is older.

    Parameters
    ----------
    path
        The file.
    collections
        Names of the collections that are read, as far as the file has them.
    stop
        Event after the last; by default all are read.

    Raises
    ------
    InputFileError
        If the file is damaged or no NanoAOD.
    """
    prefixes = tuple(f"{name}_" for name in collections)
    with NanoFile(path) as file:
        wanted = [name for name in file.branches if name.startswith((*prefixes, *EVENT_BRANCHES))]
        branches = file.read(wanted, stop=stop)
    found = {}
    for name in collections:
        fields = [branch for branch in wanted if branch.startswith(f"{name}_") and branches[branch].ndim > 1]
        if fields:
            columns = [field.removeprefix(f"{name}_") for field in fields]
            objects = Collection.of_branches(branches, name, columns)
            found[name] = Collection(objects.offsets, {k: _wide(v) for k, v in objects.columns.items()})
    if "Jet" in found:
        found["Jet"].columns.update(_newer_taggers(found["Jet"].columns))
    if "SV" in found and np.isnan(found["SV"].columns.get("pAngle", np.zeros(1))).any():
        # NanoAODv5 has another angle there, of which a third is not a number.
        del found["SV"].columns["pAngle"]
    values = {name: _wide(ak.to_numpy(array)) for name, array in branches.items() if array.ndim == 1}
    events = len(values["event"])
    _guard_indices(found, events, collections)
    return WholeEvents(events, found, values)


def _taken(objects: Collection, rows: NDArray[np.int64]) -> Collection:
    counts = objects.counts[rows]
    starts = np.repeat(objects.offsets[rows] - np.concatenate(([0], np.cumsum(counts)[:-1])), counts)
    inside = starts + np.arange(counts.sum())
    return Collection.of_counts(counts, {name: column[inside] for name, column in objects.columns.items()})


def _wide(values: NDArray[Any]) -> NDArray[Any]:
    return values.astype(np.float64 if values.dtype.kind == "f" else np.int64)


def _guard_indices(collections: Mapping[str, Collection], events: int, asked: Sequence[str]) -> None:
    """Replace by -1 the indices beyond those collections that were asked for: NanoAODv5 has some."""
    targets = {"genJetIdx": "GenJet", "genPartIdx": "GenPart", "genJetAK8Idx": "GenJetAK8", "jetIdx": "Jet"}
    for objects in collections.values():
        for field, target in targets.items():
            if field in objects.columns and target in asked:
                counts = (
                    collections[target].counts if target in collections else np.zeros(events, dtype=np.int64)
                )
                index = objects[field]
                objects.columns[field] = np.where(index < counts[objects.event_rows], index, -1)


def _newer_taggers(jets: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """NanoAOD v9's c taggers from the probabilities that older versions store."""
    columns = {}
    for tagger, name in (("btagDeepFlav", "DeepFlav"), ("btagDeep", "Deep")):
        if f"btag{name}C" not in jets:
            continue
        b, c = jets[f"{tagger}B"], jets[f"{tagger}C"]
        undefined = b < 0
        columns[f"{tagger}B"] = np.where(undefined, -1.0, b)
        columns[f"{tagger}CvL"] = np.where(undefined, -1.0, c / np.maximum(1.0 - b, 1e-6))
        columns[f"{tagger}CvB"] = np.where(undefined, -1.0, c / np.maximum(b + c, 1e-6))
    return columns
