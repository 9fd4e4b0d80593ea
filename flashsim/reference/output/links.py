"""Cross references between objects, as CMS makes them: objects that share particle-flow candidates.

The rules are those of CMSSW's ``PhysicsTools/NanoAOD`` (``PATObjectCrossLinker``, ``LeptonJetVarProducer``,
``NanoAODSimpleCrossCleaner``). Collections are in the order of the file, so that the first jet of those that
share a candidate is the hardest. References are rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.events.angles import wrap_angle
from flashsim.events.collection import Collection

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from flashsim.reference.objects.clustering import Clustered

    Integers = NDArray[np.int64]
    Floats = NDArray[np.float64]

__all__ = [
    "Momenta",
    "clean_marks",
    "lepton_jets",
    "link_clusters",
    "link_jets",
    "link_radiated",
    "link_vertices",
]

_CONE = 0.4
_FROM_VERTEX = 2
_TRACK_PT, _LAYERS, _PIXEL_HITS, _CHI2, _DXY, _DZ = 1.0, 8, 2, 5.0, 0.2, 17.0
_LEAST_MOMENTUM = 1e-4
_LEPTONS = ("Muon", "Electron")


@dataclass(frozen=True)
class Momenta:
    """Four-momenta: Cartesian components in GeV, each of shape (N,)."""

    x: Floats
    y: Floats
    z: Floats
    energy: Floats

    @classmethod
    def of(cls, objects: Collection, scale: Floats | float = 1.0) -> Momenta:
        """Momenta of objects with pt, eta, phi and mass, times a number."""
        pt, eta, phi, mass = (objects[name].astype(np.float64) for name in ("pt", "eta", "phi", "mass"))
        x, y, z = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)
        energy = np.sqrt(x**2 + y**2 + z**2 + mass**2)
        return cls(scale * x, scale * y, scale * z, scale * energy)

    def plus(self, other: Momenta, factor: Floats | float = 1.0) -> Momenta:
        """Sum with others, times a number."""
        return Momenta(
            self.x + factor * other.x,
            self.y + factor * other.y,
            self.z + factor * other.z,
            self.energy + factor * other.energy,
        )

    def times(self, factor: Floats) -> Momenta:
        """Multiplied with numbers, shape (N,)."""
        return Momenta(factor * self.x, factor * self.y, factor * self.z, factor * self.energy)

    def at(self, rows: Integers) -> Momenta:
        """Those at some rows."""
        return Momenta(self.x[rows], self.y[rows], self.z[rows], self.energy[rows])

    @property
    def pt(self) -> Floats:
        """Transverse momentum, shape (N,)."""
        return np.hypot(self.x, self.y)

    @property
    def momentum(self) -> Floats:
        """Magnitude of the momentum, shape (N,)."""
        return np.sqrt(self.x**2 + self.y**2 + self.z**2)

    def across(self, axis: Momenta) -> Floats:
        """Component transverse to the momentum of an axis, shape (N,)."""
        along = self.x * axis.x + self.y * axis.y + self.z * axis.z
        along /= np.maximum(axis.momentum, _LEAST_MOMENTUM)
        return np.sqrt(np.maximum(self.momentum**2 - along**2, 0.0))


def jet_of_candidates(jets: Clustered, candidates: int) -> Integers:
    """Row of the hardest jet that each candidate is in, or -1, shape (`candidates`,)."""
    owner = np.full(candidates, -1, dtype=np.int64)
    owner[jets.members[::-1]] = jets.jet_of_member[::-1]
    return owner


def link_jets(
    collections: Mapping[str, Collection], jets: Clustered, candidates: Collection
) -> dict[str, Collection]:
    """Add ``jetIdx`` to leptons, photons and taus, and what the jets point back with.

    Parameters
    ----------
    collections
        By name, with ``Jet`` among them; objects have ``_candidate``, the row of their candidate or -1.
    jets
        The same jets with their candidates.
    candidates
        Of the events.
    """
    owner = np.append(jet_of_candidates(jets, len(candidates)), -1)
    linked = dict(collections)
    back: dict[str, NDArray[Any]] = {}
    for name in ("Muon", "Electron", "Photon", "Tau"):
        if name not in linked or "_candidate" not in linked[name].columns:
            continue
        objects = linked[name]
        rows = owner[objects["_candidate"].astype(np.int64)]
        linked[name] = Collection(objects.offsets, objects.columns | {"jetIdx": rows})
        if name in _LEPTONS:
            first, counts = _first_of(rows, len(jets.objects), 2)
            field = name.lower()
            back |= {f"{field}Idx1": first[:, 0], f"{field}Idx2": first[:, 1], f"n{name}s": counts}
    linked["Jet"] = Collection(linked["Jet"].offsets, linked["Jet"].columns | back)
    return linked


def link_vertices(
    collections: Mapping[str, Collection], vertices: Clustered, jets: Clustered, candidates: Collection
) -> dict[str, Collection]:
    """Add ``svIdx`` and ``nSVs`` of objects that share a candidate with a secondary vertex.

    Parameters
    ----------
    collections, jets, candidates
        As for `link_jets`.
    vertices
        Secondary vertices with the candidates of their tracks.
    """
    owner = np.append(jet_of_candidates(vertices, len(candidates)), -1)
    linked = dict(collections)
    for name in _LEPTONS:
        if name in linked and "_candidate" in linked[name].columns:
            rows = owner[linked[name]["_candidate"].astype(np.int64)]
            linked[name] = Collection(linked[name].offsets, linked[name].columns | {"svIdx": rows})
    jet = np.append(jet_of_candidates(jets, len(candidates)), -1)[vertices.members]
    pairs = np.unique(np.stack([jet, vertices.jet_of_member], axis=1)[jet >= 0], axis=0)
    first, counts = _first_of(pairs[:, 0], len(jets.objects), 2)
    rows = np.append(pairs[:, 1], -1)[first]
    columns = {"svIdx1": rows[:, 0], "svIdx2": rows[:, 1], "nSVs": counts}
    linked["Jet"] = Collection(linked["Jet"].offsets, linked["Jet"].columns | columns)
    return linked


def link_clusters(collections: Mapping[str, Collection]) -> dict[str, Collection]:
    """Add ``photonIdx`` and ``electronIdx``: electrons and photons that share a supercluster."""
    electrons, photons = collections["Electron"], collections["Photon"]
    most = max((int(c["_cluster"].max(initial=-1)) for c in (electrons, photons)), default=-1) + 2
    rows = {}
    for name, objects in (("Electron", electrons), ("Photon", photons)):
        rows[name] = np.full(most, -1, dtype=np.int64)
        has = np.flatnonzero(objects["_cluster"] >= 0)[::-1]
        rows[name][objects["_cluster"][has]] = has
    columns = {"photonIdx": rows["Photon"][electrons["_cluster"]]}
    back = {"electronIdx": rows["Electron"][photons["_cluster"]]}
    return {
        **collections,
        "Electron": Collection(electrons.offsets, electrons.columns | columns),
        "Photon": Collection(photons.offsets, photons.columns | back),
    }


def link_radiated(collections: Mapping[str, Collection]) -> dict[str, Collection]:
    """Add ``muonIdx`` and ``electronIdx`` of radiated photons, and ``fsrPhotonIdx`` of the leptons.

    A lepton that radiated several points at the one with the least ``dROverEt2``.
    """
    radiated = collections["FsrPhoton"]
    order = np.argsort(-radiated["dROverEt2"], kind="stable")
    linked = dict(collections)
    columns = dict(radiated.columns)
    for name, field in (("Muon", "_muon"), ("Electron", "_electron")):
        lepton = radiated[field]
        back = np.full(len(linked[name]), -1, dtype=np.int64)
        has = order[lepton[order] >= 0]
        back[lepton[has]] = has
        linked[name] = Collection(linked[name].offsets, linked[name].columns | {"fsrPhotonIdx": back})
        columns[f"{name.lower()}Idx"] = lepton
    linked["FsrPhoton"] = Collection(radiated.offsets, columns)
    return linked


def _first_of(owners: Integers, number: int, most: int) -> tuple[Integers, Integers]:
    """Places of the first `most` that name each of `number` owners, or -1, and how many do."""
    named = np.flatnonzero(owners >= 0)
    named = named[np.argsort(owners[named], kind="stable")]
    counts = np.bincount(owners[named], minlength=number)
    starts = np.cumsum(counts) - counts
    first = np.full((number, most), -1, dtype=np.int64)
    for rank in range(most):
        has = counts > rank
        first[has, rank] = named[starts[has] + rank]
    return first, counts


def lepton_jets(
    leptons: Collection, jets: Clustered, candidates: Collection, tracks: Collection, isolation: Floats
) -> dict[str, NDArray[Any]]:
    """Relations of leptons to the jets that they are in.

    Parameters
    ----------
    leptons
        With momentum and ``_candidate``.
    jets
        Also those too soft for the file, with ``rawFactor``, ``btagDeepFlavB`` if there is one, and ``_l1``,
        the factor of the pileup correction alone, by default 1.
    candidates, tracks
        Of the events.
    isolation
        What ``jetRelIso`` is without a jet, shape (N,).

    Returns
    -------
    ``jetRelIso``, ``jetPtRelv2``, ``jetNDauCharged`` and ``jetDF``, shape (N,).
    """
    owner = np.append(jet_of_candidates(jets, len(candidates)), -1)
    row = owner[leptons["_candidate"].astype(np.int64)]
    has = np.flatnonzero(row >= 0)
    inside = row[has]
    columns: dict[str, NDArray[Any]] = {
        "jetRelIso": isolation.astype(np.float64),
        "jetPtRelv2": np.zeros(len(row)),
        "jetNDauCharged": np.zeros(len(row), dtype=np.int64),
        "jetDF": np.zeros(len(row)),
    }
    ratio, across = _ratio_and_across(Momenta.of(leptons).at(has), jets.objects, inside)
    columns["jetRelIso"][has] = 1.0 / ratio - 1.0
    columns["jetPtRelv2"][has] = across
    columns["jetNDauCharged"][has] = _charged_near(leptons, has, inside, jets, candidates, tracks)
    if "btagDeepFlavB" in jets.objects.columns:
        columns["jetDF"][has] = np.maximum(jets.objects["btagDeepFlavB"][inside], 0.0)
    return columns


def _ratio_and_across(leptons: Momenta, jets: Collection, rows: Integers) -> tuple[Floats, Floats]:
    """Give the pT of leptons over that of their jets without other pileup, and across the rest of the jet."""
    raw = Momenta.of(jets, 1.0 - jets["rawFactor"].astype(np.float64)).at(rows)
    pileup = jets["_l1"][rows].astype(np.float64) if "_l1" in jets.columns else np.ones(len(rows))
    alone = raw.plus(leptons, -1.0).momentum < _LEAST_MOMENTUM
    rest = raw.plus(leptons, -1.0 / pileup).times(jets["pt"][rows].astype(np.float64) / raw.pt)
    ratio = leptons.pt / np.maximum(rest.plus(leptons).pt, _LEAST_MOMENTUM)
    return np.where(alone, 1.0, ratio), np.where(alone, 0.0, leptons.across(rest))


def _charged_near(
    leptons: Collection,
    has: Integers,
    rows: Integers,
    jets: Clustered,
    candidates: Collection,
    tracks: Collection,
) -> Integers:
    """Count good tracks of a jet that come from the primary vertex and are near the lepton."""
    sizes = np.diff(jets.offsets)[rows]
    lepton = np.repeat(np.arange(len(rows)), sizes)
    place = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    member = jets.members[np.repeat(jets.offsets[rows], sizes) + place]
    track = candidates["track"][member]
    charged = (
        (candidates["charge"][member] != 0) & (candidates["fromPV"][member] >= _FROM_VERTEX) & (track >= 0)
    )
    lepton, member, track = lepton[charged], member[charged], track[charged]
    near = np.hypot(
        candidates["eta"][member] - leptons["eta"][has][lepton],
        wrap_angle(candidates["phi"][member] - leptons["phi"][has][lepton]),
    )
    good = (
        (near <= _CONE)
        & (candidates["pt"][member] > _TRACK_PT)
        & (tracks["layers"][track] >= _LAYERS)
        & (tracks["pixelHits"][track] >= _PIXEL_HITS)
        & (tracks["chi2"][track] < _CHI2)
        & (np.abs(candidates["dxy"][member]) < _DXY)
        & (np.abs(candidates["dz"][member]) < _DZ)
    )
    return np.bincount(lepton[good], minlength=len(rows))


def clean_marks(collections: Mapping[str, Collection]) -> dict[str, Collection]:
    """Add ``cleanmask``: muons of medium identification, and jets without a lepton that has one."""
    marked = dict(collections)
    jet = np.ones(len(collections["Jet"]), dtype=np.bool_)
    for name in ("Muon", "Electron", "Photon", "Tau"):
        if name not in marked:
            continue
        objects = marked[name]
        mark = np.ones(len(objects), dtype=np.bool_)
        if name == "Muon":
            mark = objects["mediumId"].astype(np.bool_)
        if name in _LEPTONS and "jetIdx" in objects.columns:
            rows = objects["jetIdx"]
            jet[rows[(rows >= 0) & mark]] = False
        marked[name] = Collection(objects.offsets, objects.columns | {"cleanmask": mark.astype(np.uint8)})
    marked["Jet"] = Collection(
        marked["Jet"].offsets, marked["Jet"].columns | {"cleanmask": jet.astype(np.uint8)}
    )
    return marked
