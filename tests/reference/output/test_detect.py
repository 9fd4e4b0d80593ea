"""Files that a detector gives: whole events, the same however the work is cut, readable by coffea."""

from __future__ import annotations

import json
import shutil

import awkward as ak
import numpy as np
import pytest
import uproot

from flashsim.declarations.eras import shipped_eras
from flashsim.declarations.recipes import recipe_folder
from flashsim.errors import InputFileError, OutputFileError
from flashsim.nanoaod.provenance import REFERENCE
from flashsim.nanoaod.schema import load_schema
from flashsim.reference.output.detect import detect
from flashsim.reference.recipe import load_detector

EVENTS = 12


def read(path):
    with uproot.open(path) as file:
        return file["Events"].arrays()


def assert_same_content(one, other):
    one, other = read(one), read(other)
    assert one.fields == other.fields
    for name in one.fields:
        assert ak.array_equal(one[name], other[name], equal_nan=True), name


@pytest.fixture(scope="session", params=shipped_eras())
def found(request, sample, tmp_path_factory):
    path = tmp_path_factory.mktemp("found") / "full.root"
    return request.param, path, detect(*sample, path, era=request.param, seed=5)


def test_branches_are_those_of_the_version(found, sample):
    era, path, _ = found
    schema = load_schema(load_detector("full", era).generation.nanoaod)
    with uproot.open(path) as file, uproot.open(sample.gen) as gen:
        given = set(gen["Events"].keys())
        counters = {b.count_branch.name for b in file["Events"].branches if b.count_branch is not None}
        own = [b for b in file["Events"].branches if b.name not in given | counters]
        assert file.classnames()["Events;1"] == "TTree"
        for branch in own:
            assert branch.title == schema[branch.name].title or not schema[branch.name].title
    assert own


def test_gen_level_content_is_that_of_the_input(found, sample):
    events, gen = read(found[1]), read(sample.gen)
    for name in gen.fields:
        assert ak.array_equal(events[name], gen[name], dtype_exact=name[0] != "n"), name
    with uproot.open(found[1]) as file, uproot.open(sample.gen) as source:
        for tree in ("Runs", "LuminosityBlocks"):
            assert ak.array_equal(file[tree].arrays(), source[tree].arrays())


def test_clients_get_the_same_corrections_from_the_shipped_payload(found):
    """correctionlib, applied to what the file stores, gives the stored pT; rawFactor has 6 bits there."""
    correctionlib = pytest.importorskip("correctionlib")
    era, path, _ = found
    events = read(path)
    payload = (
        recipe_folder("reference") / "corrections" / f"{load_detector('full', era).jets.corrections}.json"
    )
    compound = correctionlib.CorrectionSet.from_file(str(payload)).compound
    rho = events["fixedGridRhoFastjetAll" if era == "run2" else "Rho_fixedGridRhoFastjetAll"]
    for name, kind in (("Jet", "AK4PFchs" if era == "run2" else "AK4PFPuppi"), ("FatJet", "AK8PFPuppi")):
        jets = {f: events[f"{name}_{f}"] for f in ("pt", "eta", "area", "rawFactor")}
        jets |= {"rho": ak.broadcast_arrays(rho, jets["pt"])[0]}
        pt, eta, area, factor, density = (ak.to_numpy(ak.flatten(v)).astype(float) for v in jets.values())
        raw = pt * (1 - factor)
        given = {"JetPt": raw, "JetEta": eta, "JetA": area, "Rho": density}
        correction = compound[f"FlashSim_{era}_L1L2L3_{kind}"]
        ratio = raw * correction.evaluate(*(given[i.name] for i in correction.inputs)) / pt
        assert len(ratio) > 0, name
        assert np.median(ratio) == pytest.approx(1, abs=1e-3)
        assert ratio.std() < 2e-3


def test_objects_are_counted(found):
    _, path, detection = found
    events = read(path)
    assert detection.events == len(events)
    for name, number in detection.objects.items():
        assert ak.sum(ak.num(events[f"{name}_pt"])) == number


def test_chunks_and_processes_change_nothing(sample, found, tmp_path):
    era, path, _ = found
    for name, cut in {"chunks": {"chunk": 5}, "processes": {"chunk": 7, "workers": 2}}.items():
        detect(*sample, tmp_path / f"{name}.root", era=era, seed=5, **cut)
        assert_same_content(path, tmp_path / f"{name}.root")


def test_neither_do_they_change_the_other_detector(sample, tmp_path):
    for name, cut in {"whole": {}, "parts": {"chunk": 5, "workers": 2}}.items():
        detect(*sample, tmp_path / f"{name}.root", detector="fast", seed=5, **cut)
    assert_same_content(tmp_path / "whole.root", tmp_path / "parts.root")


@pytest.mark.filterwarnings("ignore:Missing cross-reference index for LowPtElectron", "ignore:Branch Photon_")
def test_coffea_reads_every_field(found):
    from coffea.nanoevents import NanoAODSchema, NanoEventsFactory

    path = found[1]
    tree = {str(path): "Events"}
    events = NanoEventsFactory.from_root(tree, schemaclass=NanoAODSchema, mode="eager").events()
    for name in events.fields:
        collection = events[name]
        partners = [p for p in dir(collection) if p.startswith("matched_") or p == "subjets"]
        for field in [*collection.fields, *partners]:
            assert len(ak.to_packed(getattr(collection, field))) == EVENTS, (name, field)
    muons, electrons = events.Muon, events.Electron
    for objects, partner, field in (
        (muons, muons.matched_jet, "jetIdx"),
        (electrons, electrons.matched_photon, "photonIdx"),
        (events.Jet, events.Jet.matched_gen, "genJetIdx"),
    ):
        assert ak.all(ak.is_none(partner, axis=1) == (objects[field] < 0))


def test_seed_draw_and_detector_change_it(sample, found, tmp_path):
    era, path, _ = found
    content = read(path)
    others = {"seed": {"seed": 6}, "draw": {"seed": 5, "draw": 1}, "fast": {"seed": 5, "detector": "fast"}}
    for name, options in others.items():
        detect(*sample, tmp_path / f"{name}.root", era=era, **options)
        other = read(tmp_path / f"{name}.root")
        fields = [f for f in content.fields if f.startswith(("Rho_", "fixedGridRho"))]
        assert not any(ak.array_equal(content[f], other[f]) for f in fields if np.any(content[f] > 0))


def test_provenance(found):
    era, path, _ = found
    with uproot.open(path) as file:
        told = json.loads(str(file[REFERENCE]))
    assert (told["era"], told["detector"], told["seed"], told["draw"]) == (era, "full", 5, 0)
    assert told["parameters"] == load_detector("full", era).model_dump(mode="json")
    assert told["gen"]["seed"] == 3
    assert told["minbias"]["interactions"] == 300


def test_files_that_do_not_belong_together(sample, tmp_path):
    output = tmp_path / "x.root"
    particles = shutil.copy(sample.minbias, tmp_path / "particles.root")
    with pytest.raises(
        InputFileError, match=r"particles.root: has 300 events, expected the 12 of .*gen\.root"
    ):
        detect(sample.gen, particles, sample.minbias, output)
    with pytest.raises(InputFileError, match=r"gen\.root: lacks GenStable_pt"):
        detect(sample.gen, sample.gen, sample.minbias, output)
    with pytest.raises(InputFileError, match=r"gen\.root: lacks GenStable_pt.* to make pileup of it"):
        detect(sample.gen, sample.particles, sample.gen, output)
    with pytest.raises(InputFileError, match=r"particles\.root: lacks"):
        detect(sample.particles, sample.particles, sample.minbias, output)
    assert not output.exists()


def test_outputs_are_whole_and_not_replaced_unasked(sample, found):
    with pytest.raises(OutputFileError, match=r"full.root: exists already"):
        detect(*sample, found[1])
