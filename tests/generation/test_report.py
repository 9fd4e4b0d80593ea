"""What a generation says at its end."""

from __future__ import annotations

import pytest

from flashsim.generation.report import origin_lines, remarks, version_warnings
from flashsim.generation.results import Summary


def summary(**changes):
    plain = {
        "input": "a.root",
        "output": "b.root",
        "version": "v12",
        "events": 10,
        "oversample": 1,
        "objects": {"Jet": 200, "Muon": 10},
        "outside_counts": {},
        "left_out": [],
        "stale": [],
        "pileup": "",
        "trees_left": [],
        "objects_left": [],
        "doubt": "",
        "trained_on": {"Jet": "v9", "Muon": "v9"},
        "renamed": {},
        "origins": {"Jet": "x.root", "Muon": "x.root"},
        "special": {"Jet_btagDeepFlavB": 30, "Jet_btagPNetB": 0},
        "seconds": 1.0,
    }
    return Summary(**(plain | changes))


def test_models_of_one_origin_take_one_line():
    assert origin_lines([summary(), summary()]) == ["Jet, Muon: trained on x.root"]
    other = summary(origins={"Jet": "x.root", "Muon": "y.root"})
    assert origin_lines([other]) == ["Jet: trained on x.root", "Muon: trained on y.root"]


def test_models_of_another_version_are_warned_of():
    first, second = version_warnings(
        [summary(), summary(objects={"Jet": 100}, special={"Jet_btagDeepFlavB": 15})]
    )
    assert first.startswith("the models of Jet, Muon were trained on NanoAOD v9, and the output is v12")
    # 45 of 300 jets of both files; what none has is not named.
    assert second.endswith(": Jet_btagDeepFlavB of 15.0%")


def test_two_versions_are_two_warnings():
    found = version_warnings([summary(special={}), summary(version="v15", special={})])
    assert ["output is v12" in found[0], "output is v15" in found[1], len(found)] == [True, True, 2]


@pytest.mark.parametrize("special", [{}, {"Jet_btagDeepFlavB": 30}])
def test_models_of_the_version_are_not(special):
    assert version_warnings([summary(trained_on={}, special=special)]) == []


def test_other_names_are_told():
    assert remarks(summary(renamed={"MET_*": "PFMET_*"})) == [
        "under the name that NanoAOD v12 has for it: MET_* as PFMET_*"
    ]
