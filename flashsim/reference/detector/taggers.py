"""Flavour taggers: b, c, light and gluon, with the displacement of tracks behind them.

Probabilities of b, c and other flavour are a softmax of two logits, which are linear in how significantly
the jet's tracks are displaced (a hidden variable), with means and spreads by flavour: the shapes are those of
DeepJet (arXiv:2008.10519) and DeepCSV (BTV-16-002, arXiv:1712.07158). CMS's c against b is a function of b
and c against light; here each of the three is smeared, so that no column is an exact function of the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field
from scipy.special import expit

from flashsim.declarations.recipes import Recipe
from flashsim.reference.detector.forms import ByFlavour, Edge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from flashsim.reference.detector.causes import Draws, JetCauses

    Floats = NDArray[np.float64]

__all__ = [
    "NUMBERS",
    "Displacement",
    "HeavyFlavour",
    "OlderTaggers",
    "QuarkGluon",
    "Taggers",
    "taggers",
]

NUMBERS = (11, 5)
"""Normal and uniform numbers that a jet's taggers need."""

_NO_TRACKS = -1.0  # of all taggers in NanoAOD v9 but CSVv2
_NO_TRACKS_CSV = -10.0
_NO_LIKELIHOOD = -1.0


class Displacement(Recipe):
    """Significance of displaced tracks: ``ln(1 + d / resolution)`` of two tracks, averaged."""

    resolution: float = Field(gt=0, description="of an impact parameter at high pT, in cm")
    slope: float = Field(ge=0, description="rise of the resolution with 1 / pT of the jet, in cm GeV")
    efficiency: float = Field(gt=0, le=1, description="of using the second displaced track")
    spread: float = Field(ge=0, description="standard deviation of what is measured")


class HeavyFlavour(Recipe):
    """Logits of b and c against light flavour."""

    b: ByFlavour = Field(description="mean logit of b without displacement")
    b_displacement: ByFlavour = Field(description="its rise with the displacement")
    b_spread: ByFlavour = Field(description="its standard deviation")
    b_tail: ByFlavour = Field(description="mean of an exponential that is added")
    c: ByFlavour = Field(description="mean logit of c without displacement")
    c_displacement: ByFlavour = Field(description="its rise with the displacement")
    c_spread: ByFlavour = Field(description="its standard deviation")
    c_tail: ByFlavour = Field(description="mean of an exponential that is added")
    shared: ByFlavour = Field(description="correlation of the two")
    follow: ByFlavour = Field(description="rise of the c logit with the exponential of b")
    b_pt: ByFlavour = Field(description="rise of the b logit with ln(pT / 50 GeV)")
    c_pt: ByFlavour = Field(description="rise of the c logit with ln(pT / 50 GeV)")
    lepton: ByFlavour = Field(description="rise of the b logit with the square root of a lepton's share")
    density: float = Field(description="loss of the displacement with the density over the typical one")
    eta: float = Field(description="loss of the displacement with the magnitude of eta")
    eta_from: float = Field(ge=0, description="where that loss begins")
    neighbours: float = Field(description="loss of the displacement for each unit of leakage")
    pileup: float = Field(description="rise of the b logit of jets of pileup")
    tracker: Edge = Field(description="end of the tracker for taggers, in the magnitude of eta")
    outside: tuple[float, float] = Field(description="mean logits of b and c beyond")
    outside_spread: float = Field(ge=0, description="their standard deviation")
    separation: float = Field(gt=0, description="factor on displacements: how well the tagger separates")
    most: float = Field(gt=0, description="largest magnitude of a logit")
    against_b: float = Field(ge=0, description="smearing of the logit of c against b")


class OlderTaggers(Recipe):
    """DeepCSV and CSVv2: the same logits, compressed, shifted, with smearing."""

    b_scale: float = Field(description="factor on the b logit, of DeepCSV")
    b_shift: float = Field(description="and what is added")
    c_scale: float = Field(description="factor on the c logit, of DeepCSV")
    c_shift: float = Field(description="and what is added")
    spread: float = Field(ge=0, description="smearing of both")
    against_b: float = Field(ge=0, description="smearing of the logit of c against b")
    csv_scale: float = Field(description="factor on the b logit, of CSVv2")
    csv_c: float = Field(description="factor on the c logit, of CSVv2")
    csv_shift: float = Field(description="and what is added")
    csv_spread: float = Field(ge=0, description="its smearing")
    selected: float = Field(gt=0, lt=1, description="probability that a track is good enough for them")
    selected_pileup: float = Field(gt=0, lt=1, description="the same in jets of pileup")


class QuarkGluon(Recipe):
    """Quark-gluon likelihood (JME-13-002) and DeepJet's gluon against light."""

    offset: ByFlavour = Field(description="mean logit of the likelihood")
    pt: float = Field(description="rise with the logarithm of pT over 50 GeV")
    multiplicity: float = Field(description="loss with the logarithm of the number of particles")
    typical_number: float = Field(gt=0, description="number of particles that the mean is for")
    ptd: float = Field(description="rise with pTD of the gen jet")
    typical_ptd: float = Field(description="pTD that the mean is for")
    girth: float = Field(description="loss with the width of the gen jet")
    typical_girth: float = Field(description="width that the mean is for")
    spread: float = Field(gt=0, description="its standard deviation")
    least_pt: Edge = Field(description="pT in GeV below which there is none")
    single: float = Field(ge=0, le=1, description="further loss for a lone lepton")
    deep_offset: float = Field(description="mean logit of gluon against light")
    deep_slope: float = Field(description="its loss with the logit of the likelihood")
    deep_spread: float = Field(gt=0, description="its standard deviation")


class Taggers(Recipe):
    """All flavour taggers."""

    displacement: Displacement
    heavy: HeavyFlavour
    older: OlderTaggers
    quark_gluon: QuarkGluon


def taggers(
    jets: JetCauses, seen: Mapping[str, NDArray[Any]], draws: Draws, recipe: Taggers
) -> dict[str, Floats]:
    """Draw all tagger scores of jets.

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
    NanoAOD v9's ``btag*`` and ``qgl``, shapes (N,); -1 (CSVv2: -10) for jets without tracks, DeepCSV and
    CSVv2 also for those without good ones.
    """
    normal, uniform = draws.normal, draws.uniform
    b, c = _logits(jets, seen, _displacement(jets, seen, draws, recipe), draws, recipe.heavy)
    likelihood = _likelihood(jets, seen, normal[9], recipe.quark_gluon)
    q = recipe.quark_gluon
    deep = {
        "btagDeepFlavB": _softmax(b, c),
        "btagDeepFlavCvB": expit(c - b + recipe.heavy.against_b * normal[3]),
        "btagDeepFlavCvL": expit(c),
        "btagDeepFlavQG": expit(q.deep_offset - q.deep_slope * likelihood + q.deep_spread * normal[10]),
    }
    tracks = seen["nTracks"]
    scores = {name: np.where(tracks == 0, _NO_TRACKS, score) for name, score in deep.items()}
    selected = recipe.older.selected_pileup if jets.is_pileup else recipe.older.selected
    without = uniform[3] < np.exp(np.log1p(-selected) * tracks)
    for name, score in _older(b, c, normal[4:8], recipe.older).items():
        scores[name] = np.where(without, _NO_TRACKS_CSV if name == "btagCSVV2" else _NO_TRACKS, score)
    missing = q.least_pt.inside(seen["pt"])
    missing += (1.0 - missing) * q.single * np.square(np.square(jets.lepton))
    scores["qgl"] = np.where(uniform[4] < missing, _NO_LIKELIHOOD, expit(likelihood))
    return scores


def _softmax(b: Floats, c: Floats) -> Floats:
    """Probability of b when light has logit 0."""
    highest = np.maximum(np.maximum(b, c), 0.0)
    own = np.exp(b - highest)
    result: Floats = own / (own + np.exp(c - highest) + np.exp(-highest))
    return result


def _displacement(jets: JetCauses, seen: Mapping[str, NDArray[Any]], draws: Draws, recipe: Taggers) -> Floats:
    d, h = recipe.displacement, recipe.heavy
    resolution = d.resolution + d.slope / jets["pt"]
    third = 0.5 * np.log1p(jets["d0Third"] / resolution)
    second = 0.5 * np.log1p(jets["d0Second"] / resolution)
    significance = third + second * (draws.uniform[0] < d.efficiency)
    loss = h.density * (jets.density - 1.0) + h.eta * np.maximum(np.abs(seen["eta"]) - h.eta_from, 0.0)
    loss += h.neighbours * seen["leak"]
    result: Floats = significance * np.exp(-loss) + d.spread * draws.normal[0]
    return result


def _logits(
    jets: JetCauses, seen: Mapping[str, NDArray[Any]], displaced: Floats, draws: Draws, h: HeavyFlavour
) -> tuple[Floats, Floats]:
    flavour = jets.flavour
    log_pt = np.log(seen["pt"] / 50.0)
    shared = draws.normal[1]
    correlation = h.shared.of(flavour)
    own = correlation * shared + np.sqrt(1.0 - np.square(correlation)) * draws.normal[2]
    first, second = -np.log(draws.uniform[1:3])
    b = h.b.of(flavour) + h.separation * h.b_displacement.of(flavour) * displaced
    b += h.b_spread.of(flavour) * shared + h.b_tail.of(flavour) * first
    b += h.b_pt.of(flavour) * log_pt + h.lepton.of(flavour) * np.sqrt(seen["muEF"] + seen["chEmEF"])
    b += h.pileup * jets.is_pileup
    c = h.c.of(flavour) + h.separation * h.c_displacement.of(flavour) * displaced
    c += h.c_spread.of(flavour) * own + h.c_tail.of(flavour) * second + h.follow.of(flavour) * first
    c += h.c_pt.of(flavour) * log_pt
    inside = h.tracker.inside(np.abs(seen["eta"]))
    b = inside * b + (1.0 - inside) * (h.outside[0] + h.outside_spread * shared)
    c = inside * c + (1.0 - inside) * (h.outside[1] + h.outside_spread * own)
    return h.most * np.tanh(b / h.most), h.most * np.tanh(c / h.most)


def _older(b: Floats, c: Floats, normal: Floats, o: OlderTaggers) -> dict[str, Floats]:
    older_b = o.b_scale * b + o.b_shift + o.spread * normal[0]
    older_c = o.c_scale * c + o.c_shift + o.spread * normal[1]
    return {
        "btagDeepB": _softmax(older_b, older_c),
        "btagDeepCvB": expit(older_c - older_b + o.against_b * normal[2]),
        "btagDeepCvL": expit(older_c),
        "btagCSVV2": expit(o.csv_scale * b + o.csv_c * c + o.csv_shift + o.csv_spread * normal[3]),
    }


def _likelihood(jets: JetCauses, seen: Mapping[str, NDArray[Any]], normal: Floats, q: QuarkGluon) -> Floats:
    result: Floats = q.offset.of(jets.flavour) + q.pt * np.log(seen["pt"] / 50.0) + q.spread * normal
    result -= q.multiplicity * np.log(seen["nConstituents"] / q.typical_number)
    result += q.ptd * (jets["ptD"] - q.typical_ptd) - q.girth * (jets["girth"] - q.typical_girth)
    return result
