"""What belongs to whole events: drawn after the objects, and consistent with them."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

from flashsim.cli.rendering import render
from flashsim.declarations.objects import load_object
from flashsim.declarations.output import load_output
from flashsim.errors import InputFileError
from flashsim.events.collection import Collection
from flashsim.events.gen_chunk import gen_chunk, with_simulated
from flashsim.events.gen_view import build_gen_view, gen_view_branches
from flashsim.generation.generate import Generator
from flashsim.interface.inspection import inspect
from flashsim.learning.tables import TRAINING_TABLES
from flashsim.models.object_model import ObjectModel
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.schema import load_schema
from flashsim.nanoaod.writing import NanoWriter

SOFT = 8.0
"""Width of the made soft term, in GeV."""


def expected_of(arrays, reconstructed):
    """Magnitude and azimuth of the expected MET of events in arrays."""
    declaration = load_object("event")
    wanted = declaration.reconstructed()
    values = {entry.branch: np.asarray(arrays[entry.branch]) for entry in declaration.event_results()}
    reco = {"Vertices": Collection(np.arange(len(arrays["event"]) + 1), values)}
    for name in reconstructed:
        reco[name] = Collection.of_branches(arrays, name, wanted[name])
    chunk = with_simulated(declaration, gen_chunk(declaration, arrays), reco)
    event = chunk.collections["Event"]
    return event["MET_expected"], event["MET_axis"]


@pytest.fixture(scope="module")
def made_whole(made_nanoaod, tmp_path_factory):
    """The made file with event quantities: MET is what is expected and a soft term of known width."""
    path, rng = tmp_path_factory.mktemp("whole") / "whole.root", np.random.default_rng(3)
    schema = load_schema("v9")
    with NanoFile(made_nanoaod) as file:
        branches = [b for b in file.branches.values() if b.name != "MET_pt"]
        arrays = file.read([b.name for b in branches])
        number = file.num_entries
    size, axis = expected_of(arrays, ["Jet", "Muon"])
    met = size * np.exp(1j * axis) + rng.normal(0.0, SOFT, number) + 1j * rng.normal(0.0, SOFT, number)
    pileup = np.asarray(arrays["Pileup_nPU"])
    arrays |= {
        "MET_pt": np.abs(met),
        "MET_phi": np.angle(met),
        "MET_sumEt": rng.exponential(500.0, number),
        "PV_npvs": 1 + rng.binomial(pileup, 0.7),
        "fixedGridRhoFastjetAll": 0.6 * pileup * rng.normal(1.0, 0.1, number),
    }
    known = {branch.name: branch for branch in branches}
    with NanoWriter(path) as writer:
        writer.tree("Events", [known.get(name) or schema[name] for name in arrays])
        writer.extend("Events", arrays)
    return path


def of_made_events():
    """Declare events whose MET is related to what is expected alone, as that of made ones is."""
    declaration = load_object("event")
    related = {
        "MET_along": {"to": None, "gen_field": "MET_expected"},
        "MET_across": {"to": None, "relation": "none"},
    }
    targets = [target.model_copy(update=related.get(target.branch, {})) for target in declaration.targets]
    return declaration.model_copy(update={"targets": targets})


@pytest.fixture(scope="module")
def event_model(made_whole, train_quickly, tmp_path_factory):
    """Path of a quickly trained model."""
    work = tmp_path_factory.mktemp("event")
    train_quickly(of_made_events(), made_whole, work)
    return work / "event.safetensors"


@pytest.fixture(scope="module")
def make(loaded_models, event_model):
    """Give a generator of jets, muons and whole events, with any options."""
    models = [ObjectModel.load(event_model), *loaded_models]
    return lambda **options: Generator(models, load_output(), **options)


def read(path):
    with NanoFile(path) as file:
        return file.read(list(file.branches))


def test_tables_have_a_row_an_event(event_model, made_whole):
    folder = event_model.parent / "tables"
    objects = [TRAINING_TABLES.read(folder, split, "objects") for split in ("train", "validation", "test")]
    assert sum(map(len, objects)) == 240
    assert all(table["reconstructed"].all() for table in objects)
    columns = {name for name in objects[0].columns if name.startswith("target.")}
    assert columns == {
        *("target.MET_along", "target.MET_across", "target.MET_sumEt"),
    }
    across = np.concatenate([table["target.MET_across"] for table in objects])
    assert np.std(across) == pytest.approx(SOFT, rel=0.2)
    along = [table["target.MET_along"] - table["gen.MET_expected"] for table in objects]
    assert np.std(np.concatenate(along)) == pytest.approx(SOFT, rel=0.2)


def test_a_model_has_one_network(event_model):
    model = ObjectModel.load(event_model)
    assert list(model.networks()) == ["flow"]
    assert (model.efficiency, model.unmatched) == (None, {})
    assert model.phase_space.rows == model.provenance["events"]["train"]
    text = render(inspect(str(event_model)))
    assert "MET_along" in text
    assert "of the unmatched" not in text.partition("Training")[0]


def test_met_is_that_of_the_simulated_objects(make, made_whole, tmp_path):
    summary = make().run(made_whole, tmp_path / "out.root")
    assert "Event" not in summary.objects
    assert {"Jet", "Muon"} <= set(summary.objects)
    arrays = read(tmp_path / "out.root")
    assert {"MET_along", "MET_across", "nEvent"} & set(arrays) == set()
    size, axis = expected_of(arrays, ["Jet", "Muon"])
    soft = np.asarray(arrays["MET_pt"]) * np.exp(1j * np.asarray(arrays["MET_phi"])) - size * np.exp(
        1j * axis
    )
    soft *= np.exp(-1j * axis)
    assert np.std(soft.real) == pytest.approx(SOFT, rel=0.3)
    assert np.std(soft.imag) == pytest.approx(SOFT, rel=0.3)
    # What the objects got wrong moves it by far more than the soft term does.
    gen = np.asarray(arrays["GenMET_pt"]) * np.exp(1j * np.asarray(arrays["GenMET_phi"]))
    assert np.std(np.abs(size * np.exp(1j * axis) - gen)) > SOFT
    assert arrays["PV_npvs"].ndim == 1
    with NanoFile(tmp_path / "out.root") as file:
        schema = load_schema("v9")
        for name in ("MET_pt", "MET_phi", "PV_npvs", "fixedGridRhoFastjetAll"):
            assert (file.branches[name].dtype, file.branches[name].collection) == (schema[name].dtype, None)


def test_raw_momentum_that_no_model_draws_has_the_jets_uncorrected(make, made_whole, tmp_path):
    make().run(made_whole, tmp_path / "out.root")
    arrays = read(tmp_path / "out.root")
    pt, phi = arrays["Jet_pt"], arrays["Jet_phi"]
    first = pt * (1 - arrays["Jet_rawFactor"]) - 0.45 * arrays["fixedGridRhoFastjetAll"] * arrays["Jet_area"]
    change = pt - ak.where(first > 0, first, 0)
    x, y = (ak.sum((change * wave(phi))[pt > 15], axis=1) for wave in (np.cos, np.sin))
    added = np.asarray(x) + 1j * np.asarray(y)
    raw, met = (
        np.asarray(arrays[f"{name}_pt"]) * np.exp(1j * np.asarray(arrays[f"{name}_phi"]))
        for name in ("RawMET", "MET")
    )
    np.testing.assert_allclose(raw, met + added, rtol=5e-3, atol=0.5)
    assert np.abs(added).max() > 5


def test_vertices_follow_the_pileup(made_whole, train_quickly, tmp_path):
    """They are drawn first, and stand alone."""
    model = train_quickly(load_object("vertices"), made_whole, tmp_path, epochs=100)
    Generator([model], load_output()).run(made_whole, tmp_path / "out.root")
    arrays = read(tmp_path / "out.root")
    vertices = np.asarray(arrays["PV_npvs"])
    assert np.array_equal(vertices, np.round(vertices))
    assert np.corrcoef(vertices, np.asarray(arrays["Pileup_nPU"]))[0, 1] > 0.4


def test_chunks_and_folds_do_not_matter(make, made_whole, content, tmp_path):
    make(oversample=2).run(made_whole, tmp_path / "a.root")
    make(oversample=2, chunk=34).run(made_whole, tmp_path / "b.root")
    assert content(tmp_path / "a.root") == content(tmp_path / "b.root")
    make().run(made_whole, tmp_path / "one.root")
    two, one = read(tmp_path / "a.root"), read(tmp_path / "one.root")
    for name in ("MET_pt", "MET_phi", "PV_npvs"):
        assert np.array_equal(np.asarray(two[name])[::2], np.asarray(one[name])), name
        assert not np.array_equal(np.asarray(two[name])[1::2], np.asarray(one[name])), name


def test_objects_are_as_without_it(make, make_generator, made_whole, content, tmp_path):
    make().run(made_whole, tmp_path / "a.root")
    make_generator().run(made_whole, tmp_path / "b.root")
    whole, objects = content(tmp_path / "a.root"), content(tmp_path / "b.root")
    assert {name: whole[name] for name in objects} == objects
    assert {"MET_pt", "MET_phi"} <= whole.keys() - objects.keys()


def test_it_stands_alone(event_model, loaded_models, made_whole, tmp_path):
    """With vertices, which it is drawn given."""
    vertices = [model for model in loaded_models if model.declaration.collection == "Vertices"]
    models = [ObjectModel.load(event_model), *vertices]
    Generator(models, load_output(), flag_domain=True).run(made_whole, tmp_path / "a.root")
    arrays = read(tmp_path / "a.root")
    assert "Jet_pt" not in arrays
    assert arrays["MET_pt"].ndim == 1
    assert np.asarray(arrays["Event_outsideDomain"]).dtype == bool


def test_what_is_simulated_is_not_kept(make, made_whole, tmp_path):
    with pytest.raises(InputFileError, match=r"--keep 'MET_\*' asks for MET_phi, which is simulated"):
        make().run(made_whole, tmp_path / "a.root", keep=["MET_*"])


def test_what_it_needs_is_read(made_whole):
    declaration = load_object("event")
    with NanoFile(made_whole) as file:
        arrays = file.read([*gen_view_branches(declaration.gen_view), "event"])
    event = build_gen_view(declaration.gen_view, arrays)["Event"]
    assert event.counts.tolist() == [1] * 240
    assert np.array_equal(event["GenMET_pt"], np.asarray(arrays["GenMET_pt"]))
    assert ak.count(arrays["event"], axis=0) == len(event)
