"""Decisions of the trigger, and the objects that fired it."""

from __future__ import annotations

import warnings

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashsim.declarations.output import load_output
from flashsim.declarations.recipes import parse_recipe
from flashsim.declarations.trigger import TriggerRecipe, load_trigger
from flashsim.errors import RecipeError
from flashsim.events.collection import Collection
from flashsim.generation.generate import Generator
from flashsim.generation.trigger import emulate, plan_trigger
from flashsim.models.object_model import ObjectModel
from flashsim.models.shipped import shipped_models
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.schema import VERSIONS, load_schema
from flashsim.nanoaod.writing import NanoWriter

RECIPE = load_trigger("trigger.yaml")
FIELDS = ("pt", "eta", "phi", "l1pt", "l1pt_2", "l2pt", "id", "l1iso", "l1charge", "filterBits")


def ideal(paths):
    """Muons that are seen as they are, and always pass."""
    content = {
        "schema_version": 1,
        "collection": "TrigObj",
        "title": "",
        "objects": {"muon": {"collection": "Muon", "resolution": [[5.0, 0.0]], "id": 13}},
        "filters": {"muon": {"of": "muon", "efficiency": [[5.0, 1.0]]}},
        "values": {
            "ht": {"kind": "sum", "of": "muon", "min_pt": 10, "max_abs_eta": 5},
            "balance": {"kind": "missing", "of": "muon", "min_pt": 10, "max_abs_eta": 5},
            "met": {"kind": "momentum", "branches": ["PFMET", "MET"]},
            "met_no_mu": {"kind": "momentum", "branches": ["PFMET", "MET"], "plus": ["muon"]},
        },
        "bits": [{"dtype": "int32", "of": {"muon": {"one": 0, "two": 3}}}],
        "paths": paths,
    }
    return parse_recipe(TriggerRecipe, content, origin="x.yaml")


def decide(recipe, events, met=0.0, *, seed=1):
    """Emulate events that are lists of muons (pt, eta, phi); gives decisions and objects."""
    flat = np.array([muon for event in events for muon in event], dtype=np.float64).reshape(-1, 3)
    columns = dict(zip(("pt", "eta", "phi"), flat.T, strict=True))
    muons = Collection.of_counts(np.array([len(event) for event in events]), columns)
    written = {"": ["MET_pt", "MET_phi"], "Muon": ["pt", "eta", "phi"]}
    plan = plan_trigger(recipe, "v9", written, [load_schema("v9")], [])
    single = {"MET_pt": np.full(len(events), met), "MET_phi": np.zeros(len(events))}
    keys = np.arange(1, len(events) + 1, dtype=np.uint64)
    return emulate(plan, recipe, {"Muon": muons}, single, events=keys, seed=seed, folds=1)


def path(*thresholds, **more):
    bits = ["one"] if len(thresholds) == 1 else ["two"]
    legs = [{"filter": "muon", "pt": threshold, "bits": bits} for threshold in thresholds]
    return {"name": "HLT_path", "legs": legs, **more}


MUONS = st.lists(
    st.tuples(st.floats(1, 100), st.floats(-2.4, 2.4), st.floats(-3.1, 3.1)).map(
        lambda muon: tuple(float(np.float32(x)) for x in muon)
    ),
    max_size=5,
)


@given(st.lists(MUONS, min_size=1, max_size=6), st.floats(0, 60), st.floats(0, 60), st.floats(0, 100))
def test_two_legs_need_two_objects_with_the_mass(events, one, other, mass):
    decisions, objects = decide(ideal([path(one, other, min_mass=mass)]), events)

    def fires(a, b):
        squared = 2 * a[0] * b[0] * (np.cosh(a[1] - b[1]) - np.cos(a[2] - b[2]))
        return a[0] > one and b[0] > other and (not mass or squared > mass**2)

    expected = [
        any(fires(a, b) for i, a in enumerate(event) for j, b in enumerate(event) if i != j)
        for event in events
    ]
    assert decisions["HLT_path"].tolist() == expected
    lower = min(one, other)
    fired = [sorted((m[0] for m in event if m[0] > lower), reverse=True) for event in events]
    wanted = [pts if has else [] for pts, has in zip(fired, expected, strict=True)]
    assert np.split(objects["pt"], objects.offsets[1:-1])[0].tolist() == pytest.approx(wanted[0])
    assert objects.counts.tolist() == [len(pts) for pts in wanted]
    assert set(objects["filterBits"].tolist()) <= {8}


@pytest.mark.parametrize(
    ("value", "above", "met", "fires"),
    [
        ("ht", 69.0, 0.0, True),
        ("ht", 71.0, 0.0, False),
        ("balance", 9.0, 0.0, True),
        ("balance", 11.0, 0.0, False),
        ("met", 25.0, 30.0, True),
        ("met", 35.0, 30.0, False),
        ("met_no_mu", 39.0, 30.0, True),
        ("met_no_mu", 41.0, 30.0, False),
    ],
)
def test_values_of_the_event(value, above, met, fires):
    """Muons of 40 and 30 GeV back to back, one of 5 GeV below all thresholds of jets."""
    recipe = ideal([{"name": "HLT_path", "values": [{"value": value, "above": above}]}])
    events = [[(40.0, 0.0, 0.0), (30.0, 1.0, np.pi)]]
    decisions, objects = decide(recipe, events, met)
    assert decisions["HLT_path"].tolist() == [fires]
    assert len(objects) == 0


def test_what_else_is_asked_spoils_all_paths_of_an_event():
    paths = [path(10.0, efficiency=0.7), path(20.0, efficiency=0.7) | {"name": "HLT_other"}]
    decisions, _ = decide(ideal(paths), [[(50.0, 0.0, 0.0)]] * 5000)
    np.testing.assert_array_equal(decisions["HLT_path"], decisions["HLT_other"])
    assert decisions["HLT_path"].mean() == pytest.approx(0.7, abs=0.03)


@pytest.fixture(scope="module")
def shipped():
    return [ObjectModel.load(path) for path in shipped_models()]


@pytest.fixture(scope="module", params=VERSIONS)
def output(request, shipped, made_nanoaod, tmp_path_factory):
    """Version, path and summary of an output."""
    path = tmp_path_factory.mktemp("fired") / "out.root"
    return (
        request.param,
        path,
        Generator(shipped, load_output()).run(made_nanoaod, path, version=request.param),
    )


def test_the_paths_of_the_version_are_there_and_say_that_they_are_emulated(output):
    version, path, summary = output
    wanted = [entry.name for entry in RECIPE.paths if entry.exists_in(version)]
    with NanoFile(path) as file:
        branches = file.branches
        decisions = file.read(wanted)
    assert [name for name in branches if name.startswith("HLT_")] == wanted
    for name in wanted:
        assert branches[name].dtype == np.dtype("bool")
        assert branches[name].title.endswith("(FlashSim: emulated)")
    assert 0 < np.mean(decisions["HLT_PFJet60"]) < 1
    (sentence,) = summary.trigger
    assert sentence.endswith(f"no simulation of the trigger: {len(wanted)} paths of the trigger, TrigObj")


def test_trigger_objects_are_whole_and_of_the_version(output):
    version, path, _ = output
    schema = load_schema("v15" if version == "v12" else version)
    with NanoFile(path) as file:
        found = {n: b for n, b in file.branches.items() if b.collection == "TrigObj"}
        arrays = file.read(list(found))
    known = {name for name, branch in schema.items() if branch.collection == "TrigObj"}
    assert found.keys() == known == {f"TrigObj_{field}" for field in FIELDS}
    for name, branch in found.items():
        real = np.dtype("int32") if (version, name) == ("v12", "TrigObj_filterBits") else schema[name].dtype
        assert branch.dtype == real, name
        assert "(FlashSim: emulated)" in branch.title
    assert set(np.unique(ak.flatten(arrays["TrigObj_id"]))) <= {11, 13}
    assert ak.all(arrays["TrigObj_filterBits"] > 0)
    assert ak.sum(ak.num(arrays["TrigObj_pt"])) > 10
    steps = ak.flatten(arrays["TrigObj_l1pt"])
    assert np.all(steps >= 0.5)


def test_an_event_that_fired_has_the_object_that_did(output):
    _, path, _ = output
    with NanoFile(path) as file:
        names = ["HLT_IsoMu24", *(f"TrigObj_{field}" for field in ("pt", "eta", "phi", "id", "filterBits"))]
        arrays = file.read([*names, "Muon_pt", "Muon_eta", "Muon_phi"])
    bits = ak.values_astype(arrays["TrigObj_filterBits"], np.int64)
    alone = (arrays["TrigObj_id"] == 13) & ((bits & 8) > 0)
    above = alone & (arrays["TrigObj_pt"] >= 24)
    assert ak.all(ak.any(above, axis=1) == arrays["HLT_IsoMu24"])
    # Each is near a muon, as analyses match them.
    eta, phi = (
        ak.cartesian([arrays[f"TrigObj_{x}"][alone], arrays[f"Muon_{x}"]], nested=True)
        for x in ("eta", "phi")
    )
    turn = (phi["0"] - phi["1"] + np.pi) % (2 * np.pi) - np.pi
    assert ak.all(ak.min(np.hypot(eta["0"] - eta["1"], turn), axis=2) < 0.1)


def test_coffea_reads_them(output):
    from coffea.nanoevents import NanoAODSchema, NanoEventsFactory

    version, path, _ = output
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        events = NanoEventsFactory.from_root(
            {str(path): "Events"}, schemaclass=NanoAODSchema, mode="eager"
        ).events()
        for field in FIELDS:
            assert len(ak.flatten(events.TrigObj[field])) == ak.sum(ak.num(events.TrigObj.pt))
        for collection in ("HLT", "Flag"):
            assert events[collection].fields
            for field in events[collection].fields:
                assert len(events[collection][field]) == len(events)
        assert ("L1PreFiringWeight" in events.fields) == (version == "v9")
        if version == "v9":
            assert ak.all(events.L1PreFiringWeight.Nom == 1)


def test_chunks_and_folds_do_not_matter(shipped, made_nanoaod, content, tmp_path):
    for name, options in {"a": {}, "b": {"chunk": 37}, "c": {"oversample": 2, "chunk": 50}}.items():
        Generator(shipped, load_output(), **options).run(made_nanoaod, tmp_path / f"{name}.root")
    one, other, folds = (content(tmp_path / f"{name}.root") for name in "abc")
    assert one == other
    fired = np.frombuffer(folds["HLT_PFJet60"][2], dtype=bool)
    np.testing.assert_array_equal(fired[::2], np.frombuffer(one["HLT_PFJet60"][2], dtype=bool))
    assert np.any(fired[::2] != fired[1::2])


def test_without_it_nothing_else_changes(shipped, made_nanoaod, content, tmp_path):
    Generator(shipped, load_output()).run(made_nanoaod, tmp_path / "a.root")
    summary = Generator(shipped, load_output(changes={"trigger": None})).run(
        made_nanoaod, tmp_path / "b.root"
    )
    with_it, without = content(tmp_path / "a.root"), content(tmp_path / "b.root")
    gone = with_it.keys() - without.keys()
    assert {name.partition("_")[0] for name in gone} == {"HLT", "TrigObj"}
    assert {name: with_it[name] for name in without} == without
    assert summary.trigger == []


def test_what_the_user_keeps_is_not_emulated(make_generator, made_nanoaod, tmp_path):
    path, rng = tmp_path / "in.root", np.random.default_rng(1)
    with NanoFile(made_nanoaod) as file, NanoWriter(path) as writer:
        schema = load_schema("v9")
        branches = [b for b in file.branches.values() if not b.name.startswith("HLT_")]
        arrays = file.read([b.name for b in branches])
        decisions = rng.random(file.num_entries) < 0.5
        decision = plan_trigger(
            RECIPE, "v9", {"Muon": [*FIELDS, "looseId", "pfRelIso04_all", "charge"]}, [], []
        )
        branches += [schema["TrigObj_pt"], decision.branches["HLT_IsoMu24"]]
        writer.tree("Events", branches)
        pt = ak.unflatten(np.ones(file.num_entries, dtype=np.float32), 1)
        writer.extend("Events", {**arrays, "TrigObj_pt": pt, "HLT_IsoMu24": decisions})
    make_generator().run(path, tmp_path / "a.root", keep=["HLT_*", "TrigObj_*"])
    with NanoFile(tmp_path / "a.root") as file:
        found = file.read(["HLT_IsoMu24", "TrigObj_pt"])
        assert "TrigObj_id" not in file.branches
        assert "HLT_IsoMu27" in file.branches
    np.testing.assert_array_equal(np.asarray(found["HLT_IsoMu24"]), decisions)
    assert ak.all(found["TrigObj_pt"] == 1)


def test_paths_of_what_no_model_simulates_are_told(make_generator, made_nanoaod, tmp_path):
    """The barely trained models are of objects, not of missing momentum."""
    summary = make_generator().run(made_nanoaod, tmp_path / "a.root")
    assert "as PFMET_pt or MET_pt is not simulated: HLT_PFMET110_PFMHT110_IDTight," in summary.trigger[1]
    with NanoFile(tmp_path / "a.root") as file:
        assert not any(name.startswith("HLT_PFMET") for name in file.branches)


def test_another_recipe_is_taken_by_path(shipped, made_nanoaod, tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text(
        "schema_version: 1\ncollection: TrigObj\ntitle: mine\n"
        "objects: {jet: {collection: Jet, resolution: [[5, 0]]}}\n"
        "filters: {jet: {of: jet, efficiency: [[5, 1]]}}\n"
        "paths: [{name: HLT_Mine, legs: [{filter: jet, pt: 30}]}]\n"
    )
    generator = Generator(shipped, load_output(changes={"trigger": str(own)}))
    generator.run(made_nanoaod, tmp_path / "a.root")
    with NanoFile(tmp_path / "a.root") as file:
        names = [n for n in file.branches if n.startswith(("HLT_", "TrigObj_"))]
        arrays = file.read(["HLT_Mine", "Jet_pt", "Jet_eta"])
    assert names == ["HLT_Mine"]
    expected = ak.any((arrays["Jet_pt"] > 30) & (abs(arrays["Jet_eta"]) < 5), axis=1)
    assert ak.all(arrays["HLT_Mine"] == expected)


def test_a_recipe_that_is_not_there_is_named(shipped):
    with pytest.raises(RecipeError, match=r"no generation recipe 'mine\.yaml'"):
        Generator(shipped, load_output(changes={"trigger": "mine.yaml"}))
