from __future__ import annotations

import numpy as np
import pytest

from flashsim.declarations.objects import Target, load_object
from flashsim.declarations.output import load_output
from flashsim.errors import InputFileError, RecipeError
from flashsim.generation.plan import plan_output
from flashsim.interface.inspection import shipped_objects
from flashsim.nanoaod.branch import Branch
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.schema import VERSIONS, counter_titles, load_schema
from flashsim.nanoaod.writing import NanoWriter


@pytest.fixture(scope="module")
def made_file(made_nanoaod):
    with NanoFile(made_nanoaod) as file:
        yield file


@pytest.fixture(scope="module")
def objects():
    return shipped_objects("object")


def names(branches):
    return {branch.name for branch in branches}


def test_generator_level_is_copied_and_nothing_else(made_file, objects):
    plan = plan_output(made_file, objects, load_output())
    copied = names(plan.copied)
    assert {"run", "event", "genWeight", "LHEPdfWeight", "GenPart_pdgId", "Pileup_nPU"} <= copied
    assert not {"HLT_IsoMu24", "MET_pt", "Tau_pt"} & copied
    assert not {name for name in copied if name.startswith(("Electron_", "Jet_", "Muon_"))}
    assert all(branch == made_file.branches[branch.name] for branch in plan.copied)
    assert {"run", "luminosityBlock", "event"} <= set(plan.needed) <= set(plan.read)


def test_the_version_of_the_input_decides(made_file, objects):
    plan = plan_output(made_file, objects, load_output())
    assert plan.version == "v9"
    jets = plan.collections["Jet"]
    assert jets.branches["puIdDisc"] == load_schema("v9")["Jet_puIdDisc"]
    assert "btagPNetB" in jets.left_out
    assert "btagPNetB" not in jets.branches
    assert plan.counter_titles["Jet"] == counter_titles("v9")["Jet"]
    assert plan.counter_titles["GenJet"] == "made gen jets"


@pytest.mark.parametrize("version", VERSIONS)
def test_types_are_those_of_the_version(made_file, objects, version):
    plan = plan_output(made_file, objects, load_output(), version=version)
    schema = load_schema(version)
    for declaration in objects:
        collection = plan.collections[declaration.collection]
        for target in declaration.targets:
            assert (target.branch in collection.branches) == target.exists_in(version)
            assert (target.branch in collection.left_out) != target.exists_in(version)
        for field, branch in collection.branches.items():
            assert (branch.name, branch.collection) == (
                f"{declaration.collection}_{field}",
                declaration.collection,
            )
            if version != "v9" and branch.name in schema:
                model = schema[branch.name]
                assert branch.dtype == model.dtype
                assert branch.title == model.title or not model.title
            assert branch.title
            if branch.dtype != np.dtype("float32"):
                assert collection.bits[field] is None
    # What is copied keeps the input's types, whatever version is written.
    assert {b.dtype for b in plan.copied if b.name == "GenPart_statusFlags"} == {np.dtype("int32")}


VERTEX = {f"PV_{name}" for name in ("x", "y", "z", "ndof", "chi2", "score", "npvs", "npvsGood")}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("HLT_*", {"HLT_IsoMu24"}),
        ("MET_pt", {"MET_pt"}),
        ("Tau_*", {"Tau_pt"}),
        ("*", {"HLT_IsoMu24", "MET_pt", "Tau_pt", "fixedGridRhoFastjetAll", *VERTEX}),
    ],
)
def test_keep(made_file, objects, pattern, expected):
    plain = plan_output(made_file, objects, load_output())
    plan = plan_output(made_file, objects, load_output(), keep=[pattern])
    assert names(plan.copied) - names(plain.copied) == expected
    # An index into collections that are simulated anew would point at other objects.
    assert plan.stale == (["Tau_jetIdx"] if "Tau_pt" in expected else [])


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("HLT_Nothing*", r"made\.root: has no branch or tree that fits --keep 'HLT_Nothing\*'"),
        ("Jet_*", r"made\.root: --keep 'Jet_\*' asks for Jet_area, which is simulated"),
    ],
)
def test_keep_that_cannot_be_is_refused(made_file, objects, pattern, message):
    with pytest.raises(InputFileError, match=message):
        plan_output(made_file, objects, load_output(), keep=[pattern])


def test_what_is_not_simulated_can_be_kept(made_file):
    plan = plan_output(made_file, [load_object("muons")], load_output(), keep=["Jet_*", "Tau_*"])
    assert "Jet_pt" in names(plan.copied)
    assert "Tau_jetIdx" in names(plan.copied)
    assert "jetIdx" not in plan.collections["Muon"].branches


def test_unknown_version(made_file, objects):
    with pytest.raises(
        InputFileError, match=r"--nano-version v8: NanoAOD v8 cannot be written; choose one of v5, v6"
    ):
        plan_output(made_file, objects, load_output(), version="v8")


def test_missing_branches_are_named(tmp_path, objects):
    path = tmp_path / "few.root"
    with NanoWriter(path) as writer:
        writer.tree("Events", [Branch("run", np.dtype("u4"))])
    with (
        NanoFile(path) as file,
        pytest.raises(InputFileError, match=r"few\.root: lacks .*needed to generate"),
    ):
        plan_output(file, objects, load_output())


@pytest.mark.parametrize("branch", ["nElectrons", "muonIdx2"])
def test_a_branch_of_a_link_cannot_be_simulated(made_file, branch):
    jets = load_object("jets")
    clashing = jets.model_copy(update={"targets": [*jets.targets, Target(branch=branch)]})
    with pytest.raises(RecipeError, match=f"Jet_{branch} is declared by jets"):
        plan_output(made_file, [clashing], load_output())
