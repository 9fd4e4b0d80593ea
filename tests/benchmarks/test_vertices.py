"""Fits of primary vertices give back the laws that made them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.vertices import fit_vertices, main, read_vertices
from flashsim.declarations.objects import load_object
from flashsim.declarations.output import load_output
from flashsim.generation.generate import Generator
from flashsim.models.object_model import ObjectModel
from flashsim.models.shipped import shipped_models
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.schema import load_schema
from flashsim.nanoaod.writing import NanoWriter

RECIPE = load_output()


@pytest.fixture(scope="module")
def of_laws(part_of_vertex, made_without_vertices, tmp_path_factory):
    """A generated file: its vertices are made by the recipe's laws, as no model draws them."""
    path = tmp_path_factory.mktemp("vertices") / "out.root"
    Generator([part_of_vertex], RECIPE, oversample=10).run(made_without_vertices, path)
    return path


@pytest.fixture(scope="module")
def of_rule(made_nanoaod, train_quickly, tmp_path_factory):
    """A generated file: its raw momentum is made by the recipe's rule, as models draw the corrected one."""
    work, schema = tmp_path_factory.mktemp("raw"), load_schema("v9")
    with NanoFile(made_nanoaod) as file, NanoWriter(work / "in.root") as writer:
        branches, arrays = list(file.branches.values()), file.read(list(file.branches))
        rng, number = np.random.default_rng(1), file.num_entries
        added = {"MET_phi": rng.uniform(-3.0, 3.0, number), "MET_sumEt": rng.exponential(900.0, number)}
        writer.tree("Events", [*branches, *(schema[name] for name in added)])
        arrays |= added
        writer.extend("Events", arrays)
    event = train_quickly(load_object("event"), work / "in.root", work, epochs=2)
    others = [model for model in map(ObjectModel.load, shipped_models()) if model.declaration.name != "event"]
    Generator([*others, event], RECIPE, oversample=10).run(made_nanoaod, work / "out.root")
    return work / "out.root"


def test_the_laws_are_found_again(of_laws):
    with NanoFile(of_laws) as file:
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


def test_the_rule_gives_the_raw_momentum_of_its_own_files(of_rule, capsys):
    assert main([str(of_rule)]) == 0
    found = json.loads(capsys.readouterr().out)["raw_momentum_GeV"]["out.root"]
    # Momenta are stored with 10 bits.
    assert found["rule"] < 0.5 < found["corrected"]
