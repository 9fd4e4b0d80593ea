from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from flashsim.declarations.recipes import recipe_path
from flashsim.events.collection import Collection
from flashsim.reference.objects.clustering import Clustered
from flashsim.reference.objects.secondary_vertices import SecondaryVerticesRecipe
from flashsim.reference.objects.taus import TauRecipe, newer_taus, taus

PION = 0.13957
CHARGED, PHOTON, ELECTRON, MUON = 211, 22, -11, -13
ETA, PHI = 0.7, 3.1  # strips cross the border of azimuth


@pytest.fixture(scope="module")
def recipe():
    return TauRecipe(**yaml.safe_load(recipe_path("reference", "detector").read_text())["taus"])


def events(*jets, around=()):
    """One jet in each event, of (pT, eta and phi off the axis, kind, charge); `around` are in no jet."""
    rows, members = [], []
    for jet in jets:
        members.append(len(rows) + np.arange(len(jet)))
        rows += [*jet, *around]
    pt, deta, dphi, code, charge, *rest = np.array([(*row, 0.0)[:6] for row in rows]).T
    eta, phi = ETA + deta, (PHI + dphi + np.pi) % (2 * np.pi) - np.pi
    mass = np.where(charge != 0, PION, 0.0)
    candidates = {
        "pt": pt, "eta": eta, "phi": phi, "energy": np.hypot(pt * np.cosh(eta), mass),
        "pdgId": code.astype(int), "charge": charge.astype(int), "dxy": np.full(len(pt), 0.001),
        "dz": rest[0], "track": np.arange(len(pt)),
    }  # fmt: skip
    counts = np.array([len(jet) + len(around) for jet in jets])
    axes = {"pt": [sum(row[0] for row in jet) for jet in jets], "eta": [ETA] * len(jets)}
    clustered = Clustered(
        Collection.of_counts(np.ones(len(jets), dtype=int), {n: np.array(v) for n, v in axes.items()}),
        np.concatenate(([0], np.cumsum([len(jet) for jet in jets]))),
        np.concatenate(members),
    )
    chambers = np.where(np.abs(code) == 13, 3, 0)
    recorded = SimpleNamespace(
        candidates=Collection.of_counts(counts, candidates),
        tracks=Collection.of_counts(counts, {"chambers": chambers}),
    )
    return recorded, clustered


ONE = [(40.0, 0.0, 0.0, CHARGED, 1)]
RHO = [(20.0, 0.0, 0.0, CHARGED, 1), (12.0, 0.02, 0.03, PHOTON, 0), (6.0, 0.03, 0.05, PHOTON, 0)]
A1 = [
    (20.0, 0.0, 0.0, CHARGED, 1),
    (12.0, 0.035, 0.0, CHARGED, -1),
    (10.0, 0.0, -0.04, CHARGED, 1),
]
PAIR = [(25.0, 0.0, 0.0, CHARGED, 1), (15.0, 0.03, 0.0, CHARGED, -1)]


@pytest.mark.parametrize(
    ("jet", "mode", "charge"),
    [(ONE, 0, 1), (RHO, 1, 1), (A1, 10, 1), (PAIR, 5, 1)],
    ids=["0", "1", "10", "5"],
)
def test_decay_modes_are_recognised(recipe, jet, mode, charge):
    found = taus(*events(jet), recipe)
    assert list(found.objects["decayMode"]) == [mode]
    assert found.objects["charge"][0] == charge
    assert sorted(found.members) == list(range(len(jet)))
    assert found.objects["_candidate"][0] == 0


def test_momentum_is_that_of_the_members(recipe):
    recorded, jets = events(RHO, A1)
    found = taus(recorded, jets, recipe)
    part = {name: column[found.members] for name, column in recorded.candidates.columns.items()}
    px, py = (found.total(part["pt"] * turn(part["phi"])) for turn in (np.cos, np.sin))
    pz, energy = found.total(part["pt"] * np.sinh(part["eta"])), found.total(part["energy"])
    assert found.objects["pt"] == pytest.approx(np.hypot(px, py))
    assert found.objects["phi"] == pytest.approx(np.arctan2(py, px))
    assert found.objects["eta"] == pytest.approx(np.arcsinh(pz / np.hypot(px, py)))
    assert found.objects["mass"] == pytest.approx(np.sqrt(energy**2 - px**2 - py**2 - pz**2))
    lead = recorded.candidates["pt"][found.objects["_candidate"]]
    assert found.objects["leadTkPtOverTauPt"] == pytest.approx(lead / found.objects["pt"])


@pytest.mark.parametrize(
    "jet",
    [
        [(10.0, 0.0, 0.0, CHARGED, 1)],
        [(30.0, 0.0, 0.0, PHOTON, 0)],
        [(10.0, 0.0, 0.0, CHARGED, 1), (10.0, 0.2, 0.0, CHARGED, -1), (10.0, 0.0, 0.3, CHARGED, 1)],
        [(12.0, 0.0, 0.0, CHARGED, 1), (11.0, 0.01, 0.0, CHARGED, 1), (11.0, 0.0, 0.01, CHARGED, 1)],
    ],
    ids=["soft", "neutral", "wide", "charge 3"],
)
def test_what_is_no_tau_is_none(recipe, jet):
    found = taus(*events(jet), recipe).objects
    assert not np.any(found["pt"] > 25.0)
    assert not np.any(found["decayMode"] >= 10)


def test_isolation_counts_what_is_around(recipe):
    around = [
        (1.5, 0.2, 0.0, CHARGED, 1), (1.0, 0.4, 0.0, CHARGED, 1), (0.3, 0.1, 0.0, CHARGED, 1),
        (2.0, 0.0, 0.25, PHOTON, 0), (1.0, 0.0, 0.2, PHOTON, 0), (4.0, 0.6, 0.0, CHARGED, 1, 3.0),
        (5.0, 1.0, 0.0, CHARGED, 1, 3.0), (7.0, 0.7, 0.0, CHARGED, 1),
    ]  # fmt: skip
    found = taus(*events(ONE, around=around), recipe).objects
    expected = {"chargedIso": 2.5, "neutralIso": 2.0, "puCorr": 4.0, "rawIso": 2.5 + 2.0 - 0.8}
    expected["rawIsodR03"] = 1.5 + 2.0 - 0.072 * 4.0
    for name, value in expected.items():
        assert found[name] == pytest.approx(value)


def test_taus_that_are_not_isolated_are_dropped(recipe):
    around = [(10.0, 0.25, 0.0, CHARGED, 1), (10.0, 0.0, 0.25, CHARGED, 1)]
    assert len(taus(*events(ONE, around=around), recipe).objects) == 0


def test_muons_fail_the_muon_veto(recipe):
    found = taus(*events(ONE, [(40.0, 0.0, 0.0, MUON, 1)]), recipe).objects
    assert list(found["idAntiMu"]) == [3, 0]
    recorded, jets = events(ONE, ONE, ONE)
    recorded.tracks.columns["chambers"] = np.array([0, 1, 2])
    levels = taus(recorded, jets, recipe.model_copy(update={"anti_muon": [0, 1, 2]})).objects
    assert list(levels["idAntiMu"]) == [2, 1, 0]


def test_taus_beside_dead_towers_are_marked(recipe):
    place = [ETA, PHI - 2 * np.pi if np.pi < PHI else PHI]
    dead = recipe.model_copy(update={"dead": place})
    assert not taus(*events(ONE), dead).objects["idAntiEleDeadECal"].any()
    assert taus(*events(ONE), recipe).objects["idAntiEleDeadECal"].all()


def test_photons_of_wide_strips_are_outside_of_the_signal_cone(recipe):
    wide = [(20.0, 0.0, 0.0, CHARGED, 1), (8.0, 0.03, 0.02, PHOTON, 0), (1.5, 0.13, 0.05, PHOTON, 0)]
    found = taus(*events(wide), recipe)
    assert found.objects["decayMode"][0] == 1
    assert found.objects["photonsOutsideSignalCone"] == pytest.approx(1.5)


def test_soft_electrons_belong_to_strips(recipe):
    jet = [(20.0, 0.0, 0.0, CHARGED, 1), (12.0, 0.02, 0.03, ELECTRON, 1)]
    assert taus(*events(jet), recipe).objects["decayMode"][0] == 1


def test_events_do_not_know_of_each_other(recipe):
    together = taus(*events(ONE, RHO, A1, PAIR), recipe).objects
    alone = [taus(*events(jet), recipe).objects for jet in (ONE, RHO, A1, PAIR)]
    for name in ("pt", "mass", "rawIso", "decayMode"):
        assert np.all(together[name] == np.concatenate([one[name] for one in alone]))


def test_no_jets_give_no_taus(recipe):
    recorded, jets = events([(5.0, 0.0, 0.0, CHARGED, 1)])
    assert len(taus(recorded, jets, recipe).objects) == 0


def test_decays_in_space_are_given_where_asked_for(recipe):
    path = recipe_path("reference", "detector")
    vertexing = SecondaryVerticesRecipe(**yaml.safe_load(path.read_text())["secondary_vertices"])
    recorded, jets = events(A1, ONE)
    candidates = recorded.candidates.columns
    candidates |= {"dxyErr": np.full(4, 0.002), "dzErr": np.full(4, 0.003)}
    recorded.tracks.columns["pt"] = candidates["pt"]
    place = {name: np.array([0.5, -0.5]) for name in "xyz"}
    recorded.vertices = Collection.of_counts(np.array([1, 1]), place)
    nowhere = Collection.of_counts(np.array([0, 0]), {"eta": np.empty(0), "phi": np.empty(0)})
    jets.objects.columns.update({"phi": np.full(2, PHI), "mass": np.full(2, 3.0)})
    found = newer_taus(recorded, jets, nowhere, recipe, vertexing).objects
    assert list(found["decayModePNet"]) == [10, 0]
    assert list(found["decayModeUParT"]) == [-1, -1]
    assert list(found["hasRefitSV"]) == [True, False]
    near = [abs(found[f"refitSV{axis}"][0] - 0.5) for axis in "xyz"]
    assert max(near) < 0.3
    assert found["refitSVx"][1] == found["refitSVcov22"][1] == 0.0
    length = np.sqrt(sum(found[f"IP{axis}"] ** 2 for axis in "xyz"))
    assert length == pytest.approx(0.001)
    assert np.abs(found["ipLengthSig"]) == pytest.approx(0.5)
    assert "hasRefitSV" not in taus(recorded, jets, recipe).objects.columns


def test_narrow_jets_without_a_combination_are_taus_of_networks(recipe):
    path = recipe_path("reference", "detector")
    vertexing = SecondaryVerticesRecipe(**yaml.safe_load(path.read_text())["secondary_vertices"])
    wide = [(14.0, 0.01, 0.0, CHARGED, 1), (12.0, -0.02, 0.19, PHOTON, 0)]
    recorded, jets = events(wide, [(12.0, 0.3, 0.0, CHARGED, 1), (12.0, -0.3, 0.0, PHOTON, 0)])
    recorded.candidates.columns.update({"dxyErr": np.full(4, 0.002), "dzErr": np.full(4, 0.003)})
    recorded.tracks.columns["pt"] = recorded.candidates["pt"]
    recorded.vertices = Collection.of_counts(np.array([1, 1]), {name: np.zeros(2) for name in "xyz"})
    jets.objects.columns.update({"phi": np.full(2, PHI), "mass": np.full(2, 3.0)})
    found = newer_taus(recorded, jets, jets.objects, recipe, vertexing)
    assert list(found.objects.counts) == [1, 0]
    assert list(found.members) == [0]
    assert found.objects["decayModePNet"][0] == found.objects["decayModeUParT"][0] == 1
    assert found.objects["rawIso"][0] == found.objects["puCorr"][0] == -1.0
    assert not found.objects["idDecayModeNewDMs"].any()
    assert found.objects["mass"][0] == 3.0
