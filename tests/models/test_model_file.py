"""One code for the files of all models."""

from __future__ import annotations

import numpy as np
import pytest

from flashsim.declarations.flows import FlowMatchingRecipe, SplineMAFRecipe
from flashsim.errors import ModelFileError
from flashsim.flows import Flow
from flashsim.flows.kinds import kind_of
from flashsim.models.model_file import ModelFormat

FORMAT = ModelFormat("test", (2, 3), "model of this test", "make test")


@pytest.mark.parametrize("recipe", [SplineMAFRecipe(layers=2, width=8, bins=4), FlowMatchingRecipe(width=8)])
def test_a_flow_of_any_kind_comes_back(recipe, tmp_path):
    kind = kind_of(recipe.kind)
    architecture = kind.architecture(recipe, 3, 2, seed=1)
    flow = Flow.of(recipe.kind, architecture, kind.module(architecture))
    path = tmp_path / "flow"
    FORMAT.write(path, {"kind": flow.kind, "architecture": flow.architecture}, flow.tensors, force=False)
    header, tensors, digest = FORMAT.load(path, lambda *parts: parts)
    again = Flow(header["kind"], header["architecture"], tensors)
    assert header["format_version"] == 3
    assert len(digest) == 64
    assert again.architecture == flow.architecture
    assert again.tensors.keys() == flow.tensors.keys()
    assert all(np.array_equal(again.tensors[name], flow.tensors[name]) for name in flow.tensors)
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(9, 3)), rng.normal(size=(9, 2))
    assert np.array_equal(again.sampler().from_noise(*rows), flow.sampler().from_noise(*rows))


def test_files_of_other_sorts_are_told_apart(tmp_path):
    other = ModelFormat("other", (1,), "other thing", "make other")
    other.write(tmp_path / "a", {}, {"x": np.zeros(2)}, force=False)
    with pytest.raises(ModelFileError, match="but not a model of this test; make one with 'make test'"):
        FORMAT.header(tmp_path / "a")
    ModelFormat("test", (4,), "", "").write(tmp_path / "b", {}, {"x": np.zeros(2)}, force=False)
    with pytest.raises(ModelFileError, match="has format version 4, this flashsim reads 2 and 3"):
        FORMAT.header(tmp_path / "b")


def test_what_does_not_fit_is_damage(tmp_path):
    FORMAT.write(tmp_path / "a", {}, {"x": np.zeros(2)}, force=False)
    with pytest.raises(ModelFileError, match=r"is damaged or was made by another version .*\('y'\); train"):
        FORMAT.load(tmp_path / "a", lambda header, tensors, digest: tensors["y"])
