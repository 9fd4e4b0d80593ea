"""Jets: every GenJet that is reconstructed, as what the detector makes of it, and unmatched ones.

GenJets that are a prompt lepton stay, as CMS has them: their hidden energy fractions make the response that
of the lepton, and the composition its own.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numba
import numpy as np
from pydantic import Field

from flashsim.collection import Collection
from flashsim.recipes import Recipe
from flashsim.reference.detector import jet_energy, jet_identification, jet_substructure
from flashsim.reference.detector import taggers as tagging
from flashsim.reference.detector.forms import flavour_class
from flashsim.reference.detector.unmatched_jets import UnmatchedJets, unmatched_jets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from flashsim.reference.detector.truth import Noise, Truth

    Floats = NDArray[np.float64]

__all__ = ["JetResponse", "jets"]

_HIDDEN = ("shower", "leak", "nTracks")
_FLAVOURS = ("partonFlavour", "hadronFlavour")


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
    matched = _matched(truth, noise, parameters, rho)
    content, momentum = unmatched_jets(truth, noise, rho, parameters.unmatched, parameters.kinematics)
    others = _observed(truth, noise, "UnmatchedJet", content, momentum, parameters, rho)
    others.columns["genJetIdx"] = np.full(len(others), -1, dtype=np.int64)
    event = np.concatenate([matched.event_rows, others.event_rows])
    order = np.argsort(event, kind="stable")
    columns = {
        name: np.concatenate([values, others[name].astype(values.dtype)])[order]
        for name, values in matched.columns.items()
    }
    return Collection.of_counts(matched.counts + others.counts, columns)


def _matched(truth: Truth, noise: Noise, parameters: JetResponse, rho: Floats) -> Collection:
    gen = truth.jets
    kinematics = parameters.kinematics
    around = _neighbours(*gen.directions, gen["pt"], kinematics.response.neighbours_width)
    causes = Collection(gen.offsets, gen.columns | {"neighbours": around, "genJetIdx": gen.local_index})
    normal = noise.normal(truth, gen, "Jet", "momentum", jet_energy.NORMALS)
    uniform = noise.uniform(truth, gen, "Jet", "momentum", 2)
    flavour = flavour_class(causes.columns)
    momentum = jet_energy.momentum(
        causes.columns, flavour, rho[gen.event_rows], normal, uniform[:, 0], kinematics
    )
    found = uniform[:, 1] < kinematics.acceptance.efficiency(gen["pt"], gen["eta"], momentum["pt"])
    kept = causes.select(found)
    seen = {name: values[found] for name, values in momentum.items()}
    result = _observed(truth, noise, "Jet", kept, seen, parameters, rho)
    result.columns["genJetIdx"] = kept["genJetIdx"]
    return result


def _observed(
    truth: Truth,
    noise: Noise,
    name: str,
    causes: Collection,
    momentum: Mapping[str, Floats],
    parameters: JetResponse,
    rho: Floats,
) -> Collection:
    """Add composition, identification and scores to jets whose momentum is known."""
    event_rho = rho[causes.event_rows]
    density = event_rho / parameters.kinematics.resolution.typical_density
    is_pileup = np.full(len(causes), float(name == "UnmatchedJet"))
    flavour = flavour_class(causes.columns)

    def drawn(purpose: str, normals: int, uniforms: int) -> tuple[Floats, Floats]:
        return (
            noise.normal(truth, causes, name, f"{purpose} normal", normals),
            noise.uniform(truth, causes, name, f"{purpose} uniform", uniforms),
        )

    seen: dict[str, NDArray[np.generic]] = dict(momentum)
    numbers = drawn("substructure", jet_substructure.NORMALS, jet_substructure.UNIFORMS)
    seen |= jet_substructure.substructure(
        causes.columns, event_rho, density, momentum["shower"], *numbers, parameters.substructure
    )
    numbers = drawn("identification", jet_identification.NORMALS, jet_identification.UNIFORMS)
    seen |= jet_identification.identification(
        causes.columns, seen, density, is_pileup, *numbers, parameters.identification
    )
    numbers = drawn("taggers", tagging.NORMALS, tagging.UNIFORMS)
    seen |= tagging.taggers(causes.columns, seen, flavour, density, is_pileup, *numbers, parameters.taggers)
    columns = {field: values for field, values in seen.items() if field not in _HIDDEN}
    columns |= {field: causes[field].astype(np.int64) for field in _FLAVOURS}
    return Collection(causes.offsets, columns)


@numba.njit(cache=True)
def _neighbours(offsets, eta, phi, pt, width):  # type: ignore[no-untyped-def]  # numba  # noqa: ANN001, ANN202
    """PT sum of the other jets of an event, weighted with a normal distribution of their distance."""
    result = np.zeros(len(pt))
    for event in range(len(offsets) - 1):
        for i in range(offsets[event], offsets[event + 1]):
            for j in range(offsets[event], i):
                dphi = (phi[i] - phi[j] + math.pi) % (2.0 * math.pi) - math.pi
                square = ((eta[i] - eta[j]) ** 2 + dphi**2) / width**2
                if square < 25.0:
                    weight = math.exp(-0.5 * square)
                    result[i] += weight * pt[j]
                    result[j] += weight * pt[i]
    return result
