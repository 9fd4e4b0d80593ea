"""AK4 jets: corrected momenta, energy fractions, multiplicities, identification."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from flashsim.declarations.recipes import Recipe
from flashsim.events.angles import wrap_angle
from flashsim.events.collection import Collection
from flashsim.events.neighbours import ring_sum
from flashsim.reference.objects.clustering import Clustered, anti_kt
from flashsim.reference.objects.corrections import JetCorrections

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.reference.flow.recorded import Recorded

__all__ = [
    "Identification",
    "JetsRecipe",
    "corrected",
    "energy_fractions",
    "identified",
    "jets",
    "multiplicities",
    "soft_jets",
    "weights",
]

Kind = Literal["CHS", "Puppi"]

_KINDS = {"chHEF": (211,), "neHEF": (130, 1), "chEmEF": (11,), "neEmEF": (22, 2), "muEF": (13,)}
_FORWARD = {"hfHEF": (1,), "hfEmEF": (2,)}


class Identification(Recipe):
    """Cuts of the jet identification up to some pseudorapidity."""

    eta: float = Field(gt=0, description="largest |eta|")
    neHEF: tuple[float, float] = Field(default=(-1, 2), description="neutral hadron fraction, between")  # noqa: N815
    neEmEF: tuple[float, float] = Field(default=(-1, 2), description="photon fraction, between")  # noqa: N815
    chHEF: float = Field(default=-1, description="charged hadron fraction, above")  # noqa: N815
    constituents: int = Field(default=-1, description="constituents, more than")
    charged: int = Field(default=-1, description="charged constituents, more than")
    neutral: int = Field(default=-1, description="neutral constituents, more than")


class JetsRecipe(Recipe):
    """AK4 jets."""

    radius: float = Field(gt=0, le=1, description="of anti-kT")
    raw_pt: dict[Kind, float] = Field(description="least pT of jets of a kind before corrections, in GeV")
    soft_pt: float = Field(gt=0, description="least pT of jets that MET is corrected with, in GeV")
    pt: float = Field(gt=0, description="least pT of jets, in GeV")
    corrections: str = Field(description="file of corrections, of reference/corrections or a path")
    lepton_veto: float = Field(gt=0, description="largest muon and electron fractions of tightLepVeto")
    identification: list[Identification] = Field(description="by rising |eta|")
    forward_eta: float = Field(gt=0, description="shapes in HF are of jets beyond this |eta|")
    forward_pt: float = Field(gt=0, description="shapes in HF are of jets above this pT, in GeV")
    tower_pt: float = Field(gt=0, description="pT of a tower that counts in strips of HF, in GeV")
    tower_width: float = Field(gt=0, description="of the strips of HF in eta")


def weights(candidates: Collection, kind: Kind) -> NDArray[np.float64]:
    """Weights of candidates in jets of a kind, shape (M,): CHS leaves out charged ones of pileup vertices."""
    if kind == "Puppi":
        return candidates["puppi"].astype(np.float64)
    pileup = (candidates["charge"] != 0) & (candidates["fromPV"] == 0)
    return (~pileup).astype(np.float64)


def jets(recorded: Recorded, recipe: JetsRecipe, kind: Kind, muons: Collection | None = None) -> Clustered:
    """Reconstruct AK4 jets.

    Parameters
    ----------
    recorded
        The recorded events.
    recipe
        Parameters.
    kind
        Of which candidates: ``CHS`` or ``Puppi``.
    muons
        With ``isGlobal``, ``isStandalone`` and ``_candidate``: what MET's corrections take out of jets.

    Returns
    -------
    Jets above `soft_pt` by falling pT, with the ``Jet`` fields of NanoAOD that follow from constituents;
    those above `pt` are ``Jet``, the others are for `soft_jets`. Private: ``_l1`` (factor of the pileup
    correction alone), the raw energy as ``energy``, and shapes (see `_SHAPES`).
    """
    candidates = recorded.candidates
    weight = weights(candidates, kind)
    states = recorded.streams.states(recorded.keys, f"jets {kind}")
    found = anti_kt(candidates, weight, states, radius=recipe.radius, min_pt=recipe.raw_pt[kind])
    payload = JetCorrections.load(recipe.corrections)
    rho = np.repeat(recorded.rho["FastjetAll"], found.objects.counts)
    found = corrected(
        found, payload, f"AK4PF{'chs' if kind == 'CHS' else 'Puppi'}", rho, least=recipe.soft_pt
    )
    fields = energy_fractions(found, candidates, weight) | multiplicities(found, candidates)
    fields |= _without_muons(found, candidates, weight, muons)
    if kind == "CHS":
        lost = candidates.select(weight == 0.0)
        around = ring_sum(found.objects.directions, lost.directions, lost["energy"], 0.0, recipe.radius)
        fields["chFPV0EF"] = around / found.objects["energy"]
    fields |= _forward_widths(found, candidates, weight, recipe)
    fields["jetId"] = identified(found.objects["eta"], fields, recipe)
    return Clustered(
        Collection(found.objects.offsets, found.objects.columns | fields), found.offsets, found.members
    )


def soft_jets(jets: Collection, least: float) -> Collection:
    """``CorrT1METJet``: jets below `least`, which MET is corrected with all the same."""
    soft = jets.select(jets["pt"] < least)
    raw = 1.0 - soft["rawFactor"]
    columns: dict[str, NDArray[Any]] = {name: soft[name] for name in ("area", "eta", "phi")}
    columns |= {name: soft[name] for name in soft.columns if name.startswith("muonSubtr")}
    columns |= {"rawPt": soft["pt"] * raw, "rawMass": soft["mass"] * raw}
    columns["EmEF"] = soft["chEmEF"] + soft["neEmEF"]
    return Collection(soft.offsets, columns)


def corrected(
    found: Clustered, payload: JetCorrections, name: str, rho: NDArray[np.float64], *, least: float
) -> Clustered:
    """Correct raw jets; those above `least` in GeV, by falling pT.

    `energy` stays raw: fractions are of it.
    """
    raw = found.objects
    first, factor = payload.factors(name, area=raw["area"], eta=raw["eta"], pt=raw["pt"], rho=rho)
    columns = raw.columns | {
        "pt": raw["pt"] * factor,
        "mass": raw["mass"] * factor,
        "rawFactor": 1.0 - 1.0 / factor,
        "_l1": first,
    }
    kept = Clustered(Collection(raw.offsets, columns), found.offsets, found.members)
    kept = kept.select(columns["pt"] >= least)
    return kept.take(np.lexsort((-kept.objects["pt"], kept.objects.event_rows)))


def energy_fractions(
    found: Clustered, candidates: Collection, weight: NDArray[np.float64]
) -> dict[str, NDArray[Any]]:
    """Shares of a jet's raw energy by kind of constituent; those of HF are in the neutral ones, too."""
    kind = np.abs(candidates["pdgId"][found.members])
    energy = (candidates["energy"] * weight)[found.members]
    shares = {}
    for name, kinds in (_KINDS | _FORWARD).items():
        shares[name] = found.total(np.where(np.isin(kind, kinds), energy, 0.0)) / found.objects["energy"]
    return shares


def multiplicities(found: Clustered, candidates: Collection) -> dict[str, NDArray[Any]]:
    """Numbers of constituents."""
    charged = candidates["charge"][found.members] != 0
    count = np.diff(found.offsets)
    of_charged = found.total(charged).astype(np.int64)
    return {"nConstituents": count, "chMultiplicity": of_charged, "neMultiplicity": count - of_charged}


def _without_muons(
    found: Clustered, candidates: Collection, weight: NDArray[np.float64], muons: Collection | None
) -> dict[str, NDArray[Any]]:
    """Share of the raw pT that is that of muons with a track in the chambers, and where the rest points."""
    is_muon = np.abs(candidates["pdgId"]) == 13
    if muons is not None:
        tracked = np.zeros(len(candidates), dtype=np.bool_)
        outer = muons["isGlobal"].astype(np.bool_) | muons["isStandalone"].astype(np.bool_)
        rows = muons["_candidate"][outer & (muons["_candidate"] >= 0)]
        tracked[rows] = True
        is_muon &= tracked
    member = found.members
    lost = np.where(is_muon, candidates["pt"] * weight, 0.0)[member]
    objects = found.objects
    raw = objects["pt"] * (1.0 - objects["rawFactor"])
    phi, eta = candidates["phi"][member], candidates["eta"][member]
    px = raw * np.cos(objects["phi"]) - found.total(lost * np.cos(phi))
    py = raw * np.sin(objects["phi"]) - found.total(lost * np.sin(phi))
    pz = raw * np.sinh(objects["eta"]) - found.total(lost * np.sinh(eta))
    rest = np.hypot(px, py)
    has = (found.total(lost) > 0.0) & (rest > 1e-3)
    safe = np.where(has, rest, 1.0)
    return {
        "muonSubtrFactor": np.where(has, 1.0 - rest / raw, np.where(found.total(lost) > 0.0, 1.0, 0.0)),
        "muonSubtrDeltaEta": np.where(has, np.arcsinh(pz / safe) - objects["eta"], 0.0),
        "muonSubtrDeltaPhi": np.where(has, wrap_angle(np.arctan2(py, px) - objects["phi"]), 0.0),
    }


def identified(
    eta: NDArray[np.float64], fields: dict[str, NDArray[Any]], recipe: JetsRecipe
) -> NDArray[np.int64]:
    """Identify jets: bit 2 is tight, 4 tightLepVeto."""
    tight = np.zeros(len(eta), dtype=np.bool_)
    inner = 0.0
    for cuts in recipe.identification:
        here = (np.abs(eta) <= cuts.eta) & (np.abs(eta) > inner) if inner else np.abs(eta) <= cuts.eta
        passed = (fields["chHEF"] > cuts.chHEF) & (fields["nConstituents"] > cuts.constituents)
        passed &= (fields["chMultiplicity"] > cuts.charged) & (fields["neMultiplicity"] > cuts.neutral)
        for name, (low, high) in (("neHEF", cuts.neHEF), ("neEmEF", cuts.neEmEF)):
            passed &= (fields[name] > low) & (fields[name] < high)
        tight |= here & passed
        inner = cuts.eta
    veto = tight & (fields["muEF"] < recipe.lepton_veto) & (fields["chEmEF"] < recipe.lepton_veto)
    return 2 * tight.astype(np.int64) + 4 * veto


def _forward_widths(
    found: Clustered, candidates: Collection, weight: NDArray[np.float64], recipe: JetsRecipe
) -> dict[str, NDArray[Any]]:
    """Work out the widths of what HF sees of a jet, and the hard towers of its strip in eta and beside it."""
    jets, number = found.objects, len(found.objects)
    has = (np.abs(jets["eta"]) > recipe.forward_eta) & (jets["pt"] > recipe.forward_pt)
    used = has[found.jet_of_member] & (np.abs(candidates["pdgId"][found.members]) <= 2)
    jet, member = found.jet_of_member[used], found.members[used]
    pt = (candidates["pt"] * weight)[member]
    deta = candidates["eta"][member] - jets["eta"][jet]
    dphi = wrap_angle(candidates["phi"][member] - jets["phi"][jet])
    total = np.bincount(jet, pt, minlength=number)
    columns: dict[str, NDArray[Any]] = {}
    for name, away in (("hfsigmaEtaEta", deta), ("hfsigmaPhiPhi", dphi)):
        squares = np.bincount(jet, pt * away**2, minlength=number)
        columns[name] = np.where(total > 0.0, np.sqrt(squares / np.maximum(total, 1e-9)), -1.0)
    strip = np.where(pt > recipe.tower_pt, np.floor(np.abs(deta) / recipe.tower_width + 0.5), -1.0)
    for place, name in enumerate(("hfcentralEtaStripSize", "hfadjacentEtaStripsSize")):
        columns[name] = np.bincount(jet[strip == place], minlength=number)
    return columns
