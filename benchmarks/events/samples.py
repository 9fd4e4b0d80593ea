"""Whole events of a file, as numbers and spectra."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np

from benchmarks.fidelity.samples import independent
from flashsim.events.collection import Collection
from flashsim.events.neighbours import closest
from flashsim.events.noise import EVENT_IDS, hash_events
from flashsim.nanoaod.reading import NanoFile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from flashsim.models.object_model import ObjectModel

__all__ = ["EventSample"]

_LEPTONS = ("Muon", "Electron")
_HARD_JET, _HARD_LEPTON, _CLEANED_CONE = 30.0, 10.0, 0.4
"""Jets that are counted, and leptons that they are cleaned of, by pT in GeV; the distance between them."""


@dataclass(frozen=True)
class EventSample:
    """Quantities of E events.

    Parameters
    ----------
    identity
        `flashsim.events.noise.event_hash` of each, shape (E,). Samples of several processes can have events
        of one identity. In those made before noise was keyed on gen content, they share their noise; in
        others nothing, and errors that take them for dependent are not smaller than the true ones.
    spectra
        By name, rows of the events and values of what is histogrammed, shape (N,) each.
    columns
        What the classifier is given, shape (E,) each.
    branches
        Branches with one value an event that models per event simulate, shape (E,) each.
    """

    identity: NDArray[np.uint64]
    spectra: dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]
    columns: dict[str, NDArray[np.float64]]
    branches: dict[str, NDArray[Any]]

    @property
    def events(self) -> int:
        """E."""
        return len(self.identity)

    @property
    def unit(self) -> NDArray[np.int64]:
        """Number of what is independent of all else, shape (E,): equal for events of one identity."""
        return independent(self.identity)

    @classmethod
    def read(cls, path: Path, models: Sequence[ObjectModel]) -> EventSample:
        """Read the collections of some models from NanoAOD, and what belongs to whole events."""
        declared = [model.declaration for model in models]
        matches = {d.collection: d.match for d in declared if d.per == "object"}
        single = [name for d in declared if d.per == "event" for name in d.fields()]
        fields = {name: ["pt", "eta", "phi", match] for name, match in matches.items()}
        if "Jet" in fields:
            fields["Jet"] += ["mass"]
        with NanoFile(path) as file:
            single = [name for name in single if file.has(name)]
            wanted = [f"{name}_{field}" for name, of_name in fields.items() for field in of_name]
            arrays = file.read([*wanted, *single, *EVENT_IDS])
        spectra, columns = {}, {}
        for name, match in matches.items():
            pt, number = arrays[f"{name}_pt"], np.asarray(ak.num(arrays[f"{name}_pt"])).astype(np.int64)
            columns[f"n{name}"] = number.astype(np.float64)
            spectra[f"n{name}"] = (np.arange(len(number)), columns[f"n{name}"])
            columns[f"leading {name} pt"] = _nth(pt, 0)
            unmatched = np.asarray(ak.flatten(arrays[f"{name}_{match}"])) < 0
            event = np.repeat(np.arange(len(number)), number)
            for field in ("pt", "eta"):
                values = np.asarray(ak.flatten(arrays[f"{name}_{field}"])).astype(np.float64)
                spectra[f"unmatched {name} {field}"] = (event[unmatched], values[unmatched])
        if "Jet" in fields:
            columns |= _of_jets({field: arrays[f"Jet_{field}"] for field in ("pt", "eta", "phi", "mass")})
            cleaned = _cleaned_jets(arrays, [name for name in _LEPTONS if name in fields])
            columns["nJet cleaned of leptons"] = cleaned
            spectra["nJet cleaned of leptons"] = (np.arange(len(cleaned)), cleaned)
        for branch in {"MET_pt"} & set(single):
            columns[branch] = np.asarray(arrays[branch]).astype(np.float64)
            spectra[branch] = (np.arange(len(columns[branch])), columns[branch])
        identity = hash_events(arrays)
        return cls(identity, spectra, columns, {name: np.asarray(arrays[name]) for name in single})

    @classmethod
    def joined(cls, samples: Sequence[EventSample]) -> EventSample:
        """Put samples one after the other; what not all have is left out."""
        starts = np.cumsum([0, *(sample.events for sample in samples)])[:-1]

        def common(kind: str) -> list[str]:
            return [n for n in getattr(samples[0], kind) if all(n in getattr(s, kind) for s in samples)]

        return cls(
            identity=np.concatenate([sample.identity for sample in samples]),
            spectra={
                n: (
                    np.concatenate(
                        [s.spectra[n][0] + start for s, start in zip(samples, starts, strict=True)]
                    ),
                    np.concatenate([s.spectra[n][1] for s in samples]),
                )
                for n in common("spectra")
            },
            columns={n: np.concatenate([s.columns[n] for s in samples]) for n in common("columns")},
            branches={n: np.concatenate([s.branches[n] for s in samples]) for n in common("branches")},
        )


def _cleaned_jets(arrays: Mapping[str, ak.Array], leptons: Sequence[str]) -> NDArray[np.float64]:
    """Count the hard jets of each event that no hard lepton stands in, shape (E,)."""
    jets = Collection.of_branches(arrays, "Jet", ("pt", "eta", "phi"))
    kept = jets["pt"] > _HARD_JET
    for name in leptons:
        found = Collection.of_branches(arrays, name, ("pt", "eta", "phi"))
        hard = found.select(found["pt"] > _HARD_LEPTON)
        kept &= closest(jets.directions, hard.directions, 1, _CLEANED_CONE)[0] < 0
    return jets.total(kept)


def _nth(values: ak.Array, number: int) -> NDArray[np.float64]:
    """One value an event, -1 where there are fewer."""
    padded = ak.fill_none(ak.pad_none(values, number + 1)[:, number], -1.0)
    return np.asarray(padded).astype(np.float64)


def _of_jets(jets: Mapping[str, ak.Array]) -> dict[str, NDArray[np.float64]]:
    """Scalar sum of pT, second pT, and mass of the two leading jets (-1 where there are fewer)."""
    pt, eta, phi, mass = ([_nth(jets[name], k) for k in (0, 1)] for name in ("pt", "eta", "phi", "mass"))
    energy = sum(
        np.sqrt(np.square(p * np.cosh(e)) + m * np.abs(m)) for p, e, m in zip(pt, eta, mass, strict=True)
    )
    along = sum(p * np.sinh(e) for p, e in zip(pt, eta, strict=True))
    x, y = (sum(p * f(a) for p, a in zip(pt, phi, strict=True)) for f in (np.cos, np.sin))
    squared = np.maximum(energy**2 - along**2 - x**2 - y**2, 0.0)
    return {
        "HT": np.asarray(ak.sum(jets["pt"], axis=1)).astype(np.float64),
        "second Jet pt": pt[1],
        "m_jj": np.where(pt[1] > 0.0, np.sqrt(squared), -1.0),
    }
