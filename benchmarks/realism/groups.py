"""Groups of objects by what they are in truth, and their columns that are compared."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.events.angles import wrap_angle
from flashsim.events.collection import Collection
from flashsim.events.neighbours import closest, jets_that_are_leptons

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from flashsim.analysis.whole_events.reading import WholeEvents

    Columns = dict[str, NDArray[Any]]
    Mask = NDArray[np.bool_]

__all__ = ["groups"]

_NOT_COMPARED = (
    *("phi", "charge", "pdgId", "cleanmask", "Idx", "IdxG", "genPartFlav", "hadronFlavour", "partonFlavour"),
    *(
        "Idx1",
        "Idx2",
        "Idx1G",
        "Idx2G",
        "Idx3SJ",
        "Bitmap",
        "BitmapHEEP",
        "nBHadrons",
        "nCHadrons",
        "nTrueInt",
    ),
    *("sumEOOT", "fiducialGenPt", "fiducialGenPhi", "deltaX", "deltaY", "PV_x", "PV_y", "SV_x", "SV_y"),
    *("event", "nPU", "GenMET_pt"),
)
"""Ends of the names of branches that say nothing of a detector, or of this campaign's beam only."""

_PT = (10.0, 20.0, 30.0, 50.0, 100.0, np.inf)
_MUON_PT = (3.0, 10.0, 30.0, np.inf)
_ELECTRON_PT = (5.0, 10.0, 30.0, np.inf)
_TAU_PT = (15.0, 30.0, np.inf)
_GEN_PT = (10.0, 15.0, 20.0, 30.0, 50.0, np.inf)
_FAT_PT = (100.0, 150.0, 200.0, 250.0, np.inf)
_JET_ETA = (0.0, 1.3, 2.5, 3.0, 5.0)
_LEPTON_ETA = (0.0, 1.4, 2.5)
_CENTRAL, _ENDCAP = 2.5, 3.0
_LEPTON_CONE, _LEPTON_SHARE = 0.3, 0.5
_CONE, _COPY = 0.4, 0.01
_IS_PROMPT = 1
_MUON, _ELECTRON = 13, 11


def groups(sample: WholeEvents) -> Iterator[tuple[str, Columns]]:
    """Name and columns of every group of objects of a sample; a column's numbers are compared as a whole."""
    for name, columns in _all_groups(sample):
        yield name, {field: v for field, v in columns.items() if not field.endswith(_NOT_COMPARED)}


def _all_groups(sample: WholeEvents) -> Iterator[tuple[str, Columns]]:
    of_collections = {
        "Jet": _jets,
        "Muon": _muons,
        "Electron": _electrons,
        "Photon": _photons,
        "Tau": _taus,
        "SV": _secondary_vertices,
    }
    for collection, of_collection in of_collections.items():
        if collection in sample.collections:
            yield from of_collection(sample)
    yield "fat jets", _fat_jets(sample)
    singles = {"SubJet": "subjets", "FsrPhoton": "FSR photons", "SoftActivityJet": "soft-activity jets"}
    for collection, name in (
        singles | {"CorrT1METJet": "jets below 15 GeV", "OtherPV": "other vertices"}
    ).items():
        yield name, _with_abs_eta(sample[collection])
    yield from _events(sample)
    yield from _efficiencies(sample)


def _where(columns: Columns, mask: Mask) -> Columns:
    return {field: values[mask] for field, values in columns.items()}


def _bins(values: NDArray[Any], edges: tuple[float, ...], unit: str = " GeV") -> Iterator[tuple[str, Mask]]:
    for low, high in pairwise(edges):
        name = f"above {low:g}{unit}" if np.isinf(high) else f"{low:g} to {high:g}{unit}"
        yield name, (values >= low) & (values < high)


def _with_abs_eta(objects: Collection) -> Columns:
    columns = dict(objects.columns)
    if "eta" in columns:
        columns["absEta"] = np.abs(columns.pop("eta"))
    return columns


def _relative(objects: Collection, gen: Collection, rows: NDArray[np.int64]) -> Columns:
    """Columns of objects of which gen objects are known: response and distances in place of pt and eta."""
    columns = {name: column for name, column in objects.columns.items() if name not in ("pt", "eta")}
    columns["response"] = objects["pt"] / np.maximum(gen["pt"][rows], 0.1)
    columns["deltaEta"] = objects["eta"] - gen["eta"][rows]
    columns["deltaPhi"] = wrap_angle(objects["phi"] - gen["phi"][rows])
    return columns


def _without_mass(objects: Collection) -> Collection:
    """Leptons and photons without their mass, which is that of the particle."""
    return Collection(objects.offsets, {k: v for k, v in objects.columns.items() if k != "mass"})


def _rows(objects: Collection, target: Collection, field: str) -> NDArray[np.int64]:
    """Rows that an index points to; where it is -1, those of index 0."""
    rows: NDArray[np.int64] = target.offsets[objects.event_rows] + np.maximum(objects[field], 0)
    return rows


def _jets(sample: WholeEvents) -> Iterator[tuple[str, Columns]]:
    jets, gen = sample["Jet"], sample["GenJet"]
    matched = jets["genJetIdx"] >= 0
    yield "unmatched jets", _with_abs_eta(jets.select(~matched))
    jets = jets.select(matched)
    rows = _rows(jets, gen, "genJetIdx")
    columns = _relative(jets, gen, rows)
    columns["massResponse"] = jets["mass"] / np.maximum(gen["mass"][rows], 0.1)
    pt, eta = gen["pt"][rows], np.abs(gen["eta"][rows])
    hadron, parton = gen["hadronFlavour"][rows], np.abs(gen["partonFlavour"][rows])
    lepton = _is_lepton(sample)[rows]
    yield "jets of a prompt lepton", _where(columns, lepton)
    flavours = {"b": hadron == 5, "c": hadron == 4}
    flavours["light"] = (hadron == 0) & np.isin(parton, (1, 2, 3))
    flavours["gluon"] = (hadron == 0) & (parton == 21)
    for flavour, of_flavour in flavours.items():
        for name, mask in _bins(pt, _PT):
            yield f"{flavour} jets, {name}", _where(columns, of_flavour & mask & ~lepton & (eta < _CENTRAL))
    yield "jets at the end of the endcap", _where(columns, ~lepton & (eta > _CENTRAL) & (eta < _ENDCAP))
    yield "forward jets", _where(columns, ~lepton & (eta > _ENDCAP))


def _is_lepton(sample: WholeEvents) -> Mask:
    """Whether a gen jet is a prompt lepton, shape (number of gen jets,)."""
    particles, gen = sample["GenPart"], sample["GenJet"]
    kinds = np.isin(np.abs(particles["pdgId"]), (_ELECTRON, _MUON)) & (particles["status"] == 1)
    leptons = particles.select(kinds & ((particles["statusFlags"] & _IS_PROMPT) > 0))
    return jets_that_are_leptons(
        gen.directions,
        gen["pt"],
        leptons.directions,
        leptons["pt"],
        cone=_LEPTON_CONE,
        min_share=_LEPTON_SHARE,
    )


def _muons(sample: WholeEvents) -> Iterator[tuple[str, Columns]]:
    muons, particles = _without_mass(sample["Muon"]), sample["GenPart"]
    unmatched = muons["genPartIdx"] < 0
    yield "unmatched muons", _with_abs_eta(muons.select(unmatched))
    muons = muons.select(~unmatched)
    columns = _relative(muons, particles, _rows(muons, particles, "genPartIdx"))
    origins = {"prompt": (1, 15), "b": (5,), "c and other": (3, 4)}
    for origin, codes in origins.items():
        for name, mask in _bins(muons["pt"], _MUON_PT):
            yield f"muons, {origin}, {name}", _where(columns, mask & np.isin(muons["genPartFlav"], codes))


def _electrons(sample: WholeEvents) -> Iterator[tuple[str, Columns]]:
    """Electrons with a gen electron, and those without: a gen photon is none."""
    found, particles = _without_mass(sample["Electron"]), sample["GenPart"]
    if "energyErr" in found.columns:
        found.columns["relativeErr"] = found["energyErr"] / (found["pt"] * np.cosh(found["eta"]))
    rows = _rows(found, particles, "genPartIdx")
    genuine = (found["genPartIdx"] >= 0) & (np.abs(particles["pdgId"][rows]) == _ELECTRON)
    columns = _where(_relative(found, particles, rows), genuine)
    prompt = np.isin(found["genPartFlav"], (1, 15))[genuine]
    yield "electrons, prompt", _where(columns, prompt)
    yield "electrons, not prompt", _where(columns, ~prompt)
    other = _with_abs_eta(found.select(~genuine))
    for name, mask in _bins(found["pt"][~genuine], _ELECTRON_PT):
        yield f"unmatched electrons, {name}", _where(other, mask)


def _photons(sample: WholeEvents) -> Iterator[tuple[str, Columns]]:
    photons = _without_mass(sample["Photon"])
    columns = _with_abs_eta(photons)
    if "genPartFlav" in columns:
        genuine = columns["genPartFlav"] > 0
        yield "photons, prompt or of an electron", _where(columns, genuine)
        for name, mask in _bins(photons["pt"], _ELECTRON_PT):
            yield f"unmatched photons, {name}", _where(columns, mask & ~genuine)


def _taus(sample: WholeEvents) -> Iterator[tuple[str, Columns]]:
    taus = sample["Tau"]
    columns = _with_abs_eta(taus)
    if "genPartFlav" in columns:
        flavour = columns["genPartFlav"]
        yield "taus, hadronic", _where(columns, flavour == 5)
        yield "taus of an electron or muon", _where(columns, (flavour > 0) & (flavour < 5))
        for name, mask in _bins(taus["pt"], _TAU_PT):
            yield f"taus of jets, {name}", _where(columns, mask & (flavour == 0))


def _secondary_vertices(sample: WholeEvents) -> Iterator[tuple[str, Columns]]:
    vertices, jets, gen = sample["SV"], sample["Jet"], sample["GenJet"]
    flavour = np.where(jets["genJetIdx"] >= 0, gen["hadronFlavour"][_rows(jets, gen, "genJetIdx")], 0)
    row, _ = closest(vertices.directions, jets.directions, 1, _CONE)
    of_jet = np.where(row >= 0, flavour[np.maximum(row, 0)], -1)
    columns = _with_abs_eta(vertices)
    for name, mask in {"b jets": of_jet == 5, "c and light jets": of_jet >= 0, "no jet": of_jet < 0}.items():
        yield f"secondary vertices in {name}", _where(columns, mask & ((of_jet == 5) == (name == "b jets")))


def _fat_jets(sample: WholeEvents) -> Columns:
    jets, gen = sample["FatJet"], sample["GenJetAK8"]
    columns = _with_abs_eta(jets)
    if columns and gen.columns:
        row, _ = closest(jets.directions, gen.directions, 1, _CONE)
        columns["response"] = (jets["pt"] / gen["pt"][np.maximum(row, 0)])[row >= 0]
        columns["massResponse"] = (jets["mass"] / np.maximum(gen["mass"][np.maximum(row, 0)], 0.1))[row >= 0]
    return columns


def _events(sample: WholeEvents) -> Iterator[tuple[str, Columns]]:
    values = sample.values
    momenta = ("MET_", "PuppiMET_", "RawMET_", "RawPuppiMET_", "PFMET_", "RawPFMET_")
    missing = {name: column for name, column in values.items() if name.startswith(momenta)}
    for met in [name.removesuffix("_pt") for name in missing if name.endswith("MET_pt")]:
        parts = [
            values[f"{met}_pt"] * axis(values[f"{met}_phi"])
            - values["GenMET_pt"] * axis(values["GenMET_phi"])
            for axis in (np.cos, np.sin)
        ]
        missing[f"{met} - GenMET, x and y"] = np.concatenate(parts)
    yield "missing momentum", missing
    vertex = ("PV_", "fixedGridRho", "Rho_")
    yield "primary vertex and density", {k: v for k, v in values.items() if k.startswith(vertex)}
    yield "soft activity", {k: v for k, v in values.items() if k.startswith("SoftActivityJet")}
    reconstructed = {name: c for name, c in sample.collections.items() if not name.startswith("Gen")}
    yield "objects of an event", {f"n{name}": objects.counts for name, objects in reconstructed.items()}


def _efficiencies(sample: WholeEvents) -> Iterator[tuple[str, Columns]]:
    """Share of gen objects that are reconstructed: a column of zeros and ones for each bin."""
    gen, particles = sample["GenJet"], sample["GenPart"]
    if "Jet" in sample.collections:
        found = _pointed_at(sample["Jet"], gen, "genJetIdx")
        yield "efficiency of gen jets", _in_bins(gen, found, _GEN_PT, _JET_ETA)
    prompt, stable = (particles["statusFlags"] & _IS_PROMPT) > 0, particles["status"] == 1
    kinds: tuple[tuple[str, str, int, tuple[float, ...]], ...] = (
        ("muons", "Muon", _MUON, _MUON_PT),
        ("electrons", "Electron", _ELECTRON, _ELECTRON_PT),
    )
    for name, collection, code, edges in kinds:
        if collection not in sample.collections:
            continue
        pointed = particles.select(_pointed_at(sample[collection], particles, "genPartIdx"))
        same = pointed.select(np.abs(pointed["pdgId"]) == code)
        # From v6 on, CMS points at the first copy of a lepton, which need not be the stable one.
        found = closest(particles.directions, same.directions, 1, _COPY)[0] >= 0
        for origin, of_origin in (("prompt", prompt), ("other", ~prompt)):
            mask = stable & of_origin & (np.abs(particles["pdgId"]) == code)
            bins = _in_bins(particles.select(mask), found[mask], edges, _LEPTON_ETA)
            yield f"efficiency of {origin} {name}", bins
    pairs: tuple[tuple[str, str, str, tuple[float, ...]], ...] = (
        ("hadronic taus", "GenVisTau", "Tau", _TAU_PT),
        ("gen fat jets", "GenJetAK8", "FatJet", _FAT_PT),
    )
    for name, true, collection, edges in pairs:
        if sample[true].columns and sample[collection].columns:
            row, _ = closest(sample[true].directions, sample[collection].directions, 1, _CONE)
            yield f"efficiency of {name}", _in_bins(sample[true], row >= 0, edges, (0.0, _CENTRAL))


def _pointed_at(objects: Collection, target: Collection, field: str) -> Mask:
    """Whether an object's index points at each of the target's."""
    found = np.zeros(len(target), dtype=np.bool_)
    if field in objects.columns:
        found[_rows(objects, target, field)[objects[field] >= 0]] = True
    return found


def _in_bins(gen: Collection, found: Mask, pt: tuple[float, ...], eta: tuple[float, ...]) -> Columns:
    return {
        f"{name}, abs(eta) {region}": found[in_pt & in_eta].astype(np.int64)
        for name, in_pt in _bins(gen["pt"], pt)
        for region, in_eta in _bins(np.abs(gen["eta"]), eta, "")
    }
