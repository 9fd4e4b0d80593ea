"""What the calorimeter sees of an electron: bremsstrahlung, energy, and the shape of the shower.

An electron that crosses x radiation lengths of the tracker keeps the share ``1 - f = exp(-g)`` of its
momentum, where g follows a gamma distribution with shape x / ln 2 (Bethe and Heitler, Proc. R. Soc. A 146
(1934) 83; the amount of material by pseudorapidity is that of CMS EGM-13-001, arXiv:1502.02701). This hidden
f widens the resolution of energy and track, broadens the shower and lowers R9: EGM-17-001, arXiv:2012.06888.
The energy resolution is ``hypot(S / sqrt(E), N / E, C)`` times ``1 + b f^2``; photons that the supercluster
does not gather make a tail to low energies, and neighbours one to high energies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field
from scipy.special import gammaincinv

from flashsim.declarations.recipes import Recipe
from flashsim.reference.detector.distributions import heavy_tailed
from flashsim.reference.detector.forms import EtaTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.events.collection import Collection

    Floats = NDArray[np.float64]

__all__ = ["NORMALS", "UNIFORMS", "ShowerResponse", "radiated", "shower"]

NORMALS, UNIFORMS = 10, 7
"""Random numbers that a shower needs, `radiated` apart."""

_BARREL_RADIUS, _ENDCAP_PLACE = 129.0, 317.0  # cm, of the front face of the calorimeter (EGM-17-001)
_LN2 = float(np.log(2.0))


class ShowerResponse(Recipe):
    """Energies in GeV, lengths in cm."""

    material: EtaTable = Field(description="material before the calorimeter in radiation lengths")
    stochastic: EtaTable = Field(description="S above, in sqrt(GeV)")
    noise: float = Field(ge=0, description="N above, in GeV")
    constant: EtaTable = Field(description="C above")
    widening: float = Field(ge=0, description="b above")
    scatter: float = Field(ge=0, description="spread of the logarithm of the uncertainty around it")
    pull: float = Field(gt=0, description="width of deviations in units of the uncertainty")
    tail: float = Field(ge=0, lt=1, description="Tukey's h of deviations")
    lost: tuple[float, float] = Field(
        description="chance that radiated photons are not gathered, and their mean share of them"
    )
    gathered: tuple[float, float, float] = Field(
        description="share of photons and of hadrons in the cone of 0.3 that is taken in at most, and the "
        "power of a uniform number that it goes with"
    )
    calibration: float = Field(ge=0, description="relative spread of the energy's last calibration")
    charge: EtaTable = Field(description="chance of a wrong charge for f = 1")
    place: tuple[float, float] = Field(description="resolution of the shower's eta, and what f adds")
    r9: tuple[float, float, float, float] = Field(
        description="highest median, fall with f, power of f, and spread"
    )
    r9_around: float = Field(ge=0, description="fall of its logarithm with ln(1 + particles around, over pT)")
    noisy: float = Field(ge=0, description="spread of R9 that noise makes, times GeV")
    width: EtaTable = Field(description="median of sieie of an isolated electron of high energy")
    width_spread: float = Field(ge=0, description="spread of its logarithm")
    width_noise: tuple[float, float] = Field(description="rise of its logarithm with GeV / pT and with f")
    width_around: float = Field(ge=0, description="the same with ln(1 + particles around, over pT)")
    width_most: float = Field(gt=0, description="where the rise saturates")
    hadronic: tuple[float, float, float] = Field(
        description="energy behind: share of hadrons around, spread of its logarithm, and share of rho"
    )
    leakage: tuple[float, float] = Field(
        description="median share of the energy that leaks there, spread of its logarithm"
    )
    hadronic_threshold: EtaTable = Field(description="energy behind that is lost in one of e cases")


def radiated(eta: Floats, uniform: Floats, response: ShowerResponse) -> Floats:
    """Draw the share of the momentum that is radiated in the tracker, in [0, 1), shape (N,)."""
    shape = response.material.at(np.abs(eta)) / _LN2
    lost: Floats = -np.expm1(-gammaincinv(shape, uniform))
    return lost


def shower(
    true: Collection,
    lost: Floats,
    vertex_z: Floats,
    rho: Floats,
    response: ShowerResponse,
    *,
    uncertainty: float,
    hadron: Floats,
    normal: Floats,
    uniform: Floats,
) -> dict[str, Floats]:
    """Measure the energy of electrons and the shapes of their showers.

    Parameters
    ----------
    true
        True pt, eta and charge, and sums of particles in the cone of 0.3 (GeV).
    lost
        What `radiated` gives, shape (N,).
    vertex_z
        Place of each electron's event along the beam, in cm: the shower is seen from the centre of the
        detector, the track from where it starts.
    rho
        Energy density of its event, in GeV per unit of area.
    response
        The parameters.
    uncertainty
        Factor to the uncertainty of the energy.
    hadron
        Hadronic over electromagnetic energy of what is no electron, shape (N,).
    normal, uniform
        Random numbers, shapes (N, `NORMALS`) and (N, `UNIFORMS`).

    Returns
    -------
    Columns, shape (N,): pt before and after the last calibration (``rawPt``, ``pt``), charge, energyErr,
    deltaEtaSC, r9, sieie, hoe; and ``shape``, how unlike an electron's the shower is, in standard
    deviations.
    """
    z, u = normal.T, uniform.T
    pt, eta, abs_eta = true["pt"], true["eta"], np.abs(true["eta"])
    energy = pt * np.cosh(eta)
    relative = _resolution(energy, abs_eta, lost, response) * uncertainty * np.exp(response.scatter * z[0])
    deviation = response.pull * relative * heavy_tailed(z[1], response.tail)
    chance, share = response.lost
    missed = np.where(u[0] < chance, -share * lost * np.log(u[1]), 0.0)
    photons, hadrons, power = response.gathered
    more = u[2] ** power * (photons * true["photon03"] + hadrons * (true["charged03"] + true["neutral03"]))
    raw = np.maximum(pt * (1.0 + deviation) * np.exp(-missed) + more, 1e-3 * pt)
    calibrated = raw * (1.0 + response.calibration * z[2])
    wrong = u[3] < response.charge.at(abs_eta) * lost
    around = np.log1p((true["photon03"] + true["neutral03"] + true["charged03"]) / pt)
    highest, fall, bend, spread = response.r9
    r9 = (highest - fall * lost**bend) * np.exp(spread * z[3] - response.r9_around * around * u[6])
    r9 = r9 + response.noisy / energy * z[4]
    of_noise, of_radiation = response.width_noise
    broad = (of_noise / pt + of_radiation * lost + response.width_around * around) * np.abs(z[6])
    broad = response.width_most * np.tanh(broad / response.width_most)
    width = response.width.at(abs_eta) * np.exp(response.width_spread * z[5] + broad)
    behind = _behind(
        true, calibrated * np.cosh(eta), rho, response, extra=hadron, normal=z[8:10], uniform=u[4:6]
    )
    return {
        "rawPt": raw,
        "pt": calibrated,
        "charge": np.where(wrong, -true["charge"], true["charge"]),
        "energyErr": relative * calibrated * np.cosh(eta),
        "deltaEtaSC": _seen_from_centre(eta, vertex_z)
        - eta
        + np.hypot(response.place[0], response.place[1] * lost) * z[7],
        "r9": np.maximum(r9, 0.0),
        "sieie": width,
        "hoe": behind / (calibrated * np.cosh(eta)),
        "shape": (z[5] - z[3]) / np.sqrt(2.0),
    }


def _resolution(energy: Floats, abs_eta: Floats, lost: Floats, response: ShowerResponse) -> Floats:
    stochastic = response.stochastic.at(abs_eta) / np.sqrt(energy)
    core = np.sqrt(
        np.square(stochastic) + np.square(response.noise / energy) + np.square(response.constant.at(abs_eta))
    )
    relative: Floats = core * (1.0 + response.widening * np.square(lost))
    return relative


def _seen_from_centre(eta: Floats, vertex_z: Floats) -> Floats:
    """Pseudorapidity, from the centre of the detector, of where particles from a vertex reach the face."""
    slope = np.sinh(eta)
    at_barrel = vertex_z + _BARREL_RADIUS * slope
    in_barrel = np.abs(at_barrel) < _ENDCAP_PLACE
    end = np.copysign(_ENDCAP_PLACE, eta)
    radius = (end - vertex_z) / np.where(in_barrel, 1.0, slope)
    seen: Floats = np.where(
        in_barrel, np.arcsinh(at_barrel / _BARREL_RADIUS), np.arcsinh(end / np.maximum(np.abs(radius), 1.0))
    )
    return seen


def _behind(
    true: Collection,
    energy: Floats,
    rho: Floats,
    response: ShowerResponse,
    *,
    extra: Floats,
    normal: Floats,
    uniform: Floats,
) -> Floats:
    """Draw the hadronic energy behind a shower, in GeV; zero where it is below the threshold."""
    share, spread, pileup = response.hadronic
    median, leakage = response.leakage
    hadrons = share * (true["charged03"] + true["neutral03"]) * np.cosh(true["eta"])
    total = energy * (median * np.exp(leakage * normal[0]) + extra) - pileup * rho * np.log(uniform[0])
    total = total + hadrons * np.exp(spread * normal[1])
    least = response.hadronic_threshold.at(np.abs(true["eta"]))
    return np.where(uniform[1] < np.exp(-total / least), 0.0, total)
