from __future__ import annotations

import numpy as np
import pytest
import yaml
from recorded_events import one_event, some_events

from flashsim.declarations.recipes import recipe_path
from flashsim.reference.objects.electrons import ElectronRecipe, electrons
from flashsim.reference.objects.showers import ShowerRecipe


@pytest.fixture(scope="module")
def content():
    return yaml.safe_load(recipe_path("reference", "detector").read_text())


@pytest.fixture(scope="module")
def recipe(content):
    return ElectronRecipe(**content["electrons"])


@pytest.fixture(scope="module")
def showers(content):
    return ShowerRecipe(**content["showers"])


@pytest.fixture(scope="module")
def recorded():
    return some_events(events=200)


@pytest.fixture(scope="module")
def found(recorded, showers, recipe):
    return electrons(recorded, showers.showers(recorded), recipe)


def test_electrons_of_particle_flow_have_its_momentum(found, recorded, recipe):
    candidates, rows = recorded.candidates, found["_candidate"]
    is_pf = np.abs(candidates["pdgId"])[rows] == 11
    assert np.all(found["isPFcand"] == is_pf)
    assert 0 < is_pf.sum() < len(found)  # hadrons with a cluster that fits are among them
    ratio = found["pt"][is_pf] / candidates["pt"][rows][is_pf]
    assert np.std(ratio) == pytest.approx(recipe.regression, rel=0.2)
    assert np.all(candidates["track"][rows] == found["_track"])


def test_superclusters_have_one_electron_and_hadrons_fit_to_theirs(found, recorded, recipe):
    assert len(np.unique(found["_shower"])) == len(found)
    other = ~found["_gsf"]
    transverse = (found["ecalEnergy"] / np.cosh(found["superclusterEta"]))[other]
    track = recorded.tracks["pt"][found["_track"]][other]
    in_pixels = 0.735 * np.abs(1.0 / transverse - 1.0 / track) < recipe.window[2]
    least, most = recipe.ratio
    assert np.all(in_pixels | ((transverse > least * track) & (transverse < most * track)))


def test_of_superclusters_beside_each_other_the_better_has_the_electron(recorded, showers, recipe):
    made = showers.showers(recorded)
    every, some = (
        electrons(recorded, made, recipe.model_copy(update={"window": (*recipe.window[:3], merged)}))
        for merged in (0.0, 0.6)
    )
    assert len(some) < len(every)
    assert set(some["_track"]) < set(every["_track"])
    lost = ~np.isin(every["_track"], some["_track"])
    assert every["_gsf"][lost].mean() < every["_gsf"][~lost].mean()


def test_electrons_are_above_threshold_and_ordered(found, recipe):
    assert np.all(found["pt"] > recipe.least_pt)
    for first, last in zip(found.offsets[:-1], found.offsets[1:], strict=True):
        assert np.all(np.diff(found["pt"][first:last]) <= 0.0)


def test_cut_based_identification_is_the_least_of_its_cuts(found):
    cuts = np.stack([(found["vidNestedWPBitmap"] >> (3 * i)) & 7 for i in range(10)])
    assert cuts.max() == 4
    assert np.all(cuts.min(axis=0) == found["cutBased"])
    assert np.all((cuts[8] == 4) == found["convVeto"])
    assert np.all((found["vidNestedWPBitmapHEEP"] == 2**12 - 1) == found["cutBased_HEEP"])


@pytest.mark.parametrize(
    ("field", "cut", "barrel"),
    [("sieie", 4, "sieie"), ("eInvMinusPInv", 6, "inverse"), ("lostHits", 9, "hits")],
)
def test_cuts_are_those_of_the_recipe(found, recipe, field, cut, barrel):
    passed = (found["vidNestedWPBitmap"] >> (3 * cut)) & 7
    value = np.abs(found[field])[:, None]
    limits = {True: getattr(recipe.barrel, barrel), False: getattr(recipe.endcap, barrel)}
    for in_barrel, limit in limits.items():
        kept = found["isEB"] == in_barrel
        assert np.all((value[kept] <= np.array(limit)).sum(axis=1) == passed[kept])


def test_sums_and_energies_agree(found):
    assert np.all(found["pfRelIso03_all"] >= found["pfRelIso03_chg"])
    assert np.all(found["pfRelIso04_all"] >= found["pfRelIso03_chg"])
    assert np.all(found["miniPFRelIso_all"] >= found["miniPFRelIso_chg"])
    uncalibrated = found["ecalEnergy"] < 5.0 * np.cosh(found["superclusterEta"])
    assert np.all((found["eCorr"] == 1.0) == uncalibrated)
    assert np.all(found["dr03TkSumPt"][found["pt"] < 35.0] == 0.0)
    momentum = found["gsfTrkpMode"]
    assert found["eInvMinusPInv"] == pytest.approx(1.0 / found["ecalEnergy"] - 1.0 / momentum)
    transverse = found["rawEnergy"] / np.cosh(found["superclusterEta"])
    assert found["scEtOverPt"] == pytest.approx(transverse / found["pt"] - 1.0)
    assert np.all(found["pdgId"] == -11 * found["charge"])
    assert np.all(np.abs(found["seediEtaOriX"][found["isEB"]]) <= 85)


@pytest.mark.parametrize("event", [0, 57, 199])
def test_other_events_of_a_chunk_change_nothing(found, recorded, showers, recipe, event):
    one = one_event(recorded, event)
    alone = electrons(one, showers.showers(one), recipe)
    kept = slice(found.offsets[event], found.offsets[event + 1])
    for name, column in alone.columns.items():
        if name not in {"_track", "_cluster", "_candidate", "_shower"}:
            assert column == pytest.approx(found[name][kept]), name


def test_without_clusters_there_is_no_electron(showers, recipe):
    none = some_events(events=3)
    none.tracks["ecal"][:] = -1
    assert len(electrons(none, showers.showers(none), recipe)) == 0
