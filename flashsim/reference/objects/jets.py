"""AK4 jets: corrected momenta, energy fractions, identification, and what taggers read of their shapes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numba
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
_NO_STRIP = -1.0


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
    fields |= _shapes(found, candidates, weight, recipe)
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


_SHAPES = (
    "_dR2Mean", "_ptD", "_axis1", "_axis2", "_pull", "_beta", "_jetR", "_jetRchg", "_frac01", "_frac02",
    "_frac03", "_frac04", "hfsigmaEtaEta", "hfsigmaPhiPhi", "hfcentralEtaStripSize",
    "hfadjacentEtaStripsSize", "_multiplicity",
)  # fmt: skip
"""Shapes of `_shapes`: the inputs of CMS's pileup identification (arXiv:2003.00503, table 2), those of its
quark-gluon likelihood (multiplicity, ptD, axis2; CMS-PAS-JME-13-002), and widths in HF."""


def _shapes(
    found: Clustered, candidates: Collection, weight: NDArray[np.float64], recipe: JetsRecipe
) -> dict[str, NDArray[Any]]:
    objects = found.objects
    member = found.members
    pt = (candidates["pt"] * weight)[member]
    deta = candidates["eta"][member] - np.repeat(objects["eta"], np.diff(found.offsets))
    dphi = wrap_angle(candidates["phi"][member] - np.repeat(objects["phi"], np.diff(found.offsets)))
    charged = candidates["charge"][member] != 0
    primary = charged & (candidates["fromPV"][member] >= 2)
    forward = np.abs(candidates["pdgId"][member]) <= 2
    in_forward = (np.abs(objects["eta"]) > recipe.forward_eta) & (objects["pt"] > recipe.forward_pt)
    table = _shape_table(
        found.offsets,
        pt,
        deta,
        dphi,
        charged,
        primary,
        forward,
        in_forward,
        recipe.tower_pt,
        recipe.tower_width,
    )
    columns: dict[str, NDArray[Any]] = dict(zip(_SHAPES, table.T, strict=True))
    for name in _SHAPES:
        if name.endswith("Size") or name == "_multiplicity":
            columns[name] = columns[name].astype(np.int64)
    return columns


@numba.njit(cache=True)
def _shape_table(offsets, pt, deta, dphi, charged, primary, forward, in_forward, tower_pt, tower_width):
    table = np.zeros((len(offsets) - 1, 17))
    for jet in range(len(table)):
        row = table[jet]
        total = squares = eta2 = phi2 = both = eta1 = phi1 = of_charged = of_primary = 0.0
        hardest = hardest_charged = 0.0
        for k in range(offsets[jet], offsets[jet + 1]):
            w = pt[k] * pt[k]
            r2 = deta[k] ** 2 + dphi[k] ** 2
            total += pt[k]
            squares += w
            eta1, phi1 = eta1 + w * deta[k], phi1 + w * dphi[k]
            eta2, phi2, both = eta2 + w * deta[k] ** 2, phi2 + w * dphi[k] ** 2, both + w * deta[k] * dphi[k]
            row[0] += w * r2
            hardest = max(hardest, pt[k])
            if charged[k]:
                of_charged += pt[k]
                hardest_charged = max(hardest_charged, pt[k])
                of_primary += pt[k] if primary[k] else 0.0
            if r2 < 0.16:
                row[8 + int(math.sqrt(r2) * 10.0)] += pt[k]
            if primary[k] or (not charged[k] and pt[k] > 1.0):
                row[16] += 1
        eta1, phi1 = eta1 / squares, phi1 / squares
        eta2, phi2, both = eta2 / squares - eta1**2, phi2 / squares - phi1**2, both / squares - eta1 * phi1
        root = math.sqrt(max((eta2 - phi2) ** 2 + 4.0 * both**2, 0.0))
        row[0] /= squares
        row[1] = math.sqrt(squares) / total
        row[2] = math.sqrt(max(0.5 * (eta2 + phi2 + root), 0.0))
        row[3] = math.sqrt(max(0.5 * (eta2 + phi2 - root), 0.0))
        row[5] = of_primary / of_charged if of_charged > 0.0 else 0.0
        row[6], row[7] = hardest / total, hardest_charged / total
        pull_eta = pull_phi = 0.0
        for k in range(offsets[jet], offsets[jet + 1]):
            away = math.hypot(deta[k] - eta1, dphi[k] - phi1) * pt[k] * pt[k] / squares
            pull_eta, pull_phi = pull_eta + away * (deta[k] - eta1), pull_phi + away * (dphi[k] - phi1)
        row[4] = math.hypot(pull_eta, pull_phi)
        row[8:12] /= total
        _forward_widths(
            row,
            offsets[jet],
            offsets[jet + 1],
            pt,
            deta,
            dphi,
            forward,
            in_forward[jet],
            tower_pt,
            tower_width,
        )
    return table


@numba.njit(cache=True)
def _forward_widths(row, begin, end, pt, deta, dphi, forward, in_forward, tower_pt, tower_width):
    """Widths of what HF sees of a jet, and how many hard towers lie in its strip in eta and beside it."""
    total = eta2 = phi2 = 0.0
    for k in range(begin, end):
        if in_forward and forward[k]:
            total += pt[k]
            eta2, phi2 = eta2 + pt[k] * deta[k] ** 2, phi2 + pt[k] * dphi[k] ** 2
            if pt[k] > tower_pt:
                strip = abs(deta[k]) / tower_width
                row[14] += strip < 0.5
                row[15] += 0.5 <= strip < 1.5
    row[12] = math.sqrt(eta2 / total) if total > 0.0 else -1.0
    row[13] = math.sqrt(phi2 / total) if total > 0.0 else -1.0
