"""Gen partners and flavours by CMSSW's rules, in made events and made again in real files."""

from __future__ import annotations

from functools import partial

import awkward as ak
import numpy as np
import pytest

from flashsim.declarations.gen_collections import StatusFlag
from flashsim.events.collection import Collection, flat_column
from flashsim.nanoaod.reading import NanoFile
from flashsim.reference.output.matching import gen_collections, match_objects, matched

PROMPT, TAU = int(StatusFlag.isPrompt), int(StatusFlag.isDirectPromptTauDecayProduct)
PROMPT_TAU = int(StatusFlag.isPromptTauDecayProduct)


def particle(pdg_id, pt=30.0, eta=0.0, phi=0.0, status=1, flags=0, mother=-1):
    return {
        "pdgId": pdg_id,
        "pt": pt,
        "eta": eta,
        "phi": phi,
        "status": status,
        "statusFlags": flags,
        "genPartIdxMother": mother,
    }


def jet(pt, eta=0.0, phi=0.0, **flavours):
    return {"pt": pt, "eta": eta, "phi": phi, "partonFlavour": 0, "hadronFlavour": 0} | flavours


def branches(**collections):
    """One event, or a list of events for each collection."""
    arrays = {}
    for name, events in collections.items():
        several = events if events and isinstance(events[0], list) else [events]
        for field in next((list(o) for event in several for o in event), []):
            arrays[f"{name}_{field}"] = ak.Array([[o[field] for o in event] for event in several])
    return arrays


def objects(*events):
    arrays = branches(X=[list(event) for event in events])
    return Collection.of_branches(arrays, "X", list(events[0][0]))


def reco(pt, eta=0.0, phi=0.0):
    return {"pt": pt, "eta": eta, "phi": phi}


def match_one(name, found, **gen):
    gen.setdefault("GenPart", [particle(21)])
    return match_objects({name: objects(found)}, gen_collections(branches(**gen)))[name]


def test_nearest_pairs_go_together_first():
    gen = [particle(13, eta=0.0), particle(-13, eta=0.1)]
    found = match_one("Muon", [reco(30.0, 0.08), reco(30.0, 0.11)], GenPart=gen)
    assert found["genPartIdx"].tolist() == [0, 1]


@pytest.mark.parametrize(
    "candidate",
    [
        particle(13, eta=0.31),
        particle(13, pt=19.0),
        particle(13, pt=61.0),
        particle(13, status=23),
        particle(11),
    ],
    ids=["far", "softer", "harder", "not stable", "electron"],
)
def test_what_is_no_match_of_a_muon(candidate):
    found = match_one("Muon", [reco(30.0)], GenPart=[candidate])
    assert (found["genPartIdx"][0], found["genPartFlav"][0]) == (-1, 0)


def test_matches_stay_in_their_event():
    gen = gen_collections(branches(GenPart=[[particle(13)], [particle(13), particle(13, phi=3.1)]]))
    muons = objects([reco(30.0, phi=-3.15)], [reco(30.0, phi=-3.15)])
    assert match_objects({"Muon": muons}, gen)["Muon"]["genPartIdx"].tolist() == [-1, 2]


@pytest.mark.parametrize(
    ("flags", "ancestors", "flavour"),
    [
        (PROMPT, [24], 1),
        (TAU, [15], 15),
        (0, [511], 5),
        (0, [421, 511], 5),
        (0, [421], 4),
        (0, [4122], 4),
        (0, [211], 3),
    ],
)
def test_flavour_of_a_muon_is_that_of_its_heaviest_ancestor(flags, ancestors, flavour):
    """The last of `ancestors` comes first."""
    chain = [
        particle(number, 50.0, 2.0, status=2, mother=place - 1)
        for place, number in enumerate(reversed(ancestors))
    ]
    muon = particle(13, flags=flags, mother=len(chain) - 1)
    assert match_one("Muon", [reco(30.0)], GenPart=[*chain, muon])["genPartFlav"][0] == flavour


def test_the_search_for_ancestors_ends_at_what_did_not_decay():
    gen = [particle(5, status=23), particle(21, status=71, mother=0), particle(13, mother=1)]
    assert match_one("Muon", [reco(30.0)], GenPart=gen)["genPartFlav"][0] == 3


def test_electrons_are_dressed_and_point_at_their_first_copy():
    first = particle(11, 40.0, status=23, flags=PROMPT)
    gen = [first, particle(11, 40.0, flags=PROMPT, mother=0), particle(22, 12.0, 0.05, flags=PROMPT)]
    found = match_one("Electron", [reco(77.0)], GenPart=gen)
    assert (found["genPartIdx"][0], found["genPartFlav"][0]) == (0, 1)
    # 77 GeV is within 50 % of the 52 GeV of electron and photon, not of the electron's 40 GeV.
    assert match_one("Electron", [reco(77.0)], GenPart=gen[:2])["genPartIdx"][0] == -1


@pytest.mark.parametrize(
    ("candidate", "flavour"),
    [
        (particle(22, flags=PROMPT), 22),
        (particle(11, flags=PROMPT_TAU), 15),
        (particle(22), 3),
        (particle(13, flags=PROMPT), 0),
    ],
    ids=["photon", "tau", "photon of a hadron", "muon"],
)
def test_flavour_of_an_electron(candidate, flavour):
    assert match_one("Electron", [reco(30.0)], GenPart=[candidate])["genPartFlav"][0] == flavour


@pytest.mark.parametrize(
    ("candidate", "flavour"),
    [
        (particle(22, flags=PROMPT), 1),
        (particle(22), 0),
        (particle(11, flags=PROMPT), 11),
        (particle(11, flags=TAU), 11),
        (particle(11), 0),
    ],
)
def test_flavour_of_a_photon(candidate, flavour):
    found = match_one("Photon", [reco(30.0)], GenPart=[candidate])
    assert (found["genPartIdx"][0], found["genPartFlav"][0]) == (0, flavour)


@pytest.mark.parametrize(
    ("candidate", "flavour"),
    [
        (particle(11, flags=PROMPT), 1),
        (particle(13, flags=PROMPT, status=23), 2),
        (particle(11, flags=TAU), 3),
        (particle(13, flags=TAU), 4),
        (particle(13), 5),
        (particle(22), 5),
    ],
)
def test_flavour_of_a_tau(candidate, flavour):
    found = match_one("Tau", [reco(30.0)], GenPart=[particle(21), candidate], GenVisTau=[reco(20.0)])
    assert found["genPartFlav"][0] == flavour
    assert found["genPartIdx"][0] == (0 if candidate["pdgId"] == 22 else 1)


def test_jets_choose_in_their_order():
    in_order = partial(matched, cone=0.4, rel_pt=3.0, in_order=True)
    gen = objects([reco(100.0), reco(40.0, 0.3)])
    jets = objects([reco(110.0, 0.2), reco(60.0, 0.25), reco(15.0, 0.0)])
    assert in_order(jets, gen).tolist() == [1, 0, -1]
    # Too hard for the nearest.
    assert in_order(objects([reco(170.0, 0.3)]), gen).tolist() == [0]


def test_flavours_of_jets():
    hadrons = [
        particle(511, 50.0, 0.1, status=2),
        particle(421, 40.0, 0.12, status=2, mother=0),
        particle(513, 60.0, 2.0, status=2),
        particle(511, 60.0, 2.0, status=2, mother=2),
        particle(4122, 20.0, -2.0, status=2),
    ]
    gen_jets = [jet(100.0, partonFlavour=5), jet(60.0, 2.0, partonFlavour=21)]
    found = match_one(
        "Jet",
        [reco(90.0), reco(50.0, 2.2), reco(20.0, -2.3), reco(20.0, 4.0)],
        GenPart=hadrons,
        GenJet=gen_jets,
    )
    assert found["hadronFlavour"].tolist() == [5, 5, 4, 0]
    assert found["nBHadrons"].tolist() == [1, 1, 0, 0]
    assert found["nCHadrons"].tolist() == [1, 0, 1, 0]
    assert found["partonFlavour"].tolist() == [5, 21, 0, 0]


def test_jets_of_soft_gluons():
    soft = objects([reco(20.0), reco(18.0, 3.0)])
    soft = Collection(soft.offsets, soft.columns | {"_hard": np.array([True, False])})
    gen = gen_collections(branches(GenPart=[particle(21, eta=5.0)]))
    assert match_objects({"Jet": soft}, gen)["Jet"]["partonFlavour"].tolist() == [21, 0]


def test_without_objects_and_without_partners():
    empty = Collection.of_counts(np.zeros(2, np.int64), {n: np.zeros(0) for n in ("pt", "eta", "phi")})
    gen = gen_collections(branches(GenPart=[[particle(13)], [particle(13)]]))
    for name in ("Muon", "Electron", "Photon", "Tau", "Jet", "FatJet", "SubJet"):
        found = match_objects({name: empty}, gen)[name]
        assert {len(column) for column in found.columns.values()} == {0}
    assert match_one("FatJet", [reco(300.0)])["genJetAK8Idx"].tolist() == [-1]


PARTNERS = {"genPartIdx": "GenPart", "genJetIdx": "GenJet", "genJetAK8Idx": "GenJetAK8"}


@pytest.mark.parametrize(
    ("sample", "name", "field", "least"),
    [
        ("pfnano_tt_2018", "Muon", "genPartIdx", 1.0),
        ("pfnano_tt_2018", "Muon", "genPartFlav", 1.0),
        ("tt_2024_v15", "Electron", "genPartIdx", 1.0),
        ("tt_2024_v15", "Electron", "genPartFlav", 0.97),
        ("htt_fastsim_v9", "Electron", "genPartFlav", 0.99),
        ("htt_fastsim_v9", "Photon", "genPartFlav", 1.0),
        ("htt_fastsim_v9", "Tau", "genPartFlav", 1.0),
        ("htt_fastsim_v9", "Tau", "genPartIdx", 1.0),
        ("tt_2018_v5", "Tau", "genPartFlav", 1.0),
        ("tt_2018_v5", "Jet", "genJetIdx", 0.999),
        ("tt_2024_v15", "Jet", "genJetIdx", 0.995),
        ("tt_2018_v5", "Jet", "hadronFlavour", 0.985),
        ("tt_2022_v12", "FatJet", "genJetAK8Idx", 1.0),
        ("tt_2024_v15", "SubJet", "nBHadrons", 0.99),
    ],
)
def test_real_files_say_the_same(nanoaod_dir, sample, name, field, least):
    with NanoFile(nanoaod_dir / f"{sample}.root") as file:
        gen_names = [
            b for b in file.branches if b.startswith(("GenPart_", "GenJet", "SubGenJetAK8_", "GenVisTau_"))
        ]
        gen = gen_collections(file.read(gen_names))
        arrays = file.read([f"{name}_{f}" for f in ("pt", "eta", "phi", field)])
    real = flat_column(arrays[f"{name}_{field}"])[1].astype(np.int64)
    collection = Collection.of_branches(arrays, name, ("pt", "eta", "phi"))
    found = match_objects({name: collection}, gen)[name][field]
    if name != "Tau" and field in PARTNERS:
        partners = gen[PARTNERS[field]]
        found = np.where(found >= 0, found - partners.offsets[collection.event_rows], -1)
        # CMS matched softer gen jets, too, before it left them out.
        real = np.where(real < partners.counts[collection.event_rows], real, -1)
    assert np.mean(found == real) >= least
