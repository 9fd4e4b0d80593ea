from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from flashsim.declarations.recipes import recipe_path
from flashsim.events.collection import Collection
from flashsim.reference.objects.clustering import Clustered
from flashsim.reference.objects.met import MetRecipe, met
from flashsim.reference.particles.streams import Streams


@pytest.fixture(scope="module")
def recipe():
    return MetRecipe(**yaml.safe_load(recipe_path("reference", "detector").read_text())["met"])


def recorded(events=30, number=60, seed=2):
    rng = np.random.default_rng(seed)
    size = events * number
    code = rng.choice([211, 22, 130, 1, 13], size, p=[0.5, 0.2, 0.14, 0.15, 0.01])
    columns = {
        "pt": rng.exponential(2.0, size) + 0.2, "eta": rng.uniform(-4.5, 4.5, size),
        "phi": rng.uniform(-np.pi, np.pi, size), "pdgId": code, "fromPV": rng.integers(0, 4, size),
        "puppi": rng.random(size), "puppiNoLep": rng.random(size),
    }  # fmt: skip
    columns["energy"] = columns["pt"] * np.cosh(columns["eta"])
    particles = {name: columns[name] for name in ("pt", "eta", "phi")}
    particles["interaction"] = np.zeros(size, dtype=np.int64)
    counts = np.full(events, number)
    return SimpleNamespace(
        candidates=Collection.of_counts(counts, columns),
        particles=Collection.of_counts(counts, particles),
        keys=np.arange(1, events + 1, dtype=np.uint64),
        streams=Streams(1, "full"),
    )


def jets(events, factor=1.2, l1=0.9, each=3, pt=30.0, muons=0.0):
    """Jets of the first candidates of each event, as if they had been clustered."""
    number = events.candidates.events
    size, of = number * each, len(events.candidates) // number
    rng = np.random.default_rng(7)
    columns = {
        "pt": np.full(size, pt), "eta": rng.uniform(-3, 3, size), "phi": rng.uniform(-np.pi, np.pi, size),
        "rawFactor": np.full(size, 1.0 - 1.0 / factor), "_l1": np.full(size, l1),
        "muonSubtrFactor": np.full(size, muons), "muonSubtrDeltaPhi": np.zeros(size),
        "chEmEF": np.full(size, 0.2), "neEmEF": np.full(size, 0.2),
    }  # fmt: skip
    members = (np.arange(number)[:, None] * of + np.arange(2 * each)).ravel()
    return Clustered(Collection.of_counts(np.full(number, each), columns), np.arange(size + 1) * 2, members)


def vector(values, name, suffix=""):
    return values[f"{name}_pt{suffix}"] * np.exp(1j * values[f"{name}_phi{suffix}"])


def total(objects, pt):
    return objects.total(pt * np.cos(objects["phi"])) + 1j * objects.total(pt * np.sin(objects["phi"]))


@pytest.fixture(scope="module")
def events():
    return recorded()


@pytest.fixture(scope="module")
def values(events, recipe):
    return met(events, jets(events), jets(events), [], recipe)


def test_raw_is_the_balance_of_all_candidates(events, values):
    candidates = events.candidates
    assert vector(values, "RawMET") == pytest.approx(-total(candidates, candidates["pt"]))
    assert values["RawMET_sumEt"] == pytest.approx(candidates.total(candidates["pt"]))
    lepton = (candidates["pdgId"] == 13) & (candidates["fromPV"] >= 2)
    weight = np.where(lepton, 1.0, candidates["puppiNoLep"])
    assert vector(values, "RawPuppiMET") == pytest.approx(-total(candidates, weight * candidates["pt"]))


def test_version_15_has_the_same_numbers_under_other_names(values):
    for name, same in values.items():
        if name.startswith("MET_") and "fiducial" not in name:
            assert values[f"PF{name}"] is same
        if name.startswith("RawMET_"):
            assert values[name.replace("Raw", "RawPF")] is same


@pytest.mark.parametrize("muons", [0.0, 0.4])
def test_type_one_puts_corrected_jets_in_place_of_raw_ones(events, recipe, muons):
    given = jets(events, factor=1.25, l1=0.9, muons=muons)
    values = met(events, given, given, [], recipe)
    added = given.objects["pt"] * (1.0 - muons) * (1.0 - 0.9 / 1.25)
    change = vector(values, "MET") - vector(values, "RawMET")
    assert change == pytest.approx(-total(given.objects, added))
    assert values["MET_sumEt"] - values["RawMET_sumEt"] == pytest.approx(given.objects.total(added))


@pytest.mark.parametrize(("field", "value"), [("pt", 14.0), ("chEmEF", 0.75), ("muonSubtrFactor", 0.6)])
def test_soft_electromagnetic_and_muonic_jets_correct_nothing(events, recipe, field, value):
    given = jets(events)
    given.objects.columns[field][:] = value
    values = met(events, given, given, [], recipe)
    assert vector(values, "MET") == pytest.approx(vector(values, "RawMET"))


def test_shifts_are_symmetric_and_unclustered_energy_has_no_jets(events, recipe, values):
    for shift in ("Unclustered", "JES", "JER"):
        up, down = (vector(values, "PuppiMET", shift + way) for way in ("Up", "Down"))
        assert 0.5 * (up + down) == pytest.approx(vector(values, "PuppiMET"))
        assert np.abs(up - down).min() > 0.0
    moved = vector(values, "MET", "UnclusteredUp") - vector(values, "MET")
    assert moved.real == pytest.approx(values["MET_MetUnclustEnUpDeltaX"])
    soft = met(events, jets(events, pt=14.0), jets(events), [], recipe)
    assert not np.allclose(soft["MET_MetUnclustEnUpDeltaX"], values["MET_MetUnclustEnUpDeltaX"])


def test_all_candidates_in_jets_leave_nothing_unclustered(recipe):
    events = recorded(events=3, number=6)
    values = met(events, jets(events), jets(events), [], recipe)
    assert values["MET_sumPtUnclustered"] == pytest.approx(0.0, abs=1e-9)
    assert values["MET_MetUnclustEnUpDeltaX"] == pytest.approx(0.0, abs=1e-9)


def test_covariance_and_significance_belong_together(values):
    for name in ("MET", "PuppiMET"):
        x, y = vector(values, name).real, vector(values, name).imag
        xx, xy, yy = (values[f"{name}_cov{which}"] for which in ("XX", "XY", "YY"))
        inverse = np.linalg.inv(np.stack([xx, xy, xy, yy], axis=-1).reshape(-1, 2, 2))
        expected = np.einsum("ei,eij,ej->e", np.stack([x, y], 1), inverse, np.stack([x, y], 1))
        assert values[f"{name}_significance"] == pytest.approx(expected)
        assert np.all(xx * yy > xy**2)


def test_jets_of_a_lepton_have_no_part_in_the_covariance(events, recipe, values):
    lepton = {"pt": np.array([50.0]), "_candidate": np.array([0])}
    kind = Collection.of_counts(np.eye(1, events.candidates.events, dtype=np.int64)[0], lepton)
    others = met(events, jets(events), jets(events), [kind], recipe)
    change = others["MET_covXX"] + others["MET_covYY"] - values["MET_covXX"] - values["MET_covYY"]
    assert change[0] < -20.0
    assert change[1:] == pytest.approx(0.0, abs=1e-9)
    soft = Collection(kind.offsets, kind.columns | {"pt": np.array([5.0])})
    same = met(events, jets(events), jets(events), [soft], recipe)
    assert same["MET_covXX"] == pytest.approx(values["MET_covXX"])
