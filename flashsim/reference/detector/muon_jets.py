"""How a muon relates to the reconstructed jet that holds it.

With the rest of the jet ``r = p(raw jet) - p(muon)`` and its calibration c, ``jetRelIso = pT(muon + c r) /
pT(muon) - 1`` and ``jetPtRelv2 = |p(muon) x r| / |r|``, saturated: the definitions of NanoAOD, where jets are
calibrated without their lepton. The jet is the closest reconstructed one, so its energy response and
direction, which muons know nothing of, are in both. Without a jet the first is an isolation and the second
is zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from flashsim.declarations.recipes import Recipe
from flashsim.events.neighbours import closest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from flashsim.events.collection import Collection

__all__ = ["NORMALS", "JetRelation", "jet_relation"]

NORMALS = 2
"""Normal numbers that a muon's jet needs."""


class JetRelation(Recipe):
    """The jet around a muon."""

    cone: float = Field(gt=0, description="largest distance of the jet's axis")
    energy: float = Field(ge=0, description="spread of the logarithm of corrections made without the muon")
    direction: float = Field(ge=0, description="spread of the logarithm of jetPtRelv2")
    reach: float = Field(gt=0, le=1, description="largest sine of the angle between the muon and the rest")


def jet_relation(
    offsets: NDArray[np.int64],
    track: Mapping[str, NDArray[np.float64]],
    alone: NDArray[np.float64],
    jets: Collection,
    response: JetRelation,
    *,
    normal: NDArray[np.float64],
) -> dict[str, NDArray[np.float64]]:
    """Work out jetRelIso and jetPtRelv2 (GeV).

    Parameters
    ----------
    offsets
        Of the muons, shape (E + 1,).
    track
        Their reconstructed pt, eta, phi.
    alone
        Value of jetRelIso without a jet, shape (N,).
    jets
        Reconstructed jets of the same events: pt, eta, phi, rawFactor.
    response
        The parameters.
    normal
        Random numbers, shape (N, `NORMALS`).
    """
    row, _ = closest((offsets, track["eta"], track["phi"]), jets.directions, 1, response.cone)
    has_jet = row >= 0
    muon = _momentum({name: track[name][has_jet] for name in ("pt", "eta", "phi")})
    of_jet = {name: jets[name][row[has_jet]] for name in ("pt", "eta", "phi")}
    uncalibrated = 1.0 - jets["rawFactor"][row[has_jet]]
    of_jet["pt"] = of_jet["pt"] * uncalibrated * np.exp(response.energy * normal[has_jet, 0])
    rest = _momentum(of_jet) - muon
    whole = muon + rest / uncalibrated[:, None]
    length = np.maximum(np.linalg.norm(rest, axis=1), 1e-9)
    momentum = np.linalg.norm(muon, axis=1)
    sine = np.linalg.norm(np.cross(muon, rest), axis=1) / (length * momentum)
    # Errors of two directions can point anywhere, particles of a jet are near its axis.
    transverse = momentum * response.reach * np.tanh(sine / response.reach)
    relative_isolation, relative_pt = alone.copy(), np.zeros(len(row))
    relative_isolation[has_jet] = np.hypot(whole[:, 0], whole[:, 1]) / track["pt"][has_jet] - 1.0
    relative_pt[has_jet] = transverse * np.exp(response.direction * normal[has_jet, 1])
    return {"jetRelIso": relative_isolation, "jetPtRelv2": relative_pt}


def _momentum(columns: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    pt, eta, phi = columns["pt"], columns["eta"], columns["phi"]
    return np.stack([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)], axis=1)
