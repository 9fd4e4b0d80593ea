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
from flashsim.reference.taggers.tagger import signed_log

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from flashsim.events.collection import Collection
    from flashsim.reference.flow.recorded import Recorded

    Floats = NDArray[np.float64]
    Columns = Mapping[str, NDArray[Any]]

__all__ = ["jet_features", "with_members"]

_RINGS, _HARD, _TRACKS, _VERTICES = 4, 3, 8, 2
_LIMITS = (2, 4, 8)
_LEAST = 1e-9
_LEAST_PT, _LARGEST_DZ = 0.5, 0.5  # of tracks: GeV, and cm from the primary vertex
_MUON, _ELECTRON = 13, 11


def jet_features(
    recorded: Recorded, jets: Clustered, weights: Floats, vertices: Collection, *, radius: float = 0.4
) -> dict[str, NDArray[np.float32]]:
    """Features of jets by name, each of shape (N,).

    Names begin with ``shape``, what needs no impact parameters (axes are minus the logarithm of the widths);
    ``track``, signed impact parameters, by falling significance; ``vertex``, secondary vertices within the
    jet, by falling significance of their flight; ``muon`` and ``electron``, the hardest in it.

    Parameters
    ----------
    recorded
        The events.
    jets
        With pt and eta, and their members.
    weights
        With which candidates, shape (C,), are part of jets: 1, or PUPPI weights.
    vertices
        Secondary vertices: pt, eta, phi, mass, dlen, dlenSig, ntracks, pAngle.
    radius
        Of the jets.
    """
    inside = {name: column[jets.members] for name, column in recorded.candidates.columns.items()}
    inside["weight"] = weights[jets.members]
    inside["pixels"] = np.append(recorded.tracks["pixelHits"], 0)[inside["track"]]
    axis = _Axis(inside, jets.jet_of_member, len(jets.objects))
    event = jets.objects.event_rows
    features: dict[str, Any] = {
        "rawPt": jets.objects["pt"] * (1.0 - jets.objects["rawFactor"]),
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

    def __init__(self, inside: Columns, owner: NDArray[np.int64], number: int) -> None:
        self.owner, self.number = owner, number
        phi, slope, across = inside["phi"], np.sinh(inside["eta"]), inside["pt"] * inside["weight"]
        self.momenta = np.stack((across * np.cos(phi), across * np.sin(phi), across * slope))
        self.energy = inside["energy"] * inside["weight"]
        self.total = np.maximum(self.sum(across), _LEAST)
        x, y, z = (self.sum(momentum) for momentum in self.momenta)
        size = np.maximum(np.hypot(x, y), _LEAST)
        self.eta, self.phi = np.arcsinh(z / size), np.arctan2(y, x)
        self.direction = np.stack((x, y, z)) / np.hypot(size, z)
        self.along = np.stack((np.cos(phi), np.sin(phi), slope)) / np.hypot(1.0, slope)
        self.share = across / self.total[owner]
        self.off = inside["eta"] - self.eta[owner]
        self.turn = wrap_angle(phi - self.phi[owner])
        self.r = np.hypot(self.off, self.turn)
        cosine = np.sum(self.along * self.direction[:, owner], axis=0)
        self.pt_rel = inside["pt"] * np.cosh(inside["eta"]) * np.sqrt(np.maximum(1.0 - cosine**2, 0.0))

    def sum(self, values: NDArray[Any]) -> Floats:
        """Sum over the members of each jet, shape (N,)."""
        return np.bincount(self.owner, values, minlength=self.number).astype(np.float64)

    def mass(self, chosen: NDArray[np.bool_]) -> Floats:
        """Logarithm of 1 and the mass of some of the members."""
        squared = self.sum(self.energy * chosen) ** 2
        squared -= np.sum([self.sum(momentum * chosen) ** 2 for momentum in self.momenta], axis=0)
        return np.log1p(np.sqrt(np.maximum(squared, 0.0)))


def _first(
    name: str,
    owner: NDArray[np.int64],
    key: NDArray[Any],
    columns: Columns,
    count: int,
    number: int,
    *,
    empty: float = 0.0,
) -> dict[str, Floats]:
    """Columns of the members with the largest keys of each jet, by ``NAME RANK COLUMN``, shape (number,)."""
    order = np.lexsort((-key, owner))
    jet = owner[order]
    rank = np.arange(len(order)) - np.searchsorted(jet, jet)
    found = {f"{name}{k}_{field}": np.full(number, empty) for field in columns for k in range(count)}
    for k in range(count):
        here = rank == k
        for field, column in columns.items():
            found[f"{name}{k}_{field}"][jet[here]] = column[order[here]]
    return found


def _shape(inside: Columns, axis: _Axis, radius: float) -> dict[str, Floats]:
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
    core_track = core & charged & (inside["pt"] > 1.0)
    ring = np.minimum(axis.r / radius * _RINGS, _RINGS - 1).astype(np.int64)
    numbers = {"charged": charged, "photons": photon, "neutrals": neutral, "all": charged | True}
    shares = {
        "chargedShare": charged,
        "photonShare": photon,
        "neutralShare": neutral,
        "electronShare": code == _ELECTRON,
        "muonShare": code == _MUON,
        "vertexShare": charged & (inside["fromPV"] > 1),
        "puppiShare": inside["puppi"],
        "coreCharged": core & charged,
        "corePhotons": core & photon,
        **{f"ring{k}": ring == k for k in range(_RINGS)},
    }
    features = {
        **{name: np.log1p(axis.sum(which)) for name, which in numbers.items()},
        **{name: axis.sum(share * which) for name, which in shares.items()},
        "ptD": np.sqrt(squares),
        "axis1": -np.log(np.sqrt(np.maximum(half + spread, 0.0)) + 1e-3),
        "axis2": -np.log(np.sqrt(np.maximum(half - spread, 0.0)) + 1e-3),
        "meanR2": eta2 + phi2,
        "pull": np.hypot(axis.sum(share * axis.r * axis.off), axis.sum(share * axis.r * axis.turn)),
        "coreTracks": axis.sum(core_track),
        "coreCharge": axis.sum(core_track * inside["charge"]),
        "coreMass": axis.mass(core),
    }
    hard = {"share": share, "r": axis.r, "charged": charged}
    features |= _first("hard", axis.owner, share, hard, _HARD, axis.number)
    return {f"shape_{name}": column for name, column in features.items()}


def _tracks(inside: Columns, axis: _Axis) -> dict[str, Floats]:
    """Impact parameters: positive where the track crosses the axis downstream of the primary vertex."""
    owner, along = axis.owner, axis.along
    dxy, dz, phi = inside["dxy"], inside["dz"], inside["phi"]
    charged = (inside["charge"] != 0) & (inside["dxyErr"] > 0)
    good = charged & (inside["pt"] > _LEAST_PT) & (np.abs(dz) < _LARGEST_DZ)
    place = np.stack((-dxy * np.sin(phi), dxy * np.cos(phi), dz))
    place -= along * np.sum(along * place, axis=0)  # what lies along the track is no distance
    distance = np.maximum(np.sqrt(np.sum(place**2, axis=0)), _LEAST)
    error = np.hypot(dxy * inside["dxyErr"], dz * np.sum(along[:2] ** 2, axis=0) * inside["dzErr"]) / distance
    sign = np.where(np.sum(place * axis.direction[:, owner], axis=0) > 0, 1.0, -1.0)
    space = np.where(good, sign * distance / np.maximum(error, 1e-6), 0.0)
    flat = np.where(dxy * np.sin(axis.phi[owner] - phi) > 0, 1.0, -1.0) * np.abs(dxy)
    flat /= np.maximum(inside["dxyErr"], 1e-6)
    far = good & (space > 3.0) & (distance < 2.0)
    selected = good & (inside["pt"] > 1.0) & (axis.r < 0.3) & (np.abs(dxy) < 0.2)  # DeepCSV's
    columns = {
        "sip2d": signed_log(flat),
        "sip3d": signed_log(space),
        "ip": signed_log(100.0 * sign * distance),
        "share": np.log(axis.share + 1e-3),
        "r": axis.r,
        "ptRel": np.log1p(axis.pt_rel),
        "pixels": inside["pixels"],
    }
    of_good = {name: column[good] for name, column in columns.items()}
    features = {
        "track_selected": axis.sum(selected),
        "track_all": axis.sum(charged),
        **{f"track_displaced{limit}": axis.sum(space > limit) for limit in _LIMITS},
        "track_displacedShare": axis.sum(axis.share * far),
        "track_displacedMass": axis.mass(far),
        "track_displacement": axis.sum(axis.share * np.clip(space, 0.0, 20.0)),
        **_first("track", owner[good], flat[good], of_good, _TRACKS, axis.number, empty=-3.0),
    }
    of_lepton = {"share": axis.share, "ptRel": columns["ptRel"], "sip3d": columns["sip3d"], "r": axis.r}
    for name, code in (("muon", _MUON), ("electron", _ELECTRON)):
        chosen = np.abs(inside["pdgId"]) == code
        of_chosen = {field: column[chosen] for field, column in of_lepton.items()}
        features |= _first(name, owner[chosen], inside["pt"][chosen], of_chosen, 1, axis.number)
    return features


def _vertices(vertices: Collection, jets: Collection, axis: _Axis, radius: float) -> dict[str, Floats]:
    counts = vertices.counts[jets.event_rows]
    jet = np.repeat(np.arange(axis.number), counts)
    row = np.arange(len(jet)) - np.repeat(np.cumsum(counts) - counts, counts)
    row += np.repeat(vertices.offsets[jets.event_rows], counts)
    r = np.hypot(vertices["eta"][row] - axis.eta[jet], wrap_angle(vertices["phi"][row] - axis.phi[jet]))
    near = r < radius
    jet, row, r = jet[near], row[near], r[near]
    found = {name: column[row] for name, column in vertices.columns.items()}
    # Mass with what is missing across the flight, as SLD's and LHCb's taggers have it.
    across = found["pt"] * np.cosh(found["eta"]) * np.sin(found["pAngle"])
    columns = {
        "significance": signed_log(found["dlenSig"]),
        "length": signed_log(found["dlen"]),
        "mass": signed_log(found["mass"]),
        "share": found["pt"] / axis.total[jet],
        "r": r,
        "tracks": found["ntracks"],
        "corrected": np.log1p(np.hypot(found["mass"], across) + across),
    }
    number = np.bincount(jet, minlength=axis.number).astype(np.float64)
    return {"vertex_number": number} | _first(
        "vertex", jet, found["dlenSig"], columns, _VERTICES, axis.number
    )
