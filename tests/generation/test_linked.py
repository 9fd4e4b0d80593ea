"""Leptons in generated files agree with the jet that was drawn after them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from flashsim.declarations.objects import load_object
from flashsim.declarations.output import Link, load_output
from flashsim.events.collection import Collection
from flashsim.generation.generate import Generator
from flashsim.generation.linked import points
from flashsim.nanoaod.reading import NanoFile
from flashsim.transforms.linked import LinkedTests

MADE = ("jetRelIso", "jetPtRelv2")


@pytest.fixture(scope="module")
def linked_generator(loaded_models):
    """Give a generator whose muons follow from their jets, or not."""
    links = load_object("muons").linked[:1]

    def make(linked=True, **options):
        models = [
            replace(
                model, declaration=model.declaration.model_copy(update={"linked": links if linked else []})
            )
            if model.declaration.name == "muons"
            else model
            for model in loaded_models
        ]
        return Generator(models, load_output(), **options)

    return make


@pytest.fixture(scope="module")
def declaration(linked_generator):
    (muons,) = (s.declaration for s in linked_generator().simulators if s.collection == "Muon")
    return muons


def read(path, collection, fields):
    with NanoFile(path) as file:
        arrays = file.read([f"{collection}_{field}" for field in fields])
    return Collection.of_branches(arrays, collection, fields)


def of_file(path, declaration):
    """Give the muons and jets of a file, and the energy density."""
    (linked,) = declaration.linked
    muons = read(path, "Muon", [*linked.needs.branches, linked.index, *MADE])
    with NanoFile(path) as file:
        rho = file.read(["fixedGridRhoFastjetAll"])["fixedGridRhoFastjetAll"]
    return muons, read(path, "Jet", linked.fields), {"rho": np.asarray(rho)}


@pytest.mark.parametrize("folds", [1, 3])
def test_muons_agree_with_their_jet(linked_generator, declaration, made_nanoaod, tmp_path, folds):
    linked_generator(oversample=folds).run(made_nanoaod, tmp_path / "out.root")
    tests = LinkedTests(declaration, "v9")
    tests.add(0, *of_file(tmp_path / "out.root", declaration))
    for test in tests.tests:
        assert test.rows >= 5 * folds  # else nothing is tested
        assert test.held >= 0.99 * test.rows, test.sentence()


def test_muons_without_a_jet_are_as_they_were_drawn(linked_generator, declaration, made_nanoaod, tmp_path):
    found = []
    for linked in (True, False):
        path = tmp_path / f"{linked}.root"
        linked_generator(linked).run(made_nanoaod, path)
        found.append(of_file(path, declaration)[0])
    followed, drawn = found
    alone = drawn["jetIdx"] < 0
    assert alone.any()
    for name, column in followed.columns.items():
        np.testing.assert_array_equal(column[alone], drawn[name][alone])
        changed = np.mean(column[~alone] != drawn[name][~alone])
        assert changed > 0.8 if name in MADE else changed == 0.0


def test_chunks_do_not_matter(linked_generator, made_nanoaod, content, tmp_path):
    for chunk in (7, 1000):
        linked_generator(chunk=chunk).run(made_nanoaod, tmp_path / f"{chunk}.root")
    assert content(tmp_path / "7.root") == content(tmp_path / "1000.root")


def test_without_jets_all_are_as_they_were_drawn(linked_generator, made_nanoaod, tmp_path):
    columns = []
    for linked in (True, False):
        generator = linked_generator(linked)
        models = [s.model for s in generator.simulators if s.collection in {"Muon", "Vertices"}]
        path = tmp_path / f"{linked}.root"
        Generator(models, load_output()).run(made_nanoaod, path)
        columns.append(read(path, "Muon", MADE).columns)
    for name in MADE:
        np.testing.assert_array_equal(columns[0][name], columns[1][name])


def test_a_link_is_of_those_that_meet_its_condition():
    content = {"from": "Muon", "to": "Jet", "index": "jetIdx", "cone": 0.4, "where": "good and abs(dz) < 1"}
    link = Link.model_validate(content)
    columns = {"good": np.array([1, 1, 0]), "dz": np.array([0.5, -2.0, 0.0])}
    muons = Collection(np.array([0, 2, 3]), columns)
    assert points(link, muons).tolist() == [True, False, False]
    # A model of another NanoAOD version may lack what the condition needs.
    assert points(link, Collection(muons.offsets, {"dz": columns["dz"]})).all()
    assert points(link.model_copy(update={"where": None}), muons).all()
