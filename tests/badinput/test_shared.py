"""The inputs in ``../shared/cases`` that once went wrong, each with the value that is right."""

from __future__ import annotations

from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot
from judge.columns import content

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"
_HERE = ("--device", "cpu", "--threads", "1")
PROMPT = 1


@pytest.fixture
def case():
    """Give the function that gives the path of a case."""

    def find(name):
        if not (CASES / name).exists():
            pytest.skip(f"there is no {CASES / name}")
        return CASES / name

    return find


@pytest.fixture
def gen(case, console, tmp_path):
    """Give the function that runs `flashsim gen` on a case."""

    def run(name, *options):
        return console.run("gen", case(f"gen/{name}"), "-o", "g.root", *options, folder=tmp_path, seconds=300)

    return run


@pytest.fixture
def events(gen, tmp_path):
    """Give the function that makes the events of a case: what is said, and the branches."""

    def make(name, *options):
        ended = gen(name, *options)
        assert (ended.status, ended.faults) == (0, []), ended.err
        with uproot.open(tmp_path / "g.root") as file:
            return f"{ended.out}{ended.err}", file["Events"].arrays(), file["Runs"].arrays()

    return make


@pytest.fixture
def refused(tmp_path):
    def check(ended, *words):
        assert (ended.status, ended.faults) == (2, []), ended.err
        assert len(ended.sentences) == 1
        assert [word for word in words if not ended.says(word)] == [], ended.err
        assert list(tmp_path.iterdir()) == []

    return check


def final(events, pdg_id, min_pt=0.0):
    """Which particles are stable, of a kind and above a pT."""
    return (abs(events.GenPart_pdgId) == pdg_id) & (events.GenPart_status == 1) & (events.GenPart_pt > min_pt)


def test_sherpa(events):
    said, found, runs = events("sherpa22_hepmc2.hepmc")
    assert "weight 'Weight' of 146" in said
    np.testing.assert_allclose(found.genWeight, [255, 553, 1742, 6918, 12174, 0.63], rtol=0.005)
    np.testing.assert_allclose(runs.genEventSumw, [21641], rtol=1e-4)
    electrons = final(found, 11, 5.0)
    assert ak.sum(electrons) == 12
    assert ak.all(found.GenPart_statusFlags[electrons] & PROMPT)
    assert ak.all(ak.any(found.GenPart_status == 21, axis=1))


def test_copies_of_the_beams(events, console, stock, tmp_path):
    flags = []
    for name in ("sh_copy", "sh_nocopy"):
        _, found, _ = events(f"{name}.hepmc")
        muons = final(found, 13)
        assert ak.all(found.GenPart_statusFlags[muons] & PROMPT)
        flags.append(found.GenPart_statusFlags[muons].to_list())
        (tmp_path / "g.root").rename(tmp_path / f"{name}.root")
        options = ("-m", stock["muons"], "-o", "f.root", *_HERE, "--force")
        done = console.run("generate", f"{name}.root", *options, folder=tmp_path)
        assert done.status == 0, done.err
        with uproot.open(tmp_path / "f.root") as file:
            flavours = file["Events"]["Muon_genPartFlav"].array()
        assert ak.sum(flavours == 1) > 0
        assert ak.sum(flavours == 3) == 0
    assert flags[0] == flags[1]


@pytest.mark.parametrize(
    ("name", "weight", "value", "section"),
    [("hepmc3_like", "Weight", 1.0, "1 "), ("mg5_like", "Weight_MERGING=0.000", 1.0, "1500 ")],
)
def test_the_nominal_weight_by_name(events, name, weight, value, section):
    said, found, runs = events(f"{name}.hepmc")
    assert f"weight '{weight}'" in said
    assert f"cross section {section}" in said
    assert found.genWeight.to_list() == [value] * len(found)
    assert runs.genEventSumw.to_list() == [value * len(found)]


def test_a_cycle_of_vertices(gen):
    ended = gen("vertex_cycle.hepmc")
    assert ended.faults == []
    assert ended.status == 0, ended.err


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nan_energy.hepmc.gz", (r"nan_energy\.hepmc\.gz", "event 1", "particle 1", "nan")),
        ("huge.hepmc", (r"huge\.hepmc", "event 3", r"1e\+300")),
        ("noproc.cmnd", (r"noproc\.cmnd", "no process switched on")),
        ("lhapdf.cmnd", (r"lhapdf\.cmnd", "LHAPDF")),
        ("slha.cmnd", (r"slha\.cmnd", r"nothere\.spc")),
        ("include_loop.cmnd", (r"include_loop\.cmnd", "include")),
    ],
)
def test_generators_input_that_is_refused(gen, refused, name, words):
    refused(gen(name), *words)


@pytest.mark.parametrize(("name", "number"), [("emptyev.hepmc", 3), ("py_empty.hepmc", 4)])
def test_an_event_without_particles(events, name, number):
    said, found, runs = events(name)
    assert "1 event has no particles" in said
    assert len(found) == number
    assert ak.sum(ak.num(found.GenPart_pt) == 0) == 1
    assert runs.genEventCount.to_list() == [number]


@pytest.mark.parametrize(
    ("name", "weight"), [("h2newline.hepmc", "Weight_MERGING=0.000"), ("space_dup.hepmc", "Default")]
)
def test_names_of_weights(events, name, weight):
    said, found, _ = events(name)
    assert f"weight '{weight}' of 3" in said
    assert ak.all(np.isfinite(found.genWeight))


@pytest.mark.slow
def test_powheg(events):
    said, found, runs = events("powheg_z.lhe.gz", "-n", "10")
    assert "cross section 1205 +- 2 pb" in said
    assert len(found) == 10
    # Incoming and outgoing partons, not the Z between them, as CMS keeps them.
    assert ak.all(ak.num(found.LHEPart_pt) == 5)
    leptons = final(found, 11, 5.0)
    assert ak.all(ak.any(leptons, axis=1))
    assert ak.all(found.GenPart_statusFlags[leptons & (found.GenPart_statusFlags & 256 > 0)] & PROMPT)
    assert (found.genWeight > 0).to_list() == [True] * 10
    np.testing.assert_allclose(runs.genEventSumw, [ak.sum(found.genWeight)], rtol=1e-6)


@pytest.fixture
def generate(case, console, made_models, tmp_path):
    """Give the function that runs `flashsim generate` on a case."""

    def run(name, *options, models=made_models):
        named = ("-m", models, "-o", "f.root", *_HERE, *options)
        return console.run("generate", case(f"nanoaod/{name}.root"), *named, folder=tmp_path)

    return run


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("pdgid_short", ("GenPart_pdgId", "19 values", "expected 20")),
        ("mother_short", ("GenPart_genPartIdxMother", "19 values", "expected 20")),
        ("genjet_eta_flat", ("GenJet_eta", "one for each event", "a list for each event")),
        ("genjet_nan", ("GenJet_pt", "NaN or infinite in 12 of 70")),
        ("nanogen_nopileup", ("Pileup_", "--pileup")),
    ],
)
def test_nanoaod_that_is_refused(generate, refused, name, words):
    refused(generate(name), rf"{name}\.root", *words)


def test_a_second_tree(generate, tmp_path):
    ended = generate("friends", "--oversample", "3")
    assert (ended.status, ended.faults) == (0, []), ended.err
    assert "left out" in ended.err
    with uproot.open(tmp_path / "f.root") as file:
        trees = set(file.keys(cycle=False, filter_classname="TTree"))
        events = file["Events"].num_entries
    assert "Events" in trees
    assert trees <= {"Events", "Runs", "LuminosityBlocks"}
    assert events == 36


def test_no_pileup_with_a_profile(generate, tmp_path):
    ended = generate("nanogen_nopileup", "--pileup", "drawn")
    assert (ended.status, ended.faults) == (0, []), ended.err
    found = content(tmp_path / "f.root")
    for name in ("nTrueInt", "gpudensity"):
        values = np.frombuffer(found[f"Events/Pileup_{name}"][2], dtype=found[f"Events/Pileup_{name}"][0])
        assert np.isfinite(values).all()
        assert (values >= 0).all()
        assert values.max() > 0


@pytest.mark.parametrize(
    "name", ["model_one_nan.safetensors", "model_all_nan.safetensors", "model_depth_1e9.safetensors"]
)
def test_models(name, case, console, stock, refused, tmp_path):
    path = case(f"files/{name}")
    ended = console.run("generate", stock["gen"], "-m", path, "-o", "f.root", *_HERE, folder=tmp_path)
    refused(ended, name.replace(".", r"\."))
    assert ended.seconds < 20


def test_a_refiner(case, console, stock, refused, tmp_path):
    path = case("files/refiner_one_nan.safetensors")
    ended = console.run("refine", "apply", stock["fast"], "-m", path, "-o", "f.root", folder=tmp_path)
    refused(ended, r"refiner_one_nan\.safetensors")


def test_a_date_in_a_recipe(case, console, stock, refused, tmp_path):
    path = case("files/bad_date.yaml")
    refused(
        console.run("preprocess", path, stock["full"], "-o", "out", folder=tmp_path),
        r"bad_date\.yaml",
        "line",
    )
