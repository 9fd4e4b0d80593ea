"""Four-momentum of jets: response, resolution, direction, mass, area, calibration.

The resolution is CMS's parametrisation ``sigma / pT = sqrt(N |N| / pT^2 + S^2 pT^d + C^2)`` (JME-13-004,
arXiv:1607.03663, with the table of the JRDatabase), interpolated in pseudorapidity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from flashsim.recipes import Recipe
from flashsim.reference.detector.forms import ByFlavour, Edge, EtaTable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "NORMALS",
    "Acceptance",
    "Calibration",
    "Direction",
    "Kinematics",
    "Mass",
    "Resolution",
    "Response",
    "momentum",
]

NORMALS = 13
"""Normal numbers that a jet's four-momentum needs."""


class Resolution(Recipe):
    """Width of the response, see the module."""

    eta: tuple[float, ...] = Field(description="centres of the bins of the table, magnitudes")
    noise: tuple[float, ...] = Field(description="N in GeV; its sign is that of the term")
    stochastic: tuple[float, ...] = Field(description="S")
    constant: tuple[float, ...] = Field(description="C")
    power: tuple[float, ...] = Field(description="d")
    pileup: EtaTable = Field(description="rise of sigma^2 pT^2 with the energy density, in GeV")
    typical_density: float = Field(gt=0, description="density of the table in GeV")
    scale: float = Field(gt=0, description="common factor")
    least: float = Field(gt=0, description="smallest relative width")
    most: float = Field(gt=0, description="largest relative width")
    tail_fraction: float = Field(ge=0, le=1, description="jets in the tails")
    tail_scale: float = Field(gt=0, description="width of the tails, a Student's t of 3 degrees of freedom")

    def width(self, pt: Floats, abs_eta: Floats, rho: Floats) -> Floats:
        """Relative width, shape (N,)."""
        place = np.interp(abs_eta, self.eta, np.arange(len(self.eta)))
        below = np.minimum(place.astype(np.int64), len(self.eta) - 2)
        part = place - below
        log_pt, inverse = np.log(pt), 1.0 / np.square(pt)
        noise, power = np.array(self.noise), np.array(self.power)
        noise *= np.abs(noise)
        squares = (np.square(self.stochastic), np.square(self.constant))

        def variance(row: NDArray[np.int64]) -> Floats:
            stochastic = squares[0][row] * np.exp(power[row] * log_pt)
            result: Floats = noise[row] * inverse + stochastic + squares[1][row]
            return result

        total = variance(below) * (1.0 - part) + variance(below + 1) * part
        total += self.pileup.at(abs_eta) * (rho - self.typical_density) * inverse
        return self.scale * np.sqrt(np.clip(total, self.least**2, self.most**2))

    def deviates(self, normal: Floats, uniform: Floats) -> Floats:
        """Deviates with unit core and tails from 4 normal and 1 uniform number of each jet, shape (N,)."""
        tail = uniform < self.tail_fraction
        student = normal[:, 0] / np.sqrt(np.mean(np.square(normal[:, 1:4]), axis=1) + 0.02)
        result: Floats = np.where(tail, self.tail_scale * student, normal[:, 0])
        return result


class Response(Recipe):
    """Mean of the response, as a ratio of pT."""

    flavour: ByFlavour = Field(description="shift of the response by flavour")
    low_pt: float = Field(description="loss at the lowest pT")
    low_pt_from: float = Field(description="pT in GeV where the loss is that")
    low_pt_scale: float = Field(gt=0, description="fall of the loss with pT, in GeV")
    neutral: float = Field(description="loss for each unit of energy in neutral hadrons")
    neutral_typical: float = Field(description="fraction of them that the calibration makes up for")
    endcap: float = Field(description="rise around the end of the endcap")
    endcap_eta: float = Field(description="its place")
    endcap_width: float = Field(gt=0, description="its width, of a normal distribution")
    neighbours: float = Field(description="share of the neighbours' energy that leaks in")
    neighbours_width: float = Field(gt=0, description="distance over which it does, of a normal distribution")
    neighbours_most: float = Field(gt=0, description="largest sum of neighbours, over the jet's pT")
    neighbours_pt: float = Field(gt=0, description="fall of the leakage with pT, in GeV")
    pileup: float = Field(description="rise with the energy density, for each GeV of density, at 10 GeV")
    lepton_width: float = Field(gt=0, description="relative width for a lone lepton")
    lepton_spread: float = Field(ge=0, description="log-normal spread of that pileup")
    lepton_offset: float = Field(ge=0, description="pileup under a lone lepton in GeV at the typical density")


class Direction(Recipe):
    """Resolution of eta and phi, see JME-18-001 (arXiv:2003.00503), section 5.1."""

    constant: float = Field(gt=0, description="width at high pT")
    slope: float = Field(gt=0, description="rise with 1 / pT, in GeV")
    girth: float = Field(description="power of the width of the gen jet, relative to the typical one")
    typical_girth: float = Field(gt=0, description="typical width of a gen jet")
    spread: float = Field(ge=0, description="log-normal spread of the width: tails")
    response: float = Field(ge=0, description="inflation for each standard deviation of the response")
    most: float = Field(gt=0, description="largest deviation: half the radius that matches gen and reco")


class Mass(Recipe):
    """Mass and area: fluctuation of the jet's own mass, and soft particles of pileup."""

    power: float = Field(description="power of the pT response in the mass response")
    spread: float = Field(ge=0, description="log-normal spread of the mass response")
    low_pt_spread: float = Field(ge=0, description="rise of the spread with 1 / pT, in GeV")
    pileup: float = Field(ge=0, description="mass^2 over pT that pileup adds, in GeV, at the typical density")
    pileup_spread: float = Field(ge=0, description="its log-normal spread")
    area: float = Field(gt=0, description="typical area")
    area_width: float = Field(gt=0, description="width of the area at high pT")
    area_slope: float = Field(ge=0, description="rise of the width with 1 / pT, in GeV")
    area_skew: float = Field(description="skew towards small areas")
    area_pileup: float = Field(ge=-1, le=1, description="correlation of the area with the mass of pileup")
    area_neighbours: float = Field(description="loss of area for each unit of leakage")


class Calibration(Recipe):
    """Uncorrected over corrected pT, ``level + offset rho area / pT + slope ln(pT / 50 GeV)``."""

    level: EtaTable = Field(description="at 50 GeV without pileup")
    offset: EtaTable = Field(description="share of the energy density that is taken off")
    slope: EtaTable = Field(description="rise with ln pT")
    width: EtaTable = Field(description="what the form does not describe, a standard deviation")
    least: float = Field(gt=0, description="smallest ratio")
    most: float = Field(gt=0, description="largest ratio")

    def raw_factor(self, pt: Floats, abs_eta: Floats, area: Floats, rho: Floats, normal: Floats) -> Floats:
        """One less that ratio, shape (N,)."""
        ratio = self.level.at(abs_eta) + self.offset.at(abs_eta) * rho * area / pt
        ratio += self.slope.at(abs_eta) * np.log(pt / 50.0) + self.width.at(abs_eta) * normal
        return 1.0 - np.clip(ratio, self.least, self.most)


class Acceptance(Recipe):
    """Which jets are reconstructed."""

    threshold: float = Field(gt=0, description="smallest pT in GeV")
    plateau: float = Field(gt=0, le=1, description="efficiency at high pT")
    eta: Edge = Field(description="end of the calorimeters for a jet, in the magnitude of eta")
    turn_on: Edge = Field(description="in reconstructed pT, in GeV")
    low_pt: float = Field(ge=0, le=1, description="further loss at the lowest gen pT")
    low_pt_from: float = Field(description="gen pT in GeV where the loss is that")
    low_pt_scale: float = Field(gt=0, description="its fall with gen pT, in GeV")

    def efficiency(self, gen_pt: Floats, gen_eta: Floats, pt: Floats) -> Floats:
        """Probability that a jet is reconstructed, zero below the threshold, shape (N,)."""
        falling = np.exp(-(gen_pt - self.low_pt_from) / self.low_pt_scale)
        smooth = (
            self.plateau * (1.0 - self.turn_on.inside(pt)) * (1.0 - self.low_pt * np.minimum(falling, 1.0))
        )
        smooth *= self.eta.inside(np.abs(gen_eta))
        result: Floats = np.where(pt > self.threshold, smooth, 0.0)
        return result


class Kinematics(Recipe):
    """All that makes a jet's four-momentum."""

    resolution: Resolution
    response: Response
    direction: Direction
    mass: Mass
    calibration: Calibration
    acceptance: Acceptance


def momentum(
    jets: Mapping[str, Floats],
    flavour: NDArray[np.int64],
    rho: Floats,
    normal: Floats,
    uniform: Floats,
    recipe: Kinematics,
) -> dict[str, Floats]:
    """Reconstructed four-momentum of gen jets, with their area, calibration and the latent behind it.

    Parameters
    ----------
    jets
        Columns of gen jets with their hidden variables and ``neighbours``, the pT sum around them in GeV.
    flavour
        `flavour_class` of each.
    rho
        Energy density of each jet's event in GeV.
    normal, uniform
        `NORMALS` standard normal numbers of each jet, shape (N, `NORMALS`), and 1 uniform number, shape (N,).
    recipe
        The parameters.

    Returns
    -------
    ``pt``, ``eta``, ``phi``, ``mass``, ``area``, ``rawFactor``, and ``shower`` and ``leak``, the standardised
    fluctuation of the shower and the neighbours' share; shapes (N,), GeV.
    """
    gen_pt, abs_eta = jets["pt"], np.abs(jets["eta"])
    shower = recipe.resolution.deviates(normal, uniform)
    leak = _leakage(jets, recipe.response)
    hadrons = _mean_response(jets, flavour, abs_eta, rho, recipe) + leak
    hadrons += recipe.resolution.width(gen_pt, abs_eta, rho) * shower
    lepton = np.minimum(jets["muEF"] + jets["chEmEF"], 1.0)
    # Calibrated as if it were hadrons, which respond lower, and with the pileup that the cone holds.
    level = recipe.calibration.level.at(abs_eta)
    under = (
        recipe.response.lepton_offset
        * rho
        / recipe.resolution.typical_density
        * np.exp(recipe.response.lepton_spread * normal[:, 10])
    )
    alone = (1.0 + recipe.response.lepton_width * normal[:, 11] + under / gen_pt) / level
    pt = gen_pt * np.maximum(lepton * alone + (1.0 - lepton) * hadrons, 0.05)
    width = _angular_width(jets, pt, shower, normal[:, 4], recipe.direction)
    limit = recipe.direction.most
    deta, dphi = (limit * np.tanh(width * normal[:, k] / limit) for k in (5, 6))
    mass, area = _mass_and_area(jets, pt, leak, rho, normal, recipe)
    return {
        "pt": pt,
        "eta": jets["eta"] + deta,
        "phi": (jets["phi"] + dphi + np.pi) % (2.0 * np.pi) - np.pi,
        "mass": mass,
        "area": area,
        "rawFactor": recipe.calibration.raw_factor(pt, abs_eta, area, rho, normal[:, 9]),
        "shower": shower,
        "leak": leak,
    }


def _leakage(jets: Mapping[str, Floats], response: Response) -> Floats:
    relative = np.minimum(jets["neighbours"] / jets["pt"], response.neighbours_most)
    leak: Floats = response.neighbours * relative * np.exp(-jets["pt"] / response.neighbours_pt)
    return leak


def _mean_response(
    jets: Mapping[str, Floats], flavour: NDArray[np.int64], abs_eta: Floats, rho: Floats, recipe: Kinematics
) -> Floats:
    r, pt = recipe.response, jets["pt"]
    mean: Floats = 1.0 + r.flavour.of(flavour) - r.low_pt * np.exp(-(pt - r.low_pt_from) / r.low_pt_scale)
    mean -= r.neutral * (jets["neHEF"] - r.neutral_typical)
    mean += r.endcap * np.exp(-0.5 * np.square((abs_eta - r.endcap_eta) / r.endcap_width))
    mean += r.pileup * (rho - recipe.resolution.typical_density) * 10.0 / pt
    return mean


def _angular_width(
    jets: Mapping[str, Floats], pt: Floats, shower: Floats, normal: Floats, direction: Direction
) -> Floats:
    girth = np.log(np.maximum(jets["girth"], 1e-2) / direction.typical_girth)
    inflation = np.exp(direction.girth * girth + direction.spread * normal)
    width: Floats = (direction.constant + direction.slope / pt) * inflation
    return width * (1.0 + direction.response * np.abs(shower))


def _mass_and_area(
    jets: Mapping[str, Floats], pt: Floats, leak: Floats, rho: Floats, normal: Floats, recipe: Kinematics
) -> tuple[Floats, Floats]:
    m = recipe.mass
    density = rho / recipe.resolution.typical_density
    spread = m.spread + m.low_pt_spread / jets["pt"]
    own = jets["mass"] * np.exp(m.power * np.log(pt / jets["pt"]) + spread * normal[:, 7])
    added = m.pileup * density * pt * np.exp(m.pileup_spread * normal[:, 8])
    width = m.area_width + m.area_slope / pt
    # The area follows how much soft pileup the jet collects, and has a fluctuation of its own.
    share = m.area_pileup
    soft = share * normal[:, 8] + np.sqrt(1.0 - share**2) * normal[:, 12]
    area = m.area + width * (soft - m.area_skew * (np.square(soft) - 1.0)) - m.area_neighbours * leak
    return np.sqrt(np.square(own) + added), np.maximum(area, 0.1)
