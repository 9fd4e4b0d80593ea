"""Files that a detector gives: whole events, the same however the work is cut, readable by coffea."""

from __future__ import annotations

import json
import shutil

import awkward as ak
import numpy as np
import pytest
import uproot
from coffea.nanoevents import NanoAODSchema, NanoEventsFactory
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from flashsim.errors import InputFileError, OutputFileError, RecipeError
from flashsim.gen import generate_gen
from flashsim.interface.inspection import inspect, shipped_objects
from flashsim.nanoaod.mantissa import observed_bits
from flashsim.nanoaod.schema import load_schema, mantissa_bits
from flashsim.reference import detect
from flashsim.transforms.codec import allows

EVENTS = 40
OBJECTS = {declaration.collection: declaration for declaration in shipped_objects("object")}


@pytest.fixture(scope="module")
def pair(command_file, tmp_path_factory):
    """Gen-level events and their hidden variables."""
    folder = tmp_path_factory.mktemp("pair")
    gen, hidden = folder / "gen.root", folder / "hidden.root"
    generate_gen(command_file("ttbar"), gen, events=EVENTS, seed=3, hidden=hidden)
    return gen, hidden


@pytest.fixture(scope="module", params=["full", "fast"])
def found(request, pair, tmp_path_factory):
    path = tmp_path_factory.mktemp("found") / f"{request.param}.root"
    return path, detect(*pair, path, detector=request.param, seed=5)


@pytest.fixture(scope="module")
def whole(pair, tmp_path_factory):
    """All events in one chunk."""
    path = tmp_path_factory.mktemp("whole") / "full.root"
    detect(*pair, path, seed=5)
    return path


def read(path):
    with uproot.open(path) as file:
        return file["Events"].arrays()


def assert_same_content(one, other):
    one, other = read(one), read(other)
    assert one.fields == other.fields
    for name in one.fields:
        assert ak.array_equal(one[name], other[name]), name


def test_every_target_is_written_and_allowed(found):
    events = read(found[0])
    for collection, declaration in OBJECTS.items():
        for target in declaration.targets:
            if not target.exists_in("v9"):
                continue
            values = ak.to_numpy(ak.flatten(events[f"{collection}_{target.branch}"]))
            assert np.isfinite(values).all()
            assert allows(target, values).all(), target.branch
        for derived in declaration.derived:
            assert f"{collection}_{derived.branch}" in events.fields


def test_branches_are_those_of_nanoaod(found):
    schema = load_schema("v9")
    with uproot.open(found[0]) as file:
        tree = file["Events"]
        assert file.classnames()["Events;1"] == "TTree"
        counters = {f"n{branch.collection}" for branch in schema.values() if branch.jagged}
        for branch in tree.branches:
            if branch.name not in counters and schema[branch.name].title:
                assert branch.title == schema[branch.name].title
    events = read(found[0])
    for name in ("Jet_pt", "Muon_dxy", "Muon_softMva", "MET_phi", "PV_z", "fixedGridRhoFastjetAll"):
        flat = ak.to_numpy(ak.flatten(events[name], axis=None))
        assert flat.dtype == schema[name].dtype
        assert observed_bits(flat) <= (mantissa_bits("v9", name) or 23)


def test_counters_are_unsigned_as_in_v9(found, pair):
    for path in (found[0], *pair):
        with uproot.open(path) as file:
            counters = [b.count_branch for b in file["Events"].branches if b.count_branch is not None]
            assert {counter.typename for counter in counters} == {"uint32_t"}


def test_objects_are_ordered_and_linked(found):
    events = read(found[0])
    for collection in OBJECTS:
        pt = events[f"{collection}_pt"]
        assert ak.all(pt[:, :-1] >= pt[:, 1:])
    jet = events.Muon_jetIdx
    assert ak.all((jet >= -1) & (jet < ak.num(events.Jet_pt)))
    back = events.Jet_muonIdx1[jet[jet >= 0]]
    second = events.Jet_muonIdx2[jet[jet >= 0]]
    own = ak.local_index(jet)[jet >= 0]
    third = events.Jet_nMuons[jet[jet >= 0]] > 2
    assert ak.all((back == own) | (second == own) | third)


def test_gen_indices_point_at_what_was_reconstructed(found):
    events = read(found[0])
    index = events.Muon_genPartIdx
    real = index >= 0
    gen = {name: events[f"GenPart_{name}"][index[real]] for name in ("pt", "eta", "pdgId", "status")}
    assert ak.all(np.abs(gen["pdgId"]) == 13)
    assert ak.all(gen["status"] == 1)
    assert ak.all(np.abs(gen["eta"] - events.Muon_eta[real]) < 0.05)
    assert ak.mean(np.abs(events.Muon_pt[real] / gen["pt"] - 1.0) < 0.1) > 0.95
    index = events.Jet_genJetIdx
    assert ak.all(index < ak.num(events.GenJet_pt))
    eta = events.GenJet_eta[index[index >= 0]]
    assert ak.mean(np.abs(eta - events.Jet_eta[index >= 0]) < 0.2) > 0.98


def test_gen_level_content_is_that_of_the_input(found, pair):
    events, gen = read(found[0]), read(pair[0])
    for name in gen.fields:
        assert ak.array_equal(events[name], gen[name]), name
    with uproot.open(found[0]) as file, uproot.open(pair[0]) as source:
        for tree in ("Runs", "LuminosityBlocks"):
            assert ak.array_equal(file[tree].arrays(), source[tree].arrays())


def test_coffea_reads_it(found, monkeypatch):
    monkeypatch.setattr(NanoAODSchema, "warn_missing_crossrefs", False)
    file = NanoEventsFactory.from_root(
        {str(found[0]): "Events"}, schemaclass=NanoAODSchema, mode="virtual"
    ).events()
    matched = file.Jet.matched_gen
    close = ak.drop_none(file.Jet.delta_r(matched))
    assert ak.mean(close < 0.3) > 0.97
    muon = ak.drop_none(file.Muon.matched_gen)
    assert ak.all(np.abs(muon.pdgId) == 13)
    assert ak.all(ak.drop_none(file.Muon.matched_jet.pt) >= 15.0)


def test_flashsim_can_train_on_it_and_generate_from_it(found):
    text = inspect(str(found[0]))
    assert text["nanoaod_version"] == "v9"
    for use in text["objects"].values():
        assert use["preprocess"]["possible"]
        assert use["missing_targets"] in ([], ["btagCMVA"])


def test_provenance(found, pair):
    with uproot.open(found[0]) as file:
        content = json.loads(str(file["flashsim_reference"]))
    assert content["detector"] == found[0].stem
    assert (content["seed"], content["draw"]) == (5, 0)
    assert content["parameters"]["muons"]["threshold"] == 3.0
    assert content["gen"]["seed"] == 3


@settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(chunk=7)
@given(chunk=st.integers(8, EVENTS - 1))
def test_chunks_do_not_matter(pair, whole, tmp_path, chunk):
    again = tmp_path / "again.root"
    detect(*pair, again, seed=5, chunk=chunk, force=True)
    assert_same_content(whole, again)


def test_draws_and_seeds_differ_in_everything_reconstructed(pair, whole, tmp_path):
    files = [whole]
    for seed, draw in ((5, 1), (6, 0)):
        files.append(tmp_path / f"{seed}_{draw}.root")
        detect(*pair, files[-1], seed=seed, draw=draw)
    events = [read(file) for file in files]
    for name in ("MET_pt", "fixedGridRhoFastjetAll"):
        assert not np.any(events[0][name] == events[1][name])
        assert not np.any(events[0][name] == events[2][name])
    assert not ak.array_equal(ak.flatten(events[0].Jet_pt), ak.flatten(events[1].Jet_pt))
    assert ak.array_equal(events[0].GenJet_pt, events[1].GenJet_pt)


def test_detectors_share_the_pileup_density_only(pair, whole, tmp_path):
    detect(*pair, tmp_path / "fast.root", detector="fast", seed=5)
    full, fast = read(whole), read(tmp_path / "fast.root")
    rho = (full.fixedGridRhoFastjetAll, fast.fixedGridRhoFastjetAll)
    assert np.corrcoef(*map(np.asarray, rho))[0, 1] > 0.99
    assert not np.any(full.MET_pt == fast.MET_pt)


def test_parameters_of_a_users_own(pair, tmp_path):
    from flashsim.declarations.recipes import recipe_folder

    text = (recipe_folder("reference") / "full.yaml").read_text()
    (tmp_path / "mine.yaml").write_text(text.replace("threshold: 3.0  #", "threshold: 20.0  #"))
    detect(*pair, tmp_path / "mine.root", parameters=tmp_path / "mine.yaml")
    assert ak.min(read(tmp_path / "mine.root").Muon_pt) > 20.0
    (tmp_path / "broken.yaml").write_text(text + "\nnonsense: 1\n")
    with pytest.raises(RecipeError, match=r"broken.yaml: nonsense: is no key of this recipe"):
        detect(*pair, tmp_path / "x.root", parameters=tmp_path / "broken.yaml")
    with pytest.raises(RecipeError, match="no reference recipe 'none'"):
        detect(*pair, tmp_path / "x.root", detector="none")


def test_files_that_do_not_belong_together(pair, command_file, tmp_path):
    gen, hidden = tmp_path / "gen.root", tmp_path / "hidden.root"
    generate_gen(command_file("ttbar"), gen, events=3, seed=3, hidden=hidden)
    with pytest.raises(InputFileError, match=f"hidden.root: has 3 events, expected the {EVENTS} of"):
        detect(pair[0], hidden, tmp_path / "x.root")
    with pytest.raises(InputFileError, match="branch 'HiddenJet_nConstituents' is missing"):
        detect(gen, gen, tmp_path / "x.root")
    with pytest.raises(InputFileError, match=r"hidden.root: lacks .*; make it with"):
        detect(hidden, hidden, tmp_path / "x.root")
    assert not (tmp_path / "x.root").exists()


def test_outputs_are_not_replaced_unasked(pair, tmp_path):
    shutil.copy(pair[0], tmp_path / "full.root")
    with pytest.raises(OutputFileError, match="exists already"):
        detect(*pair, tmp_path / "full.root")
    detect(*pair, tmp_path / "full.root", force=True)
    assert "Jet_pt" in read(tmp_path / "full.root").fields
