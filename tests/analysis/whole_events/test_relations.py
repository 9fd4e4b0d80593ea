from __future__ import annotations

import numpy as np
import pytest

from flashsim.analysis.whole_events.reading import read_whole_events
from flashsim.analysis.whole_events.relations import relations


def test_relations_that_hold_are_constants(make_events):
    found = relations(make_events(1), "Jet")
    np.testing.assert_allclose(found["sum of fractions"], 1.0)
    with_muon = np.arange(len(found["sum of fractions"])) % 3 == 1
    np.testing.assert_allclose(found["Muon inside over muEF"][with_muon], 1.0)
    np.testing.assert_allclose(relations(make_events(1), "Muon")["ip3d over dxy and dz"], 1.0)


@pytest.mark.parametrize(
    ("broken", "column"),
    [({"adds_up": False}, "sum of fractions"), ({"muon_in_jet": False}, "Muon inside over muEF")],
)
def test_relations_that_do_not_hold_scatter(make_events, broken, column):
    values = relations(make_events(1, **broken), "Jet")[column][1::3]
    assert np.mean(np.abs(values - 1.0) > 0.01) > 0.5


def test_the_third_probability_follows_from_two_ratios(make_events):
    events = make_events(1)
    b, c, light = np.random.default_rng(1).dirichlet((1, 1, 1), len(events["Jet"])).T
    events["Jet"].columns.update(btagPNetB=b, btagPNetCvL=c / (c + light), btagPNetCvB=c / (c + b))
    left = relations(events, "Jet")["btagPNet: light left over"]
    safe = (b > 0.05) & (c > 0.05)
    np.testing.assert_allclose(left[safe], 0.0, atol=1e-9)


def test_collections_without_relations_have_none(make_events):
    assert relations(make_events(1), "GenJet") == {}


@pytest.mark.parametrize("name", ["tt_2018_v5", "sms_v9", "tt_2022_v12", "tt_2024_v15"])
def test_relations_hold_in_real_files(name, nanoaod_dir):
    """What is called exact is so in CMS's simulation, up to its rounding."""
    events = read_whole_events(nanoaod_dir / f"{name}.root")
    found, jets = relations(events, "Jet"), events["Jet"]
    central = np.abs(jets["eta"]) < 2.4
    assert np.quantile(np.abs(found["sum of fractions"][central] - 1.0), 0.98) < 0.01
    defined = central & (jets["btagDeepFlavB"] >= 0.0)
    assert np.quantile(np.abs(found["btagDeepFlav: light left over"][defined]), 0.98) < 0.01
