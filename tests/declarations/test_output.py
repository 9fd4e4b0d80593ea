"""The output recipe."""

from __future__ import annotations

import pytest

from flashsim.declarations.objects import Derived, Target, load_object
from flashsim.declarations.output import Link, load_output
from flashsim.interface.inspection import shipped_objects


def test_a_link_fills_fields_on_both_sides():
    link = Link.model_validate(
        {"from": "Muon", "to": "Jet", "index": "jetIdx", "back": ["a", "b"], "count": "nMuons", "cone": 0.4}
    )
    assert link.fields_of("Muon") == ["jetIdx"]
    assert link.fields_of("Jet") == ["a", "b", "nMuons"]
    assert link.fields_of("Tau") == []


@pytest.mark.parametrize("where", ["gen.pt > 5", "isPFcand and to.pt > 20"])
def test_the_condition_of_a_link_is_of_the_source_alone(where):
    content = {"from": "Muon", "to": "Jet", "index": "jetIdx", "cone": 0.4, "where": where}
    with pytest.raises(ValueError, match="'where' is of fields of Muon alone"):
        Link.model_validate(content)


@pytest.mark.parametrize("declaration", shipped_objects(), ids=lambda d: d.name)
def test_no_shipped_object_has_a_branch_of_a_link(declaration):
    assert load_output().clash(declaration) is None


@pytest.mark.parametrize(
    ("object_", "branch", "link"),
    [
        ("jets", "nElectrons", "Electron to Jet"),
        ("jets", "muonIdx1", "Muon to Jet"),
        ("muons", "jetIdx", "Muon to Jet"),
    ],
)
@pytest.mark.parametrize("kind", ["targets", "derived"])
def test_a_branch_of_a_link_is_named(object_, branch, link, kind):
    entry = {
        "targets": Target(branch=branch),
        "derived": Derived(branch=branch, source="constant", value=0.0),
    }[kind]
    declaration = load_object(object_)
    clashing = declaration.model_copy(update={kind: [*getattr(declaration, kind), entry]})
    sentence = load_output().clash(clashing)
    assert sentence.startswith(f"{declaration.collection}_{branch} is declared by {object_}")
    assert f"the link from {link}" in sentence


def test_other_branches_of_these_names_are_free():
    muons = load_object("muons")
    free = muons.model_copy(update={"targets": [*muons.targets, Target(branch="nElectrons")]})
    assert load_output().clash(free) is None
