"""Numbers of a detector, put together of several files."""

from __future__ import annotations

import pytest

from flashsim.errors import RecipeError
from flashsim.reference.recipe import load_detector


def test_a_file_of_ones_own_names_what_differs(tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("recording: {material: {field: 2.0}}\n")
    usual, other = load_detector("full", "run2"), load_detector(own, "run2")
    assert other.recording.material.field == 2.0
    assert other.recording.material.radius == usual.recording.material.radius
    assert other.recording.tracker == usual.recording.tracker


def test_changes_come_last(tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("recording: {material: {field: 2.0}}\n")
    assert load_detector(own, "run2", {"recording.material.field": 1.0}).recording.material.field == 1.0


def test_eras_differ():
    assert load_detector("full", "run2").generation.nanoaod == "v9"
    assert load_detector("full", "run3").generation.nanoaod == "v15"


def test_what_is_wrong_is_named(tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("recording:\n  material:\n    feild: 2.0\n")
    expected = r"own.yaml: recording.material.feild: is no key of this recipe; the nearest: .* \(line 3\)"
    with pytest.raises(RecipeError, match=expected):
        load_detector(own, "run2")
    with pytest.raises(RecipeError, match="no reference recipe 'none'"):
        load_detector("none", "run2")
    with pytest.raises(RecipeError, match="no reference recipe 'run9'"):
        load_detector("full", "run9")
    with pytest.raises(RecipeError, match=r"recording\.material\.field: expected"):
        load_detector("full", "run2", {"recording.material.field": -1})
