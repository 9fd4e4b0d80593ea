"""What a jet is made of: energy fractions with exact zeros, and the number of particles.

A charged hadron is seen where tracks are, elsewhere its energy is that of a neutral one; a neutral hadron or
photon is seen above a threshold; electrons and muons are found with an efficiency, and hadrons are taken for
them; pileup adds to all. Particle flow: PRF-14-001 (arXiv:1706.04965).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from flashsim.declarations.recipes import Recipe
from flashsim.reference.detector.forms import Edge, EtaTable, counts, thinned

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from flashsim.reference.detector.causes import Draws, JetCauses

    Floats = NDArray[np.float64]

__all__ = [
    "NUMBERS",
    "Charged",
    "Leptons",
    "Multiplicity",
    "Neutral",
    "Substructure",
    "substructure",
]

NUMBERS = (11, 12)
"""Normal and uniform numbers that a jet's composition needs."""

_MOST_CONSTITUENTS = 255  # one byte in NanoAOD


class Charged(Recipe):
    """Charged hadrons."""

    tracker: Edge = Field(description="end of the tracker for a jet, in the magnitude of eta")
    tracker_spread: float = Field(ge=0, description="spread of that end between jets: of their particles")
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
    confusion_shower: float = Field(description="its logarithm's loss with the fluctuation of the response")
    hadron_threshold: float = Field(ge=0, description="pT in GeV below which none is seen, the median")
    photon_threshold: float = Field(ge=0, description="the same of photons")
    forward_threshold: float = Field(ge=0, description="rise of that in the forward calorimeter")
    hadron_share: float = Field(ge=0, description="share of pT below which no neutral hadron is told apart")
    threshold_spread: float = Field(ge=0, description="log-normal spread of the thresholds")
    forward: Edge = Field(description="where the forward calorimeter takes over, in the magnitude of eta")
    forward_photon: float = Field(ge=0, le=1, description="share of photon energy that it tells apart")
    unassigned: float = Field(ge=0, lt=0.3, description="mean share of energy that is assigned to no kind")


class Fakes(Recipe):
    """Hadrons taken for a lepton."""

    rate: float = Field(ge=0, le=1, description="share of the jets that have one")
    share: float = Field(gt=0, lt=1, description="median share of the charged hadrons' energy")
    spread: float = Field(ge=0, description="its log-normal spread")
    least: float = Field(ge=0, description="smallest pT of such a hadron, in GeV")

    def energy(self, hadrons: Floats, pt: Floats, normal: Floats, uniform: Floats) -> Floats:
        """Energy that is taken from the charged hadrons', at most nearly all of it; shape (N,)."""
        taken = np.minimum(self.share * np.exp(self.spread * normal), 0.9) * hadrons
        result: Floats = taken * ((uniform < self.rate) & (taken * pt > self.least))
        return result


class Leptons(Recipe):
    """Electrons and muons in jets."""

    efficiency: float = Field(gt=0, le=1, description="of finding a lepton of the jet")
    electron_threshold: Edge = Field(description="pT in GeV below which it is not found")
    muon_threshold: Edge = Field(description="the same of muons")
    resolution: float = Field(ge=0, description="log-normal spread of its energy")
    electron_fakes: Fakes = Field(description="hadrons taken for an electron")
    muon_fakes: Fakes = Field(description="hadrons taken for a muon")
    lost_electron: float = Field(
        ge=0, le=1, description="energy of a lost electron that is called a photon's"
    )


class Multiplicity(Recipe):
    """Number of reconstructed particles."""

    seen: float = Field(gt=0, description="share of the particles of the gen jet that are seen")
    pileup: float = Field(ge=0, description="particles of pileup in a jet for each GeV of density")
    spread: float = Field(ge=0, description="log-normal spread of that number")
    forward: EtaTable = Field(description="mean number where no tracks are")
    forward_slope: float = Field(description="rise of it for each particle of the gen jet more than that")
    forward_spread: float = Field(ge=0, description="its standard deviation: cells, not particles")


class Substructure(Recipe):
    """All that makes a jet's composition."""

    charged: Charged
    neutral: Neutral
    leptons: Leptons
    multiplicity: Multiplicity


def substructure(
    jets: JetCauses, momentum: Mapping[str, Floats], draws: Draws, recipe: Substructure
) -> dict[str, NDArray[Any]]:
    """Draw energy fractions and numbers of particles of jets.

    Parameters
    ----------
    jets
        The jets before the detector.
    momentum
        What `jet_energy.momentum` gives: a shower that shows low has more neutral hadrons.
    draws
        `NUMBERS` random numbers of each.
    recipe
        The parameters.

    Returns
    -------
    ``chHEF``, ``neHEF``, ``chEmEF``, ``neEmEF``, ``muEF``, ``nConstituents`` and ``nTracks``, the number of
    charged particles that are seen (hidden); shapes (N,).
    """
    charged, uniform = recipe.charged, draws.uniform
    tracker = charged.tracker.inside(jets.abs_eta + charged.tracker_spread * draws.normal[9])
    tracks = thinned(np.rint(jets["nCharged"]).astype(np.int64), charged.efficiency * tracker, uniform[0])
    tracks += counts(charged.pileup * tracker * jets.density, uniform[10])
    electron, muon, lost = _leptons(jets, tracker, draws, recipe.leptons)
    hadrons = _charged_hadrons(jets, tracker, tracks, draws, charged)
    for row, lepton, fake in (
        (2, electron, recipe.leptons.electron_fakes),
        (3, muon, recipe.leptons.muon_fakes),
    ):
        taken = fake.energy(hadrons, jets["pt"], draws.normal[row], uniform[row + 2]) * (lepton == 0)
        np.subtract(hadrons, taken, out=hadrons)
        np.add(lepton, taken, out=lepton)
    outside = (1.0 - tracker) * jets["chHEF"]
    neutral, photon = _neutral(jets, outside, momentum["shower"], draws, recipe.neutral)
    parts = np.stack([hadrons, neutral, electron, photon + lost, muon])
    parts[1] += parts.sum(axis=0) == 0  # nothing above threshold: noise in the calorimeter
    # Square of a uniform number: a density that falls from zero on, three times as far as its mean.
    unassigned = 3.0 * recipe.neutral.unassigned * np.square(uniform[7])
    parts *= (1.0 - unassigned) / parts.sum(axis=0)
    tracks = np.maximum(tracks, (electron > 0).astype(np.int64) + (muon > 0))
    number = _number(jets, tracks, tracker, draws, recipe.multiplicity)
    names = ("chHEF", "neHEF", "chEmEF", "neEmEF", "muEF")
    return {**dict(zip(names, parts, strict=True)), "nConstituents": number, "nTracks": tracks}


def _charged_hadrons(
    jets: JetCauses, tracker: Floats, tracks: NDArray[np.int64], draws: Draws, charged: Charged
) -> Floats:
    """Energy over that of the jet; many tracks fluctuate less than one."""
    spread = charged.spread / np.sqrt(np.maximum(tracks, 1))
    energy = tracker * jets["chHEF"] + charged.least * draws.uniform[1]
    result: Floats = energy * np.exp(spread * draws.normal[0]) * (tracks > 0)
    return result


def _leptons(
    jets: JetCauses, tracker: Floats, draws: Draws, leptons: Leptons
) -> tuple[Floats, Floats, Floats]:
    """Energies of electrons and muons over that of the jet, and of lost electrons."""
    scale = np.exp(leptons.resolution * draws.normal[1])

    def found(fraction: Floats, threshold: Edge, chance: Floats) -> NDArray[np.bool_]:
        efficiency = leptons.efficiency * tracker * (1.0 - threshold.inside(fraction * jets["pt"]))
        result: NDArray[np.bool_] = chance < efficiency
        return result

    is_electron = found(jets["chEmEF"], leptons.electron_threshold, draws.uniform[2])
    is_muon = found(jets["muEF"], leptons.muon_threshold, draws.uniform[3])
    lost = jets["chEmEF"] * leptons.lost_electron * ~is_electron
    return jets["chEmEF"] * scale * is_electron, jets["muEF"] * scale * is_muon, lost


def _neutral(
    jets: JetCauses, outside: Floats, shower: Floats, draws: Draws, neutral: Neutral
) -> tuple[Floats, Floats]:
    """Energies of neutral hadrons and photons over that of the jet, exactly zero below threshold."""
    normal, pt = draws.normal, jets["pt"]
    pileup = -jets.density / pt
    hadron = neutral.hadron * jets["neHEF"] * np.exp(neutral.hadron_spread * normal[5])
    hadron += neutral.confusion * np.exp(normal[4] - neutral.confusion_shower * shower)
    hadron += outside + neutral.hadron_pileup * pileup * np.log(draws.uniform[8])
    photon = neutral.photon * jets["neEmEF"] * np.exp(neutral.photon_spread * normal[6])
    photon += neutral.photon_pileup * pileup * np.log(draws.uniform[9])
    threshold = np.exp(neutral.threshold_spread * normal[7])
    forward = 1.0 - neutral.forward.inside(jets.abs_eta)
    moved = forward * (1.0 - neutral.forward_photon) * photon
    hadron, photon = hadron + moved, photon - moved
    hadron *= hadron > (neutral.hadron_threshold / pt + neutral.hadron_share) * threshold
    photon *= photon > (neutral.photon_threshold + neutral.forward_threshold * forward) / pt * threshold
    return hadron, photon


def _number(
    jets: JetCauses, tracks: NDArray[np.int64], tracker: Floats, draws: Draws, m: Multiplicity
) -> NDArray[np.int64]:
    particles = jets["nConstituents"]
    neutral = np.maximum(np.rint(particles - jets["nCharged"]), 0.0).astype(np.int64)
    soft = m.pileup * jets.rho * np.exp(m.spread * draws.normal[8])
    others = thinned(neutral, m.seen * tracker, draws.uniform[6]) + counts(soft * tracker, draws.uniform[11])
    typical = m.forward.at(jets.abs_eta)
    towers = typical + m.forward_slope * (particles - typical) + m.forward_spread * draws.normal[10]
    # Rounded at random, so that a mixture of particles and towers has no preferred numbers.
    cells = np.floor(np.maximum((1.0 - tracker) * towers, 0.0) + draws.uniform[1]).astype(np.int64)
    number: NDArray[np.int64] = np.minimum(1 + tracks + others + cells, _MOST_CONSTITUENTS)
    return number
