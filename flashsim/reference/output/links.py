"""Cross references between objects, as CMS makes them: objects that share particle-flow candidates.

The rules are those of CMSSW's ``PhysicsTools/NanoAOD`` (``PATObjectCrossLinker``, ``LeptonJetVarProducer``,
``NanoAODSimpleCrossCleaner``). Collections are in the order of the file, so that the first jet of those that
share a candidate is the hardest. References are rows; each function adds them to the collections it is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.events.angles import wrap_angle

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.events.collection import Collection
    from flashsim.reference.objects.clustering import Clustered

    Collections = dict[str, Collection]
    Integers = NDArray[np.int64]
    Floats = NDArray[np.float64]

__all__ = [
    "clean_marks",
    "lepton_jets",
    "link_clusters",
    "link_jets",
    "link_radiated",
    "link_taus",
    "link_vertices",
]

_CONE = 0.4
_FROM_VERTEX = 2
_TRACK_PT, _LAYERS, _PIXEL_HITS, _CHI2, _DXY, _DZ = 1.0, 8, 2, 5.0, 0.2, 17.0
_LEAST_MOMENTUM = 1e-4
_LEPTONS = ("Muon", "Electron")
_CLEANED = (*_LEPTONS, "Photon", "Tau")


def link_jets(found: Collections, jets: Clustered, candidates: int) -> None:
    """Add ``jetIdx`` to leptons, photons and taus, and what the jets point back with.

    Parameters
    ----------
    found
        By name, with ``Jet`` among them; the others have ``_candidate``, the row of their candidate or -1.
    jets
        The same jets with their candidates.
    candidates
        Their number.
    """
    owner = _owners(jets, candidates)
    for name in _CLEANED:
        rows = found[name].columns["jetIdx"] = owner[found[name]["_candidate"]]
        if name in _LEPTONS:
            first, counts = _first_two(rows, len(jets.objects))
            field = name.lower()
            found["Jet"].columns.update(
                {f"{field}Idx1": first[0], f"{field}Idx2": first[1], f"n{name}s": counts}
            )


def link_taus(found: Collections, taus: Clustered, candidates: int) -> None:
    """Add ``eleIdx`` and ``muIdx`` of taus: the first lepton that is one of their candidates."""
    owner = _owners(taus, candidates)
    for name, field in (("Electron", "eleIdx"), ("Muon", "muIdx")):
        first, _ = _first_two(owner[found[name]["_candidate"]], len(taus.objects))
        found["Tau"].columns[field] = first[0]


def link_vertices(
    found: Collections, vertices: Clustered, groups: dict[str, Clustered], candidates: int
) -> None:
    """Add ``svIdx`` and ``nSVs`` of leptons, jets and taus that share a candidate with a secondary vertex.

    `vertices` come with the candidates of their tracks: ``nSVs`` counts all of them, as CMS does, indices are
    among those that are ``_stored``. `groups` are jets and taus with their candidates, by collection.
    """
    stored = vertices.select(vertices.objects["_stored"])
    owner = _owners(stored, candidates)
    for name in _LEPTONS:
        found[name].columns["svIdx"] = owner[found[name]["_candidate"]]
    for name, group in groups.items():
        owner = _owners(group, candidates)
        (_, counts), (first, _) = (
            _vertices_of(owner[some.members], some, len(group.objects)) for some in (vertices, stored)
        )
        found[name].columns.update({"svIdx1": first[0], "svIdx2": first[1], "nSVs": counts})


def _vertices_of(owners: Integers, vertices: Clustered, number: int) -> tuple[Integers, Integers]:
    """Rows of the first two vertices of each of `number` objects, or -1, shape (2, N), and their number."""
    pairs = np.unique(np.stack([owners, vertices.jet_of_member], axis=1)[owners >= 0], axis=0)
    first, counts = _first_two(pairs[:, 0], number)
    return np.append(pairs[:, 1], -1)[first], counts


def link_clusters(found: Collections) -> None:
    """Add ``photonIdx`` and ``electronIdx``: electrons and photons that share a supercluster."""
    electrons, photons = found["Electron"], found["Photon"]
    most = max(int(objects["_cluster"].max(initial=-1)) for objects in (electrons, photons))
    for objects, others, field in ((electrons, photons, "photonIdx"), (photons, electrons, "electronIdx")):
        owner = np.full(most + 2, -1)
        owner[others["_cluster"][::-1]] = np.arange(len(others))[::-1]
        owner[-1] = -1
        objects.columns[field] = owner[objects["_cluster"]]


def link_radiated(found: Collections) -> None:
    """Add ``muonIdx`` and ``electronIdx`` of radiated photons, and ``fsrPhotonIdx`` of the leptons.

    A lepton that radiated several points at the one with the least ``dROverEt2``.
    """
    radiated = found["FsrPhoton"]
    order = np.argsort(-radiated["dROverEt2"], kind="stable")
    for name in _LEPTONS:
        field = name.lower()
        lepton = radiated.columns[f"{field}Idx"] = radiated[f"_{field}"]
        back = np.full(len(found[name]) + 1, -1)
        back[lepton[order]] = order
        found[name].columns["fsrPhotonIdx"] = back[:-1]


def _owners(jets: Clustered, candidates: int) -> Integers:
    """Row of the hardest jet that each candidate is in, or -1; the last one is of the row -1 of none."""
    owner = np.full(candidates + 1, -1)
    owner[jets.members[::-1]] = jets.jet_of_member[::-1]
    return owner


def _first_two(owners: Integers, number: int) -> tuple[Integers, Integers]:
    """Places of the first two that name each of `number` owners, or -1, shape (2, N), and how many do."""
    named = np.flatnonzero(owners >= 0)
    named = named[np.argsort(owners[named], kind="stable")]
    counts = np.bincount(owners[named], minlength=number)
    starts = np.cumsum(counts) - counts
    padded = np.append(named, [-1, -1])
    return np.stack([np.where(counts > rank, padded[starts + rank], -1) for rank in range(2)]), counts


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
        the factor of the pileup correction alone.
    candidates, tracks
        Of the events.
    isolation
        What ``jetRelIso`` is without a jet, shape (N,).

    Returns
    -------
    ``jetRelIso``, ``jetPtRelv2``, ``jetNDauCharged`` and ``jetDF``, shape (N,).
    """
    row = _owners(jets, len(candidates))[leptons["_candidate"]]
    has = np.flatnonzero(row >= 0)
    inside = row[has]
    columns: dict[str, NDArray[Any]] = {
        "jetRelIso": isolation.astype(np.float64),
        "jetPtRelv2": np.zeros(len(row)),
        "jetNDauCharged": np.zeros(len(row), dtype=np.int64),
        "jetDF": np.zeros(len(row)),
    }
    ratio, across = _ratio_and_across(leptons.momenta[:, has], jets.objects, inside)
    columns["jetRelIso"][has] = 1.0 / ratio - 1.0
    columns["jetPtRelv2"][has] = across
    columns["jetNDauCharged"][has] = _charged_near(leptons, has, inside, jets, candidates, tracks)
    if "btagDeepFlavB" in jets.objects.columns:
        columns["jetDF"][has] = np.maximum(jets.objects["btagDeepFlavB"][inside], 0.0)
    return columns


def _ratio_and_across(lepton: Floats, jets: Collection, rows: Integers) -> tuple[Floats, Floats]:
    """Give the pT of leptons over that of their jets without other pileup, and across the rest of the jet."""
    raw_share = 1.0 - jets["rawFactor"][rows]
    raw = jets.momenta[:, rows] * raw_share
    alone = np.linalg.norm(raw - lepton, axis=0) < _LEAST_MOMENTUM
    rest = (raw - lepton / jets["_l1"][rows]) / raw_share
    along = np.sum(lepton * rest, axis=0) / np.maximum(np.linalg.norm(rest, axis=0), _LEAST_MOMENTUM)
    across = np.sqrt(np.maximum(np.sum(lepton**2, axis=0) - along**2, 0.0))
    whole = np.maximum(np.hypot(*(rest + lepton)[:2]), _LEAST_MOMENTUM)
    return np.where(alone, 1.0, np.hypot(*lepton[:2]) / whole), np.where(alone, 0.0, across)


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
    charged = (candidates["fromPV"][member] >= _FROM_VERTEX) & (track >= 0)
    charged &= candidates["charge"][member] != 0
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


def clean_marks(found: Collections) -> None:
    """Add ``cleanmask``: muons of medium identification, and jets without a lepton that has one."""
    marks = {name: np.ones(len(found[name]), dtype=np.uint8) for name in (*_CLEANED, "Jet")}
    marks["Muon"][~found["Muon"]["mediumId"].astype(np.bool_)] = 0
    for name in _LEPTONS:
        rows = found[name]["jetIdx"][marks[name] > 0]
        marks["Jet"][rows[rows >= 0]] = 0
    for name, mark in marks.items():
        found[name].columns["cleanmask"] = mark
