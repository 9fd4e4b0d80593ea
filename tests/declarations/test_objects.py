from __future__ import annotations

import copy
import json

import awkward as ak
import numpy as np
import pytest

from flashsim.declarations.objects import ObjectDeclaration, Target, load_object
from flashsim.declarations.recipes import parse_recipe, read_yaml, recipe_folder
from flashsim.errors import RecipeError
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.schema import detect_version, load_schema
from flashsim.transforms.codec import allows

SHIPPED = sorted(p.stem for p in recipe_folder("preprocessing").glob("*.yaml") if p.stem != "gen")
FULLSIM = (
    *("tt_2018_v5", "wjets_2015_v9", "sms_v9", "tt_2022_v12"),
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("dy_2018_v6", "tt_2024_v15")),
)

# What a few real files hold beyond the declarations: generation then gives the nearest allowed value.
NOT_ALLOWED = {"Jet_btagDeepFlavB": {-3000.0}}

SMALL = {
    "schema_version": 1,
    "name": "things",
    "collection": "Jet",
    "gen": "GenJet",
    "match": "genJetIdx",
    "gen_view": {
        "schema_version": 1,
        "collections": {
            "GenJet": {"branch": "GenJet", "fields": ["pt", "eta", "phi", "index"]},
            "GenMuon": {"branch": "GenPart", "fields": ["pt", "eta", "phi"], "abs_pdg_id": [13]},
        },
    },
    "conditioning": [
        {"kind": "field", "name": "pt", "field": "pt", "scale": "log"},
        {"kind": "closest", "name": "muon", "of": "GenMuon", "cone": 0.4},
    ],
    "targets": [
        {"branch": "pt", "relation": "ratio"},
        {"branch": "eta", "relation": "difference"},
        {"branch": "phi", "relation": "angle"},
    ],
    "derived": [{"branch": "double", "source": "reco", "field": "pt", "factor": 2.0}],
    "unmatched": [
        {
            "name": "event",
            "source": "event",
            "conditioning": [{"kind": "event", "name": "nPU", "branch": "Pileup_nPU"}],
        }
    ],
}


def changed(*path, value):
    content = copy.deepcopy(SMALL)
    place = content
    for key in path[:-1]:
        place = place[key]
    if isinstance(place, list) and path[-1] == len(place):
        place.append(value)
    else:
        place[path[-1]] = value
    return content


def parsed(content):
    return parse_recipe(ObjectDeclaration, content, origin="things.yaml")


def test_the_small_declaration_is_valid():
    assert parsed(SMALL).references() == ["eta", "phi", "pt"]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (changed("colour", value=1), "colour: is no key of this recipe"),
        (changed("targets", 0, "colour", value=1), r"targets\.0\.colour: is no key"),
        (changed("conditioning", 0, "colour", value=1), r"conditioning\.0\.field\.colour: is no key"),
        (changed("conditioning", 0, "kind", value="smell"), r"conditioning\.0"),
        (changed("conditioning", value=[]), "conditioning: .*at least 1"),
        (changed("schema_version", value=2), "schema_version"),
        (changed("gen", value="GenTau"), r"unknown gen collections \['GenTau'\]"),
        (changed("conditioning", 0, "field", value="mass"), r"GenJet lacks the fields \['mass'\]"),
        (changed("conditioning", 1, "shares", value=["mass"]), r"GenMuon lacks the fields \['mass'\]"),
        (changed("conditioning", 2, value=SMALL["conditioning"][0]), r"declared twice: \['pt'\]"),
        (changed("targets", 3, value=SMALL["targets"][0]), r"branch declared twice: \['pt'\]"),
        (changed("targets", 1, "branch", value="mass"), "lacks the fields|targets lack"),
        (changed("targets", 0, value={"branch": "pt", "relation": "excess"}), "needs a threshold"),
        (changed("targets", 0, "range", value=[1, 0]), "does not rise"),
        (changed("targets", 0, "values", value=[]), "values lists all"),
        (changed("targets", 0, "since", value="v1"), "unknown NanoAOD version 'v1'"),
        (changed("targets", 0, value={"branch": "pt", "since": "v9", "until": "v5"}), "only until v5"),
        (changed("derived", 0, "field", value="mass"), r"need \['mass'\], which are no targets"),
        (changed("derived", 0, "value", value=1.0), "a constant needs a value"),
        (changed("gen_view", "collections", "GenJet", "fields", value=["pt"]), "lacks"),
        (changed("gen_view", "collections", "GenJet", "any_flags", value=["isPrompt"]), "select GenPart"),
        (
            changed("gen_view", "collections", "GenMuon", "all_flags", value=["isNice"]),
            "unknown status flag ",
        ),
        (
            changed(
                "gen_view", "collections", "GenJet", "clean", value={"of": "X", "cone": 1, "min_share": 0}
            ),
            "unknown collection 'X'",
        ),
        (
            changed(
                "gen_view",
                "collections",
                "GenJet",
                "clean",
                value={"of": "GenJet", "cone": 1, "min_share": 0},
            ),
            "itself cleaned",
        ),
        (
            changed("unmatched", 0, "conditioning", 0, value=SMALL["conditioning"][1]),
            r"'muon' \(closest\) belongs to an object",
        ),
        (
            changed(
                "conditioning",
                1,
                value={"kind": "activity", "name": "a", "of": "GenJet", "inner": 1, "outer": 1},
            ),
            "not beyond the inner",
        ),
        (changed("conditioning", 1, "without", value="GenMuon"), "'without' goes with 'rest: true'"),
        (
            changed("conditioning", 1, value=SMALL["conditioning"][1] | {"rest": True, "without": "Lepton"}),
            r"unknown gen collections \['Lepton'\]",
        ),
    ],
)
def test_faults_are_named(content, fault):
    with pytest.raises(RecipeError, match=fault) as caught:
        parsed(content)
    assert str(caught.value).startswith("things.yaml: ")


def test_fewer_targets_take_what_derives_from_them_along():
    declaration = parsed(SMALL).with_targets({"eta", "phi"})
    assert [t.branch for t in declaration.targets] == ["eta", "phi"]
    assert declaration.derived == []


def test_unmatched_objects_of_events_relate_to_nothing():
    (event,) = parsed(SMALL).unmatched
    assert {t.reference for t in event.related(parsed(SMALL).targets)} == {None}


def test_an_own_file_finds_the_gen_view_beside_it_or_the_shipped_one(tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text((recipe_folder("preprocessing") / "jets.yaml").read_text())
    assert load_object(str(own)).gen_view == load_object("jets").gen_view
    (tmp_path / "gen.yaml").write_text("schema_version: 1\ncollections: {}")
    with pytest.raises(RecipeError, match="unknown gen collections"):
        load_object(str(own))
    (tmp_path / "other.yaml").write_text(own.read_text().replace("gen_view: gen.yaml", "gen_view: none.yaml"))
    with pytest.raises(RecipeError, match=r"none\.yaml: cannot be read"):
        load_object(str(tmp_path / "other.yaml"))


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_declarations_survive_json(name):
    declaration = load_object(name)
    assert ObjectDeclaration.model_validate_json(declaration.model_dump_json()) == declaration


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("key", ["conditioning", "targets", "derived", "unmatched"])
def test_an_unknown_key_in_a_shipped_declaration_is_named(name, key):
    content = read_yaml(recipe_folder("preprocessing") / f"{name}.yaml")
    if key not in content:
        pytest.skip(f"{name} has no {key}")
    if isinstance(content["gen_view"], str):
        content["gen_view"] = read_yaml(recipe_folder("preprocessing") / content["gen_view"])
    entry = content[key][0] if isinstance(content[key], list) else content[key]
    entry["colour"] = "blue"
    with pytest.raises(RecipeError, match=rf"{key}.*colour: is no key"):
        parsed(content)


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("version", ["v5", "v6", "v9", "v12", "v15"])
def test_targets_are_in_the_schema_of_their_versions(name, version):
    declaration = load_object(name)
    schema = load_schema(version)
    there = [target for target in declaration.targets if target.exists_in(version)]
    declared = {branch for target in there for branch in declaration.sources(target)}
    assert declared - set(schema) <= {"Jet_puIdDisc", "Jet_btagDeepC", "Jet_btagDeepFlavC"}


@pytest.mark.parametrize("sample", FULLSIM)
def test_real_values_are_allowed(nanoaod_dir, sample):
    with NanoFile(nanoaod_dir / f"{sample}.root") as file:
        version = detect_version(file.branches)
        declared = [(d, t) for d in map(load_object, SHIPPED) for t in d.targets]
        targets = {d.branch(t.branch): t for d, t in declared if d.sources(t) == [d.branch(t.branch)]}
        there = [branch for branch in targets if file.has(branch)]
        arrays = file.read(there)
    assert {"Jet_pt", "Muon_pt"} <= set(there)
    for branch in there:
        assert targets[branch].exists_in(version), branch
        values = np.asarray(ak.flatten(arrays[branch], axis=None)).astype(np.float64)
        assert set(values[~allows(targets[branch], values)]) <= NOT_ALLOWED.get(branch, set()), branch


@pytest.mark.parametrize(("name", "older"), [("muons", "spread"), ("event", "balances")])
def test_keys_of_older_models_are_read(name, older):
    declaration = load_object(name)
    text = declaration.model_dump_json()
    renamed = text.replace('"dequantise":', '"spread":').replace('"recoils":', '"balances":')
    assert older in renamed
    assert older not in text
    assert ObjectDeclaration.model_validate_json(renamed) == declaration


def test_an_event_without_its_recoil_knows_what_is_expected():
    """As of files of a NanoAOD version that calls it otherwise: it conditions what is left."""
    event = load_object("event")
    left = event.with_targets({"MET_sumEt"})
    assert left.fields() == ["MET_sumEt"]
    known = {"MET_expected", "MET_axis", "MET_genAlong", "MET_genAcross"}
    assert left.computed_fields() == event.computed_fields() == known
    assert ObjectDeclaration.model_validate(left.model_dump()) == left
    with pytest.raises(ValueError, match="targets has one and lacks the other"):
        ObjectDeclaration.model_validate(event.with_targets({"MET_sumEt", "MET_along"}).model_dump())


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"per": "event"}, "cannot be made from GenJet, which is GenJet"),
        ({"match": ""}, "an object needs match"),
    ],
)
def test_events_and_objects_are_declared_apart(changes, fault):
    with pytest.raises(RecipeError, match=fault):
        parsed(SMALL | changes)


RATIO = {"branch": "mass", "relation": "ratio", "to": "pt * conditioning.pt + gen.pt"}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            {"kind": "formula", "branch": "none", "expression": "pt"},
            r"needs \['none'\], which are no targets",
        ),
        (
            {"kind": "formula", "branch": "pt", "expression": "none"},
            r"needs \['none'\], which are no targets",
        ),
        ({"kind": "formula", "branch": "pt", "expression": "pt + 1"}, "is a function of itself"),
        ({"kind": "formula", "branch": "pt", "expression": "eta +"}, "is no expression"),
        (
            {"kind": "formula", "branch": "pt", "expression": "gen.mass"},
            r"GenJet lacks the fields \['mass'\]",
        ),
        ({"kind": "formula", "branch": "pt", "expression": "conditioning.rho"}, r"columns \['rho'\], which"),
        ({"kind": "simplex", "of": ["pt", "pt"]}, "are not distinct"),
        ({"kind": "simplex", "of": ["pt", "eta"], "floors": {"phi": "1"}}, "which are none of the fractions"),
        ({"kind": "simplex", "of": ["pt", "eta"], "floors": {"pt": "eta"}}, "are fractions themselves"),
        ({"kind": "conditional", "branch": "pt", "where": "pt > 5", "elsewhere": 0}, "is about itself"),
        (
            {"kind": "probabilities", "classes": ["b", "c"], "outputs": {}, "drawn": ["pt"]},
            "expected 1 of",
        ),
        (
            {
                "kind": "probabilities",
                "classes": ["b", "c"],
                "outputs": {"pt": {"of": ["b"], "among": ["b"]}},
                "drawn": ["pt"],
            },
            "'of' is no part of 'among'",
        ),
    ],
)
def test_faults_of_relations_are_said(change, problem):
    with pytest.raises(RecipeError, match=problem):
        parse_recipe(ObjectDeclaration, changed("relations", value=[change]), origin="test")


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ({"branch": "mass", "scale": "pt"}, "mass: 'scale' needs a relation"),
        ({"branch": "mass", "relation": "difference", "scale": "2 * mass"}, "is related to itself"),
        ({"branch": "mass", "relation": "difference", "to": "mass"}, "is related to itself"),
        ({"branch": "mass", "relation": "difference", "to": "pt", "scale": "gen.width"}, "lacks the fields"),
    ],
)
def test_faults_of_scales_are_said(target, problem):
    with pytest.raises(RecipeError, match=problem):
        parse_recipe(ObjectDeclaration, changed("targets", 3, value=target), origin="test")


def test_scales_go_with_the_branches_that_are_there():
    target = {"branch": "mass", "relation": "difference", "to": "pt", "scale": "1 + eta"}
    declaration = ObjectDeclaration.model_validate(changed("targets", 3, value=target))
    (_, mass) = declaration.with_targets({"pt", "mass"}).targets
    assert (mass.relation, mass.to, mass.scale) == ("difference", "pt", None)
    (_, mass) = declaration.with_targets({"eta", "mass"}).targets
    assert (mass.relation, mass.to, mass.scale) == ("none", None, None)
    # Sources relate targets in their own way.
    mass = Target.model_validate(target).related("ratio")
    assert (mass.relation, mass.to, mass.scale) == ("ratio", None, None)


def test_relations_go_with_the_branches_that_are_there():
    content = changed("targets", 3, value=RATIO)
    content["relations"] = [
        {"kind": "formula", "branch": "eta", "expression": "2 * phi + conditioning.pt"},
        {"kind": "simplex", "of": ["pt", "eta", "phi"], "floors": {"pt": "conditioning.pt * mass"}},
    ]
    declaration = ObjectDeclaration.model_validate(content)
    assert declaration.references() == ["eta", "phi", "pt"]
    assert declaration.related_conditioning() == ["pt"]
    (simplex,) = declaration.with_targets({"pt", "eta"}).relations
    assert (simplex.of, simplex.floors) == (["pt", "eta"], {})
    assert declaration.with_targets({"mass", "eta"}).targets[1].relation == "none"
    # An object without a gen object has none of its fields, and other conditioning.
    (event,) = declaration.unmatched
    assert [target.relation for target in event.related(declaration.targets)] == ["none"] * 4
    assert [(exact.kind, exact.floors) for exact in event.exact(declaration.relations)] == [("simplex", {})]


def test_payloads_are_read_beside_the_recipe_or_from_the_shipped_ones(tmp_path):
    correction = {"name": "FlashSim_run2_L1L2L3_AK4PFchs", "inputs": {"JetPt": "pt"}}
    content = changed("targets", 3, value={"branch": "raw"})
    content["relations"] = [
        {
            "kind": "formula",
            "branch": "raw",
            "expression": "pt / jec",
            "corrections": {"jec": correction | {"file": "run2.json"}},
        }
    ]
    recipe = tmp_path / "things.yaml"
    recipe.write_text(json.dumps(content), encoding="utf-8")
    payload = json.loads(load_object(str(recipe)).relations[0].corrections["jec"].payload)
    assert [entry["name"].split("_")[2] for entry in payload["corrections"]] == [
        "L1FastJet",
        "L2Relative",
        "L3Absolute",
    ]
    (tmp_path / "run2.json").write_text('{"schema_version": 2, "corrections": []}', encoding="utf-8")
    with pytest.raises(RecipeError, match=r"run2.json: expected a payload .* with the correction 'FlashSim"):
        load_object(str(recipe))
