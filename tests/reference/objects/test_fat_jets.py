from __future__ import annotations

import itertools
import json
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.jet_corrections import EDGES, binned, payload
from flashsim.events.angles import wrap_angle
from flashsim.events.collection import Collection
from flashsim.gen.libraries import stdout_captured
from flashsim.reference.objects.clustering import momenta_of
from flashsim.reference.objects.corrections import RESPONSE
from flashsim.reference.objects.fat_jets import UNDEFINED, FatJetsRecipe, fat_jets
from flashsim.reference.objects.jets import JetsRecipe
from flashsim.reference.particles.streams import Streams

fastjet = pytest.importorskip("fastjet")
BINS = len(EDGES) - 1
RADIUS, SHARE = 0.8, 0.1


@pytest.fixture
def recipes(tmp_path):
    level = {"L2Relative": binned(RESPONSE, ["JetPt"], np.array([[1.1, 0, 0, 0, 0, 5, 900]] * BINS))}
    path = tmp_path / "test.json"
    path.write_text(json.dumps(payload("T", {"AK4PFPuppi": level, "AK8PFPuppi": level})))
    fat = FatJetsRecipe(
        radius=RADIUS, raw_pt=60, pt=100, groomed_pt=80, soft_drop=SHARE, correlator_pt=150, hardest=60
    )
    ak4 = JetsRecipe(
        radius=0.4, raw_pt={"CHS": 5, "Puppi": 5}, soft_pt=10, pt=15, corrections=str(path),
        muon_stations=2, lepton_veto=0.8, identification=[{"eta": 5.2}],
        forward_eta=2.9, forward_pt=25, tower_pt=3, tower_width=0.175,
    )  # fmt: skip
    return fat, ak4


def leptons(events, **rows):
    """Leptons that are candidates: rows by name of the collection."""
    made = {}
    for name in ("Muon", "Electron"):
        row = np.array(rows.get(name, []), dtype=np.int64)
        columns = {field: events.candidates[field][row] for field in ("pt", "eta", "phi")} | {
            "_candidate": row
        }
        event = events.candidates.event_rows[row]
        made[name] = Collection.of_event_rows(event, columns, events.candidates.events)
    return made


def recorded(parts, seed=1):
    """Events of jets around axes: a list of (pt, eta, phi, constituents) for each event."""
    rng = np.random.default_rng(seed)
    columns = {name: [] for name in ("pt", "eta", "phi")}
    counts = []
    for event in parts:
        for pt, eta, phi, number in event:
            shares = rng.dirichlet(np.full(number, 0.6))
            columns["pt"].append(pt * shares)
            columns["eta"].append(eta + 0.08 * rng.normal(size=number))
            columns["phi"].append(phi + 0.08 * rng.normal(size=number))
        counts.append(sum(number for *_, number in event))
    columns = {name: np.concatenate(values) for name, values in columns.items()}
    size = len(columns["pt"])
    columns["energy"] = columns["pt"] * np.cosh(columns["eta"])
    columns |= {"pdgId": np.full(size, 211), "charge": np.ones(size, int), "fromPV": np.full(size, 3)}
    columns["puppi"] = np.where(rng.random(size) < 0.1, 0.5, 1.0)
    keys = np.arange(1, len(parts) + 1, dtype=np.uint64)
    return SimpleNamespace(
        candidates=Collection.of_counts(np.array(counts), columns), keys=keys, streams=Streams(1, "full"),
        rho={"FastjetAll": np.full(len(parts), 12.0)},
    )  # fmt: skip


EVENTS = [
    [(180, 0.1, 0.3, 20), (90, 0.5, 0.6, 15), (150, -1.5, -2.0, 25)],
    [(300, 1.0, 3.1, 18)],
    [(120, -0.5, 1.0, 12), (110, -0.2, 1.5, 10), (60, -0.7, 1.4, 8)],
    [(200, 0.0, -3.1, 1)],
]


def constituents(events, found, jet):
    rows = found.members[found.offsets[jet] : found.offsets[jet + 1]]
    momenta = momenta_of(events.candidates, events.candidates["puppi"])[rows]
    return [fastjet.PseudoJet(*map(float, row)) for row in momenta]


def soft_drop(particles):
    """The two subjets by fastjet, or the particle that is left."""
    sequence = fastjet.ClusterSequence(particles, fastjet.JetDefinition(fastjet.cambridge_algorithm, 10.0))
    (node,) = sequence.inclusive_jets()
    first, second = fastjet.PseudoJet(), fastjet.PseudoJet()
    while node.has_parents(first, second):
        hard, soft = (first, second) if first.pt() > second.pt() else (second, first)
        if soft.pt() > SHARE * (hard.pt() + soft.pt()):
            return [[(p.px(), p.py(), p.pz(), p.e()) for p in side.constituents()] for side in (hard, soft)]
        node, first, second = hard, fastjet.PseudoJet(), fastjet.PseudoJet()
    return None


def mass(momentum):
    return np.sqrt(max(momentum[3] ** 2 - np.sum(np.square(momentum[:3])), 0.0))


@pytest.fixture
def found(recipes):
    events = recorded(EVENTS)
    return events, fat_jets(events, *recipes, leptons(events))


def test_groomed_jets_are_those_of_fastjet(found):
    events, fat = found
    objects, subjets = fat.jets.objects, fat.subjets
    assert len(objects) >= 5
    groomed = 0
    for jet in range(len(objects)):
        with stdout_captured():
            pair = soft_drop(constituents(events, fat.jets, jet))
        rows = objects["subJetIdx1"][jet], objects["subJetIdx2"][jet]
        if pair is None:
            assert rows == (-1, -1)
            assert objects["msoftdrop"][jet] == -1
            continue
        groomed += 1
        sums = [np.sum(side, axis=0) for side in pair]
        assert objects["msoftdrop"][jet] == pytest.approx(1.1 * mass(sums[0] + sums[1]), rel=1e-6)
        for row, momentum in zip(rows, sums, strict=True):
            assert subjets["pt"][row] == pytest.approx(1.1 * np.hypot(*momentum[:2]), rel=1e-6)
            assert subjets["mass"][row] == pytest.approx(1.1 * mass(momentum), rel=1e-5, abs=1e-4)
            assert subjets["rawFactor"][row] == pytest.approx(1 - 1 / 1.1)
            assert subjets.event_rows[row] == objects.event_rows[jet]
    assert groomed >= 4


def test_a_jet_of_one_particle_has_no_substructure(found):
    _, fat = found
    objects = fat.jets.objects
    alone = objects["nConstituents"] == 1
    assert alone.sum() == 1
    for name, value in {"subJetIdx1": -1, "msoftdrop": -1, "tau1": 0, "tau4": 0, "n2b1": UNDEFINED}.items():
        assert objects[name][alone].tolist() == [value]


def distance(a, b):
    turn = (a[1] - b[1] + np.pi) % (2 * np.pi) - np.pi
    return np.hypot(a[0] - b[0], turn)


@pytest.mark.parametrize("axes", [1, 2, 3, 4])
def test_subjettiness_is_below_that_of_kt_axes(found, axes):
    """The axes begin as those of exclusive kT and can only improve; how much is bounded by the best axes."""
    events, fat = found
    for jet in range(len(fat.jets.objects)):
        particles = constituents(events, fat.jets, jet)
        tau = fat.jets.objects[f"tau{axes}"][jet]
        if len(particles) <= axes:
            assert tau == 0
            continue
        with stdout_captured():
            sequence = fastjet.ClusterSequence(particles, fastjet.JetDefinition(fastjet.kt_algorithm, 10.0))
            ends = [(p.rap(), p.phi()) for p in sequence.exclusive_jets(axes)]
        places = [(p.rap(), p.phi()) for p in particles]
        pt = np.array([p.pt() for p in particles])
        of_kt = sum(
            w * min(distance(place, end) for end in ends) for w, place in zip(pt, places, strict=True)
        )
        of_kt /= pt.sum() * RADIUS
        assert 0.5 * of_kt < tau <= of_kt * (1 + 1e-6)


def test_more_axes_lower_the_subjettiness(found):
    objects = found[1].jets.objects
    for k in (1, 2, 3):
        assert (objects[f"tau{k + 1}"] <= objects[f"tau{k}"] + 1e-9).all()


def test_energy_correlators_are_those_of_their_definition(found):
    events, fat = found
    compared = 0
    for jet in range(len(fat.jets.objects)):
        with stdout_captured():
            pair = soft_drop(constituents(events, fat.jets, jet))
        if pair is None:
            continue
        p = np.array(pair[0] + pair[1])
        z = np.hypot(p[:, 0], p[:, 1])
        z /= z.sum()
        places = np.stack([np.arctanh(p[:, 2] / p[:, 3]), np.arctan2(p[:, 1], p[:, 0])], axis=1)
        two = sum(
            z[i] * z[j] * distance(places[i], places[j]) for i, j in itertools.combinations(range(len(z)), 2)
        )
        three_one = three_two = four = 0.0
        for three in itertools.combinations(range(len(z)), 3):
            angles = sorted(distance(places[a], places[b]) for a, b in itertools.combinations(three, 2))
            weight = np.prod(z[list(three)])
            three_one += weight * angles[0]
            three_two += weight * angles[0] * angles[1]
        assert fat.jets.objects["n2b1"][jet] == pytest.approx(three_two / two**2, rel=1e-6)
        if fat.jets.objects["n3b1"][jet] == -1 or len(z) > 22:
            continue
        for some in itertools.combinations(range(len(z)), 4):
            angles = sorted(distance(places[a], places[b]) for a, b in itertools.combinations(some, 2))
            four += np.prod(z[list(some)]) * angles[0] * angles[1]
        assert fat.jets.objects["n3b1"][jet] == pytest.approx(four / three_one**2, rel=1e-6)
        compared += 1
    assert compared >= 1


def test_share_of_the_lepton_in_its_subjet(recipes):
    """The pT of the jet's lepton over that of the nearest of three exclusive kT subjets."""
    events = recorded(EVENTS)
    candidates = events.candidates
    plain = fat_jets(events, *recipes, leptons(events)).jets
    assert (plain.objects["lsf3"] == -1).all()
    every = [plain.members[begin:end] for begin, end in itertools.pairwise(plain.offsets)]
    muon, electron = (
        np.sort([rows[candidates["pt"][rows].argsort()[-k]] for rows in every if len(rows) > 1])
        for k in (1, 2)
    )
    jets = fat_jets(events, *recipes, leptons(events, Muon=muon, Electron=electron)).jets.objects
    definition = fastjet.JetDefinition(fastjet.kt_algorithm, 2.0)
    for jet, (of_muon, of_electron) in enumerate(
        zip(jets["muonIdx3SJ"], jets["electronIdx3SJ"], strict=True)
    ):
        if of_muon < 0 and of_electron < 0:
            assert jets["lsf3"][jet] == -1
            continue
        assert of_muon < 0 or of_electron < 0
        row = muon[of_muon] if of_muon >= 0 else electron[of_electron]
        assert row in every[jet]
        with stdout_captured():
            sequence = fastjet.ClusterSequence(constituents(events, plain, jet), definition)
            subjets = sequence.exclusive_jets_up_to(3)
        away = [
            np.hypot(one.rap() - candidates["eta"][row], wrap_angle(one.phi() - candidates["phi"][row]))
            for one in subjets
        ]
        expected = candidates["pt"][row] / subjets[int(np.argmin(away))].pt()
        assert jets["lsf3"][jet] == pytest.approx(expected, rel=1e-6)
    assert np.sum(jets["lsf3"] > 0) > 3


def test_jets_below_the_thresholds(recipes):
    """Only jets above pT are kept, the subjets of all; jets whose groomed pT is low have none."""
    fat, ak4 = recipes
    events = recorded(EVENTS)
    every = fat_jets(events, fat, ak4, leptons(events))
    few = fat_jets(events, fat.model_copy(update={"pt": 200.0}), ak4, leptons(events))
    assert 0 < len(few.jets.objects) < len(every.jets.objects)
    np.testing.assert_array_equal(few.subjets["pt"], every.subjets["pt"])
    plain = fat_jets(events, fat.model_copy(update={"groomed_pt": 1000.0}), ak4, leptons(events))
    assert len(plain.subjets) == 0
    assert (plain.jets.objects["msoftdrop"] == -1).all()
    assert (plain.jets.objects["n3b1"] == UNDEFINED).all()


def test_no_candidates_give_no_fat_jets(recipes):
    events = recorded([[(1.0, 0.0, 0.0, 1)]])
    found = fat_jets(events, *recipes, leptons(events))
    assert len(found.jets.objects) == len(found.subjets) == 0
