"""Declarations of what follows from linked objects."""

from __future__ import annotations

import json

import pytest

from flashsim.declarations.linked import Linked
from flashsim.declarations.objects import ObjectDeclaration, load_object
from flashsim.declarations.order import drawing_order
from flashsim.declarations.recipes import parse_recipe
from flashsim.errors import RecipeError


@pytest.fixture(scope="module")
def content():
    return load_object("muons").model_dump(mode="json")


def test_leptons_are_drawn_before_the_jets_that_they_follow_from():
    declarations = [load_object(name) for name in ("jets", "muons", "electrons", "vertices")]
    order = [declarations[row].name for row in drawing_order(declarations)]
    assert order.index("muons") < order.index("jets")
    assert "Jet" not in declarations[1].needs()


def test_formulas_go_with_their_branches():
    muons = load_object("muons")
    kept = muons.with_targets({"pt", "eta", "phi", "jetRelIso"})
    assert [list(linked.formulas) for linked in kept.linked] == [["jetRelIso"], ["jetRelIso"]]
    assert muons.with_targets({"pt", "eta", "jetRelIso"}).linked == []


def test_a_model_file_can_hold_it(content):
    again = ObjectDeclaration.model_validate(json.loads(json.dumps(content)))
    assert again == load_object("muons")
    assert "L1FastJet" in again.linked[0].corrections["l1"].payload


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"to": "Muon"}, "linked to Muon: expected objects of another collection"),
        ({"formulas": {"jetArea": "to.area"}}, r"needs \['jetArea'\], which are no targets"),
        ({"formulas": {"jetRelIso": "to.pt / momentum"}}, r"needs \['momentum'\], which are no targets"),
        ({"formulas": {"jetRelIso": "jetPtRelv2", "jetPtRelv2": "to.pt"}}, "made of each other"),
        ({"formulas": {"jetRelIso": "gen.pt"}}, "pt is of 'gen' or 'conditioning', expected 'to' or 'event'"),
        ({"formulas": {"jetRelIso": "event.weight"}}, "event.weight is no conditioning of the kind 'event'"),
        ({"formulas": {}}, "at least 1 item"),
        ({"parts": {"pt": "to.pt"}}, r"\['pt'\] are branches; give parts and corrections names of their own"),
        ({"parts": {"a": "2 * b", "b": "a + to.pt"}}, "the parts .* -> .* need each other"),
        (
            {
                "parts": {"jec": "1"},
                "corrections": {"jec": {"file": "run2.json", "name": "jec", "inputs": {"JetPt": "to.pt"}}},
            },
            r"\['jec'\] name a part and a correction",
        ),
        (
            {
                "corrections": {
                    "jec": {
                        "file": "run2.json",
                        "name": "jec",
                        "inputs": {},
                        "solve": {"input": "JetPt", "product": "to.pt", "several": "1"},
                    }
                }
            },
            "jec has several solutions, expected one",
        ),
    ],
)
def test_faults_are_said(content, change, problem):
    linked = {"to": "Jet", "index": "jetIdx", "formulas": {"jetRelIso": "to.pt / pt"}} | change
    with pytest.raises(RecipeError, match=problem):
        parse_recipe(ObjectDeclaration, content | {"linked": [linked]}, origin="test")


@pytest.mark.parametrize("name", ["to.pt", "event.rho"])
def test_relations_know_no_other_objects(content, name):
    relations = [{"kind": "formula", "branch": "softMvaId", "expression": f"{name} > 30"}]
    with pytest.raises(RecipeError, match="of 'to' or 'event', which only 'linked' has"):
        parse_recipe(ObjectDeclaration, content | {"relations": relations}, origin="test")


def test_parts_stand_in_any_order():
    """A file that was sorted by its keys says the same."""
    linked = Linked.model_validate(
        {
            "to": "Jet",
            "index": "jetIdx",
            "parts": {"across": "angle * momentum", "angle": "to.eta", "momentum": "to.pt"},
            "formulas": {"jetPtRelv2": "across"},
        }
    )
    names = [name for name, _ in linked.steps()]
    assert sorted(names) == ["across", "angle", "momentum"]
    assert names[-1] == "across"
