from __future__ import annotations

import pytest

from flashsim.declarations.objects import load_object
from flashsim.declarations.order import drawing_order
from flashsim.errors import RecipeError


def declared(name, *given):
    """Muons by another name, given the number of what is simulated of others."""
    muons = load_object("muons")
    entries = [
        entry.model_copy(update={"name": f"number{k}", "of": f"reco.{of}"})
        for k, of in enumerate(given)
        for entry in load_object("event").conditioning
        if entry.kind == "number" and entry.name == "nMuon"
    ]
    update = {"collection": name, "conditioning": [*muons.conditioning, *entries]}
    return muons.model_copy(update=update)


def names(declarations):
    return [declarations[row].collection for row in drawing_order(declarations)]


def test_what_others_are_given_is_drawn_before():
    declarations = [declared("C", "B"), declared("B", "A"), declared("A"), declared("D", "absent")]
    assert names(declarations) == ["A", "D", "B", "C"]
    assert names(declarations[::-1]) == ["A", "D", "B", "C"]


def test_the_own_collection_is_no_circle():
    assert names([declared("A", "A")]) == ["A"]


def test_a_circle_is_an_error_that_names_it():
    with pytest.raises(RecipeError, match=r"circle: .*->"):
        drawing_order([declared("A", "C"), declared("B", "A"), declared("C", "B")])


def test_shipped_objects_have_an_order():
    declarations = [load_object(name) for name in ("event", "jets", "muons", "electrons")]
    assert names(declarations)[-1] == "Event"
