"""What objects are by the generator: labels that networks tell apart, and quantities that they regress."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.realism.groups import groups
from flashsim.analysis.whole_events.reading import WholeEvents
from flashsim.events.collection import Collection
from flashsim.events.neighbours import closest, ring_sum
from flashsim.reference.output.matching import gen_collections, match_objects

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["truth_of"]

_PROMPT, _TAU_PRODUCT = 1 << 0, 1 << 5
_FIRST_COPY = 1 << 12
_NEUTRINOS = (12, 14, 16)
_CONE, _FAT_CONE, _LEPTON_CONE, _NEAR, _SHARE = 0.4, 0.8, 0.3, 0.2, 0.5
_EXAMPLES = ("b", "bb", "c", "s", "ud", "g")
_ORIGINS: dict[str, dict[str, tuple[int, ...]]] = {
    "Muon": {"prompt": (1, 15), "heavy": (4, 5), "light": (0, 3)},
    "Electron": {"prompt": (1, 15), "heavy": (4, 5)},
    "Photon": {"prompt": (1,), "electron": (11, 13)},
    "Tau": {"tau": (5,), "electron": (1, 3), "muon": (2, 4), "jet": (0,)},
}
"""Labels of objects by their genPartFlav; all else is other."""
_INDICES = {
    "Jet": ("genJetIdx", "GenJet"),
    "Muon": ("genPartIdx", "GenPart"),
    "Electron": ("genPartIdx", "GenPart"),
}


def truth_of(gen: Mapping[str, Any], name: str, objects: Collection) -> dict[str, NDArray[Any]]:
    """Give what objects are, columns of shape (N,).

    Parameters
    ----------
    gen
        Branches of the generator.
    name
        Of the collection.
    objects
        With pt, eta, phi; jets with rawFactor.

    Returns
    -------
    ``label``: of jets b, bb, c, s, ud, g, electron, muon, tau, pileup or other, of other objects where they
    come from; ``group``, of `benchmarks.realism.groups`; and of jets the flavour, and the logarithms of the
    gen jet's pT over the jet's, with neutrinos (``neutrinos``, and ``neutrinosOfC`` of c jets), over the raw
    jet's, without and with neutrinos (``raw``, ``rawNeutrinos``), NaN of jets that are no example, and of
    what neutrinos add to one (``added``), 0 of these.
    """
    every = gen_collections(gen)
    found = match_objects({name: objects}, every)[name]
    columns = {"group": _groups(gen, every, name, found)}
    if name == "Jet":
        return columns | _jets(every, objects, found)
    if name == "FatJet":
        return columns | {"label": _fat_labels(every["GenPart"], found)}
    columns["label"] = np.full(len(objects), "other", dtype="U10")
    for label, codes in _ORIGINS.get(name, {}).items():
        columns["label"][np.isin(found["genPartFlav"], codes)] = label
    return columns


def _groups(
    gen: Mapping[str, Any], every: Mapping[str, Collection], name: str, found: Collection
) -> NDArray[np.str_]:
    """Name of the group that an object is compared in, shape (N,); empty of those that are in none."""
    columns = found.columns | {"row": np.arange(len(found))}
    if name in _INDICES:
        field, target = _INDICES[name]
        columns[field] = np.where(
            found[field] >= 0, found[field] - every[target].offsets[found.event_rows], -1
        )
    masses = {
        jets: Collection.of_branches(gen, jets, [*every[jets].columns, "mass"])
        for jets in ("GenJet", "GenJetAK8")
    }
    own = {**every, **masses, name: Collection(found.offsets, columns)}
    group = np.full(len(found), "", dtype="U48")
    for label, of_group in groups(WholeEvents(len(found.offsets) - 1, own, {})):
        group[of_group.get("row", [])] = label
    return group


def _jets(gen: Mapping[str, Collection], jets: Collection, found: Collection) -> dict[str, NDArray[Any]]:
    hadron, parton = found["hadronFlavour"], np.abs(found["partonFlavour"])
    matched = found["genJetIdx"] >= 0
    label = np.select(
        [
            ~matched,
            (hadron == 5) & (found["nBHadrons"] > 1),
            hadron == 5,
            hadron == 4,
            parton == 3,
            np.isin(parton, (1, 2)),
            parton == 21,
        ],
        ["pileup", "bb", "b", "c", "s", "ud", "g"],
        "other",
    ).astype("U10")
    for name, lepton in _leptons(gen):
        row, _ = closest(jets.directions, lepton.directions, 1, _LEPTON_CONE)
        share = np.append(lepton["pt"], 0.0)[row] / jets["pt"]
        label[matched & (share > _SHARE) & (hadron == 0)] = name
    columns = {"label": label, "hadronFlavour": hadron, "partonFlavour": parton, "isMatched": matched}
    return columns | _momenta(gen, jets, found["genJetIdx"], np.isin(label, _EXAMPLES), label == "c")


def _fat_labels(particles: Collection, jets: Collection) -> NDArray[Any]:
    """Tops by what of their decay is in the jet, W and Z bosons, and other jets by their heavy hadrons."""
    code, flags = np.abs(particles["pdgId"]), particles["statusFlags"].astype(np.int64)
    mother = particles["genPartIdxMother"].astype(np.int64)
    row = np.where(mother >= 0, mother + particles.offsets[particles.event_rows], -1)
    parent = np.append(code, 0)[row]
    quark = (code <= 5) & (code > 0) & (flags & _FIRST_COPY > 0)
    numbers = {}
    for name, chosen in {
        "w": quark & np.isin(parent, (23, 24)),
        "b": quark & (code == 5) & (parent == 6),
    }.items():
        some = particles.select(chosen)
        numbers[name] = ring_sum(jets.directions, some.directions, np.ones(len(some)), 0.0, _FAT_CONE)
    w, b, bottoms, charms = numbers["w"], numbers["b"], jets["nBHadrons"], jets["nCHadrons"]
    return np.select(
        [(w >= 2) & (b >= 1), (w == 1) & (b >= 1), w >= 2, bottoms >= 2, (bottoms == 0) & (charms >= 2)],
        ["top", "topbq", "w", "bb", "cc"],
        "qcd",
    ).astype("U10")


def _momenta(
    gen: Mapping[str, Collection],
    jets: Collection,
    rows: NDArray[np.int64],
    example: NDArray[np.bool_],
    is_c: NDArray[np.bool_],
) -> dict[str, NDArray[np.float64]]:
    """Logarithms of momenta of the gen jets over those of jets."""
    particles, gen_jets = gen["GenPart"], gen["GenJet"]
    code, flags = np.abs(particles["pdgId"]), particles["statusFlags"].astype(np.int64)
    lost = particles.select(np.isin(code, _NEUTRINOS) & (particles["status"] == 1) & (flags & _PROMPT == 0))
    missing = ring_sum(gen_jets.directions, lost.directions, lost["pt"].astype(np.float64), 0.0, _CONE)
    visible = np.append(gen_jets["pt"].astype(np.float64), 1.0)[rows]
    whole = visible + np.append(missing, 0.0)[rows]
    _, distance = closest(jets.directions, gen_jets.directions, 1, _NEAR)
    example &= distance < _NEAR
    raw = jets["pt"] * (1.0 - jets["rawFactor"])
    return {
        "neutrinos": np.where(example, np.log(whole / jets["pt"]), np.nan),
        "neutrinosOfC": np.where(example & is_c, np.log(whole / jets["pt"]), np.nan),
        "raw": np.where(example, np.log(visible / raw), np.nan),
        "added": np.where(example, np.log(whole / visible), 0.0),
        "rawNeutrinos": np.where(example, np.log(whole / raw), np.nan),
    }


def _leptons(gen: Mapping[str, Collection]) -> list[tuple[str, Collection]]:
    """Prompt electrons and muons, and visible parts of hadronic taus."""
    particles = gen["GenPart"]
    code, flags = np.abs(particles["pdgId"]), particles["statusFlags"].astype(np.int64)
    prompt = (particles["status"] == 1) & (flags & (_PROMPT | _TAU_PRODUCT) > 0)
    return [
        ("electron", particles.select(prompt & (code == 11))),
        ("muon", particles.select(prompt & (code == 13))),
        ("tau", gen["GenVisTau"]),
    ]
