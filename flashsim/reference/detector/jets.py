"""Jets: every GenJet that is reconstructed, as what the detector makes of it, and unmatched ones.

GenJets that are a prompt lepton stay, as CMS has them: their hidden energy fractions make the response that
of the lepton, and the composition its own.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from pydantic import Field

from flashsim.declarations.recipes import Recipe
from flashsim.events.angles import delta_phi
from flashsim.events.collection import Collection
from flashsim.reference.detector import jet_energy, jet_identification, jet_substructure
from flashsim.reference.detector import taggers as tagging
from flashsim.reference.detector.causes import DrawSource, JetCauses
from flashsim.reference.detector.unmatched_jets import UnmatchedJets, unmatched_jets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from flashsim.reference.detector.truth import Noise, Truth

    Floats = NDArray[np.float64]

__all__ = ["JetResponse", "jets"]

_delta_phi = numba.njit(cache=True)(delta_phi)
_HIDDEN = ("shower", "leak", "nTracks")
_FLAVOURS = ("partonFlavour", "hadronFlavour")
_AFTER_MOMENTUM = (
    *("genJetIdx", "pt", "eta", "nConstituents", "nCharged", "chHEF", "neHEF", "chEmEF", "neEmEF", "muEF"),
    *("ptD", "girth", "neutrinoPt", "d0Second", "d0Third"),
    *_FLAVOURS,
)
"""Columns that the responses after the four-momentum read."""


class JetResponse(Recipe):
    """All numbers of jets."""

    kinematics: jet_energy.Kinematics = Field(description="four-momentum and efficiency")
    substructure: jet_substructure.Substructure = Field(
        description="energy fractions and numbers of particles"
    )
    identification: jet_identification.Identification = Field(description="identification and regression")
    taggers: tagging.Taggers = Field(description="flavour taggers")
    unmatched: UnmatchedJets = Field(description="jets without gen jet")


def jets(truth: Truth, noise: Noise, parameters: JetResponse, rho: NDArray[np.float64]) -> Collection:
    """Reconstructed jets of events.

    Parameters
    ----------
    truth
        Gen-level content of E events.
    noise
        The detector's random numbers.
    parameters
        The detector's numbers.
    rho
        Energy density of each event in GeV, shape (E,).

    Returns
    -------
    Every target of NanoAOD v9's ``Jet`` (pT, mass in GeV), the flavours of the gen jet (0 for none) and
    ``genJetIdx``, the index of the GenJet in its event, or -1. Neither sorted nor rounded.
    """
    return Collection.merged(
        [_matched(truth, noise, parameters, rho), _unmatched(truth, noise, parameters, rho)]
    )


def _matched(truth: Truth, noise: Noise, parameters: JetResponse, rho: Floats) -> Collection:
    kinematics = parameters.kinematics
    gen = truth.jets
    around = _neighbours(*gen.directions, gen["pt"], kinematics.response.neighbours_width)
    gen = Collection(gen.offsets, gen.columns | {"neighbours": around, "genJetIdx": gen.local_index})
    causes = JetCauses.of(gen, rho, kinematics.resolution.typical_density, is_pileup=False)
    draws = DrawSource(truth, noise, gen, "Jet").draw("momentum", jet_energy.NUMBERS)
    momentum = jet_energy.momentum(causes, draws, kinematics)
    found = draws.uniform[0] < kinematics.acceptance.efficiency(causes, momentum["pt"])
    kept = Collection(gen.offsets, {name: gen[name] for name in _AFTER_MOMENTUM}).select(found)
    causes = JetCauses.of(kept, rho, kinematics.resolution.typical_density, is_pileup=False)
    rows = np.flatnonzero(found)
    momentum = {name: values[rows] for name, values in momentum.items()}
    columns = _observed(causes, momentum, DrawSource(truth, noise, kept, "Jet"), parameters)
    return Collection(kept.offsets, columns | {"genJetIdx": kept["genJetIdx"]})


def _unmatched(truth: Truth, noise: Noise, parameters: JetResponse, rho: Floats) -> Collection:
    kinematics = parameters.kinematics
    made, momentum = unmatched_jets(truth, noise, rho, parameters.unmatched, kinematics)
    causes = JetCauses.of(made, rho, kinematics.resolution.typical_density, is_pileup=True)
    columns = _observed(causes, momentum, DrawSource(truth, noise, made, "UnmatchedJet"), parameters)
    return Collection(made.offsets, columns | {"genJetIdx": np.full(len(made), -1, dtype=np.int64)})


def _observed(
    causes: JetCauses, momentum: Mapping[str, Floats], source: DrawSource, parameters: JetResponse
) -> dict[str, NDArray[Any]]:
    """Add composition, identification and scores to jets whose momentum is known."""
    seen: dict[str, NDArray[Any]] = dict(momentum)
    stages = (jet_substructure.NUMBERS, jet_identification.NUMBERS, tagging.NUMBERS)
    of_substructure, of_identification, of_taggers = source.draw_all("response", stages)
    seen |= jet_substructure.substructure(causes, momentum, of_substructure, parameters.substructure)
    seen |= jet_identification.identification(causes, seen, of_identification, parameters.identification)
    seen |= tagging.taggers(causes, seen, of_taggers, parameters.taggers)
    columns = {field: values for field, values in seen.items() if field not in _HIDDEN}
    return columns | {field: causes[field].astype(np.int64) for field in _FLAVOURS}


@numba.njit(cache=True)
def _neighbours(offsets, eta, phi, pt, width):  # type: ignore[no-untyped-def]  # numba  # noqa: ANN001, ANN202
    """PT sum of the other jets of an event, weighted with a normal distribution of their distance."""
    result = np.zeros(len(pt))
    for event in range(len(offsets) - 1):
        for i in range(offsets[event], offsets[event + 1]):
            for j in range(offsets[event], i):
                square = ((eta[i] - eta[j]) ** 2 + _delta_phi(phi[i], phi[j]) ** 2) / width**2
                if square < 25.0:
                    weight = math.exp(-0.5 * square)
                    result[i] += weight * pt[j]
                    result[j] += weight * pt[i]
    return result
