"""Features of jets: what taggers learn from constituents, tracks and secondary vertices.

They are those of CMS's taggers (DeepJet, arXiv:2008.10519; DeepCSV, arXiv:1712.07158; the quark-gluon
likelihood, CMS-PAS-JME-13-002; pileup jet identification, CMS-PAS-JME-18-001), for a fixed number of tracks
and vertices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.events.angles import wrap_angle
from flashsim.reference.objects.clustering import Clustered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from flashsim.events.collection import Collection
    from flashsim.reference.flow.recorded import Recorded

    Floats = NDArray[np.float64]

__all__ = ["LEPTON", "SHAPE", "TRACKS", "VERTEX", "jet_features", "with_members"]

_RINGS, _HARD, _TRACKS, _VERTICES = 4, 3, 6, 2
_HARD_FIELDS = ("share", "r", "charged")
_TRACK_FIELDS = ("sip2d", "sip3d", "ip", "share", "r", "ptRel", "pixels")
_VERTEX_FIELDS = ("significance", "length", "mass", "share", "r", "tracks")
_LEPTON_FIELDS = ("share", "ptRel", "sip3d", "r")
_LIMITS = (2, 4, 8)
_LEAST = 1e-9
_LEAST_PT, _LARGEST_DZ = 0.5, 0.5  # of tracks: GeV, and cm from the primary vertex


def _numbered(name: str, number: int, fields: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{name}{k}_{field}" for field in fields for k in range(number))


SHAPE = (
    *("logPt", "absEta", "charged", "photons", "neutrals", "all", "ptD", "axis1", "axis2", "meanR2", "pull"),
    *("chargedShare", "photonShare", "neutralShare", "electronShare", "muonShare"),
    *("vertexShare", "puppiShare"),
    *("coreTracks", "coreCharge", "coreCharged", "corePhotons", "coreMass"),
    *(f"ring{k}" for k in range(_RINGS)),
    *_numbered("hard", _HARD, _HARD_FIELDS),
)
"""Names of what needs no impact parameters; axes as minus the logarithm of the widths."""

TRACKS = (
    *(f"displaced{limit}" for limit in _LIMITS),
    *("displacedShare", "displacedMass", "displacement"),
    *_numbered("track", _TRACKS, _TRACK_FIELDS),
)
"""Names of what is of tracks: signed impact parameters, by falling significance."""

VERTEX = ("vertices", *_numbered("vertex", _VERTICES, _VERTEX_FIELDS))
"""Names of what is of secondary vertices within the jet, by falling significance of their flight."""

LEPTON = tuple(f"{kind}_{name}" for kind in ("muon", "electron") for name in _LEPTON_FIELDS)
"""Names of what is of the hardest muon and electron."""


def jet_features(
    recorded: Recorded, jets: Clustered, weights: Floats, vertices: Collection, *, radius: float = 0.4
) -> dict[str, NDArray[np.float32]]:
    """Features of jets by name, each of shape (N,).

    Parameters
    ----------
    recorded
        The events.
    jets
        With pt and eta, and their members.
    weights
        With which candidates, shape (C,), are part of jets: 1, or PUPPI weights.
    vertices
        Secondary vertices: pt, eta, phi, mass, dlen, dlenSig, ntracks.
    radius
        Of the jets.
    """
    number, owner = len(jets.objects), jets.jet_of_member
    inside = {name: column[jets.members] for name, column in recorded.candidates.columns.items()}
    inside["weight"] = weights[jets.members]
    inside["pixels"] = np.append(recorded.tracks["pixelHits"], 0)[inside["track"]]
    axis = _Axis(inside, owner, number)
    event = jets.objects.event_rows
    features: dict[str, Any] = {
        "logPt": np.log(np.maximum(jets.objects["pt"], 1.0)),
        "absEta": np.abs(jets.objects["eta"]),
        "pt": jets.objects["pt"],
        "eta": jets.objects["eta"],
        "rawFactor": jets.objects["rawFactor"],
        "rho": recorded.rho["FastjetAll"][event],
        "npv": recorded.vertices.counts[event],
        **_shape(inside, axis, radius),
        **_tracks(inside, axis),
        **_vertices(vertices, jets.objects, axis, radius),
    }
    return {name: np.asarray(column, dtype=np.float32) for name, column in features.items()}


def with_members(subjets: Collection, fat: Clustered, candidates: Collection) -> Clustered:
    """Subjets with the candidates of their fat jets that are nearer to them than to the other subjet.

    Parameters
    ----------
    subjets
        With eta and phi.
    fat
        With ``subJetIdx1`` and ``subJetIdx2``, rows of subjets or -1.
    candidates
        Of the events.
    """
    eta, phi = candidates["eta"][fat.members], candidates["phi"][fat.members]
    rows = np.stack([fat.objects[name][fat.jet_of_member] for name in ("subJetIdx1", "subJetIdx2")])
    has = rows.min(axis=0) >= 0
    rows, eta, phi, members = rows[:, has], eta[has], phi[has], fat.members[has]
    distance = (subjets["eta"][rows] - eta) ** 2 + wrap_angle(subjets["phi"][rows] - phi) ** 2
    owner = np.where(distance[0] <= distance[1], rows[0], rows[1])
    order = np.argsort(owner, kind="stable")
    offsets = np.concatenate(([0], np.cumsum(np.bincount(owner, minlength=len(subjets)))))
    return Clustered(subjets, offsets, members[order])


class _Axis:
    """Axes of jets, and where their members are from there."""

    def __init__(self, inside: Mapping[str, NDArray[Any]], owner: NDArray[np.int64], number: int) -> None:
        self.owner, self.number = owner, number
        phi, across = inside["phi"], inside["pt"] * inside["weight"]
        self.total = np.maximum(self.sum(across), _LEAST)
        x, y, z = (self.sum(across * f) for f in (np.cos(phi), np.sin(phi), np.sinh(inside["eta"])))
        size = np.maximum(np.hypot(x, y), _LEAST)
        self.eta, self.phi = np.arcsinh(z / size), np.arctan2(y, x)
        self.direction = np.stack((x, y, z)) / np.hypot(size, z)
        self.share = across / self.total[owner]
        self.off = inside["eta"] - self.eta[owner]
        self.turn = wrap_angle(phi - self.phi[owner])
        self.r = np.hypot(self.off, self.turn)
        along = np.sum(_direction(inside) * self.direction[:, owner], axis=0)
        self.pt_rel = inside["pt"] * np.cosh(inside["eta"]) * np.sqrt(np.maximum(1.0 - along**2, 0.0))

    def sum(self, values: NDArray[Any]) -> Floats:
        """Sum over the members of each jet, shape (N,)."""
        return np.bincount(self.owner, values, minlength=self.number).astype(np.float64)


def _direction(members: Mapping[str, NDArray[Any]]) -> Floats:
    phi, slope = members["phi"], np.sinh(members["eta"])
    return np.stack((np.cos(phi), np.sin(phi), slope)) / np.hypot(1.0, slope)


def _log(values: NDArray[Any]) -> Floats:
    """Logarithm of a size with its sign, linear near 0."""
    return np.copysign(np.log1p(np.abs(values)), values)


def _first(
    owner: NDArray[np.int64],
    key: NDArray[Any],
    columns: tuple[NDArray[Any], ...],
    count: int,
    number: int,
    *,
    empty: float = 0.0,
) -> Floats:
    """Columns of the members with the largest keys of each jet, shape (columns * count, number)."""
    order = np.lexsort((-key, owner))
    jet = owner[order]
    rank = np.arange(len(order)) - np.searchsorted(jet, jet)
    kept = rank < count
    found = np.full((len(columns), count, number), empty)
    found[:, rank[kept], jet[kept]] = np.stack(columns)[:, order[kept]]
    return found.reshape(len(columns) * count, number)


def _mass(inside: Mapping[str, NDArray[Any]], axis: _Axis, chosen: NDArray[np.bool_]) -> Floats:
    """Logarithm of 1 and the mass of some of the members."""
    momentum = inside["pt"] * inside["weight"] * chosen
    phi = inside["phi"]
    parts = [axis.sum(momentum * f) for f in (np.cos(phi), np.sin(phi), np.sinh(inside["eta"]))]
    squared = axis.sum(inside["energy"] * inside["weight"] * chosen) ** 2 - np.sum(np.square(parts), axis=0)
    return np.log1p(np.sqrt(np.maximum(squared, 0.0)))


def _shape(inside: Mapping[str, NDArray[Any]], axis: _Axis, radius: float) -> dict[str, Floats]:
    code, charged = np.abs(inside["pdgId"]), inside["charge"] != 0
    photon = (code == 22) | (code == 2)  # PDG numbers
    neutral = ~charged & ~photon
    share, core = axis.share, axis.r < 0.25 * radius
    squares = axis.sum(share**2)
    safe = np.maximum(squares, _LEAST)
    eta2, phi2, both = (
        axis.sum(share**2 * f) / safe for f in (axis.off**2, axis.turn**2, axis.off * axis.turn)
    )
    half, spread = 0.5 * (eta2 + phi2), np.sqrt(0.25 * (eta2 - phi2) ** 2 + both**2)
    hard = _first(axis.owner, share, (share, axis.r, charged), _HARD, axis.number)
    core_track = core & charged & (inside["pt"] > 1.0)
    ring = np.minimum(axis.r / radius * _RINGS, _RINGS - 1).astype(np.int64)
    return {
        "charged": np.log1p(axis.sum(charged)),
        "photons": np.log1p(axis.sum(photon)),
        "neutrals": np.log1p(axis.sum(neutral)),
        "all": np.log1p(axis.sum(charged | True)),
        "ptD": np.sqrt(squares),
        "axis1": -np.log(np.sqrt(np.maximum(half + spread, 0.0)) + 1e-3),
        "axis2": -np.log(np.sqrt(np.maximum(half - spread, 0.0)) + 1e-3),
        "meanR2": eta2 + phi2,
        "pull": np.hypot(axis.sum(share * axis.r * axis.off), axis.sum(share * axis.r * axis.turn)),
        "chargedShare": axis.sum(share * charged),
        "photonShare": axis.sum(share * photon),
        "neutralShare": axis.sum(share * neutral),
        "electronShare": axis.sum(share * (code == 11)),
        "muonShare": axis.sum(share * (code == 13)),
        "vertexShare": axis.sum(share * charged * (inside["fromPV"] > 1)),
        "puppiShare": axis.sum(share * inside["puppi"]),
        "coreTracks": axis.sum(core_track),
        "coreCharge": axis.sum(core_track * inside["charge"]),
        "coreCharged": axis.sum(share * core * charged),
        "corePhotons": axis.sum(share * core * photon),
        "coreMass": _mass(inside, axis, core),
        **{f"ring{k}": axis.sum(share * (ring == k)) for k in range(_RINGS)},
        **dict(zip(_numbered("hard", _HARD, _HARD_FIELDS), hard, strict=True)),
    }


def _tracks(inside: Mapping[str, NDArray[Any]], axis: _Axis) -> dict[str, Floats]:
    """Impact parameters: positive where the track crosses the axis downstream of the primary vertex."""
    owner, number = axis.owner, axis.number
    dxy, dz, phi = inside["dxy"], inside["dz"], inside["phi"]
    charged = (inside["charge"] != 0) & (inside["dxyErr"] > 0)
    good = charged & (inside["pt"] > _LEAST_PT) & (np.abs(dz) < _LARGEST_DZ)
    along = _direction(inside)
    place = np.stack((-dxy * np.sin(phi), dxy * np.cos(phi), dz))
    place -= along * np.sum(along * place, axis=0)  # what lies along the track is no distance
    distance = np.maximum(np.sqrt(np.sum(place**2, axis=0)), _LEAST)
    cosine = np.hypot(along[0], along[1])
    error = np.hypot(dxy * inside["dxyErr"], dz * cosine**2 * inside["dzErr"]) / distance
    sign = np.where(np.sum(place * axis.direction[:, owner], axis=0) > 0, 1.0, -1.0)
    space = np.where(good, sign * distance / np.maximum(error, 1e-6), 0.0)
    flat = np.where(dxy * np.sin(axis.phi[owner] - phi) > 0, 1.0, -1.0) * np.abs(dxy)
    flat /= np.maximum(inside["dxyErr"], 1e-6)
    far = good & (space > 3.0) & (distance < 2.0)
    columns = (
        *(_log(flat), _log(space), _log(100.0 * sign * distance), np.log(axis.share + 1e-3), axis.r),
        *(np.log1p(axis.pt_rel), inside["pixels"]),
    )
    tracks = _first(owner[good], flat[good], tuple(c[good] for c in columns), _TRACKS, number, empty=-3.0)
    selected = good & (inside["pt"] > 1.0) & (axis.r < 0.3) & (np.abs(dxy) < 0.2)  # DeepCSV's
    features = (
        {
            "goodTracks": axis.sum(selected),
            "chargedCount": axis.sum(charged),
        }
        | {f"displaced{limit}": axis.sum(space > limit) for limit in _LIMITS}
        | {
            "displacedShare": axis.sum(axis.share * far),
            "displacedMass": _mass(inside, axis, far),
            "displacement": axis.sum(axis.share * np.clip(space, 0.0, 20.0)),
            **dict(zip(_numbered("track", _TRACKS, _TRACK_FIELDS), tracks, strict=True)),
        }
    )
    for kind, code in (("muon", 13), ("electron", 11)):
        chosen = np.abs(inside["pdgId"]) == code
        of_lepton = (axis.share[chosen], np.log1p(axis.pt_rel[chosen]), _log(space[chosen]), axis.r[chosen])
        lepton = _first(owner[chosen], inside["pt"][chosen], of_lepton, 1, number)
        features |= {f"{kind}_{name}": lepton[k] for k, name in enumerate(_LEPTON_FIELDS)}
    return features


def _vertices(vertices: Collection, jets: Collection, axis: _Axis, radius: float) -> dict[str, Floats]:
    counts = vertices.counts[jets.event_rows]
    jet = np.repeat(np.arange(axis.number), counts)
    row = np.arange(len(jet)) - np.repeat(np.cumsum(counts) - counts, counts)
    row += np.repeat(vertices.offsets[jets.event_rows], counts)
    r = np.hypot(vertices["eta"][row] - axis.eta[jet], wrap_angle(vertices["phi"][row] - axis.phi[jet]))
    near = r < radius
    jet, row, r = jet[near], row[near], r[near]
    found = {name: vertices[name][row] for name in ("pt", "mass", "dlen", "dlenSig", "ntracks")}
    columns = (
        *(_log(found["dlenSig"]), _log(found["dlen"]), _log(found["mass"])),
        *(found["pt"] / axis.total[jet], r, found["ntracks"]),
    )
    best = _first(jet, found["dlenSig"], columns, _VERTICES, axis.number)
    names = _numbered("vertex", _VERTICES, _VERTEX_FIELDS)
    return {
        "vertices": np.bincount(jet, minlength=axis.number),
        **dict(zip(names, best, strict=True)),
    }
