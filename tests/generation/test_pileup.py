"""Inputs that do not say their pileup, and pileup that is not the input's."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

import flashsim
from flashsim.declarations.pileup import load_profile
from flashsim.errors import InputFileError, OutputFileError, RecipeError
from flashsim.events.pileup import PILEUP
from flashsim.generation.pileup import choose_pileup
from flashsim.nanoaod.arrays import records
from flashsim.nanoaod.branch import Branch
from flashsim.nanoaod.provenance import GENERATION, read_provenance
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.schema import load_schema
from flashsim.nanoaod.writing import NanoWriter

# What CMSSW's customiseNanoGenMinimal leaves (PhysicsTools/NanoAOD, cms-sw/cmssw#50720): the gen content of
# NanoAOD. Pileup is made after the generator, so there is none.
NANOGEN = (
    "run",
    "luminosityBlock",
    "event",
    "bunchCrossing",
    "orbitNumber",
    "Gen",
    "gen",
    "LHE",
    "PSWeight",
    "HTXS",
)
OBJECTS = ("Jet_pt", "Jet_btagDeepB", "Muon_pt", "Electron_pt")


def rewrite(source, path, branches, arrays=None):
    """Write a file with some branches of another, and branches that are made."""
    with NanoFile(source) as file:
        made = dict(arrays or {})
        read = file.read([branch.name for branch in branches if branch.name not in made])
        trees = {name: file.read_tree(name) for name in file.trees}
    with NanoWriter(path) as writer:
        writer.tree("Events", branches)
        writer.extend("Events", read | made)
        for name, (members, content) in trees.items():
            writer.tree(name, list(members.values()))
            writer.extend(name, content)
    return path


@pytest.fixture(scope="module")
def nanogen(made_nanoaod, tmp_path_factory):
    """Events as CMS writes them in NANOGENMinimal of v15."""
    branches = [
        b for b in load_schema("v15").values() if b.name.startswith(NANOGEN) and b.name != "GenPart_iso"
    ]
    with NanoFile(made_nanoaod) as file:
        events, known = file.num_entries, file.branches
    numbers = np.zeros(events)
    lists = ak.unflatten(np.zeros(0), np.zeros(events, int))
    like = {"GenPart": None, "GenJet": None}
    with NanoFile(made_nanoaod) as file:
        for name in like:
            like[name] = ak.zeros_like(file.read([f"{name}_pt"])[f"{name}_pt"])
    made = {}
    for branch in branches:
        if branch.name not in known:
            made[branch.name] = like.get(branch.collection, lists) if branch.jagged else numbers
    return rewrite(made_nanoaod, tmp_path_factory.mktemp("nanogen") / "nanogen.root", branches, made)


@pytest.fixture
def columns():
    def read(path, names=OBJECTS):
        with NanoFile(path) as file:
            return {name: file.read([name])[name].tolist() for name in names if file.has(name)}

    return read


def test_nanogen_is_refused_with_what_to_do(make_generator, nanogen, tmp_path):
    with pytest.raises(
        InputFileError,
        match=r"nanogen\.root: has no Pileup_nTrueInt, .* --pileup drawn .* run2_2018.* run3_2024$",
    ):
        make_generator().run(nanogen, tmp_path / "out.root")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["run2_2018", "run3_2022", "35.5", "0"])
def test_nanogen_is_simulated_with_a_profile(make_generator, nanogen, tmp_path, columns, name):
    summary = make_generator(pileup=name).run(nanogen, tmp_path / "out.root")
    assert summary.version == "v15"
    said = (
        f"from the profile {name} (mean "
        if name.startswith("run")
        else f"is {name} interactions in every event"
    )
    assert said in summary.pileup
    schema = load_schema("v15")
    with NanoFile(tmp_path / "out.root") as file:
        assert {name: file.branches[name] for name in PILEUP} == {name: schema[name] for name in PILEUP}
    drawn = {name: np.array(values) for name, values in columns(tmp_path / "out.root", PILEUP).items()}
    true, number = drawn["Pileup_nTrueInt"], drawn["Pileup_nPU"]
    if name.startswith("run"):
        profile = load_profile(name)
        mean = choose_pileup(name, []).mean
        assert abs(true.mean() - mean) < 5 * true.std() / np.sqrt(len(true)) + 0.5
        assert np.all(true == np.floor(true)) == profile.whole_numbers
        assert len(np.unique(true)) > 20
    else:
        assert np.all(true == float(name))
    assert abs(np.mean(number - true)) < 5 * np.sqrt(max(true.mean(), 1) / len(true)) + 0.5
    assert abs(drawn["Pileup_sumEOOT"].mean() - 12 * true.mean()) < 0.05 * 12 * true.mean() + 1
    assert abs(drawn["Pileup_sumLOOT"].mean() - 3 * true.mean()) < 0.05 * 3 * true.mean() + 1
    assert np.all(drawn["Pileup_pudensity"] <= number)
    said = read_provenance(tmp_path / "out.root", GENERATION)["pileup"]
    assert said["profile"]["name"] == name
    assert said["branches"] == list(PILEUP)


def test_what_is_drawn_is_the_events_and_the_seeds(make_generator, nanogen, tmp_path, content):
    options = {"a": {}, "b": {"chunk": 7}, "c": {"seed": 2}}
    found = {}
    for name, option in options.items():
        make_generator(pileup="run2_2017", **option).run(nanogen, tmp_path / f"{name}.root")
        found[name] = content(tmp_path / f"{name}.root")
    assert found["a"] == found["b"]
    assert all(found["a"][name] != found["c"][name] for name in PILEUP)


@pytest.mark.parametrize("name", ["run2_2016", "run3_2023"])
def test_the_output_is_simulated_as_the_input_was(make_generator, nanogen, tmp_path, content, name):
    make_generator(pileup=name).run(nanogen, tmp_path / "one.root")
    make_generator().run(tmp_path / "one.root", tmp_path / "two.root")
    assert content(tmp_path / "one.root") == content(tmp_path / "two.root")
    assert read_provenance(tmp_path / "two.root", GENERATION)["pileup"] is None


def test_folds_of_an_event_have_one_pileup(make_generator, nanogen, tmp_path, columns):
    make_generator(pileup="run3_2022", oversample=3).run(nanogen, tmp_path / "three.root")
    make_generator(pileup="run3_2022").run(nanogen, tmp_path / "one.root")
    three, one = (columns(tmp_path / f"{name}.root", PILEUP) for name in ("three", "one"))
    assert three == {name: np.repeat(values, 3).tolist() for name, values in one.items()}


def test_in_memory_as_in_files(made_models, make_generator, nanogen, tmp_path, columns):
    make_generator(pileup="run3_2024").run(nanogen, tmp_path / "out.root")
    with NanoFile(nanogen) as file:
        events = records(list(file.branches.values()), file.read(list(file.branches)))
    with pytest.raises(InputFileError, match=r"^events: has no Pileup_nTrueInt.* --pileup"):
        flashsim.Simulator(made_models, nano_version="v15")(events)
    found = flashsim.Simulator(made_models, pileup="run3_2024")(events)
    for name, values in columns(tmp_path / "out.root", ("Pileup_nPU", "Jet_pt", "Muon_pt")).items():
        collection, field = name.split("_")
        assert found[collection][field].tolist() == values


def test_a_named_pileup_takes_the_place_of_the_inputs(make_generator, made_nanoaod, tmp_path, columns):
    with NanoFile(made_nanoaod) as file:
        extra = Branch("Pileup_pthatmax", np.dtype("f4"))
        branches = [*file.branches.values(), extra]
        zeros = {"Pileup_pthatmax": np.zeros(file.num_entries)}
    source = rewrite(made_nanoaod, tmp_path / "in.root", branches, zeros)
    summary = make_generator(pileup="50").run(source, tmp_path / "out.root")
    assert summary.pileup
    drawn = columns(tmp_path / "out.root", (*PILEUP, "Pileup_pthatmax"))
    assert set(drawn["Pileup_nTrueInt"]) == {50.0}
    assert "Pileup_pthatmax" not in drawn  # it is of the collisions that are no more
    assert not make_generator().run(source, tmp_path / "own.root").pileup
    assert columns(tmp_path / "own.root", PILEUP) == columns(source, PILEUP)


@pytest.mark.parametrize("without", [["Pileup_gpudensity"], list(PILEUP[2:]), list(PILEUP[1:])])
def test_what_is_lacking_follows_from_what_is_there(make_generator, made_nanoaod, tmp_path, columns, without):
    with NanoFile(made_nanoaod) as file:
        branches = [branch for branch in file.branches.values() if branch.name not in without]
    source = rewrite(made_nanoaod, tmp_path / "in.root", branches)
    summary = make_generator().run(source, tmp_path / "out.root")
    assert summary.pileup == f"not in the input, and drawn given its Pileup_nTrueInt: {', '.join(without)}"
    found, given = columns(tmp_path / "out.root", PILEUP), columns(source, PILEUP)
    assert {name: found[name] for name in given} == given
    assert read_provenance(tmp_path / "out.root", GENERATION)["pileup"]["branches"] == without
    gpu, number = np.array(found["Pileup_gpudensity"]), np.array(found["Pileup_nPU"])
    assert np.corrcoef(gpu, number)[0, 1] > 0.2
    assert abs(gpu.mean() / number.mean() - 0.27 / 33) < 0.0015


def test_an_output_of_another_pileup_is_not_finished(make_generator, nanogen, tmp_path):
    make_generator(pileup="30").run(nanogen, tmp_path / "out.root")
    assert make_generator(pileup="30").run(nanogen, tmp_path / "out.root", resume=True).reused
    with pytest.raises(OutputFileError, match="is finished, but of another pileup"):
        make_generator(pileup="31").run(nanogen, tmp_path / "out.root", resume=True)


@pytest.mark.parametrize("name", ["-1", "nan", "1001", "inf"])
def test_numbers_out_of_range_are_refused(make_generator, name):
    with pytest.raises(
        RecipeError, match=f"--pileup {name}: expected a number of interactions from 0 to 1000"
    ):
        make_generator(pileup=name)


def test_drawn_is_the_pileup_of_the_training():
    from flashsim.models.object_model import ObjectModel
    from flashsim.models.shipped import shipped_models

    models = [ObjectModel.load(path) for path in shipped_models()]
    event = next(model for model in models if model.declaration.per == "event")
    quantiles = np.array(event.phase_space.axes["nTrueInt"].quantiles)
    pileup = choose_pileup("drawn", models)
    true = pileup.true((np.arange(100_000) + 0.5) / 100_000)
    assert pileup.whole_numbers
    found = np.quantile(np.floor(true), [0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999])
    assert np.all(np.abs(found - quantiles[1:-1]) <= 1)
    assert pileup.mean == pytest.approx(true.mean(), abs=0.01)
    with pytest.raises(RecipeError, match=r"--pileup drawn: no model knows .* run2_2016"):
        choose_pileup("drawn", [])
