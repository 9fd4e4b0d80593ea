"""A simulator gives, in memory and bit by bit, what `flashsim generate` writes."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot
from coffea.nanoevents import BaseSchema, NanoAODSchema, NanoEventsFactory

import flashsim
from flashsim.errors import FlashSimError, InputFileError, ModelFileError
from flashsim.nanoaod.reading import NanoFile

EXAMPLE = Path(__file__).parents[2] / "examples" / "vbf_hmumu_gen.root"


class Schema(NanoAODSchema):
    warn_missing_crossrefs = False


def nano(path, schema=Schema, **options):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Branch \w+ already exists", RuntimeWarning)
        return NanoEventsFactory.from_root({str(path): "Events"}, schemaclass=schema, **options).events()


def plain(path):
    with uproot.open(f"{path}:Events") as tree:
        return tree.arrays()


def read(path):
    """All branches of a file by name."""
    with NanoFile(path) as file:
        return file.read(list(file.branches))


def member(events, name):
    """Column of events by the name of its branch."""
    collection, _, field = name.partition("_")
    return events[collection][field] if field else events[name]


def assert_same(events, branches):
    for name, expected in branches.items():
        found = member(events, name)
        if expected.ndim > 1:
            assert ak.num(found).tolist() == ak.num(expected).tolist(), name
        flat, wanted = (np.asarray(ak.flatten(array, axis=None)) for array in (found, expected))
        assert (flat.dtype, flat.tobytes()) == (wanted.dtype, wanted.tobytes()), name


@pytest.fixture(scope="module")
def simulator(made_models):
    return flashsim.Simulator(made_models, seed=3, chunk=100)


@pytest.fixture(scope="module")
def generated(made_nanoaod, made_models, tmp_path_factory):
    """Path of what is generated from the made file."""
    path = tmp_path_factory.mktemp("generated") / "flash.root"
    flashsim.generate(made_nanoaod, path, models=made_models, seed=3)
    return path


@pytest.mark.parametrize("mode", ["virtual", "eager"])
def test_nano_events(simulator, made_models, tmp_path, mode):
    """Of the example: in made events a particle may be its own mother, where coffea's eager events hang."""
    flashsim.generate(EXAMPLE, tmp_path / "out.root", models=made_models, seed=3)
    events = simulator(nano(EXAMPLE, mode=mode, metadata={"dataset": "vbf"}))
    assert_same(events, read(tmp_path / "out.root"))
    assert events.metadata["dataset"] == "vbf"


def test_they_are_those_that_coffea_makes_of_the_file(simulator, made_nanoaod, generated):
    found, expected = simulator(nano(made_nanoaod)), nano(generated)
    assert set(found.fields) == set(expected.fields)
    for name in found.fields:
        assert set(found[name].fields) == set(expected[name].fields)
    for name, match in {"Jet": "matched_gen", "Muon": "matched_gen", "GenPart": "parent"}.items():
        assert getattr(found[name], match).pt.tolist() == getattr(expected[name], match).pt.tolist()
    assert found.Jet.matched_muons.pt.tolist() == expected.Jet.matched_muons.pt.tolist()
    assert found.Jet.__doc__ == expected.Jet.__doc__
    assert found.Jet.pt.__doc__ == expected.Jet.pt.__doc__
    assert found.Jet[found.Jet.pt > 20][5:9].matched_gen.pt.tolist() == (
        expected.Jet[expected.Jet.pt > 20][5:9].matched_gen.pt.tolist()
    )


def test_plain_arrays(simulator, made_nanoaod, generated):
    branches = read(generated)
    flat = plain(made_nanoaod)
    assert_same(simulator(flat), branches)
    assert_same(simulator(nano(made_nanoaod, schema=BaseSchema)), branches)
    # A field a collection, as Parquet files of NanoAOD have.
    nested = ak.zip({n: flat[n] for n in ("run", "luminosityBlock", "event", "genWeight")}, depth_limit=1)
    for name in ("GenPart", "GenJet"):
        nested[name] = ak.zip({f[len(name) + 1 :]: flat[f] for f in flat.fields if f.startswith(f"{name}_")})
    for name in ("GenMET", "GenVtx", "Pileup"):
        starts = [f for f in flat.fields if f.startswith(f"{name}_")]
        nested[name] = ak.zip({f[len(name) + 1 :]: flat[f] for f in starts})
    simulated = simulator(nested)  # of the models' version, as there is no mark of any
    assert "LHEPdfWeight" not in simulated.fields
    assert_same(simulated, {n: a for n, a in branches.items() if not n.startswith("LHE")})
    events = simulator.events(nested)
    assert events.Jet.matched_gen.pt.tolist() == simulator.events(flat).Jet.matched_gen.pt.tolist()


def test_without_gen_level(simulator, made_nanoaod):
    for events in (plain(made_nanoaod), nano(made_nanoaod)):
        simulated = simulator(events, gen=False)
        made = {"Electron", "Flag", "Jet", "Muon", "PV", "fixedGridRhoFastjetAll"}
        assert set(simulated.fields) == made | {"HLT", "L1PreFiringWeight", "TrigObj"}
        assert set(simulator.collections) == {"Electron", "Jet", "Muon"}
        assert simulated.Jet.pt.tolist() == simulator(events).Jet.pt.tolist()


def test_only_what_is_needed_is_read(simulator, made_nanoaod):
    log = []
    events = simulator(nano(made_nanoaod, access_log=log))
    read = {access.branch for access in log}
    assert {"GenPart_pdgId", "GenJet_pt", "nGenPart", "event"} <= read
    assert not read & {"GenPart_mass", "LHEPdfWeight", "genWeight", "Jet_pt", "Muon_pt"}
    counters = {"nGenPart", "nGenJet"}
    assert not any(name.startswith(("Jet_", "Muon_", "HLT_", "LHE", "n")) for name in read - counters)
    assert len(events.LHEPdfWeight) == 240
    assert len(ak.flatten(events.LHEPdfWeight)) > 0
    assert {access.branch for access in log} - read == {"LHEPdfWeight"}


def test_events_do_not_depend_on_their_neighbours(simulator, made_nanoaod):
    events = nano(made_nanoaod)
    whole, chosen = simulator(events), np.arange(240) % 3 == 1
    part = simulator(events[chosen])
    for name in ("Jet_pt", "Muon_pt", "Jet_genJetIdx", "GenPart_pt"):
        assert member(part, name).tolist() == member(whole, name)[chosen].tolist()
    assert part.Jet.matched_gen.pt.tolist() == whole.Jet.matched_gen.pt[chosen].tolist()
    assert part.GenPart.parent.pt.tolist() == whole.GenPart.parent.pt[chosen].tolist()
    assert_same(simulator(plain(made_nanoaod)[chosen]), {"Jet_pt": whole.Jet.pt[chosen]})


def test_no_events(simulator, made_nanoaod):
    for events in (nano(made_nanoaod)[:0], plain(made_nanoaod)[:0]):
        simulated = simulator(events)
        assert len(simulated) == 0
        assert simulated.Jet.pt.type.content.content.primitive == "float32"


def test_oversampling(made_nanoaod, made_models, tmp_path):
    flashsim.generate(made_nanoaod, tmp_path / "out.root", models=made_models, oversample=3)
    simulator = flashsim.Simulator(made_models, oversample=3, chunk=100)
    branches = read(tmp_path / "out.root")
    for events in (plain(made_nanoaod), nano(made_nanoaod)):
        simulated = simulator(events)
        assert len(simulated) == 720
        assert_same(simulated, branches)
    with pytest.raises(InputFileError, match="is oversampled already"):
        simulator(simulated)


@pytest.mark.parametrize("name", ["tt_2018_v5", "dy_2018_v6", "wjets_2015_v9", "tt_2022_v12", "tt_2024_v15"])
def test_real_files(name, made_models, nanoaod_dir, tmp_path):
    """All versions of NanoAOD, with full content."""
    source = nanoaod_dir / f"{name}.root"
    flashsim.generate(source, tmp_path / "out.root", models=made_models)
    simulator = flashsim.Simulator(made_models)
    events = simulator(nano(source))
    branches = read(tmp_path / "out.root")
    assert_same(events, branches)
    assert set(events.fields) == set(nano(tmp_path / "out.root").fields)
    assert_same(simulator(nano(tmp_path / "out.root")), branches)


def test_it_travels_by_its_settings(simulator, made_nanoaod):
    sent = pickle.dumps(simulator)
    assert len(sent) < 1000
    arrived, events = pickle.loads(sent), plain(made_nanoaod)
    assert arrived.settings.generator() is simulator.settings.generator()
    assert arrived(events).Jet.pt.tolist() == simulator(events).Jet.pt.tolist()


def test_several_at_a_time(simulator, made_models, made_nanoaod):
    other, events = flashsim.Simulator(made_models, seed=4), plain(made_nanoaod)
    assert other(events).Jet.pt.tolist() != simulator(events).Jet.pt.tolist()
    assert other.settings.generator() is not simulator.settings.generator()
    assert repr(other) == "<Simulator of Electron, Muon, Jet, seed 4>"


def test_version_and_flags(made_models, made_nanoaod):
    simulator = flashsim.Simulator(made_models, nano_version="v12", flag_domain=True)
    simulated = simulator(plain(made_nanoaod))
    assert simulated.Jet.genJetIdx.type.content.content.primitive == "int16"
    assert simulated.Jet.outsideDomain.type.content.content.primitive == "bool"


def test_mistakes_are_named(simulator, made_models, made_nanoaod, nanoaod_dir):
    events = plain(made_nanoaod)
    with pytest.raises(InputFileError, match=r"^events: lacks GenPart_pdgId, needed to generate from it"):
        simulator(events[[name for name in events.fields if name != "GenPart_pdgId"]])
    path = str(nanoaod_dir / "data_dimuon_2018.root")
    data = nano(path, metadata={"filename": path})
    with pytest.raises(InputFileError, match=r"data_dimuon_2018.root: lacks .* no generator level"):
        simulator(data)
    masked = ak.with_field(events, ak.mask(events.GenJet_pt, events.GenJet_pt > 10), "GenJet_pt")
    with pytest.raises(InputFileError, match=r"^events: GenJet_pt is of type var \* \?float32, expected"):
        simulator(masked)
    bad = ak.with_field(events, events.GenJet_phi * np.nan, "GenJet_phi")
    with pytest.raises(InputFileError, match=r"^events: GenJet_phi is NaN or infinite in (\d+) of \1 values"):
        simulator(bad)
    with pytest.raises(InputFileError, match="found one of type float64"):
        simulator(ak.Array([1.0, 2.0]))
    with pytest.raises(InputFileError, match=r"expected an awkward array or NanoEvents .* found dict"):
        simulator({"run": [1]})
    with pytest.raises(ModelFileError, match="there is no such model file"):
        flashsim.Simulator("nowhere.safetensors")
    with pytest.raises(FlashSimError, match="torch cannot compute on it here"):
        flashsim.Simulator(made_models, device="cuda:77")


def test_coffea_is_needed_for_its_events_only(made_nanoaod, made_models):
    look = f"""
import sys, flashsim, uproot
with uproot.open({str(made_nanoaod) + ":Events"!r}) as tree:
    events = tree.arrays(entry_stop=5)
flashsim.Simulator({str(made_models)!r})(events)
assert "coffea" not in sys.modules
sys.modules["coffea"] = None
try:
    flashsim.Simulator({str(made_models)!r}).events(events)
except flashsim.errors.MissingDependencyError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert run.stdout == (
        "what gives NanoEvents needs the package coffea, which is not installed: "
        "pip install 'flashsim[analysis]'\n"
    )


def test_what_is_outside_of_the_training_is_counted_and_told(simulator, made_nanoaod, caplog):
    events = plain(made_nanoaod)
    simulator(events)
    inside = {name: count.outside for name, count in simulator.outside_counts.items()}
    caplog.clear()
    hard = ak.with_field(events, 100.0 * events["GenJet_pt"], "GenJet_pt")
    simulator(hard)
    counts = simulator.outside_counts
    assert counts["GenJet for Jet"].outside > inside["GenJet for Jet"]
    assert counts["GenJet for Jet"].rows == ak.count(hard["GenJet_pt"])
    assert "of GenJet for Jet are outside of the domain of the training" in caplog.text
