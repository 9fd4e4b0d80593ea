"""Fits of primary vertices give back the laws that made them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.vertices import fit_vertices, main, read_vertices
from flashsim.declarations.output import load_output
from flashsim.generation.generate import Generator
from flashsim.models.object_model import ObjectModel
from flashsim.models.shipped import shipped_models
from flashsim.nanoaod.reading import NanoFile

RECIPE = load_output()


@pytest.fixture(scope="module")
def output(made_nanoaod, tmp_path_factory):
    """A generated file: its vertices are made by the recipe's laws."""
    path = tmp_path_factory.mktemp("vertices") / "out.root"
    models = [ObjectModel.load(model) for model in shipped_models()]
    Generator(models, RECIPE, oversample=10).run(made_nanoaod, path)
    return path


def test_the_laws_are_found_again(output):
    with NanoFile(output) as file:
        found = fit_vertices(read_vertices(file, RECIPE.vertex), RECIPE.vertex)
    assert found["events"] == 2400
    assert found["with a true position"] == 0
    for name in ("ndof", "score"):
        law, fit = getattr(RECIPE.vertex, name), found[name]
        assert fit["power"] == pytest.approx(law.power, abs=0.1)
        assert fit["spread"] == pytest.approx(law.spread, rel=0.1)
        # At one place of the range, as factor and power are correlated.
        x = 200.0 + law.offset
        assert fit["factor"] * x ** fit["power"] == pytest.approx(law.factor * x**law.power, rel=0.1)
    assert found["chi2"] == pytest.approx(RECIPE.vertex.chi2, rel=0.1)


def test_the_resolution_is_that_of_the_displacements():
    rng = np.random.default_rng(1)
    ndof = np.full(5000, 100.0)
    columns = {"PV_ndof": ndof, "PV_chi2": ndof, "PV_score": ndof, "sum": 1 + rng.random(5000)}
    columns |= {"squares": columns["sum"], **{axis: rng.normal(0.0, 1e-3, 5000) for axis in "xyz"}}
    columns["z"][:50] = 1.0
    found = fit_vertices(columns, RECIPE.vertex)
    assert found["another vertex"] == 0.01
    assert found["resolution in um"] == pytest.approx([10.0] * 3, rel=0.05)
    assert found["the same times the root of ndof"] == pytest.approx([100.0] * 3, rel=0.05)


def test_the_rule_gives_the_raw_momentum_of_its_own_files(output, capsys):
    assert main([str(output)]) == 0
    found = json.loads(capsys.readouterr().out)["raw_momentum_GeV"]["out.root"]
    # Momenta are stored with 10 bits.
    assert found["rule"] < 0.5 < found["corrected"]
