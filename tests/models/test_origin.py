"""What models say of their training."""

from __future__ import annotations

import dataclasses

import pytest

from flashsim.models.object_model import ObjectModel
from flashsim.models.origin import REFERENCE, SHIPPED, trained_on
from flashsim.models.shipped import shipped_models


@pytest.fixture(scope="module")
def model(made_models):
    return ObjectModel.load(made_models / "muons.safetensors")


def test_shipped_models_are_of_the_reference_simulation(tmp_path):
    path = shipped_models()[0]
    assert trained_on(ObjectModel.load(path)) == SHIPPED
    # A copy of it elsewhere is the same model.
    copy = tmp_path / "mine.safetensors"
    copy.write_bytes(path.read_bytes())
    assert trained_on(ObjectModel.load(copy)) == SHIPPED
    assert "not CMS simulation" in SHIPPED


@pytest.mark.parametrize(
    ("provenance", "expected"),
    [
        ({"files": ["a.root"], "reference": True}, REFERENCE),
        ({"files": ["a.root"], "reference": False}, "a.root"),
        ({"files": ["a.root", "b.root"]}, "a.root, b.root"),
        ({"files": ["a.root", "b.root", "c.root", "d.root"], "reference": None}, "a.root, b.root and 2 more"),
        ({"files": []}, "files that it does not name"),
        ({}, "files that it does not name"),
    ],
)
def test_other_models_are_of_what_their_file_says(model, provenance, expected):
    assert trained_on(dataclasses.replace(model, provenance=provenance)) == expected
