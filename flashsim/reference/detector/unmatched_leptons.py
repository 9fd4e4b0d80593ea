"""Leptons that are none in the generator's record.

Muons: punch-through, decays in flight, and pileup. Electrons: hadrons with an early shower, photons that
convert, and pileup. Their number is Poisson with a mean that follows hadrons of the event, which are hidden,
and pileup collisions. Those of the event fly along its jets, inside their activity; those of pileup go
anywhere in the acceptance and come from another place on the beam line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np
from pydantic import Field
from scipy.stats import poisson

from flashsim.declarations.recipes import Recipe
from flashsim.events.angles import wrap_angle
from flashsim.events.collection import Collection

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.reference.detector.truth import Noise, Truth

__all__ = ["UnmatchedLeptons", "unmatched_leptons"]


class UnmatchedLeptons(Recipe):
    """Rates and spectra; momenta in GeV, lengths in cm."""

    per_hadron: float = Field(ge=0, description="mean number for each charged hadron above 3 GeV")
    per_pileup: float = Field(ge=0, description="mean number for each pileup collision")
    threshold: float = Field(gt=0, description="smallest pT")
    steepness: float = Field(gt=0, description="mean of ln(pT / threshold)")
    along_jets: float = Field(ge=0, le=1, description="share of those of the event that follow a jet")
    jet_power: float = Field(description="a jet is followed in proportion to this power of its pT")
    jet_width: float = Field(ge=0, description="spread of eta and phi around the jet's axis")
    content: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="if not 0, they are part of the jet: ln pT is uniform up to this share of the jet's",
    )
    acceptance: float = Field(gt=0, description="largest |eta|")
    forward: float = Field(gt=0, description="|eta| goes like a uniform number to this power")
    flight: tuple[float, float] = Field(description="median |dxy| in the event, and spread of its logarithm")
    pileup_flight: tuple[float, float] = Field(description="the same of those from pileup")
    beam: float = Field(gt=0, description="spread of dz of those from pileup")
    inside: tuple[float, float] = Field(
        description="median share of the jet's pT in the inner cone, and spread of its logarithm"
    )
    outside: float = Field(gt=0, description="mean sum of each kind of particles in the inner cone elsewhere")
    outer: float = Field(ge=0, description="mean relative growth of those sums from cone 0.3 to 0.4")


def unmatched_leptons(truth: Truth, noise: Noise, response: UnmatchedLeptons, kind: str) -> Collection:
    """Draw them as they are before they are measured.

    Parameters
    ----------
    truth, noise, response
        The events, the detector's random numbers, and the parameters.
    kind
        What they are taken for, such as ``"muon"``; different ones have their own random numbers.

    Returns
    -------
    The columns of ``Truth.leptons`` that a lepton's reconstruction reads: pt, eta, phi, charge, dxy, dz, the
    sums in the cones; genPartIdx is -1 and origin 0.
    """
    name = f"Unmatched{kind.capitalize()}"
    event = truth.event
    means = [response.per_hadron * event["nHadrons"], response.per_pileup * event["Pileup_nPU"]]
    uniform = noise.event_uniform(truth, f"unmatched {kind}s", 2)
    near, far = (
        np.asarray(poisson.ppf(uniform[:, column], mean)).astype(np.int64)
        for column, mean in enumerate(means)
    )
    objects = Collection.of_counts(near + far, {})
    is_far = objects.local_index >= near[objects.event_rows]
    u = noise.uniform(truth, objects, name, "kind", 8)
    z = noise.normal(truth, objects, name, "kind", 6)
    jet = _followed_jet(objects.offsets, u[:, 0], *_weights(truth, response))
    follows = ~is_far & (jet >= 0) & (u[:, 1] < response.along_jets)
    eta, phi = _directions(truth, response, jet, follows, u=u[:, 2:5], z=z[:, :2])
    flight = np.where(is_far, response.pileup_flight[0], response.flight[0])
    spread = np.where(is_far, response.pileup_flight[1], response.flight[1])
    impact = flight * np.exp(spread * z[:, 2]) * np.sign(z[:, 3])
    pt = response.threshold * np.exp(-response.steepness * np.log(u[:, 5]))
    if response.content:
        most = np.maximum(response.content * truth.jets["pt"][jet[follows]] / response.threshold, 1.0)
        pt[follows] = response.threshold * most ** u[follows, 5]
    columns = {
        "pt": pt,
        "eta": eta,
        "phi": phi,
        "charge": np.where(u[:, 6] < 0.5, -1.0, 1.0),
        "dxy": impact,
        "dz": np.where(is_far, response.beam * z[:, 4], np.abs(impact) * np.cosh(eta) * z[:, 4]),
        "genPartIdx": np.full(len(objects), -1, dtype=np.int64),
        "origin": np.zeros(len(objects), dtype=np.int64),
    }
    source = (
        noise.normal(truth, objects, name, "surroundings", 3),
        noise.uniform(truth, objects, name, "surroundings", 6),
    )
    columns |= _surroundings(truth, response, pt=pt, jet=jet, follows=follows, is_far=is_far, draws=source)
    return Collection(objects.offsets, columns)


def _weights(truth: Truth, response: UnmatchedLeptons) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    jets = truth.jets
    reached = np.abs(jets["eta"]) < response.acceptance
    weight = np.where(reached, jets["pt"] ** response.jet_power, 0.0)
    if response.content:  # a jet that is an electron or a muon has nothing to make another of
        weight = weight * np.clip(1.0 - jets["chEmEF"] - jets["muEF"], 0.0, 1.0)
    return jets.offsets, weight


def _directions(
    truth: Truth,
    response: UnmatchedLeptons,
    jet: NDArray[np.int64],
    follows: NDArray[np.bool_],
    *,
    u: NDArray[np.float64],
    z: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    sign = np.where(u[:, 0] < 0.5, -1.0, 1.0)
    eta = sign * response.acceptance * u[:, 1] ** response.forward
    phi = np.pi * (2.0 * u[:, 2] - 1.0)
    eta[follows] = truth.jets["eta"][jet[follows]] + response.jet_width * z[follows, 0]
    phi[follows] = wrap_angle(truth.jets["phi"][jet[follows]] + response.jet_width * z[follows, 1])
    return eta, phi


def _surroundings(
    truth: Truth,
    response: UnmatchedLeptons,
    *,
    pt: NDArray[np.float64],
    jet: NDArray[np.int64],
    follows: NDArray[np.bool_],
    is_far: NDArray[np.bool_],
    draws: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> dict[str, NDArray[np.float64]]:
    """Draw sums of charged hadrons, neutral hadrons and photons in both cones, in GeV."""
    z, u = draws
    around = truth.jets["pt"][jet[follows]]
    if response.content:
        around = np.maximum(around - pt[follows], 0.0)
    sums: dict[str, NDArray[np.float64]] = {}
    fractions = {"charged": "chHEF", "neutral": "neHEF", "photon": "neEmEF"}
    for column, (name, fraction) in enumerate(fractions.items()):
        inner = -response.outside * np.log(u[:, column])
        if name == "charged":
            inner[is_far] = 0.0  # those of another vertex are not counted
        energy = around * truth.jets[fraction][jet[follows]]
        inner[follows] = energy * response.inside[0] * np.exp(response.inside[1] * z[follows, column])
        sums[f"{name}03"] = inner
        sums[f"{name}04"] = inner * (1.0 - response.outer * np.log(u[:, 3 + column]))
    return sums


@numba.njit(cache=True)
def _followed_jet(offsets, u, jet_offsets, weight):  # type: ignore[no-untyped-def]  # numba  # noqa: ANN001, ANN202
    """Row of a jet of the event for each object, drawn by weight, or -1 without any."""
    result = np.full(len(u), -1, dtype=np.int64)
    for event in range(len(offsets) - 1):
        first, last = jet_offsets[event], jet_offsets[event + 1]
        total = weight[first:last].sum()
        if total <= 0.0:
            continue
        for i in range(offsets[event], offsets[event + 1]):
            left = u[i] * total
            for j in range(first, last):
                if weight[j] > 0.0:
                    result[i] = j
                    left -= weight[j]
                    if left <= 0.0:
                        break
    return result
