"""Four-momentum of jets: response, resolution, direction, mass, area, calibration.

The resolution is CMS's parametrisation ``sigma / pT = sqrt(N |N| / pT^2 + S^2 pT^d + C^2)`` (JME-13-004,
arXiv:1607.03663, with the table of the JRDatabase), interpolated in pseudorapidity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from flashsim.declarations.recipes import Recipe
from flashsim.reference.detector.distributions import heavy_tailed
from flashsim.reference.detector.forms import ByFlavour, Edge, EtaTable, Saturation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.reference.detector.causes import Draws, JetCauses

    Floats = NDArray[np.float64]

__all__ = [
    "NUMBERS",
    "Acceptance",
    "Calibration",
    "Direction",
    "Kinematics",
    "Mass",
    "Resolution",
    "Response",
    "momentum",
]

NUMBERS = (10, 1)
"""Normal and uniform numbers that a jet's four-momentum and efficiency need."""


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
    tail: float = Field(ge=0, lt=1, description="weight of the tails of the response, see `heavy_tailed`")

    def width(self, jets: JetCauses) -> Floats:
        """Relative width of the response of gen jets, shape (N,)."""
        pt, abs_eta = jets["pt"], jets.abs_eta
        place = np.interp(abs_eta, self.eta, np.arange(len(self.eta)))
        below = np.minimum(place.astype(np.int64), len(self.eta) - 2)
        log_pt, inverse = np.log(pt), 1.0 / np.square(pt)
        noise, power = np.array(self.noise), np.array(self.power)
        noise *= np.abs(noise)
        stochastic, constant = np.square(self.stochastic), np.square(self.constant)

        def variance(row: NDArray[np.int64]) -> Floats:
            result: Floats = (
                noise[row] * inverse + stochastic[row] * np.exp(power[row] * log_pt) + constant[row]
            )
            return result

        lower = variance(below)
        total = lower + (place - below) * (variance(below + 1) - lower)
        total += self.pileup.at(abs_eta) * (jets.rho - jets.typical_density) * inverse
        return self.scale * np.sqrt(np.clip(total, self.least**2, self.most**2))


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
    least: float = Field(gt=0, description="smallest response")
    lepton_width: float = Field(gt=0, description="relative width for a lone lepton")
    lepton_spread: float = Field(ge=0, description="log-normal spread of the pileup under a lone lepton")


class Direction(Recipe):
    """Resolution of eta and phi, see JME-18-001 (arXiv:2003.00503), section 5.1."""

    constant: float = Field(gt=0, description="width at high pT")
    slope: float = Field(gt=0, description="rise with 1 / pT, in GeV")
    girth: float = Field(description="power of the width of the gen jet, relative to the typical one")
    typical_girth: float = Field(gt=0, description="typical width of a gen jet")
    least_girth: float = Field(gt=0, description="width of the narrowest gen jets")
    spread: float = Field(ge=0, description="log-normal spread of the width: tails")
    scale: EtaTable = Field(description="factor by pseudorapidity")
    response: float = Field(ge=0, description="inflation for each standard deviation of the response")
    most: float = Field(gt=0, description="largest deviation: half the radius that matches gen and reco")


class Mass(Recipe):
    """Mass and area: fluctuation of the jet's own mass, and soft particles of pileup.

    The jet's own mass is a geometric mean of the gen jet's and a typical one: much of a small mass is what
    the calorimeter's cells make of it.
    """

    typical: float = Field(gt=0, description="typical mass at 1 GeV of pT, in GeV")
    typical_power: float = Field(description="power of pT in it")
    typical_share: float = Field(ge=0, le=1, description="power of the typical mass in the mean")
    least: float = Field(gt=0, description="smallest gen mass that is told from zero, in GeV")
    power: float = Field(description="power of the pT response in the mass response")
    spread: float = Field(ge=0, description="log-normal spread of the mass response")
    low_pt_spread: float = Field(ge=0, description="rise of the spread with 1 / pT, in GeV")
    pileup: float = Field(ge=0, description="mass^2 over pT that pileup adds, in GeV, at the typical density")
    pileup_spread: float = Field(ge=0, description="its log-normal spread")
    area: float = Field(gt=0, description="typical area")
    area_width: float = Field(gt=0, description="width of the area at high pT")
    area_slope: float = Field(ge=0, description="rise of the width with 1 / pT, in GeV")
    area_least: float = Field(gt=0, description="smallest area")
    area_skew: float = Field(description="skew towards small areas")
    area_pileup: float = Field(ge=-1, le=1, description="correlation of the area with the mass of pileup")
    area_neighbours: float = Field(description="loss of area for each unit of leakage")


class Calibration(Recipe):
    """Uncorrected over corrected pT, ``level + offset rho area / pT + slope ln(pT / 50 GeV)``."""

    level: EtaTable = Field(description="at 50 GeV without pileup")
    offset: EtaTable = Field(description="share of the energy density that is taken off")
    slope: EtaTable = Field(description="rise with ln pT")
    saturation: Saturation = Field(description="of ln(pT / 50 GeV)")
    width: EtaTable = Field(description="what the form does not describe, a standard deviation at 50 GeV")
    least: float = Field(gt=0, description="smallest ratio")
    most: float = Field(gt=0, description="largest ratio")

    def raw_factor(self, jets: JetCauses, pt: Floats, area: Floats, normal: Floats) -> Floats:
        """Draw one less that ratio of jets of corrected pT in GeV and area; shape (N,)."""
        abs_eta = jets.abs_eta
        ratio = self.level.at(abs_eta) + self.offset.at(abs_eta) * jets.rho * area / pt
        width = self.width.at(abs_eta) * np.sqrt(np.minimum(50.0 / pt, 1.0))
        ratio += self.slope.at(abs_eta) * self.saturation.of(np.log(pt / 50.0)) + width * normal
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

    def efficiency(self, jets: JetCauses, pt: Floats) -> Floats:
        """Probability that a jet is reconstructed, zero below the threshold, shape (N,)."""
        falling = np.exp(-(jets["pt"] - self.low_pt_from) / self.low_pt_scale)
        smooth = (
            self.plateau * (1.0 - self.turn_on.inside(pt)) * (1.0 - self.low_pt * np.minimum(falling, 1.0))
        )
        smooth *= self.eta.inside(jets.abs_eta)
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


def momentum(jets: JetCauses, draws: Draws, recipe: Kinematics) -> dict[str, Floats]:
    """Draw the reconstructed four-momentum of gen jets, with their area and calibration.

    Parameters
    ----------
    jets
        The gen jets.
    draws
        `NUMBERS` random numbers of each.
    recipe
        The parameters.

    Returns
    -------
    ``pt``, ``eta``, ``phi``, ``mass``, ``area``, ``rawFactor``, and ``shower`` and ``leak``, the standardised
    fluctuation of the shower and the neighbours' share; shapes (N,), GeV.
    """
    normal = draws.normal
    shower = heavy_tailed(normal[0], recipe.resolution.tail)
    leak = _leakage(jets, recipe.response)
    pt = _response(jets, shower, leak, normal[7:9], recipe) * jets["pt"]
    width = _angular_width(jets, pt, shower, normal[1], recipe.direction)
    limit = recipe.direction.most
    deta, dphi = (limit * np.tanh(width / limit * normal[k]) for k in (2, 3))
    mass, area = _mass_and_area(jets, pt, leak, normal[[4, 5, 9]], recipe.mass)
    return {
        "pt": pt,
        "eta": jets["eta"] + deta,
        "phi": (jets["phi"] + dphi + np.pi) % (2.0 * np.pi) - np.pi,
        "mass": mass,
        "area": area,
        "rawFactor": recipe.calibration.raw_factor(jets, pt, area, normal[6]),
        "shower": shower,
        "leak": leak,
    }


def _leakage(jets: JetCauses, response: Response) -> Floats:
    relative = np.minimum(jets["neighbours"] / jets["pt"], response.neighbours_most)
    leak: Floats = response.neighbours * relative * np.exp(-jets["pt"] / response.neighbours_pt)
    return leak


def _response(jets: JetCauses, shower: Floats, leak: Floats, normal: Floats, recipe: Kinematics) -> Floats:
    """Reconstructed over gen pT: of a lepton with its share, of hadrons with theirs."""
    r = recipe.response
    hadrons = _mean_response(jets, r) + leak + recipe.resolution.width(jets) * shower
    # Calibrated as if it were hadrons, which respond lower, and with the pileup that the cone holds.
    under = recipe.calibration.offset.at(jets.abs_eta) * jets.rho * recipe.mass.area / jets["pt"]
    alone = 1.0 + r.lepton_width * normal[1] + under * np.exp(r.lepton_spread * normal[0])
    alone /= recipe.calibration.level.at(jets.abs_eta) + under
    lepton = jets.lepton
    response: Floats = np.maximum(lepton * alone + (1.0 - lepton) * hadrons, r.least)
    return response


def _mean_response(jets: JetCauses, r: Response) -> Floats:
    pt = jets["pt"]
    mean: Floats = (
        1.0 + r.flavour.of(jets.flavour) - r.low_pt * np.exp(-(pt - r.low_pt_from) / r.low_pt_scale)
    )
    mean -= r.neutral * (jets["neHEF"] - r.neutral_typical)
    mean += r.endcap * np.exp(-0.5 * np.square((jets.abs_eta - r.endcap_eta) / r.endcap_width))
    mean += r.pileup * (jets.rho - jets.typical_density) * 10.0 / pt
    return mean


def _angular_width(
    jets: JetCauses, pt: Floats, shower: Floats, normal: Floats, direction: Direction
) -> Floats:
    girth = np.log(np.maximum(jets["girth"], direction.least_girth) / direction.typical_girth)
    inflation = np.exp(direction.girth * girth + direction.spread * normal)
    width: Floats = (direction.constant + direction.slope / pt) * inflation
    return width * direction.scale.at(jets.abs_eta) * (1.0 + direction.response * np.abs(shower))


def _mass_and_area(
    jets: JetCauses, pt: Floats, leak: Floats, normal: Floats, m: Mass
) -> tuple[Floats, Floats]:
    spread = m.spread + m.low_pt_spread / jets["pt"]
    log_pt = np.log(jets["pt"])
    own = m.typical_share * (np.log(m.typical) + m.typical_power * log_pt)
    own += (1.0 - m.typical_share) * np.log(np.maximum(jets["mass"], m.least))
    own += m.power * (np.log(pt) - log_pt) + spread * normal[0]
    added = m.pileup * jets.density * pt * np.exp(m.pileup_spread * normal[1])
    width = m.area_width + m.area_slope / pt
    # The area follows how much soft pileup the jet collects, and has a fluctuation of its own.
    soft = m.area_pileup * normal[1] + np.sqrt(1.0 - m.area_pileup**2) * normal[2]
    area = m.area + width * (soft - m.area_skew * (np.square(soft) - 1.0)) - m.area_neighbours * leak
    return np.sqrt(np.exp(2.0 * own) + added), np.maximum(area, m.area_least)
