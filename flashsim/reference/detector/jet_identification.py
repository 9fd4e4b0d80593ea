"""Identification of jets: pileup identification, jet identification, b-jet energy regression.

Pileup identification: JME-18-001 (arXiv:2003.00503), section 5.3, with the cuts of the 106X training of 2018.
b-jet energy regression: HIG-18-027 (arXiv:1912.06046), whose target is the pT with neutrinos over the
reconstructed one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from flashsim.declarations.recipes import Recipe
from flashsim.reference.detector.forms import Edge, Saturation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from flashsim.reference.detector.causes import Draws, JetCauses

    Floats = NDArray[np.float64]

__all__ = ["NUMBERS", "Identification", "JetId", "PileupId", "Regression", "identification"]

NUMBERS = (4, 4)
"""Normal and uniform numbers that a jet's identification needs."""

_MOST_LATENT = 5.0  # beyond, the discriminant is 1 with the 10 bits that NanoAOD stores


class PileupId(Recipe):
    """Discriminant ``tanh(L)``, L normal around a mean, and the flags cut from it."""

    central: float = Field(description="mean of L at 30 GeV where tracks are")
    central_slope: float = Field(description="its rise with ln pT")
    saturation: Saturation = Field(description="of ln(pT / 30 GeV)")
    forward: float = Field(description="mean of L at 30 GeV where no tracks are")
    forward_slope: float = Field(description="its rise with ln pT")
    tracker: Edge = Field(description="end of the tracker, in the magnitude of eta")
    pileup_central: float = Field(description="shift of L for jets of pileup where tracks are")
    pileup_forward: float = Field(description="the same where no tracks are")
    charged: float = Field(description="rise of L with the logarithm of 1 + the number of tracks")
    typical_tracks: float = Field(gt=0, description="number of tracks that the mean is for")
    lepton: float = Field(description="loss for a lone lepton")
    neighbours: float = Field(description="loss for each unit of leakage")
    density: float = Field(description="loss with the energy density over the typical one")
    spread: float = Field(gt=0, description="standard deviation of L")
    forward_spread: float = Field(gt=0, description="the same where no tracks are")
    pileup_spread: float = Field(ge=0, description="rise of both for jets of pileup")
    tail_fraction: float = Field(ge=0, le=1, description="jets that look like pileup, at 30 GeV")
    tail_slope: float = Field(description="power of pT over 30 GeV in that fraction, taken away")
    tail: float = Field(ge=0, description="their mean loss, exponential")
    flag_spread: float = Field(ge=0, description="what the flag's L differs by, a standard deviation")
    pt_edges: tuple[float, ...] = Field(description="pT in GeV between the rows of cuts")
    eta_edges: tuple[float, ...] = Field(description="magnitudes of eta between the columns of cuts")
    tight: tuple[tuple[float, ...], ...] = Field(description="cuts of the tight flag, by pT and eta")
    medium: tuple[tuple[float, ...], ...] = Field(description="cuts of the medium flag")
    loose: tuple[tuple[float, ...], ...] = Field(description="cuts of the loose flag")


class JetId(Recipe):
    """Tight jet identification, and the veto of leptons."""

    fail_central: float = Field(ge=0, le=1, description="jets that fail where tracks are")
    fail_forward: float = Field(ge=0, le=1, description="jets that fail beyond")
    tracker: Edge = Field(description="where the second begins, in the magnitude of eta")
    fail_neutral: float = Field(ge=0, le=1, description="jets without tracks, in the tracker, that fail")
    electron_fraction: Edge = Field(description="largest share of electrons that the lepton veto passes")


class Regression(Recipe):
    """Correction and resolution of the b-jet energy regression."""

    offset: float = Field(description="mean correction at high pT, less one")
    slope: float = Field(description="rise with 1 / pT, in GeV")
    width: float = Field(gt=0, description="width at high pT")
    width_slope: float = Field(ge=0, description="rise of the width with 1 / pT, in GeV")
    width_forward: float = Field(gt=0, description="factor on the width where no tracks are")
    skew: float = Field(gt=0, lt=1, description="skew towards large corrections")
    shower: float = Field(description="undone part of a standard deviation of the response, in widths")
    neutrino: float = Field(description="share of the neutrinos' pT that is found")
    lepton: float = Field(description="rise for a lone lepton")
    least: float = Field(gt=0, description="smallest correction")
    most: float = Field(gt=0, description="largest correction")
    resolution: float = Field(gt=0, description="resolution at 30 GeV")
    resolution_power: float = Field(description="power of pT over 30 GeV in it")
    resolution_spread: float = Field(gt=0, description="its log-normal spread")
    resolution_neutrino: float = Field(description="its rise with the neutrinos' share, in the exponent")
    resolution_lepton: float = Field(description="the same for a lone lepton")
    resolution_forward: float = Field(description="the same where no tracks are")
    resolution_pileup: float = Field(description="the same for jets of pileup")
    tracker: Edge = Field(description="end of the tracker, in the magnitude of eta")


class Identification(Recipe):
    """All that identifies a jet."""

    pileup: PileupId
    jet: JetId
    regression: Regression


def identification(
    jets: JetCauses, seen: Mapping[str, NDArray[Any]], draws: Draws, recipe: Identification
) -> dict[str, NDArray[Any]]:
    """Draw identification and regression of jets.

    Parameters
    ----------
    jets
        The jets before the detector.
    seen
        What `jet_energy.momentum` and `jet_substructure.substructure` give.
    draws
        `NUMBERS` random numbers of each.
    recipe
        The parameters.

    Returns
    -------
    ``puIdDisc``, ``puId``, ``jetId``, ``bRegCorr`` and ``bRegRes``, shapes (N,).
    """
    latent = _pileup_latent(jets, seen, draws, recipe.pileup)
    flag = np.tanh(latent + recipe.pileup.flag_spread * draws.normal[1])
    correction, resolution = _regression(jets, seen, draws.normal[2:4], recipe.regression)
    return {
        "puIdDisc": np.tanh(latent),
        "puId": _pileup_flag(seen["pt"], np.abs(seen["eta"]), flag, recipe.pileup),
        "jetId": _jet_flag(seen, draws.uniform[2:4], recipe.jet),
        "bRegCorr": correction,
        "bRegRes": resolution,
    }


def _pileup_latent(jets: JetCauses, seen: Mapping[str, NDArray[Any]], draws: Draws, p: PileupId) -> Floats:
    log_pt = p.saturation.of(np.log(seen["pt"] / 30.0))
    tracker = p.tracker.inside(np.abs(seen["eta"]))
    tracks = np.log((1.0 + seen["nTracks"]) / (1.0 + p.typical_tracks))
    central = p.central + p.central_slope * log_pt + p.charged * tracks + p.pileup_central * jets.is_pileup
    forward = p.forward + p.forward_slope * log_pt + p.pileup_forward * jets.is_pileup
    spread = tracker * p.spread + (1.0 - tracker) * p.forward_spread
    latent = (
        tracker * central
        + (1.0 - tracker) * forward
        + (spread + p.pileup_spread * jets.is_pileup) * draws.normal[0]
    )
    latent -= p.lepton * np.square(jets.lepton)
    latent -= p.neighbours * seen["leak"] + p.density * (jets.density - 1.0)
    like_pileup = draws.uniform[0] < p.tail_fraction * np.exp(-p.tail_slope * log_pt) * tracker
    latent += like_pileup * p.tail * np.log(draws.uniform[1])
    clipped: Floats = np.clip(latent, -_MOST_LATENT, _MOST_LATENT)
    return clipped


def _pileup_flag(pt: Floats, abs_eta: Floats, discriminant: Floats, p: PileupId) -> NDArray[np.int64]:
    row, column = np.searchsorted(p.pt_edges, pt), np.searchsorted(p.eta_edges, abs_eta)
    passed = [discriminant > np.array(cuts)[row, column] for cuts in (p.loose, p.medium, p.tight)]
    # Bits 2, 1 and 0 are loose, medium and tight.
    flag: NDArray[np.int64] = 4 * passed[0] + 2 * passed[1] + 1 * passed[2]
    return flag


def _jet_flag(seen: Mapping[str, NDArray[Any]], uniform: Floats, j: JetId) -> NDArray[np.int64]:
    tracker = j.tracker.inside(np.abs(seen["eta"]))
    central = np.where(seen["nTracks"] == 0, j.fail_neutral, j.fail_central)
    fails = uniform[0] < tracker * central + (1.0 - tracker) * j.fail_forward
    vetoed = uniform[1] > j.electron_fraction.inside(seen["chEmEF"])
    return np.where(fails, 0, np.where(vetoed, 2, 6))


def _regression(
    jets: JetCauses, seen: Mapping[str, NDArray[Any]], normal: Floats, r: Regression
) -> tuple[Floats, Floats]:
    pt = seen["pt"]
    outside = 1.0 - r.tracker.inside(jets.abs_eta)
    width = (r.width + r.width_slope / pt) * (1.0 + (r.width_forward - 1.0) * outside)
    skewed = (np.exp(r.skew * normal[0]) - 1.0) / r.skew
    neutrinos = jets["neutrinoPt"] / pt
    correction = 1.0 + r.offset + r.slope / pt + width * (skewed - r.shower * seen["shower"])
    correction += r.neutrino * neutrinos + r.lepton * np.square(jets.lepton)
    spread = r.resolution_spread * normal[1] + r.resolution_neutrino * np.minimum(neutrinos, 1.0)
    spread += r.resolution_lepton * np.square(jets.lepton) + r.resolution_pileup * jets.is_pileup
    spread += r.resolution_forward * outside
    resolution = r.resolution * np.exp(r.resolution_power * np.log(pt / 30.0) + spread)
    return np.clip(correction, r.least, r.most), np.minimum(resolution, 1.0)
