from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.jet_corrections import EDGES, binned, payload
from flashsim.events.collection import Collection
from flashsim.reference.objects.corrections import OFFSET, RESPONSE
from flashsim.reference.objects.jets import JetsRecipe, jets, soft_jets, weights
from flashsim.reference.particles.streams import Streams

BINS = len(EDGES) - 1
KINDS = ("chHEF", "neHEF", "chEmEF", "neEmEF", "muEF")


@pytest.fixture
def recipe(tmp_path):
    levels = {"L1FastJet": binned(OFFSET, ["JetPt", "JetA", "Rho"], np.full((BINS, 1), 0.5))}
    levels["L2Relative"] = binned(RESPONSE, ["JetPt"], np.array([[1.1, 0, 0, 0.5, 0, 5, 900]] * BINS))
    path = tmp_path / "test.json"
    path.write_text(
        json.dumps(payload("T", {"AK4PFchs": levels, "AK4PFPuppi": {"L2Relative": levels["L2Relative"]}}))
    )
    cuts = [
        {"eta": 2.6, "neHEF": [-1, 0.9], "neEmEF": [-1, 0.9], "chHEF": 0, "constituents": 1, "charged": 0},
        {"eta": 3.0, "neEmEF": [0.01, 0.99], "neutral": 1},
        {"eta": 5.2, "neHEF": [0.2, 2], "neEmEF": [-1, 0.9], "neutral": 2},
    ]
    return JetsRecipe(
        radius=0.4, raw_pt={"CHS": 5, "Puppi": 5}, soft_pt=10, pt=15, corrections=str(path),
        muon_stations=2, lepton_veto=0.8, identification=cuts,
        forward_eta=2.9, forward_pt=25, tower_pt=3, tower_width=0.175,
    )  # fmt: skip


def recorded(rows, event_counts=None, chambers=2):
    """Events of candidates given as (pt, eta, phi, pdgId, fromPV, puppi), each with a track."""
    pt, eta, phi, code, vertex, puppi = np.array(rows, dtype=np.float64).reshape(-1, 6).T
    columns = {
        "pt": pt, "eta": eta, "phi": phi, "energy": pt * np.cosh(eta), "pdgId": code.astype(int),
        "charge": np.where(np.isin(np.abs(code), (11, 13, 211)), np.sign(code), 0).astype(int),
        "fromPV": vertex.astype(int), "puppi": puppi, "track": np.arange(len(pt)),
    }  # fmt: skip
    counts = np.array([len(pt)] if event_counts is None else event_counts)
    keys = np.arange(1, len(counts) + 1, dtype=np.uint64)
    return SimpleNamespace(
        candidates=Collection.of_counts(counts, columns), keys=keys, streams=Streams(1, "full"),
        rho={"FastjetAll": np.full(len(counts), 12.0)},
        tracks={"chambers": np.broadcast_to(chambers, pt.shape)},
    )  # fmt: skip


def busy(events=4, number=400, seed=1):
    rng = np.random.default_rng(seed)
    total = events * number
    eta, phi = rng.uniform(-4.8, 4.8, total), rng.uniform(-np.pi, np.pi, total)
    pt = 0.5 / (1 - rng.random(total)) ** 0.9
    inner = np.abs(eta) < 2.5
    code = np.where(
        inner,
        rng.choice([211, -211, 22, 130, 11, 13], total, p=[0.3, 0.3, 0.25, 0.1, 0.03, 0.02]),
        rng.choice([22, 130], total),
    )
    code = np.where(np.abs(eta) > 3, rng.choice([1, 2], total), code)
    rows = np.stack([pt, eta, phi, code, rng.choice([0, 1, 3], total), rng.random(total)], axis=1)
    return recorded(rows, np.full(events, number))


@pytest.mark.parametrize("kind", ["CHS", "Puppi"])
def test_energy_fractions_add_up_to_one(recipe, kind):
    found = jets(busy(), recipe, kind).objects
    assert len(found) > 20
    np.testing.assert_allclose(sum(found[name] for name in KINDS), 1.0, atol=1e-9)
    assert (found["hfHEF"] <= found["neHEF"] + 1e-12).all()
    assert (found["hfEmEF"] <= found["neEmEF"] + 1e-12).all()
    np.testing.assert_array_equal(found["chMultiplicity"] + found["neMultiplicity"], found["nConstituents"])


@pytest.mark.parametrize("kind", ["CHS", "Puppi"])
def test_raw_momenta_are_those_of_the_constituents(recipe, kind):
    events = busy()
    found = jets(events, recipe, kind)
    weight = weights(events.candidates, kind)[found.members]
    phi = events.candidates["phi"][found.members]
    pt = events.candidates["pt"][found.members] * weight
    raw = np.hypot(found.total(pt * np.cos(phi)), found.total(pt * np.sin(phi)))
    np.testing.assert_allclose(found.objects["pt"] * (1 - found.objects["rawFactor"]), raw, rtol=1e-9)
    assert (found.objects["pt"] >= recipe.soft_pt).all()
    steps = np.diff(found.objects["pt"])
    assert (steps[np.diff(found.objects.event_rows) == 0] <= 0).all()


def test_charged_pileup_is_in_puppi_weights_and_outside_chs_jets(recipe):
    jet = [(40, 0.1, 1.0, 211, 3, 1), (10, 0.0, 1.1, 22, 1, 0.5), (20, 0.2, 0.9, -211, 0, 0)]
    found = jets(recorded(jet), recipe, "CHS").objects
    assert found["nConstituents"].tolist() == [2]
    energy = [pt * np.cosh(eta) for pt, eta, *_ in jet]
    assert found["chFPV0EF"] == pytest.approx(energy[2] / (energy[0] + energy[1]))
    puppi = jets(recorded(jet), recipe, "Puppi").objects
    assert puppi["neEmEF"] == pytest.approx(0.5 * energy[1] / (energy[0] + 0.5 * energy[1]))


def test_muons_are_taken_out_of_what_met_is_corrected_with(recipe):
    jet = [(30, 0.1, 1.0, 211, 3, 1), (20, 0.3, 1.2, -13, 3, 1), (10, 0.0, 1.1, 13, 3, 1)]
    every = jets(recorded(jet), recipe, "CHS").objects
    found = jets(recorded(jet, chambers=[4, 3, 1]), recipe, "CHS").objects
    rest = np.add(
        *(
            np.array([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)])
            for pt, eta, phi, *_ in (jet[0], jet[2])
        )
    )
    raw = found["pt"] * (1 - found["rawFactor"])
    assert found["muonSubtrFactor"] == pytest.approx(1 - np.hypot(*rest[:2]) / raw)
    assert found["eta"] + found["muonSubtrDeltaEta"] == pytest.approx(
        np.arcsinh(rest[2] / np.hypot(*rest[:2]))
    )
    assert found["phi"] + found["muonSubtrDeltaPhi"] == pytest.approx(np.arctan2(rest[1], rest[0]))
    assert every["muonSubtrFactor"] > found["muonSubtrFactor"]


def test_a_lone_muon_leaves_nothing_of_its_jet(recipe):
    found = jets(recorded([(50, 0.5, 0.5, 13, 3, 1)]), recipe, "CHS").objects
    assert found["muEF"] == pytest.approx(1)
    assert found["muonSubtrFactor"] == pytest.approx(1)
    assert found["muonSubtrDeltaPhi"] == 0


@pytest.mark.parametrize(
    ("members", "bits"),
    [
        ([(30, 0.1, 1.0, 211, 3, 1), (20, 0.3, 1.2, 22, 1, 1)], 6),
        ([(30, 0.1, 1.0, 211, 3, 1)], 0),  # one constituent
        ([(30, 0.1, 1.0, 22, 3, 1), (20, 0.3, 1.2, 130, 1, 1)], 0),  # no track
        ([(2, 0.1, 1.0, 211, 3, 1), (40, 0.3, 1.2, 130, 1, 1)], 0),  # noise
        ([(40, 0.1, 1.0, 13, 3, 1), (3, 0.3, 1.2, 211, 1, 1)], 2),  # a muon
        ([(40, 2.8, 1.0, 22, 1, 1), (30, 2.9, 1.2, 130, 1, 1)], 6),
        ([(40, 2.8, 1.0, 130, 1, 1), (30, 2.9, 1.2, 130, 1, 1)], 0),
        ([(40, 4.0, 1.0, 1, 1, 1), (30, 4.1, 1.2, 2, 1, 1), (3, 4.1, 1.1, 1, 1, 1)], 6),
        ([(40, 4.0, 1.0, 1, 1, 1), (30, 4.1, 1.2, 2, 1, 1)], 0),
    ],
)
def test_identification_follows_the_region(recipe, members, bits):
    for side in (1, -1):
        rows = [(pt, side * eta, *rest) for pt, eta, *rest in members]
        assert jets(recorded(rows), recipe, "CHS").objects["jetId"].tolist() == [bits]


def test_widths_in_the_forward_calorimeter_are_of_forward_jets(recipe):
    rows = [(40, 4.0, 1.0, 1, 1, 1), (30, 4.2, 1.2, 2, 1, 1), (40, 0.0, -1.0, 211, 3, 1)]
    found = jets(recorded(rows), recipe, "CHS").objects
    central = np.abs(found["eta"]) < 1
    assert found["hfsigmaEtaEta"][central].tolist() == [-1.0]
    mean = found["eta"][~central]
    expected = np.sqrt((40 * (4.0 - mean) ** 2 + 30 * (4.2 - mean) ** 2) / 70)
    np.testing.assert_allclose(found["hfsigmaEtaEta"][~central], expected, rtol=1e-6)


def test_soft_jets_are_those_below_the_threshold(recipe):
    found = jets(busy(), recipe, "CHS").objects
    soft = soft_jets(found, recipe.pt)
    below = found["pt"] < recipe.pt
    assert 0 < below.sum() == len(soft) < len(found)
    np.testing.assert_allclose(soft["rawPt"], (found["pt"] * (1 - found["rawFactor"]))[below])
    np.testing.assert_allclose(soft["EmEF"], (found["chEmEF"] + found["neEmEF"])[below])


def test_no_candidates_give_no_jets(recipe):
    found = jets(recorded(np.zeros((0, 6)), [0, 0]), recipe, "Puppi")
    assert len(found.objects) == 0
    assert found.objects.events == 2
