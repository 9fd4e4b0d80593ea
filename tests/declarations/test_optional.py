"""Declarations for files that lack some of the gen-level content."""

from __future__ import annotations

import pytest

from flashsim.declarations.gen_collections import GenCollection
from flashsim.declarations.objects import load_object
from flashsim.declarations.optional import for_file

POSITION = ["GenVtx_x", "GenVtx_y", "GenVtx_z"]


def test_a_file_that_has_all_changes_nothing():
    declaration = load_object("vertices")
    assert for_file(declaration, lambda _: True) == (declaration, [])


def test_positions_are_drawn_alone_where_the_true_ones_are_not_known():
    declaration, missing = for_file(load_object("vertices"), lambda name: name not in POSITION)
    assert missing == POSITION
    assert declaration.gen_collection.fields == ["index"]
    assert not declaration.references()
    relations = {target.branch: target.relation for target in declaration.targets}
    assert relations["PV_z"] == "none"
    assert relations["PV_npvsGood"] == "difference"
    # What is left is a declaration, and needs nothing more.
    again = type(declaration).model_validate(declaration.model_dump(mode="json"))
    assert for_file(again, lambda _: False) == (again, [])


def test_one_of_them_may_be_missing():
    declaration, missing = for_file(load_object("vertices"), lambda name: name != "GenVtx_x")
    assert missing == ["GenVtx_x"]
    assert declaration.references() == ["GenVtx_y", "GenVtx_z"]


def test_conditioning_goes_with_the_field():
    content = load_object("vertices").model_dump(mode="json")
    content["conditioning"].append({"kind": "field", "name": "place", "field": "GenVtx_z"})
    declaration = type(load_object("vertices")).model_validate(content)
    found, _ = for_file(declaration, lambda name: name not in POSITION)
    assert "place" not in {entry.name for entry in found.conditioning}


def test_only_fields_are_optional():
    with pytest.raises(ValueError, match=r"optional names \['GenVtx_z'\], which are none of the fields"):
        GenCollection(branch="Event", fields=["index"], optional=["GenVtx_z"])
