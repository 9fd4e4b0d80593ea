from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from flashsim.cli.rendering import render
from flashsim.declarations.output import load_output
from flashsim.errors import InputFileError, ModelFileError
from flashsim.generation.generate import Generator
from flashsim.interface.inspection import inspect, shipped_objects
from flashsim.models.object_model import ObjectModel
from flashsim.models.shipped import shipped_models
from flashsim.nanoaod.branch import Branch
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.writing import NanoWriter


@pytest.fixture(scope="module")
def of_made(made_nanoaod):
    return inspect(str(made_nanoaod))


@pytest.fixture(scope="module")
def of_model(made_models):
    return inspect(str(made_models / "jets.safetensors"))


def test_all_shipped_objects_are_asked():
    names = {"electrons", "event", "jets", "muons", "vertices"}
    assert {declaration.name for declaration in shipped_objects()} == names
    assert [declaration.name for declaration in shipped_objects("event")] == ["event", "vertices"]


def test_nanoaod(of_made):
    assert (of_made["kind"], of_made["container"], of_made["events"]) == ("nanoaod", "TTree", 240)
    assert of_made["nanoaod_version"] == "v9"
    assert of_made["collections"]["Tau"] == 2
    assert of_made["branches"] == sum(of_made["collections"].values()) + of_made["event_branches"]
    assert set(of_made["trees"]) == {"Runs", "LuminosityBlocks"}
    assert of_made["flashsim"] is None
    assert json.loads(json.dumps(of_made)) == of_made
    for name, use in of_made["objects"].items():
        # Of the missing transverse momentum made events have nothing whole that a model could learn.
        assert use["preprocess"]["possible"] == (not use["preprocess"]["missing"]) == (name != "event")
        assert use["generate"] == {"possible": True, "missing": [], "drawn": [], "needs_pileup": False}


def test_what_generate_would_write_is_what_it_writes(made_nanoaod, of_made, made_models, tmp_path):
    paths = shipped_models() or sorted(made_models.glob("*.safetensors"))
    output = tmp_path / "out.root"
    Generator([ObjectModel.load(path) for path in paths], load_output()).run(made_nanoaod, output)
    planned, made = of_made["output"], inspect(str(output))
    origins = planned["origins"]
    assert made["flashsim"]["origins"] == origins
    names = [
        n for origin, groups in origins.items() if origin != "absent" for g in groups.values() for n in g
    ]
    with NanoFile(output) as file:
        assert sorted(names) == sorted(file.branches)
    assert planned["copied"] == sum(map(len, origins["copied"].values()))
    assert {"HLT", "TrigObj"} <= origins["emulated"].keys()
    assert planned["copied"] + planned["left_out"] == of_made["branches"]
    assert made["flashsim"]["input"] == "made.root"
    assert "Made by FlashSim" in render(made)
    assert "Made by FlashSim" not in render(of_made)


def test_what_is_missing_is_named(made_nanoaod, tmp_path):
    path = tmp_path / "less.root"
    gone = {"GenJet_mass", "Jet_qgl", "Muon_genPartIdx"}
    with NanoFile(made_nanoaod) as file, NanoWriter(path) as writer:
        writer.tree("Events", [b for b in file.branches.values() if b.name not in gone])
    description = inspect(str(path))
    jets, muons = description["objects"]["jets"], description["objects"]["muons"]
    assert jets["generate"]["missing"] == ["GenJet_mass"]
    assert not jets["generate"]["possible"]
    assert jets["missing_targets"] == ["Jet_qgl"]
    assert muons["preprocess"] == {"possible": False, "missing": ["GenJet_mass", "Muon_genPartIdx"]}
    assert description["output"] is None
    text = render(description)
    assert "no, lacks GenJet_mass" in text
    assert "no, lacks the same branches and Muon_genPartIdx" in text
    assert "refuses this file" in text


@pytest.mark.parametrize(
    ("gone", "needs", "text"),
    [
        (
            ["Pileup_nTrueInt", "Pileup_nPU"],
            True,
            "yes, with --pileup PROFILE: lacks Pileup_nPU, Pileup_nTrueInt",
        ),
        (["Pileup_nPU"], False, "yes, draws Pileup_nPU"),
    ],
)
def test_pileup_that_is_drawn(made_nanoaod, tmp_path, gone, needs, text):
    path = tmp_path / "less.root"
    with NanoFile(made_nanoaod) as file, NanoWriter(path) as writer:
        writer.tree("Events", [b for b in file.branches.values() if b.name not in gone])
    description = inspect(str(path))
    assert description["objects"]["jets"]["generate"] == {
        "possible": True,
        "missing": [],
        "drawn": sorted(gone),
        "needs_pileup": needs,
    }
    assert description["output"]["needs_pileup"] == needs
    assert text in render(description)
    assert ("given --pileup PROFILE" in render(description)) == needs


def test_targets_that_training_would_leave_out(made_nanoaod, tmp_path):
    path = tmp_path / "less.root"
    with NanoFile(made_nanoaod) as file, NanoWriter(path) as writer:
        writer.tree("Events", [b for b in file.branches.values() if b.name != "Jet_qgl"])
    assert "lacks Jet_qgl; training leaves them out" in render(inspect(str(path)))


def test_model(of_model, made_models):
    path = made_models / "jets.safetensors"
    assert (of_model["kind"], of_model["object"], of_model["collection"]) == ("model", "jets", "Jet")
    assert of_model["nanoaod_version"] == "v9"
    assert of_model["size"] == path.stat().st_size
    assert of_model["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    model = ObjectModel.load(path)
    assert of_model["parameters"] == sum(of_model["networks"].values()) == sum(model.parameters().values())
    targets = {target["branch"]: target for target in of_model["targets"]}
    assert list(targets) == [f"Jet_{target.branch}" for target in model.declaration.targets]
    assert targets["Jet_pt"]["relation"] == "excess to gen pt"
    assert targets["Jet_puId"]["allowed"] == "0, 4, 6, 7"
    assert targets["Jet_qgl"]["allowed"] == "0 to 1, or -1"
    assert of_model["provenance"]["files"] == ["made.root"]
    assert {"GenJet_pt", "Pileup_nPU", "event"} <= set(of_model["needs"])
    assert json.loads(json.dumps(of_model)) == of_model
    domain = of_model["domain"]
    assert domain["rows"] == model.provenance["gen_objects"]["train"]
    assert list(domain["quantiles"]) == [c for entry in of_model["conditioning"] for c in entry["columns"]]
    assert all(len(found) == len(domain["probabilities"]) for found in domain["quantiles"].values())
    assert ["pt", "eta"] in domain["pairs"]
    unmatched = {source["name"]: source["domain"]["rows"] for source in of_model["unmatched"]}
    assert unmatched["event"] == model.provenance["events"]["train"]
    assert 0 < unmatched["besideJet"] <= model.provenance["gen_objects"]["train"]


def test_a_model_that_knows_no_domain(made_models, tmp_path):
    old = replace(ObjectModel.load(made_models / "jets.safetensors"), phase_space=None)
    old.save(tmp_path / "old.safetensors")
    found = inspect(str(tmp_path / "old.safetensors"))
    assert found["domain"] is None
    assert "not known: generation cannot count what is outside; retrain the model" in render(found)


def test_every_number_of_a_model_is_shown(of_model):
    text = render(of_model)
    for target in of_model["targets"]:
        assert target["branch"] in text
        assert target["allowed"] in text
    for count in of_model["networks"].values():
        assert f"{count:,}" in text
    assert of_model["sha256"] in text
    assert of_model["provenance"]["date"] in text
    assert "made.root" in text
    smallest, *_, largest = of_model["domain"]["quantiles"]["pt"]
    lines = [line for line in text.splitlines() if line.split()[:1] == ["pt"]]
    # Sources of unmatched objects have tables of their own, below.
    line = next(line for line in lines if f"{largest:.5g}" in line)
    assert line.split()[1] == f"{smallest:.5g}"
    for loss in of_model["provenance"]["losses"].values():
        assert f"{loss['validation']:.3f}" in text


def test_text_is_plain(of_model, of_made):
    for description in (of_model, of_made):
        text = render(description)
        assert "\x1b" not in text
        assert max(map(len, text.splitlines())) <= 140
        assert all(line == line.rstrip() for line in text.splitlines())
        assert "\n\n\n" not in text


def test_names_that_look_like_markup(tmp_path):
    path = tmp_path / "[bold]x[red].root"
    with NanoWriter(path) as writer:
        writer.tree("Events", [Branch("run", np.dtype("u4"))])
    assert "[bold]x[red].root: 0 events" in render(inspect(str(path)))


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (
            b"hello, world",
            InputFileError,
            "is neither a NanoAOD file nor a model file; expected a ROOT file or",
        ),
        (b"", InputFileError, "is neither a NanoAOD file nor a model file"),
        (b"root" + bytes(100), InputFileError, "is not NanoAOD: expected a tree 'Events', found nothing"),
        (b"\x08\0\0\0\0\0\0\0{}      ", ModelFileError, "is a safetensors file, but not a FlashSim model"),
    ],
)
def test_other_files(tmp_path, content, error, message):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(error, match=message):
        inspect(str(path))


def test_no_file(tmp_path):
    with pytest.raises(InputFileError, match="there is no such file"):
        inspect(str(tmp_path / "none.root"))
    with pytest.raises(InputFileError, match="cannot be opened"):
        inspect(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "generate", "preprocess"),
    [("data_dimuon_2018", False, False), ("scouting_run3", True, False)],
)
def test_real_files(nanoaod_dir, name, generate, preprocess):
    description = inspect(str(nanoaod_dir / f"{name}.root"))
    for use in description["objects"].values():
        assert use["generate"]["possible"] == generate
        assert use["preprocess"]["possible"] == preprocess
    assert (description["output"] is not None) == generate
    assert render(description)
