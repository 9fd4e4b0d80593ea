"""Isolation of leptons: what particle flow finds around them, with pileup subtracted.

``I = [charged + max(0, neutral + photons - pileup)] / pT``. Of muons, half the charged pileup stands for the
neutral one (MUO-16-001, arXiv:1804.04528); of electrons, the energy density rho of the event times an
effective area (EGM-17-001, arXiv:2012.06888). The true sums in the cones are hidden variables; pileup is
drawn from rho. Charged sums of zero are real ones: no track, or only soft ones, which are lost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from flashsim.declarations.recipes import Recipe
from flashsim.reference.detector.distributions import gamma_quantile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.events.collection import Collection

__all__ = ["NORMALS", "UNIFORMS", "IsolationResponse", "MiniCone", "area_isolation", "isolation"]

NORMALS, UNIFORMS = 6, 14
"""Random numbers that an isolation needs."""

_INNER, _OUTER = 0.3, 0.4  # the cones are in the names of the branches
_SUBTRACTED = 0.5  # the delta-beta correction of the definition above


class IsolationResponse(Recipe):
    """Sums of particles around a lepton; momenta in GeV."""

    charged: tuple[float, float] = Field(description="share of a charged sum that is found, and its spread")
    lost: float = Field(gt=0, description="sum that is lost entirely in one of e cases")
    neutral: tuple[float, float] = Field(description="response to neutral hadrons, and its spread")
    photon: tuple[float, float] = Field(description="response to photons, and its spread")
    threshold: float = Field(ge=0, description="neutral sum below which little is found")
    association: float = Field(ge=0, description="mean share of charged particles of loose association")
    leakage: float = Field(ge=0, description="chance of a pileup track in the inner cone, per unit of rho")
    leaked: float = Field(gt=0, description="mean pT of such tracks")
    pileup_charged: tuple[float, float] = Field(
        description="charged pileup over rho times the cone's area, and its quantum"
    )
    pileup_neutral: tuple[float, float] = Field(description="the same of neutral pileup")


class MiniCone(Recipe):
    """A cone that shrinks with pT (Rehermann and Tweedie, arXiv:1007.2221), inside the one of 0.3."""

    most: float = Field(gt=0, description="its size at low pT")
    least: float = Field(gt=0, description="its size at high pT")
    scale: float = Field(gt=0, description="in between, its size is this over pT, in GeV")
    profile: tuple[float, float] = Field(
        description="power of the cone's size that its share of the sums follows, and spread of its logarithm"
    )

    def share(self, pt: NDArray[np.float64], normal: NDArray[np.float64]) -> NDArray[np.float64]:
        """Share of the sums in the cone of 0.3 that is in this one, shape (N,)."""
        size = np.clip(self.scale / pt, self.least, self.most)
        power = self.profile[0] * np.exp(self.profile[1] * normal)
        share: NDArray[np.float64] = (size / _INNER) ** power
        return share


@dataclass(frozen=True)
class _Ring:
    """Reconstructed sums in the inner cone or around it."""

    charged: NDArray[np.float64]
    neutral: NDArray[np.float64]
    pileup: NDArray[np.float64]

    def __add__(self, other: _Ring) -> _Ring:
        return _Ring(self.charged + other.charged, self.neutral + other.neutral, self.pileup + other.pileup)

    def total(self, loose: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum in GeV, with pileup subtracted; `loose` multiplies the charged part."""
        return self.charged * loose + np.maximum(0.0, self.neutral - _SUBTRACTED * self.pileup)


def isolation(
    muons: Collection,
    pt: NDArray[np.float64],
    rho: NDArray[np.float64],
    response: IsolationResponse,
    *,
    normal: NDArray[np.float64],
    uniform: NDArray[np.float64],
) -> dict[str, NDArray[np.float64]]:
    """Draw pfRelIso03_chg, pfRelIso03_all, pfRelIso04_all, and the isolation of muons without a jet.

    Parameters
    ----------
    muons
        True sums in the cones (GeV): charged03, neutral03, photon03, and the same in 0.4.
    pt
        Reconstructed pT in GeV, shape (N,).
    rho
        Energy density in each muon's event, shape (N,).
    response
        The parameters.
    normal, uniform
        Random numbers, shapes (N, `NORMALS`) and (N, `UNIFORMS`).

    Returns
    -------
    Columns by field, shape (N,); ``noJetIso`` subtracts rho times the area instead of charged pileup.
    """
    inner = _ring(muons, "03", None, rho, response, z=normal[:, :3], u=uniform[:, :6])
    cone = inner + _ring(muons, "04", "03", rho, response, z=normal[:, 3:], u=uniform[:, 6:12])
    loose = 1.0 - response.association * np.log(uniform[:, 12:14])
    area = math.pi * _OUTER**2
    subtracted = response.pileup_neutral[0] * rho * area
    return {
        "pfRelIso03_chg": inner.charged / pt,
        "pfRelIso03_all": inner.total(loose[:, 0]) / pt,
        "pfRelIso04_all": cone.total(loose[:, 1]) / pt,
        "noJetIso": (cone.charged + np.maximum(0.0, cone.neutral - subtracted)) / pt,
    }


def area_isolation(
    electrons: Collection,
    pt: NDArray[np.float64],
    rho: NDArray[np.float64],
    response: IsolationResponse,
    mini: MiniCone,
    *,
    normal: NDArray[np.float64],
    uniform: NDArray[np.float64],
) -> dict[str, NDArray[np.float64]]:
    """Draw pfRelIso03_chg, pfRelIso03_all and miniPFRelIso_all, with pileup of an effective area subtracted.

    Parameters
    ----------
    electrons, pt, rho, response
        As for `isolation`; of the sums, those in the cone of 0.3.
    mini
        The cone of miniPFRelIso_all. A charged sum that is lost in its smaller size is lost as in the larger.
    normal, uniform
        Random numbers, shapes (N, `NORMALS`) and (N, `UNIFORMS`).

    Returns
    -------
    Columns by field, shape (N,).
    """
    cone = _ring(electrons, "03", None, rho, response, z=normal[:, :3], u=uniform[:, :6])
    share = mini.share(pt, normal[:, 3])
    charged = np.where(
        uniform[:, 6] < np.exp(-cone.charged * share / response.lost), 0.0, cone.charged * share
    )
    subtracted = response.pileup_neutral[0] * rho * math.pi * _INNER**2
    neutral = np.maximum(0.0, cone.neutral - subtracted)
    # Pileup goes by the area of the smaller cone, which is next to nothing; what is in the jet by its share.
    inside = np.maximum(0.0, cone.neutral * share - subtracted * share)
    inside = np.where(uniform[:, 7] < np.exp(-inside / max(response.threshold, 1e-9)), 0.0, inside)
    return {
        "pfRelIso03_chg": cone.charged / pt,
        "pfRelIso03_all": (cone.charged + neutral) / pt,
        "miniPFRelIso_all": (charged + inside) / pt,
    }


def _ring(
    leptons: Collection,
    cone: str,
    without: str | None,
    rho: NDArray[np.float64],
    response: IsolationResponse,
    *,
    z: NDArray[np.float64],
    u: NDArray[np.float64],
) -> _Ring:
    """Reconstructed sums in one cone, without a smaller one; `u` has six columns."""
    true = {
        name: leptons[f"{name}{cone}"] - (0.0 if without is None else leptons[f"{name}{without}"])
        for name in ("charged", "neutral", "photon")
    }
    size = _OUTER**2 - _INNER**2 if without else _INNER**2
    area = math.pi * size
    found = true["charged"] * response.charged[0] * np.exp(response.charged[1] * z[:, 0])
    charged = np.where(u[:, 0] < np.exp(-true["charged"] / response.lost), 0.0, found)
    chance = 1.0 - np.exp(-response.leakage * rho * size / _INNER**2)
    charged = charged - np.where(u[:, 1] < chance, response.leaked * np.log(u[:, 2]), 0.0)
    neutral = true["neutral"] * response.neutral[0] * np.exp(response.neutral[1] * z[:, 1])
    neutral = neutral + true["photon"] * response.photon[0] * np.exp(response.photon[1] * z[:, 2])
    neutral = neutral * -np.expm1(-neutral / max(response.threshold, 1e-9))
    pileup = gamma_quantile(u[:, 3], response.pileup_charged[0] * rho * area, response.pileup_charged[1])
    diffuse = gamma_quantile(u[:, 4], response.pileup_neutral[0] * rho * area, response.pileup_neutral[1])
    return _Ring(charged, neutral + diffuse, pileup)
