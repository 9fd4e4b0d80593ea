from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import yaml
from recorded_events import one_event, some_events

from flashsim.declarations.recipes import recipe_path
from flashsim.events.collection import Collection
from flashsim.reference.objects.fsr_photons import FsrRecipe, fsr_photons
from flashsim.reference.objects.isolation import ring_sum
from flashsim.reference.objects.photons import PhotonRecipe, photons
from flashsim.reference.objects.showers import ShowerRecipe


@pytest.fixture(scope="module")
def content():
    return yaml.safe_load(recipe_path("reference", "detector").read_text())


@pytest.fixture(scope="module")
def recipe(content):
    return PhotonRecipe(**content["photons"])


@pytest.fixture(scope="module")
def of_showers(content):
    return ShowerRecipe(**content["showers"])


@pytest.fixture(scope="module")
def showers(of_showers, recorded):
    return of_showers.showers(recorded)


@pytest.fixture(scope="module")
def recorded():
    return some_events(events=200)


@pytest.fixture(scope="module")
def found(recorded, showers, recipe):
    return photons(recorded, showers, recipe)


def test_superclusters_share_out_the_energy_of_clusters(recorded, showers, of_showers):
    clusters, (made, owner, _) = recorded.clusters, showers
    energy = np.bincount(owner[owner >= 0], clusters["energy"][owner >= 0], len(made))
    assert made["energy"] == pytest.approx(energy)
    assert np.all(owner[made["_cluster"]] == np.arange(len(made)))
    assert np.bincount(owner[owner >= 0]).max() > 1
    left = clusters["energy"] / np.cosh(clusters["eta"])
    assert np.all(left[owner < 0] < of_showers.seed)
    assert np.all(np.abs(made["eta"] - clusters["eta"][made["_cluster"]]) < of_showers.window[0])


def test_hadrons_are_seen_behind_showers_near_them(recorded, of_showers):
    without = replace(recorded, tracks=Collection(recorded.tracks.offsets, dict(recorded.tracks.columns)))
    without.tracks.columns["hcalEnergy"] = np.zeros(len(without.tracks))
    hoe, less = (of_showers.showers(some).found["hoe"] for some in (recorded, without))
    assert np.all(less <= hoe)
    assert np.mean(less < hoe) > 0.01


def test_photons_are_selected_and_ordered(found, recipe):
    assert np.all(found["pt"] > 0.9 * recipe.least_pt)
    assert np.all(found["hoe"] < recipe.largest_hoe)
    assert np.all(np.abs(found["superclusterEta"]) < recipe.most_eta)
    for first, last in zip(found.offsets[:-1], found.offsets[1:], strict=True):
        assert np.all(np.diff(found["pt"][first:last]) <= 0.0)


def test_cut_based_identification_is_the_least_of_its_cuts(found, recipe):
    cuts = np.stack([(found["vidNestedWPBitmap"] >> (2 * i)) & 3 for i in range(7)])
    assert np.all(cuts.min(axis=0) == found["cutBased"])
    loose = (found["sieie"] < recipe.barrel.sieie[0]) & found["isScEtaEB"]
    assert np.all((cuts[3] >= 1)[found["isScEtaEB"]] == loose[found["isScEtaEB"]])


def test_photons_come_from_the_primary_vertex_to_their_place(found, recorded):
    z = recorded.vertices["z"][found.event_rows]
    radius = np.hypot(found["x_calo"], found["y_calo"])
    assert np.sinh(found["eta"]) == pytest.approx((found["z_calo"] - z) / radius)
    assert np.sinh(found["superclusterEta"]) == pytest.approx(found["z_calo"] / radius)
    assert np.all((found["isScEtaEB"] & found["isScEtaEE"]) == False)  # noqa: E712


@pytest.mark.parametrize("event", [0, 57, 199])
def test_other_events_of_a_chunk_change_nothing(found, recorded, of_showers, recipe, event):
    one = one_event(recorded, event)
    alone = photons(one, of_showers.showers(one), recipe)
    kept = slice(found.offsets[event], found.offsets[event + 1])
    for name, column in alone.columns.items():
        if name not in {"_cluster", "_candidate", "_shower"}:
            assert column == pytest.approx(found[name][kept]), name


def test_rings_go_over_the_end_of_azimuth():
    objects = Collection(np.array([0, 1]), {"eta": np.array([0.1]), "phi": np.array([3.1])})
    deposits = Collection(
        np.array([0, 3]),
        {
            "eta": np.array([0.1, 0.1, 0.1]),
            "phi": np.array([-3.1, 3.1, 0.0]),
            "energy": np.array([1.0, 2.0, 4.0]),
        },
    )
    assert ring_sum(objects.directions, deposits, deposits["energy"], (0.0, 0.2)) == pytest.approx([3.0])
    assert ring_sum(objects.directions, deposits, deposits["energy"], (0.05, 0.2)) == pytest.approx([1.0])
    owner = np.array([-1, 0, -1])
    assert ring_sum(objects.directions, deposits, deposits["energy"], (0.0, 0.2), owner) == pytest.approx(
        [1.0]
    )


class TestRadiatedPhotons:
    @pytest.fixture
    def recipe(self, content):
        return FsrRecipe(**content["fsr_photons"])

    @pytest.fixture
    def muons(self):
        columns = {"pt": np.array([40.0, 40.0]), "eta": np.array([0.0, 1.0]), "phi": np.array([0.0, 0.0])}
        return Collection(np.array([0, 1, 2]), columns)

    @staticmethod
    def event(pt, eta, phi, code):
        """Two events, all candidates in the first one."""
        recorded = some_events(events=2)
        columns = {"pt": pt, "eta": eta, "phi": phi, "pdgId": code}
        candidates = Collection(np.array([0, len(pt), len(pt)]), {n: np.array(v) for n, v in columns.items()})
        return type(recorded)(**{**vars(recorded), "candidates": candidates})

    def test_near_and_isolated_photons_are_found(self, recipe, muons):
        recorded = self.event([10.0, 9.0], [0.02, 0.4], [0.0, 2.0], [22, 22])
        found = fsr_photons(recorded, muons, None, recipe)
        assert found["pt"].tolist() == [10.0]
        assert found["_muon"].tolist() == [0]
        assert found["dROverEt2"][0] == pytest.approx(0.02 / 100.0)
        assert found["relIso03"].tolist() == [0.0]

    def test_hadrons_around_spoil_it(self, recipe, muons):
        recorded = self.event([10.0, 30.0], [0.02, 0.1], [0.0, 0.0], [22, 211])
        assert len(fsr_photons(recorded, muons, None, recipe)) == 0

    def test_the_nearest_lepton_gets_it(self, recipe, muons):
        recorded = self.event([10.0], [0.02], [0.0], [22])
        near = Collection(muons.offsets, muons.columns | {"eta": np.array([0.03, 1.0])})
        found = fsr_photons(recorded, muons, near, recipe)
        assert found["_electron"].tolist() == [0]
        assert found["_muon"].tolist() == [-1]

    def test_soft_leptons_do_not_count(self, recipe, muons):
        recorded = self.event([10.0], [0.02], [0.0], [22])
        soft = Collection(muons.offsets, muons.columns | {"pt": np.array([10.0, 10.0])})
        assert len(fsr_photons(recorded, soft, None, recipe)) == 0
