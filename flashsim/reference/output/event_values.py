"""What an event has once: its primary vertex, energy densities, and flags of a detector that works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.events.collection import Collection
from flashsim.nanoaod.schema import load_schema

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.reference.flow.recorded import Recorded
    from flashsim.reference.particles.overlay import PileupRecipe

__all__ = ["densities", "flags", "other_vertices", "primary_vertex"]

_FREEDOM, _FARTHEST, _WIDEST = 4.0, 24.0, 2.0  # of good vertices (CMSSW, PVObjectSelector)
_OTHERS = 3
_IN_FIT = 0.5


def primary_vertex(recorded: Recorded, beam: PileupRecipe) -> dict[str, NDArray[Any]]:
    """``PV`` branches, shape (E,); events without a vertex have the beam's."""
    vertices, offsets = recorded.vertices, recorded.vertices.offsets
    first = np.where(vertices.counts > 0, offsets[:-1], -1)
    values: dict[str, NDArray[Any]] = {
        f"PV_{name}": np.append(vertices[name], 0.0)[first]
        for name in ("x", "y", "z", "ndof", "chi2", "score")
    }
    values["PV_x"] = values["PV_x"] + beam.beam_x
    values["PV_y"] = values["PV_y"] + beam.beam_y
    good = (vertices["ndof"] > _FREEDOM) & (np.abs(vertices["z"]) <= _FARTHEST)
    good &= np.hypot(vertices["x"], vertices["y"]) < _WIDEST
    values["PV_npvs"] = vertices.counts
    values["PV_npvsGood"] = np.bincount(vertices.event_rows[good], minlength=vertices.events)
    return values | _track_sums(recorded, first)


def _track_sums(recorded: Recorded, first: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Sum over the tracks of the primary vertex."""
    tracks = recorded.tracks
    event = tracks.event_rows
    used = (tracks["vertex"] == first[event]) & (tracks["vertexWeight"] > _IN_FIT)
    pt, phi = tracks["pt"][used], tracks["phi"][used]
    terms = {"sumpt2": pt**2, "sumpx": pt * np.cos(phi), "sumpy": pt * np.sin(phi)}
    return {
        f"PV_{name}": np.bincount(event[used], values, minlength=tracks.events)
        for name, values in terms.items()
    }


def other_vertices(recorded: Recorded) -> Collection:
    """``OtherPV``: the vertices after the primary one."""
    rank = recorded.vertices.local_index
    kept = recorded.vertices.select((rank > 0) & (rank <= _OTHERS))
    return Collection(kept.offsets, {name: kept[name] for name in ("z", "score")})


def densities(recorded: Recorded) -> dict[str, NDArray[Any]]:
    """Energy densities under the names of both eras, shape (E,)."""
    names = ("fixedGridRho", "Rho_fixedGridRho")
    return {f"{name}{kind}": rho for name in names for kind, rho in recorded.rho.items()}


def flags(version: str, events: int) -> dict[str, NDArray[np.bool_]]:
    """``Flag`` branches of a NanoAOD version, all true, shape (E,)."""
    return {
        name: np.ones(events, dtype=np.bool_) for name in load_schema(version) if name.startswith("Flag_")
    }
