"""Jets that belong to no gen jet: pileup, and noise at the end of the endcap and in the forward calorimeter.

Their number is a Poisson number that rises with the energy density; what they are made of is drawn in place
of a gen jet's hidden variables, so that the same functions make their composition and scores.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from flashsim.declarations.recipes import Recipe
from flashsim.events.collection import Collection
from flashsim.reference.detector.causes import DrawSource, JetCauses
from flashsim.reference.detector.forms import EtaTable, counts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.reference.detector.causes import Draws
    from flashsim.reference.detector.jet_energy import Kinematics
    from flashsim.reference.detector.truth import Noise, Truth

    Floats = NDArray[np.float64]

__all__ = ["UnmatchedJets", "unmatched_jets"]


class UnmatchedJets(Recipe):
    """Number, momentum and content of jets without gen jet."""

    mean: float = Field(ge=0, description="mean number in an event at the typical density")
    power: float = Field(description="power of the density in it")
    soft: float = Field(gt=0, description="mean pT above the threshold in GeV, exponential")
    hard: float = Field(gt=0, description="the same of the harder part")
    hard_fraction: float = Field(ge=0, le=1, description="size of the harder part")
    eta_quantiles: tuple[float, ...] = Field(
        description="quantiles of the magnitude of eta, at equal steps of probability"
    )
    eta_spread: float = Field(ge=0, description="smearing of eta")
    mass: float = Field(gt=0, description="median of mass / sqrt(pT), in sqrt(GeV)")
    mass_spread: float = Field(gt=0, description="its log-normal spread")
    area_width: float = Field(gt=0, description="width of the area")
    particles: float = Field(gt=0, description="mean number of particles in place of the gen jet's")
    particles_spread: float = Field(ge=0, description="its log-normal spread")
    charged: EtaTable = Field(description="share of them that is charged and taken for the primary vertex's")
    energy: tuple[float, float, float] = Field(
        description="relative mean energies of charged hadrons, neutral hadrons and photons, exponential each"
    )
    ptd: float = Field(gt=0, description="median pTD of the content")
    ptd_spread: float = Field(ge=0, description="its log-normal spread")
    girth: float = Field(gt=0, description="median width of the content")
    girth_spread: float = Field(ge=0, description="its log-normal spread")


_NUMBERS = (8, 9)


def unmatched_jets(
    truth: Truth, noise: Noise, rho: Floats, recipe: UnmatchedJets, kinematics: Kinematics
) -> tuple[Collection, dict[str, Floats]]:
    """Draw the unmatched jets of events.

    Parameters
    ----------
    truth, noise
        The events and the detector's random numbers.
    rho
        Energy density of each event in GeV, shape (E,).
    recipe
        The parameters.
    kinematics
        Parameters of jets: threshold, typical density and calibration.

    Returns
    -------
    What stands for the gen jets and their hidden variables, and what `jet_energy.momentum` gives for gen
    jets.
    """
    typical = kinematics.resolution.typical_density
    mean = recipe.mean * np.power(rho / typical, recipe.power)
    number = counts(mean, noise.event_uniform(truth, "unmatched jets", 1)[:, 0])
    made = Collection.of_counts(number, {})
    draws = DrawSource(truth, noise, made, "UnmatchedJet").draw("momentum", _NUMBERS)
    momentum = _momentum(draws, recipe, kinematics)
    jets = Collection(made.offsets, _content(momentum, draws, recipe))
    causes = JetCauses.of(jets, rho, typical, is_pileup=True)
    momentum["rawFactor"] = kinematics.calibration.raw_factor(
        causes, momentum["pt"], momentum["area"], draws.normal[3]
    )
    return jets, momentum


def _momentum(draws: Draws, recipe: UnmatchedJets, kinematics: Kinematics) -> dict[str, Floats]:
    normal, uniform = draws.normal, draws.uniform
    mean = np.where(uniform[0] < recipe.hard_fraction, recipe.hard, recipe.soft)
    pt = kinematics.acceptance.threshold - mean * np.log(uniform[1])
    steps = np.linspace(0.0, 1.0, len(recipe.eta_quantiles))
    eta = np.interp(uniform[2], steps, recipe.eta_quantiles) + recipe.eta_spread * normal[0]
    area = kinematics.mass.area + recipe.area_width * normal[1]
    return {
        "pt": pt,
        "eta": np.where(uniform[3] < 0.5, -eta, eta),
        "phi": np.pi * (2.0 * uniform[4] - 1.0),
        "mass": recipe.mass * np.sqrt(pt) * np.exp(recipe.mass_spread * normal[2]),
        "area": np.maximum(area, kinematics.mass.area_least),
        "shower": normal[4],
        "leak": np.zeros(len(pt)),
    }


def _content(momentum: dict[str, Floats], draws: Draws, recipe: UnmatchedJets) -> dict[str, Floats]:
    normal, uniform = draws.normal, draws.uniform
    particles = 1.0 + counts(recipe.particles * np.exp(recipe.particles_spread * normal[5]), uniform[5])
    energies = -np.log(uniform[6:9]) * np.array(recipe.energy)[:, None]
    zero = np.zeros(len(particles))
    absent = (
        *("muEF", "chEmEF", "neutrinoPt", "d0Second", "d0Third", "neighbours"),
        *("partonFlavour", "hadronFlavour"),
    )
    return {
        **{name: momentum[name] for name in ("pt", "eta", "phi", "mass")},
        **dict(zip(("chHEF", "neHEF", "neEmEF"), energies / energies.sum(axis=0), strict=True)),
        **dict.fromkeys(absent, zero),
        "nConstituents": particles,
        "nCharged": particles * recipe.charged.at(np.abs(momentum["eta"])),
        "ptD": recipe.ptd * np.exp(recipe.ptd_spread * normal[6]),
        "girth": recipe.girth * np.exp(recipe.girth_spread * normal[7]),
    }
