"""What a jet is made of: energy fractions with exact zeros, and the number of particles.

A charged hadron is seen where tracks are, elsewhere its energy is that of a neutral one; a neutral hadron or
photon is seen above a threshold; electrons and muons are found with an efficiency, and hadrons are taken for
them; pileup adds to all. Particle flow: PRF-14-001 (arXiv:1706.04965).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from flashsim.recipes import Recipe
from flashsim.reference.detector.forms import Edge, counts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "NORMALS",
    "UNIFORMS",
    "Charged",
    "Leptons",
    "Multiplicity",
    "Neutral",
    "Substructure",
    "substructure",
]

NORMALS = 9
"""Normal numbers that a jet's composition needs."""

UNIFORMS = 10
"""Uniform numbers that it needs."""


class Charged(Recipe):
    """Charged hadrons."""

    tracker: Edge = Field(description="end of the tracker for a jet, in the magnitude of eta")
    efficiency: float = Field(gt=0, le=1, description="of the track of a hadron in a jet")
    pileup: float = Field(ge=0, description="tracks of pileup taken for the jet's, at the typical density")
    spread: float = Field(ge=0, description="log-normal spread of the energy at 1 track")
    least: float = Field(
        gt=0, description="energy over pT of a jet with tracks but no charged hadron, at most"
    )


class Neutral(Recipe):
    """Neutral hadrons and photons."""

    hadron: float = Field(ge=0, description="mean response to the energy of neutral hadrons")
    hadron_spread: float = Field(ge=0, description="its log-normal spread")
    photon: float = Field(ge=0, description="mean response to the energy of photons")
    photon_spread: float = Field(ge=0, description="its log-normal spread")
    hadron_pileup: float = Field(ge=0, description="mean energy of pileup and confusion in GeV of pT")
    photon_pileup: float = Field(ge=0, description="the same of photons")
    confusion: float = Field(ge=0, description="further energy of neutral hadrons, as a share of pT")
    hadron_threshold: float = Field(ge=0, description="pT in GeV below which none is seen, the median")
    photon_threshold: float = Field(ge=0, description="the same of photons")
    threshold_spread: float = Field(ge=0, description="log-normal spread of the thresholds")
    forward: Edge = Field(description="where the forward calorimeter takes over, in the magnitude of eta")
    forward_photon: float = Field(ge=0, le=1, description="share of photon energy that it tells apart")
    unassigned: float = Field(ge=0, description="mean share of energy that is assigned to no kind")


class Leptons(Recipe):
    """Electrons and muons in jets."""

    efficiency: float = Field(gt=0, le=1, description="of finding a lepton of the jet")
    electron_threshold: Edge = Field(description="pT in GeV below which it is not found")
    muon_threshold: Edge = Field(description="the same of muons")
    resolution: float = Field(ge=0, description="log-normal spread of its energy")
    electron_fakes: float = Field(ge=0, le=1, description="jets with a hadron taken for an electron")
    muon_fakes: float = Field(ge=0, le=1, description="jets with a hadron taken for a muon")
    electron_fake_share: float = Field(gt=0, lt=1, description="median energy fraction of a false electron")
    muon_fake_share: float = Field(gt=0, lt=1, description="the same of a false muon")
    fake_spread: float = Field(ge=0, description="log-normal spread of these fractions")
    lost_electron: float = Field(
        ge=0, le=1, description="energy of a lost electron that is called a photon's"
    )


class Multiplicity(Recipe):
    """Number of reconstructed particles."""

    seen: float = Field(gt=0, description="share of the particles of the gen jet that are seen")
    pileup: float = Field(ge=0, description="particles of pileup in a jet for each GeV of density")
    spread: float = Field(ge=0, description="log-normal spread of the mean")
    forward: float = Field(gt=0, description="mean number in the forward calorimeter")
    forward_power: float = Field(description="power of the gen number there, relative to the forward mean")


class Substructure(Recipe):
    """All that makes a jet's composition."""

    charged: Charged
    neutral: Neutral
    leptons: Leptons
    multiplicity: Multiplicity


def substructure(
    jets: Mapping[str, Floats],
    rho: Floats,
    density: Floats,
    shower: Floats,
    normal: Floats,
    uniform: Floats,
    recipe: Substructure,
) -> dict[str, NDArray[np.generic]]:
    """Energy fractions and numbers of particles of jets.

    Parameters
    ----------
    jets
        Columns of gen jets with their hidden variables.
    rho, density
        Energy density of each jet's event in GeV, and over the typical one.
    shower
        Standardised fluctuation of the response: a shower that shows low has more neutral hadrons.
    normal, uniform
        Standard normal and uniform numbers, shapes (N, `NORMALS`) and (N, `UNIFORMS`).
    recipe
        The parameters.

    Returns
    -------
    ``chHEF``, ``neHEF``, ``chEmEF``, ``neEmEF``, ``muEF``, ``nConstituents`` and ``nTracks``, the number of
    charged particles that are seen (hidden); shapes (N,).
    """
    abs_eta = np.abs(jets["eta"])
    tracker = recipe.charged.tracker.inside(abs_eta)
    mean_tracks = recipe.charged.efficiency * jets["nCharged"] + recipe.charged.pileup * density
    tracks = counts(tracker * mean_tracks, uniform[:, 0])
    hadrons, electron, muon, lost = _charged(jets, tracker, tracks, normal, uniform, recipe)
    outside = (1.0 - tracker) * jets["chHEF"]
    neutral, photon = _neutral(jets, abs_eta, outside, density, shower, normal, uniform, recipe.neutral)
    photon += lost
    parts = np.stack([hadrons, neutral, electron, photon, muon])
    parts[1] += parts.sum(axis=0) == 0  # nothing above threshold: noise in the calorimeter
    total = parts.sum(axis=0)
    parts *= (1.0 - _unassigned(uniform[:, 7], recipe.neutral)) / total
    names = ("chHEF", "neHEF", "chEmEF", "neEmEF", "muEF")
    tracks = tracks + (electron > 0) * (tracks == 0) + (muon > 0) * (tracks == 0)
    number = _number(jets, tracks, tracker, rho, normal[:, 8], uniform[:, 6], recipe)
    return {**dict(zip(names, parts, strict=True)), "nConstituents": number, "nTracks": tracks}


def _unassigned(uniform: Floats, neutral: Neutral) -> Floats:
    """Square of a uniform number: a density that falls from zero on."""
    share: Floats = np.minimum(3.0 * neutral.unassigned * np.square(uniform), 0.5)
    return share


def _charged(
    jets: Mapping[str, Floats],
    tracker: Floats,
    tracks: NDArray[np.int64],
    normal: Floats,
    uniform: Floats,
    recipe: Substructure,
) -> tuple[Floats, Floats, Floats, Floats]:
    """Energies of charged hadrons, electrons and muons over that of the jet, and of lost electrons."""
    leptons, charged, pt = recipe.leptons, recipe.charged, jets["pt"]
    seen = tracks > 0
    # Many tracks fluctuate less than one.
    spread = charged.spread / np.sqrt(np.maximum(tracks, 1))
    floor = charged.least * uniform[:, 1]
    hadrons = (jets["chHEF"] + floor) * np.exp(spread * normal[:, 0]) * seen
    scale = np.exp(leptons.resolution * normal[:, 1])

    def found(fraction: Floats, threshold: Edge, chance: Floats) -> NDArray[np.bool_]:
        efficiency = leptons.efficiency * tracker * (1.0 - threshold.inside(fraction * pt))
        result: NDArray[np.bool_] = (chance < efficiency) & (fraction > 0)
        return result

    is_electron = found(jets["chEmEF"], leptons.electron_threshold, uniform[:, 2])
    is_muon = found(jets["muEF"], leptons.muon_threshold, uniform[:, 3])
    electron = jets["chEmEF"] * scale * is_electron
    lost = jets["chEmEF"] * leptons.lost_electron * ~is_electron
    muon = jets["muEF"] * scale * is_muon
    # The same number decides, so that a found lepton is never a fake besides.
    fakes = (
        (electron, ~is_electron & (uniform[:, 4] < leptons.electron_fakes), leptons.electron_fake_share, 2),
        (muon, ~is_muon & (uniform[:, 5] < leptons.muon_fakes), leptons.muon_fake_share, 3),
    )
    for energy, fake, share, column in fakes:
        taken = np.minimum(share * np.exp(leptons.fake_spread * normal[:, column]), 0.9) * hadrons
        taken *= fake & seen
        energy += taken
        hadrons -= taken
    return hadrons, electron, muon, lost


def _neutral(
    jets: Mapping[str, Floats],
    abs_eta: Floats,
    outside: Floats,
    density: Floats,
    shower: Floats,
    normal: Floats,
    uniform: Floats,
    neutral: Neutral,
) -> tuple[Floats, Floats]:
    """Energies of neutral hadrons and photons over that of the jet, exactly zero below threshold."""
    pt = jets["pt"]
    forward = 1.0 - neutral.forward.inside(abs_eta)
    # Exponential pileup; hadrons from a shower that shows low.
    added = np.log(uniform[:, 8:10]) * (-density / pt)[:, None]
    confused = neutral.confusion * np.exp(normal[:, 4] - 0.5 * shower)
    hadron = neutral.hadron * jets["neHEF"] * np.exp(neutral.hadron_spread * normal[:, 5])
    hadron += confused + neutral.hadron_pileup * added[:, 0]
    photon = neutral.photon * jets["neEmEF"] * np.exp(neutral.photon_spread * normal[:, 6])
    photon += neutral.photon_pileup * added[:, 1]
    thresholds = np.exp(neutral.threshold_spread * normal[:, 7]) / pt
    hadron *= hadron > neutral.hadron_threshold * thresholds
    photon *= photon > neutral.photon_threshold * thresholds
    moved = forward * (1.0 - neutral.forward_photon) * photon
    return hadron + outside + moved, photon - moved


def _number(
    jets: Mapping[str, Floats],
    tracks: NDArray[np.int64],
    tracker: Floats,
    rho: Floats,
    normal: Floats,
    uniform: Floats,
    recipe: Substructure,
) -> NDArray[np.int64]:
    m = recipe.multiplicity
    others = m.seen * np.maximum(jets["nConstituents"] - jets["nCharged"], 0.0) + m.pileup * rho
    towers = m.forward * np.power(np.maximum(jets["nConstituents"], 1.0) / m.forward, m.forward_power)
    mean = (tracker * others + (1.0 - tracker) * towers) * np.exp(m.spread * normal)
    return np.minimum(1 + tracks + counts(mean, uniform), 255)
