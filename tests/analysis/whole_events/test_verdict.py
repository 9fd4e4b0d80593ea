from __future__ import annotations

import numpy as np
import pytest

from flashsim.analysis.whole_events.content import event_content
from flashsim.analysis.whole_events.neighbourhoods import neighbourhoods
from flashsim.analysis.whole_events.verdict import tell_apart_events, tell_apart_objects

EVENTS = 400


def units():
    return np.arange(EVENTS), np.arange(EVENTS)


def told(one, other, fields, **options):
    found = tell_apart_objects(one, other, units(), fields, most=10_000, **options)
    return {name: test.auc for name, test in found.items()}


def test_two_draws_cannot_be_told_apart(make_events, fields):
    found = tell_apart_objects(make_events(1), make_events(2), units(), fields, most=10_000)
    assert {*found} == {
        f"matched {name}{ending}" for name in ("Jet", "Muon") for ending in ("", " and neighbours")
    }
    for test in found.values():
        assert abs(test.auc - 0.5) < 4.0 * test.error
    whole = tell_apart_events(make_events(1), make_events(2), units(), fields)
    assert abs(whole.auc - 0.5) < 4.0 * whole.error


def test_a_broken_relation_is_seen_in_the_object_alone(make_events, fields):
    found = told(make_events(1), make_events(2, adds_up=False), fields)
    assert found["matched Jet"] > 0.9
    assert abs(found["matched Muon"] - 0.5) < 0.1


def test_objects_that_do_not_belong_together_are_seen_with_their_neighbours_only(make_events, fields):
    """Each muon is as it should be, and stands where no jet knows of it."""
    found = told(make_events(1), make_events(2, muon_in_jet=False), fields)
    assert found["matched Muon and neighbours"] > 0.95
    whole = tell_apart_events(make_events(1), make_events(2, muon_in_jet=False), units(), fields)
    assert whole.auc > 0.95


def test_unmatched_objects_are_a_case_of_their_own(make_events, fields):
    one, other = (make_events(seed, unmatched=True) for seed in (1, 2))
    found = told(one, other, fields)
    assert {"unmatched Jet", "unmatched Jet and neighbours", "matched Jet"} < {*found}


def test_importance_names_what_gives_away(make_events, fields):
    other = make_events(2, adds_up=False)
    found = tell_apart_objects(make_events(1), other, units(), fields, most=10_000, importance=True)
    importance = found["matched Jet"].importance
    assert max(importance, key=importance.get) == "sum of fractions"


def test_few_objects_are_not_judged(make_events, fields):
    assert told(make_events(1).take(np.arange(50)), make_events(2), fields) == {}


def test_most_objects_are_those_of_the_first_events(make_events, fields):
    few = {"Jet": fields["Jet"]}
    one, other = make_events(1), make_events(2)
    whole = tell_apart_objects(one, other, units(), few, most=600)
    part = [sample.take(np.arange(200)) for sample in (one, other)]
    again = tell_apart_objects(*part, (np.arange(200), np.arange(200)), few, most=10_000)
    assert whole["matched Jet"].auc == again["matched Jet"].auc


def test_neighbours_are_the_closest_and_not_the_object_itself(make_events, fields):
    events = make_events(1)
    around = neighbourhoods(events, "Jet", fields).around
    first, second = around["Jet 1 deltaR"], around["Jet 2 deltaR"]
    assert np.nanmin(first) > 0.1
    both = np.isfinite(first) & np.isfinite(second)
    assert np.all(first[both] <= second[both])
    assert np.all(np.isnan(second[np.isnan(first)]))
    muons = neighbourhoods(events, "Muon", fields).around
    np.testing.assert_allclose(muons["Jet 1 deltaR"], 0.0, atol=1e-12)
    np.testing.assert_allclose(muons["pt over the jet's muEF"], 1.0)


def test_content_does_not_depend_on_the_order_or_the_place_of_zero(make_events, fields):
    """Events turned around the beam, and their jets in another order, are the same events."""
    events, turned = make_events(1), make_events(1)
    angle = np.random.default_rng(3).uniform(-3.0, 3.0, turned.events)
    for name in ("Jet", "Muon"):
        objects = turned[name]
        objects.columns["phi"] = objects["phi"] + angle[objects.event_rows]
        objects.columns["gen.phi"] = objects["gen.phi"] + angle[objects.event_rows]
    for name in ("MET_phi", "GenMET_phi"):
        turned.values[name] = turned.values[name] + angle
    jets = turned["Jet"]
    turned.collections["Jet"] = jets.take(np.arange(len(jets)).reshape(-1, 3)[:, ::-1].ravel())
    one, other = event_content(events, fields), event_content(turned, fields)
    assert one.keys() == other.keys()
    for name in one:
        gap = one[name] - other[name]
        if "phi" in name.lower():
            gap = np.sin(gap / 2.0)
        np.testing.assert_array_equal(np.isnan(one[name]), np.isnan(other[name]))
        np.testing.assert_allclose(gap[np.isfinite(gap)], 0.0, atol=1e-5, err_msg=name)


def test_objects_that_are_not_there_have_no_content(make_events, fields):
    content = event_content(make_events(1), fields)
    assert np.all(np.isnan(content["Jet 4 pt"]))
    assert np.all(content["Jet 1 pt"] >= content["Jet 2 pt"])
    assert content["nJet"] == pytest.approx(3.0)
