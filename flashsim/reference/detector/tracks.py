"""What the tracker measures of a lepton: momentum, direction, impact parameters, and their uncertainties.

Uncertainties are tables in |eta| of a value for high pT and of what multiple scattering adds, in one over pT
for impact parameters and in pT for the momentum: the forms of CMS TRK-11-001 (arXiv:1405.6569) and
MUO-16-001 (arXiv:1804.04528). One latent quality of the track, which no branch shows, scales all of them and
all deviations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from flashsim.declarations.recipes import Recipe
from flashsim.events.angles import wrap_angle
from flashsim.reference.detector.distributions import heavy_tailed, interpolated

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.events.collection import Collection

__all__ = ["DRAWS", "TrackResponse", "measured_track"]

DRAWS = 14
"""Normal numbers that a track needs."""

_LEAST_CURVATURE = 1e-3  # of the true one: a straight track has no largest momentum


class TrackResponse(Recipe):
    """Tracks of leptons; lengths in cm, momenta in GeV."""

    momentum: list[tuple[float, float, float]] = Field(
        description="rows of |eta|, relative resolution of pT, and what each GeV adds to it in quadrature"
    )
    transverse: list[tuple[float, float, float]] = Field(
        description="rows of |eta|, resolution of dxy, and what is added to it, over pT"
    )
    longitudinal: list[tuple[float, float, float]] = Field(description="the same of dz")
    angle: tuple[float, float] = Field(description="resolution of eta and phi, and what is added, over pT")
    quality: float = Field(ge=0, description="spread of the logarithm of a track's quality")
    scatter: float = Field(ge=0, description="spread of the logarithm of each uncertainty around it")
    pull: float = Field(gt=0, description="width of deviations in units of the uncertainty")
    tail: float = Field(ge=0, lt=1, description="Tukey's h of deviations")
    refit: float = Field(ge=0, description="resolution of the position of the vertex in ip3d")
    refit_spread: float = Field(ge=0, description="spread of the logarithm of ip3d and its uncertainty")


def measured_track(
    muons: Collection,
    normal: NDArray[np.float64],
    response: TrackResponse,
    vertex: NDArray[np.float64],
    quality: float | NDArray[np.float64] = 1.0,
) -> dict[str, NDArray[np.float64]]:
    """Measure pt, eta, phi, charge, ptErr, dxy, dxyErr, dz, dzErr, ip3d and sip3d of leptons.

    The deviation is one of curvature: ``1 / pt = (1 + x) / pt_true``, so a very stiff track can bend the
    other way. The impact parameter in three dimensions is ``hypot(dxy, dz / cosh eta)`` with the vertex
    fitted once more, its significance is over the uncertainty projected in the same way.

    Parameters
    ----------
    muons
        True pt, eta, phi, charge, dxy and dz (GeV, cm).
    normal
        Shape (N, `DRAWS`).
    response
        The parameters.
    vertex
        Where the primary vertex of each muon's event is found, shape (N, 3), in cm.
    quality
        Factor to all uncertainties, one for all or shape (N,).

    Returns
    -------
    Columns by field, shape (N,), and ``quality``, the logarithm of the track's latent quality in standard
    deviations.
    """
    z = iter(normal.T)
    pt, eta, phi = muons["pt"], muons["eta"], muons["phi"]
    latent = next(z)
    factor = quality * np.exp(response.quality * latent)

    def uncertainty(core: NDArray[np.float64]) -> NDArray[np.float64]:
        scatter: NDArray[np.float64] = core * factor * np.exp(response.scatter * next(z))
        return scatter

    def deviation(width: NDArray[np.float64]) -> NDArray[np.float64]:
        return response.pull * width * heavy_tailed(next(z), response.tail)

    relative = uncertainty(_momentum_resolution(pt, eta, response))
    curvature = 1.0 + deviation(relative)
    bent = np.where(np.abs(curvature) < _LEAST_CURVATURE, _LEAST_CURVATURE, curvature)
    measured_pt = pt / np.abs(bent)
    angle = factor * (response.angle[0] + response.angle[1] / pt)
    measured_eta = eta + deviation(angle)
    measured_phi = wrap_angle(phi + deviation(angle))
    across = uncertainty(_impact_resolution(pt, eta, response.transverse))
    along = uncertainty(_impact_resolution(pt, eta, response.longitudinal))
    radial = vertex[:, 0] * np.cos(phi) + vertex[:, 1] * np.sin(phi)
    dxy = muons["dxy"] + deviation(across) + vertex[:, 0] * np.sin(phi) - vertex[:, 1] * np.cos(phi)
    dz = muons["dz"] + deviation(along) - vertex[:, 2] + radial * np.sinh(eta)
    sine = 1.0 / np.cosh(eta)
    space = np.hypot(dxy + response.refit * next(z), (dz + response.refit * next(z)) * sine)
    space *= np.exp(response.refit_spread * next(z))
    width = np.sqrt((np.square(dxy * across) + np.square(dz * along * sine**2)) / _squared(dxy, dz * sine))
    return {
        "pt": measured_pt,
        "eta": measured_eta,
        "phi": measured_phi,
        "charge": muons["charge"] * np.sign(bent),
        "ptErr": relative * measured_pt,
        "dxy": dxy,
        "dxyErr": across,
        "dz": dz,
        "dzErr": along,
        "ip3d": space,
        "sip3d": space / width * np.exp(response.refit_spread * next(z)),
        "quality": latent,
    }


def _momentum_resolution(
    pt: NDArray[np.float64], eta: NDArray[np.float64], response: TrackResponse
) -> NDArray[np.float64]:
    core = interpolated(np.abs(eta), response.momentum, 1)
    rise = interpolated(np.abs(eta), response.momentum, 2)
    resolution: NDArray[np.float64] = np.hypot(core, rise * pt)
    return resolution


def _impact_resolution(
    pt: NDArray[np.float64], eta: NDArray[np.float64], table: list[tuple[float, float, float]]
) -> NDArray[np.float64]:
    core, slope = (interpolated(np.abs(eta), table, column) for column in (1, 2))
    resolution: NDArray[np.float64] = core + slope / pt
    return resolution


def _squared(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    squared: NDArray[np.float64] = np.maximum(np.square(a) + np.square(b), 1e-30)
    return squared
