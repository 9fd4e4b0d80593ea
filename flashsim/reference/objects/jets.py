"""AK4 jets: corrected momenta, energy fractions, multiplicities, identification."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from flashsim.declarations.recipes import Recipe
from flashsim.events.angles import wrap_angle
from flashsim.events.collection import Collection
from flashsim.events.neighbours import ring_sum
from flashsim.reference.objects.clustering import Clustered, anti_kt, momenta_of
from flashsim.reference.objects.corrections import JetCorrections

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.reference.flow.recorded import Recorded

__all__ = ["Identification", "JetsRecipe", "Kind", "corrected", "jets", "scaled", "soft_jets", "weights"]

Kind = Literal["CHS", "Puppi"]

_KINDS = {"chHEF": (211,), "neHEF": (130, 1), "chEmEF": (11,), "neEmEF": (22, 2), "muEF": (13,)}
_KINDS |= {"hfHEF": (1,), "hfEmEF": (2,)}


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
    muon_stations: int = Field(
        ge=1, description="chambers with segments of muons that MET's corrections leave out"
    )
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


def jets(recorded: Recorded, recipe: JetsRecipe, kind: Kind) -> Clustered:
    """Reconstruct AK4 jets.

    Parameters
    ----------
    recorded
        The recorded events.
    recipe
        Parameters.
    kind
        Of which candidates: ``CHS`` or ``Puppi``.

    Returns
    -------
    Jets above `soft_pt` by falling pT, with the ``Jet`` fields of NanoAOD that follow from constituents;
    those above `pt` are ``Jet``, the others are for `soft_jets`. Private: what `corrected` gives.
    """
    algorithm = "AK4PFchs" if kind == "CHS" else "AK4PFPuppi"
    limits = {"radius": recipe.radius, "raw_pt": recipe.raw_pt[kind], "pt": recipe.soft_pt}
    found = corrected(recorded, recipe, kind, algorithm, **limits)
    candidates, weight = recorded.candidates, weights(recorded.candidates, kind)
    fields = _without_muons(found, recorded, weight, recipe.muon_stations)
    if kind == "CHS":
        lost = candidates.select(weight == 0.0)
        around = ring_sum(found.objects.directions, lost.directions, lost["energy"], 0.0, recipe.radius)
        fields["chFPV0EF"] = around / found.objects["energy"]
    return found.with_columns(fields | _forward_widths(found, candidates, weight, recipe))


def soft_jets(jets: Collection, least: float) -> Collection:
    """``CorrT1METJet``: jets below `least`, which MET is corrected with all the same."""
    soft = jets.select(jets["pt"] < least)
    raw = 1.0 - soft["rawFactor"]
    columns = {
        name: soft[name] for name in soft.columns if name.startswith(("area", "eta", "phi", "muonSubtr"))
    }
    columns |= {"rawPt": soft["pt"] * raw, "rawMass": soft["mass"] * raw}
    columns["EmEF"] = soft["chEmEF"] + soft["neEmEF"]
    return Collection(soft.offsets, columns)


def corrected(
    recorded: Recorded,
    recipe: JetsRecipe,
    kind: Kind,
    algorithm: str,
    *,
    radius: float,
    raw_pt: float,
    pt: float,
) -> Clustered:
    """Reconstruct jets of a radius that have at least `raw_pt` before and `pt` after corrections, in GeV.

    Returns
    -------
    Jets by falling pT: momentum, ``rawFactor``, ``area``, fractions of the raw energy by kind of constituent
    (those of HF are in the neutral ones, too), multiplicities, ``jetId``. Private: ``_l1`` (factor of the
    pileup correction alone) and the raw energy as ``energy``.
    """
    candidates, weight = recorded.candidates, weights(recorded.candidates, kind)
    states = recorded.streams.states(recorded.keys, f"jets {algorithm}")
    found = anti_kt(candidates, weight, states, radius=radius, min_pt=raw_pt)
    rho = np.repeat(recorded.rho["FastjetAll"], found.objects.counts)
    payload = JetCorrections.load(recipe.corrections)
    first, factor = payload.factors(
        algorithm, **{n: found.objects[n] for n in ("area", "eta", "pt")}, rho=rho
    )
    found = found.with_columns(scaled(found.objects.columns, factor) | {"_l1": first})
    found = found.select(found.objects["pt"] >= pt)
    found = found.take(np.lexsort((-found.objects["pt"], found.objects.event_rows)))
    code = np.abs(candidates["pdgId"][found.members])
    energy = (candidates["energy"] * weight)[found.members]
    fields: dict[str, NDArray[Any]] = {
        name: found.total(np.where(np.isin(code, codes), energy, 0.0)) / found.objects["energy"]
        for name, codes in _KINDS.items()
    }
    count = np.diff(found.offsets)
    charged = found.total(candidates["charge"][found.members] != 0).astype(np.int64)
    fields |= {"nConstituents": count, "chMultiplicity": charged, "neMultiplicity": count - charged}
    fields["jetId"] = _identified(found.objects["eta"], fields, recipe)
    return found.with_columns(fields)


def scaled(columns: dict[str, NDArray[Any]], factor: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    """Columns of raw jets with the pT and mass times a factor, and ``rawFactor``."""
    changed = {"pt": columns["pt"] * factor, "mass": columns["mass"] * factor}
    return columns | changed | {"rawFactor": 1.0 - 1.0 / factor}


def _without_muons(
    found: Clustered, recorded: Recorded, weight: NDArray[np.float64], stations: int
) -> dict[str, NDArray[Any]]:
    """Share of the raw pT that is that of muons with segments in the chambers, and where the rest points."""
    candidates, objects = recorded.candidates, found.objects
    segments = np.append(recorded.tracks["chambers"], 0)[candidates["track"]]
    lost = weight * ((np.abs(candidates["pdgId"]) == 13) & (segments >= stations))
    momenta = momenta_of(candidates, lost)[found.members]
    raw = objects.columns | {"pt": objects["pt"] * (1.0 - objects["rawFactor"])}
    px, py, pz, _ = momenta_of(raw, np.ones(len(objects))).T - [found.total(p) for p in momenta.T]
    rest, has = np.hypot(px, py), found.total(momenta[:, 3]) > 0.0
    left = has & (rest > 1e-3)
    return {
        "muonSubtrFactor": np.where(has, 1.0 - np.where(left, rest, 0.0) / raw["pt"], 0.0),
        "muonSubtrDeltaEta": np.where(left, np.arcsinh(pz / np.maximum(rest, 1e-3)) - objects["eta"], 0.0),
        "muonSubtrDeltaPhi": np.where(left, wrap_angle(np.arctan2(py, px) - objects["phi"]), 0.0),
    }


def _identified(
    eta: NDArray[np.float64], fields: dict[str, NDArray[Any]], recipe: JetsRecipe
) -> NDArray[np.int64]:
    """Identify jets: bit 2 is tight, 4 tightLepVeto."""
    tight = np.zeros(len(eta), dtype=np.bool_)
    inner = -1.0
    for cuts in recipe.identification:
        here = (np.abs(eta) <= cuts.eta) & (np.abs(eta) > inner)
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
