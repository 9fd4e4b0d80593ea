from __future__ import annotations

import numpy as np
import pytest
import yaml

from flashsim.declarations.pileup import PileupProfile, load_profile, shipped_profiles
from flashsim.errors import RecipeError

MEANS = {
    "run2_2016": 22.4,
    "run2_2017": 32.2,
    "run2_2018": 31.6,
    "run3_2022": 37.5,
    "run3_2023": 51.1,
    "run3_2024": 45.4,
}
"""Sums of interactions times the probabilities of CMSSW."""


def own(path, **changes):
    content = {"schema_version": 1, "source": "made", "probabilities": [0, 1, 3, 0]} | changes
    path.write_text(yaml.safe_dump(content))
    return str(path)


@pytest.mark.parametrize("name", shipped_profiles())
def test_shipped_profiles(name):
    profile = load_profile(name)
    assert profile.source.startswith("CMSSW, SimGeneral/MixingModule/python/")
    assert profile.whole_numbers == name.startswith("run2")
    assert sum(profile.probabilities) == pytest.approx(1, abs=1e-4)
    mean = np.sum(np.diff(profile.cumulative) * (np.arange(len(profile.probabilities)) + 0.5))
    assert mean == pytest.approx(MEANS[name], abs=0.06)


def test_probabilities_may_have_any_sum(tmp_path):
    assert load_profile(own(tmp_path / "own.yaml")).cumulative == (0.0, 0.0, 0.25, 1.0, 1.0)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"probabilities": []}, "probabilities: "),
        ({"probabilities": [0.0, 0.0]}, "not all of them 0"),
        ({"probabilities": [0.5, -0.1]}, "at least 0"),
        ({"probabilities": [0.5, float("nan")]}, "not finite"),
        ({"probabilities": "many"}, "probabilities: "),
        ({"mean": 3}, "mean: is no key"),
        ({"schema_version": 2}, "schema_version: "),
    ],
)
def test_mistakes_are_named(tmp_path, changes, sentence):
    with pytest.raises(RecipeError, match=rf"own\.yaml: .*{sentence}"):
        load_profile(own(tmp_path / "own.yaml", **changes))


def test_names_are_listed():
    with pytest.raises(RecipeError, match=r"no pileup profile 'run4': .* run2_2016, .* run3_2024"):
        load_profile("run4")
    assert {"schema_version", "source", "probabilities", "whole_numbers"} == PileupProfile.model_fields.keys()
