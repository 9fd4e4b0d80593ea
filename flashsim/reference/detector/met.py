"""Missing transverse momentum: what the detector got wrong, added up.

``MET = GenMET - sum(dp of jets) - sum(dp of muons in no jet) + soft`` per component, where dp is measured
minus true momentum and the soft term is normal with ``sigma = a + b rho``: its form, a constant and a part
that grows with pileup, is that of CMS JME-17-001 (arXiv:1903.06078). The significance of that paper is
``MET V^-1 MET`` with the covariance V of the same sum, from expected resolutions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from flashsim.declarations.recipes import Recipe
from flashsim.events.neighbours import closest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.events.collection import Collection
    from flashsim.reference.detector.truth import Noise, Truth

__all__ = ["MetResponse", "met_branches"]


class MetResponse(Recipe):
    """Missing transverse momentum, in GeV."""

    soft: tuple[float, float] = Field(description="width of a component of the soft term: a and b above")
    tail: float = Field(ge=0, description="spread of the logarithm of that width from event to event")
    expected: tuple[float, float] = Field(
        description="expected relative resolution of jets: c and s in hypot(c, s / sqrt(pT))"
    )
    covariance: float = Field(ge=0, description="spread of the logarithm of the covariance")
    cone: float = Field(gt=0, description="distance to a jet inside which it counts the muon too")
    sum_et: tuple[float, float, float] = Field(
        description="share of the event's energy that counts, what each unit of rho adds, and relative spread"
    )


@dataclass(frozen=True)
class _Moved:
    """Sums over the objects of each event, shape (E,)."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]


def met_branches(
    truth: Truth,
    noise: Noise,
    response: MetResponse,
    *,
    rho: NDArray[np.float64],
    jets: Collection,
    muons: Collection,
) -> dict[str, NDArray[np.float64]]:
    """Work out the ``MET`` branches, shape (E,) each.

    Parameters
    ----------
    truth, noise, response
        The events, the detector's random numbers, and the parameters.
    rho
        Energy density, shape (E,).
    jets, muons
        Reconstructed objects: pt, eta, phi, and genJetIdx, genPartIdx. Those without a gen object are left
        out: what they add, the soft term has.
    """
    normal = noise.event_normal(truth, "met", 7)
    width = (response.soft[0] + response.soft[1] * rho) * np.exp(response.tail * normal[:, 2])
    of_jets = _moved(jets, truth.jets, truth.jets.offsets[jets.event_rows] + jets["genJetIdx"])
    row, _ = closest(muons.directions, jets.directions, 1, response.cone)
    alone = muons.select(row < 0)
    of_muons = _moved(alone, truth.leptons, _lepton_rows(truth, alone))
    gen_pt, gen_phi = truth.event["GenMET_pt"], truth.event["GenMET_phi"]
    x = gen_pt * np.cos(gen_phi) - of_jets.x - of_muons.x + width * normal[:, 0]
    y = gen_pt * np.sin(gen_phi) - of_jets.y - of_muons.y + width * normal[:, 1]
    xx, xy, yy = _covariance(jets, width, response, np.exp(response.covariance * normal[:, 3:6]))
    significance = (yy * x**2 - 2.0 * xy * x * y + xx * y**2) / (xx * yy - xy**2)
    share, each, spread = response.sum_et
    return {
        "MET_pt": np.hypot(x, y),
        "MET_phi": np.arctan2(y, x),
        "MET_sumEt": (share * truth.event["sumEt"] + each * rho) * np.exp(spread * normal[:, 6]),
        "MET_significance": significance,
        "MET_covXX": xx,
        "MET_covXY": xy,
        "MET_covYY": yy,
    }


def _lepton_rows(truth: Truth, muons: Collection) -> NDArray[np.int64]:
    """Row of each muon's lepton in the truth; -1 and less for none."""
    most = 1 << 20  # more particles than an event has
    known = truth.leptons.event_rows * most + truth.leptons["genPartIdx"]
    wanted = muons.event_rows * most + muons["genPartIdx"]
    order = np.argsort(known)
    place = np.minimum(np.searchsorted(known[order], wanted), max(len(known) - 1, 0))
    rows = order[place] if len(known) else np.full(len(wanted), -1)
    return np.where(muons["genPartIdx"] >= 0, rows, -1)


def _moved(found: Collection, true: Collection, rows: NDArray[np.int64]) -> _Moved:
    """Sum of measured minus true momentum over the objects that have a true one."""
    index = "genJetIdx" if "genJetIdx" in found.columns else "genPartIdx"
    matched = found[index] >= 0
    pt, phi = found["pt"][matched], found["phi"][matched]
    true_pt, true_phi = true["pt"][rows[matched]], true["phi"][rows[matched]]
    event = found.event_rows[matched]

    def total(values: NDArray[np.float64]) -> NDArray[np.float64]:
        sums: NDArray[np.float64] = np.bincount(event, weights=values, minlength=found.events).astype(float)
        return sums

    return _Moved(
        total(pt * np.cos(phi) - true_pt * np.cos(true_phi)),
        total(pt * np.sin(phi) - true_pt * np.sin(true_phi)),
    )


def _covariance(
    jets: Collection, width: NDArray[np.float64], response: MetResponse, scatter: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Elements xx, xy, yy of the expected covariance in GeV^2; positive definite."""
    pt, phi = jets["pt"], jets["phi"]
    variance = np.square(pt * response.expected[0]) + pt * response.expected[1] ** 2
    event = jets.event_rows

    def total(values: NDArray[np.float64]) -> NDArray[np.float64]:
        sums: NDArray[np.float64] = np.bincount(event, variance * values, minlength=jets.events).astype(float)
        return sums

    xx = (np.square(width) + total(np.square(np.cos(phi)))) * scatter[:, 0]
    yy = (np.square(width) + total(np.square(np.sin(phi)))) * scatter[:, 1]
    xy = total(np.cos(phi) * np.sin(phi)) * scatter[:, 2]
    most = 0.9 * np.sqrt(xx * yy)  # a covariance beyond is none
    return xx, np.clip(xy, -most, most), yy
