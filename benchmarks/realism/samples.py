"""The two samples that are compared: a NanoAOD file of CMS, and what a detector makes of gen-level events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import uproot

from flashsim.events.collection import Collection
from flashsim.reference.detector.parameters import load_detector
from flashsim.reference.detector.reconstruction import reconstruct
from flashsim.reference.detector.truth import GEN_BRANCHES, HIDDEN_BRANCHES, Noise, read_truth

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import awkward as ak
    from numpy.typing import NDArray

__all__ = ["Sample", "real_sample", "reference_sample"]

_GEN_JET = ("pt", "eta", "phi", "mass", "partonFlavour", "hadronFlavour")
_PARTICLE = ("pt", "eta", "phi", "pdgId", "status", "statusFlags")
_LEPTONS = ("Muon", "Electron")
_IS_PROMPT = 1


@dataclass(frozen=True)
class Sample:
    """Objects of E events.

    Parameters
    ----------
    jets, muons, electrons
        Reconstructed objects; ``genJetIdx`` and ``genPartIdx`` are indices in the event, or -1.
    gen_jets, particles
        GenJet and GenPart.
    leptons
        Stable prompt electrons and muons among the particles.
    """

    jets: Collection
    muons: Collection
    electrons: Collection
    gen_jets: Collection
    particles: Collection
    leptons: Collection

    @property
    def events(self) -> int:
        """Number of events."""
        return self.jets.events


def real_sample(path: Path) -> Sample:
    """Read the objects of a NanoAOD file; taggers as NanoAOD v9 has them if it is an older one."""
    with uproot.open(path) as file:
        tree = file["Events"]
        wanted = tuple(f"{name}_" for name in ("Jet", *_LEPTONS, "GenJet", "GenPart"))
        names = [name for name in tree.keys() if name.startswith(wanted)]  # noqa: SIM118
        branches = {name: tree[name].array() for name in names}
    jets = _collection("Jet", _fields("Jet", branches), branches)
    jets.columns.update(_newer_taggers(jets.columns))
    leptons = [_collection(name, _fields(name, branches), branches) for name in _LEPTONS]
    return _sample(jets, leptons, branches)


def reference_sample(folder: Path, detector: str | Path, events: int, seed: int) -> Sample:
    """Pass gen-level events of a folder, ``gen.root`` and ``hidden.root``, through a detector."""
    branches = {}
    for name, wanted in (("gen", {*GEN_BRANCHES, *_gen_branches()}), ("hidden", set(HIDDEN_BRANCHES))):
        with uproot.open(folder / f"{name}.root") as file:
            tree = file["Events"]
            branches[name] = {branch: tree[branch].array(entry_stop=events) for branch in sorted(wanted)}
    truth = read_truth(branches["gen"], branches["hidden"])
    objects, _ = reconstruct(truth, Noise(seed, "full"), load_detector(detector))
    return _sample(objects["Jet"], [objects[name] for name in _LEPTONS], branches["gen"])


def _gen_branches() -> list[str]:
    return [*(f"GenJet_{field}" for field in _GEN_JET), *(f"GenPart_{field}" for field in _PARTICLE)]


def _sample(jets: Collection, found: Iterable[Collection], branches: Mapping[str, ak.Array]) -> Sample:
    gen_jets = _collection("GenJet", _GEN_JET, branches)
    particles = _collection("GenPart", _PARTICLE, branches)
    jets.columns["genJetIdx"] = _guarded(jets, jets["genJetIdx"], gen_jets)
    muons, electrons = found
    for leptons_found in (muons, electrons):
        leptons_found.columns["genPartIdx"] = _guarded(leptons_found, leptons_found["genPartIdx"], particles)
    is_lepton = np.isin(np.abs(particles["pdgId"]), (11, 13)) & (particles["status"] == 1)
    leptons = particles.select(is_lepton & ((particles["statusFlags"] & _IS_PROMPT) > 0))
    return Sample(jets, muons, electrons, gen_jets, particles, leptons)


def _guarded(objects: Collection, index: NDArray[Any], target: Collection) -> NDArray[np.int64]:
    """Replace by -1 the indices beyond the collection: NanoAODv5 has some."""
    number = target.counts[objects.event_rows]
    return np.where(index < number, index, -1).astype(np.int64)


def _fields(collection: str, branches: Iterable[str]) -> list[str]:
    prefix = f"{collection}_"
    return [name.removeprefix(prefix) for name in branches if name.startswith(prefix)]


def _collection(name: str, fields: Iterable[str], branches: Mapping[str, ak.Array]) -> Collection:
    found = Collection.of_branches(branches, name, fields)
    columns = {
        field: values.astype(np.float64 if values.dtype.kind == "f" else np.int64)
        for field, values in found.columns.items()
    }
    return Collection(found.offsets, columns)


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
