"""Groups of objects and the quantities that are compared in them."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.events.neighbours import jets_that_are_leptons

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from benchmarks.realism.samples import Sample
    from flashsim.events.collection import Collection

__all__ = ["CONTINUOUS", "DISCRETE", "POINT_MASSES", "groups"]

_ELECTRON = (
    *("relativeErr", "deltaEtaSC", "r9", "sieie", "hoe", "dxy", "dz", "dxyErr", "dzErr", "ip3d", "sip3d"),
    *("pfRelIso03_all", "pfRelIso03_chg", "miniPFRelIso_all", "mvaFall17V2Iso", "mvaFall17V2noIso"),
)

CONTINUOUS = {
    "jets": (
        *("response", "massResponse", "deltaEta", "deltaPhi", "mass", "area", "rawFactor", "nConstituents"),
        *("chHEF", "neHEF", "chEmEF", "neEmEF", "muEF", "qgl", "bRegCorr", "bRegRes"),
        *("btagCSVV2", "btagDeepB", "btagDeepCvB", "btagDeepCvL"),
        *("btagDeepFlavB", "btagDeepFlavCvB", "btagDeepFlavCvL"),
    ),
    "forward": (
        *("response", "massResponse", "deltaEta", "deltaPhi", "mass", "area", "rawFactor", "nConstituents"),
        *("chHEF", "neHEF", "chEmEF", "neEmEF", "muEF", "qgl", "bRegCorr", "bRegRes"),
        *("btagCSVV2", "btagDeepB", "btagDeepCvB", "btagDeepCvL"),
    ),
    "unmatched": (
        *("pt", "absEta", "mass", "area", "rawFactor", "nConstituents"),
        *("chHEF", "neHEF", "chEmEF", "neEmEF", "muEF", "qgl", "bRegCorr", "bRegRes"),
        *("btagCSVV2", "btagDeepB", "btagDeepCvB", "btagDeepCvL"),
    ),
    "muons": (
        *("response", "ptErr", "dxy", "dz", "dxyErr", "dzErr", "ip3d", "sip3d", "jetRelIso", "jetPtRelv2"),
        *("pfRelIso03_all", "pfRelIso03_chg", "pfRelIso04_all", "softMva"),
    ),
    "electrons": ("response", "deltaEta", "deltaPhi", *_ELECTRON),
    "unmatched electrons": ("pt", "absEta", *_ELECTRON),
}
"""Quantities whose quantiles are compared."""

POINT_MASSES: dict[str, float] = {
    **dict.fromkeys(("chHEF", "neHEF", "chEmEF", "neEmEF", "muEF"), 0.0),
    **dict.fromkeys(("qgl", "btagDeepB", "btagDeepCvB", "btagDeepCvL"), -1.0),
    "btagCSVV2": -10.0,
    **dict.fromkeys(("pfRelIso03_all", "pfRelIso03_chg", "pfRelIso04_all", "jetPtRelv2"), 0.0),
    **dict.fromkeys(("miniPFRelIso_all", "hoe"), 0.0),
}
"""Values that many objects have exactly: their share is compared, and quantiles without them."""

_ELECTRON_FLAGS: dict[str, tuple[int, ...]] = {
    "cutBased": (0, 1, 2, 3, 4),
    "lostHits": (0, 1, 2),
    "convVeto": (1,),
    **{f"mvaFall17V2{kind}_{point}": (1,) for kind in ("Iso", "noIso") for point in ("WPL", "WP90", "WP80")},
}

DISCRETE: dict[str, dict[str, tuple[int, ...]]] = {
    "jets": {"jetId": (0, 2, 6), "puId": (0, 4, 6, 7)},
    "forward": {"jetId": (0, 6), "puId": (0, 4, 6, 7)},
    "unmatched": {"jetId": (0, 6), "puId": (0, 4, 6, 7)},
    "muons": dict.fromkeys(
        ("isGlobal", "isTracker", "isPFcand", "looseId", "mediumId", "tightId", "softId", "softMvaId"), (1,)
    ),
    "electrons": _ELECTRON_FLAGS,
    "unmatched electrons": _ELECTRON_FLAGS,
}
"""Values whose shares are compared."""

_PT = (10.0, 20.0, 30.0, 50.0, 100.0, np.inf)
_MUON_PT = (3.0, 10.0, 30.0, np.inf)
_ELECTRON_PT = (5.0, 10.0, 30.0, np.inf)
_CENTRAL, _ENDCAP = 2.5, 3.0
_ELECTRON_CODE = 11
_LEPTON_CONE, _LEPTON_SHARE = 0.3, 0.5

Columns = dict[str, "NDArray[Any]"]


def groups(sample: Sample) -> Iterator[tuple[str, str, Columns]]:
    """Kind (a key of `CONTINUOUS`), name and columns of every group of objects of a sample."""
    matched = sample.jets["genJetIdx"] >= 0
    yield "unmatched", "unmatched jets", _unmatched(sample.jets.select(~matched))
    jets = _matched_jets(sample, sample.jets.select(matched))
    for kind, name, mask in _jet_groups(jets):
        yield kind, name, {field: values[mask] for field, values in jets.items()}
    muons = _muons(sample)
    origins = {"prompt": np.isin(muons["genPartFlav"], (1, 15)), "b": muons["genPartFlav"] == 5}
    origins["c and other"] = np.isin(muons["genPartFlav"], (3, 4))
    for origin, of_origin in origins.items():
        for name, mask in _bins(muons["pt"], _MUON_PT):
            chosen = of_origin & mask
            yield "muons", f"muons, {origin}, {name}", {field: v[chosen] for field, v in muons.items()}
    electrons, other = _electrons(sample)
    origins = {"prompt": np.isin(electrons["genPartFlav"], (1, 15))}
    origins["not prompt"] = ~origins["prompt"]
    for origin, of_origin in origins.items():
        yield "electrons", f"electrons, {origin}", {f: v[of_origin] for f, v in electrons.items()}
    for name, mask in _bins(other["pt"], _ELECTRON_PT):
        yield "unmatched electrons", f"unmatched electrons, {name}", {f: v[mask] for f, v in other.items()}


def _bins(pt: NDArray[np.float64], edges: tuple[float, ...]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    for low, high in pairwise(edges):
        name = f"above {low:.0f} GeV" if np.isinf(high) else f"{low:.0f} to {high:.0f} GeV"
        yield name, (pt >= low) & (pt < high)


def _jet_groups(jets: Columns) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    eta, hadron, parton = np.abs(jets["genEta"]), jets["hadronFlavour"], jets["partonFlavour"]
    lepton = jets["isLepton"]
    yield "jets", "jets of a prompt lepton", lepton
    flavours = {"b": hadron == 5, "c": hadron == 4}
    flavours["light"] = (hadron == 0) & np.isin(np.abs(parton), (1, 2, 3))
    flavours["gluon"] = (hadron == 0) & (parton == 21)
    for flavour, of_flavour in flavours.items():
        for name, mask in _bins(jets["genPt"], _PT):
            yield "jets", f"{flavour} jets, {name}", of_flavour & mask & ~lepton & (eta < _CENTRAL)
    yield "forward", "jets at the end of the endcap", ~lepton & (eta > _CENTRAL) & (eta < _ENDCAP)
    yield "forward", "forward jets", ~lepton & (eta > _ENDCAP)


def _unmatched(jets: Collection) -> Columns:
    return jets.columns | {"absEta": np.abs(jets["eta"])}


def _matched_jets(sample: Sample, jets: Collection) -> Columns:
    gen = sample.gen_jets
    rows = gen.offsets[jets.event_rows] + jets["genJetIdx"]
    is_lepton = jets_that_are_leptons(
        gen.directions,
        gen["pt"],
        sample.leptons.directions,
        sample.leptons["pt"],
        cone=_LEPTON_CONE,
        min_share=_LEPTON_SHARE,
    )
    return jets.columns | {
        "response": jets["pt"] / gen["pt"][rows],
        "massResponse": jets["mass"] / np.maximum(gen["mass"][rows], 0.1),
        "deltaEta": jets["eta"] - gen["eta"][rows],
        "deltaPhi": (jets["phi"] - gen["phi"][rows] + np.pi) % (2.0 * np.pi) - np.pi,
        "genPt": gen["pt"][rows],
        "genEta": gen["eta"][rows],
        "hadronFlavour": gen["hadronFlavour"][rows],
        "partonFlavour": gen["partonFlavour"][rows],
        "isLepton": is_lepton[rows],
    }


def _muons(sample: Sample) -> Mapping[str, NDArray[Any]]:
    muons = sample.muons.select(sample.muons["genPartIdx"] >= 0)
    rows = sample.particles.offsets[muons.event_rows] + muons["genPartIdx"]
    return muons.columns | {"response": muons["pt"] / sample.particles["pt"][rows]}


def _electrons(sample: Sample) -> tuple[Columns, Columns]:
    """Electrons with a gen electron, and those without; gen photons are none."""
    found = sample.electrons
    rows = sample.particles.offsets[found.event_rows] + np.maximum(found["genPartIdx"], 0)
    energy = found["pt"] * np.cosh(found["eta"])
    columns = found.columns | {
        "response": found["pt"] / np.maximum(sample.particles["pt"][rows], 0.1),
        "deltaEta": found["eta"] - sample.particles["eta"][rows],
        "deltaPhi": (found["phi"] - sample.particles["phi"][rows] + np.pi) % (2.0 * np.pi) - np.pi,
        "relativeErr": found["energyErr"] / energy,
        "absEta": np.abs(found["eta"]),
    }
    genuine = (found["genPartIdx"] >= 0) & (np.abs(sample.particles["pdgId"][rows]) == _ELECTRON_CODE)
    with_gen, without = (
        {name: values[mask] for name, values in columns.items()} for mask in (genuine, ~genuine)
    )
    return with_gen, without
