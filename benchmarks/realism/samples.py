"""Samples that are compared: NanoAOD files, whoever made them, as flat columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
import uproot

from flashsim.events.collection import Collection

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["COLLECTIONS", "HALVES", "REAL_FILES", "Sample", "joined", "like", "read_sample"]

REAL_FILES = {
    "v9": ("tt_2018_v5.root", "pfnano_tt_2018.root"),
    "v12": ("tt_2022_v12.root",),
    "v15": ("tt_2024_v15.root",),
}
"""Files of CMS's full simulation that stand for a NanoAOD version; those of v9 have nearly its content."""

HALVES = {"tune": 0, "judge": 1, "both": None}
"""Remainder of the event number by 2 of the events of a half: even to tune with, odd to judge by."""

COLLECTIONS = (
    *("Jet", "Muon", "Electron", "Photon", "Tau", "FatJet", "SubJet", "SV", "FsrPhoton", "SoftActivityJet"),
    *("CorrT1METJet", "OtherPV", "GenJet", "GenJetAK8", "GenPart", "GenVisTau"),
)
_EVENT_BRANCHES = (
    *(
        "event",
        "Pileup_nTrueInt",
        "Pileup_nPU",
        "fixedGridRho",
        "Rho_",
        "PV_",
        "GenMET_",
        "MET_",
        "PuppiMET_",
    ),
    *("RawMET_", "RawPuppiMET_", "PFMET_", "RawPFMET_", "SoftActivityJet"),
)
_LEPTONS, _W, _IS_HARD = (11, 13, 15), 24, 1 << 7
_PILEUP_BIN = 4.0
"""Width of the bins in true interactions that `like` uses."""


@dataclass(frozen=True)
class Sample:
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

    def take(self, rows: NDArray[np.int64]) -> Sample:
        """Events by row, in any order and as often as named."""
        return Sample(
            len(rows),
            {name: _taken(objects, rows) for name, objects in self.collections.items()},
            {name: column[rows] for name, column in self.values.items()},
        )

    def half(self, name: str) -> Sample:
        """Events of a half, a key of `HALVES`."""
        remainder = HALVES[name]
        if remainder is None:
            return self
        return self.take(np.flatnonzero(self.values["event"].astype(np.int64) % 2 == remainder))


def read_sample(path: Path) -> Sample:
    """Read the objects and event quantities of a NanoAOD file; taggers as v9 has them if it is older."""
    with uproot.open(path) as file:
        tree = file["Events"]
        names = list(tree.keys())
        prefixes = tuple(f"{name}_" for name in COLLECTIONS)
        wanted = [name for name in names if name.startswith((*prefixes, *_EVENT_BRANCHES))]
        branches = {name: tree[name].array() for name in wanted}
    collections = {}
    for name in COLLECTIONS:
        fields = [branch for branch in wanted if branch.startswith(f"{name}_") and branches[branch].ndim > 1]
        if fields:
            columns = [field.removeprefix(f"{name}_") for field in fields]
            found = Collection.of_branches(branches, name, columns)
            collections[name] = Collection(found.offsets, {k: _wide(v) for k, v in found.columns.items()})
    if "Jet" in collections:
        collections["Jet"].columns.update(_newer_taggers(collections["Jet"].columns))
    if "SV" in collections and np.isnan(collections["SV"].columns.get("pAngle", np.zeros(1))).any():
        # NanoAODv5 has another angle there, of which a third is not a number.
        del collections["SV"].columns["pAngle"]
    values = {name: _wide(ak.to_numpy(array)) for name, array in branches.items() if array.ndim == 1}
    events = len(values["event"])
    _guard_indices(collections, events)
    return Sample(events, collections, values)


def like(sample: Sample, real: Sequence[Sample], seed: int = 1) -> Sample:
    """Draw as many events so that pileup and decays of W bosons are distributed as in real samples.

    Campaigns have their own pileup, and some files hold only hadronic or semileptonic decays; neither says
    anything of the detector. Events are drawn in proportion to a weight, with one random number for all
    (systematic resampling).

    Parameters
    ----------
    sample
        Simulated events.
    real
        Real samples, all of their events.
    seed
        Of the one random number.
    """
    weights = np.ones(sample.events)
    for classes in (_pileup_class, _leptons_of_w):
        of_sample = classes(sample)
        of_real = np.concatenate([classes(one) for one in real])
        for value in np.unique(of_sample):
            here = of_sample == value
            weights[here] *= np.mean(of_real == value) / np.mean(here)
    if not weights.any():
        message = "no simulated event has the pileup and the W decays of a real one"
        raise ValueError(message)
    edges = np.cumsum(weights) / weights.sum()
    steps = (np.arange(sample.events) + np.random.default_rng(seed).uniform()) / sample.events
    return sample.take(np.minimum(np.searchsorted(edges, steps), sample.events - 1))


def _pileup_class(sample: Sample) -> NDArray[np.int64]:
    return np.floor(sample.values["Pileup_nTrueInt"] / _PILEUP_BIN).astype(np.int64)


def _leptons_of_w(sample: Sample) -> NDArray[np.int64]:
    """Count the charged leptons from W bosons of the hard process, shape (E,)."""
    particles = sample["GenPart"]
    mothers = particles["genPartIdxMother"]
    rows = particles.offsets[particles.event_rows] + np.maximum(mothers, 0)
    of_w = (mothers >= 0) & (np.abs(particles["pdgId"][rows]) == _W)
    leptons = (
        of_w & np.isin(np.abs(particles["pdgId"]), _LEPTONS) & ((particles["statusFlags"] & _IS_HARD) > 0)
    )
    return np.bincount(particles.event_rows[leptons], minlength=sample.events)


def _taken(objects: Collection, rows: NDArray[np.int64]) -> Collection:
    counts = objects.counts[rows]
    starts = np.repeat(objects.offsets[rows] - np.concatenate(([0], np.cumsum(counts)[:-1])), counts)
    inside = starts + np.arange(counts.sum())
    return Collection.of_counts(counts, {name: column[inside] for name, column in objects.columns.items()})


def _wide(values: NDArray[Any]) -> NDArray[Any]:
    return values.astype(np.float64 if values.dtype.kind == "f" else np.int64)


def _guard_indices(collections: Mapping[str, Collection], events: int) -> None:
    """Replace by -1 the indices beyond their collection: NanoAODv5 has some."""
    targets = {"genJetIdx": "GenJet", "genPartIdx": "GenPart", "genJetAK8Idx": "GenJetAK8", "jetIdx": "Jet"}
    for objects in collections.values():
        for field, target in targets.items():
            if field in objects.columns:
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


def joined(parts: Iterable[Mapping[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """Join columns of several samples; a column is made of the samples that have it."""
    together: dict[str, list[NDArray[Any]]] = {}
    for part in parts:
        for name, column in part.items():
            together.setdefault(name, []).append(column)
    return {name: np.concatenate(columns) for name, columns in together.items()}
