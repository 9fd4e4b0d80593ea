from __future__ import annotations

import warnings

import awkward as ak
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flashsim.declarations.output import OutputRecipe
from flashsim.errors import InputFileError, RecipeError
from flashsim.generation.generate import Generator
from flashsim.generation.oversampling import FOLD, GEN_EVENT
from flashsim.nanoaod.branch import Branch
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.writing import NanoWriter

EVENTS, FOLDS = 40, 3


def read(path):
    with NanoFile(path) as file:
        return file.read(list(file.branches))


def simulated(arrays):
    return {name: array for name, array in arrays.items() if name.startswith(("Jet_", "Muon_"))}


def write_part(source, target, start, stop, *, leave_out=(), runs=None):
    with NanoFile(source) as file, NanoWriter(target) as writer:
        branches = [b for b in file.branches.values() if b.name not in leave_out]
        writer.tree("Events", branches)
        writer.extend("Events", file.read([b.name for b in branches], start, stop))
        if runs is not None:
            writer.tree("Runs", [Branch(name, values.dtype) for name, values in runs.items()])
            writer.extend("Runs", runs)
    return target


@pytest.fixture(scope="module")
def source(made_nanoaod, tmp_path_factory):
    """Give a file whose Runs are the sums over its events."""
    path = tmp_path_factory.mktemp("oversampling") / "in.root"
    with NanoFile(made_nanoaod) as file:
        weights = np.asarray(file.read(["genWeight"], 0, EVENTS)["genWeight"], dtype=np.float64)
    sums = {
        "run": np.array([1], dtype=np.uint32),
        "genEventCount": np.array([EVENTS]),
        "genEventSumw": np.array([weights.sum()]),
        "genEventSumw2": np.array([np.square(weights).sum()]),
    }
    return write_part(made_nanoaod, path, 0, EVENTS, runs=sums)


@pytest.fixture(scope="module")
def oversampled(source, make_generator, tmp_path_factory):
    path = tmp_path_factory.mktemp("oversampled") / "out.root"
    summary = make_generator(oversample=FOLDS).run(source, path)
    assert (summary.events, summary.oversample) == (EVENTS * FOLDS, FOLDS)
    return path


def test_every_gen_event_stands_in_the_output_once_a_fold(oversampled, source):
    before, after = read(source), read(oversampled)
    for name in ("run", "luminosityBlock", "event", "Pileup_nPU", "GenJet_pt", "LHEPdfWeight"):
        assert after[name].tolist() == [value for value in before[name].tolist() for _ in range(FOLDS)], name
    assert after["fold"].tolist() == list(range(FOLDS)) * EVENTS
    ids = np.asarray(after["genEventId"]).reshape(EVENTS, FOLDS)
    assert np.all(ids == ids[:, :1])
    assert len(np.unique(ids)) == EVENTS


def test_no_branch_is_added_without_oversampling(generated):
    assert not {FOLD.name, GEN_EVENT.name} & set(read(generated[1]))


@pytest.mark.parametrize("folds", [1, 2, 5])
def test_a_fold_does_not_depend_on_how_many_there_are(oversampled, source, make_generator, tmp_path, folds):
    make_generator(oversample=folds).run(source, tmp_path / "out.root")
    few, many = simulated(read(tmp_path / "out.root")), simulated(read(oversampled))
    assert few.keys() == many.keys()
    for name in few:
        for fold in range(min(folds, FOLDS)):
            assert few[name][fold::folds].tolist() == many[name][fold::FOLDS].tolist(), (name, fold)


def test_folds_differ_and_are_whole(oversampled):
    """Cross references between collections hold inside each fold."""
    arrays = read(oversampled)
    assert arrays["Jet_pt"][0::FOLDS].tolist() != arrays["Jet_pt"][1::FOLDS].tolist()
    assert ak.all(arrays["Muon_jetIdx"] < ak.num(arrays["Jet_pt"]))
    assert ak.all(arrays["Jet_muonIdx1"] < ak.num(arrays["Muon_pt"]))
    linked = arrays["Muon_jetIdx"] >= 0
    assert ak.sum(arrays["Jet_nMuons"]) == ak.sum(linked)
    assert ak.all(arrays["Jet_pt"][:, :-1] >= arrays["Jet_pt"][:, 1:])


def test_weights_are_shared_once_and_sums_are_those_of_the_events(oversampled, source):
    with NanoFile(oversampled) as file:
        arrays = file.read(["genWeight", "LHEPdfWeight"])
        assert file.branches["genWeight"].dtype == np.float32
        runs = {name: values[0] for name, values in file.read_tree("Runs")[1].items()}
    with NanoFile(source) as file:
        before = {name: values[0] for name, values in file.read_tree("Runs")[1].items()}
        assert file.read_tree("Runs")[0]["genEventCount"].dtype == np.int64
    weights = np.asarray(arrays["genWeight"], dtype=np.float64)
    assert runs["genEventSumw"] == before["genEventSumw"]
    assert weights.sum() == pytest.approx(runs["genEventSumw"], rel=1e-6)
    assert np.square(weights).sum() == pytest.approx(runs["genEventSumw2"], rel=1e-6)
    assert len(weights) == runs["genEventCount"]


@settings(max_examples=4, deadline=None)
@given(data=st.data())
def test_chunks_and_splittings_change_nothing(data, oversampled, source, make_generator, tmp_path_factory):
    """Also not the order of the parts."""
    folder = tmp_path_factory.mktemp("split")
    cuts = sorted(data.draw(st.sets(st.integers(1, EVENTS - 1), max_size=2)))
    ranges = list(zip([0, *cuts], [*cuts, EVENTS], strict=True))
    parts = {}
    for number, (start, stop) in data.draw(st.permutations(list(enumerate(ranges)))):
        part = write_part(source, folder / f"in{number}.root", start, stop)
        chunk = data.draw(st.integers(1, 3 * EVENTS))
        make_generator(oversample=FOLDS, chunk=chunk).run(part, folder / f"out{number}.root")
        parts[number] = read(folder / f"out{number}.root")
    for name, array in read(oversampled).items():
        joined = ak.concatenate([parts[number][name] for number in sorted(parts)])
        assert ak.array_equal(joined, array), name


def test_no_more_than_a_chunk_is_in_memory(source, make_generator, tmp_path, monkeypatch):
    sizes = []
    extend = NanoWriter.extend

    def spy(self, name, arrays):
        if name == "Events":
            sizes.append(len(arrays["event"]))
        extend(self, name, arrays)

    monkeypatch.setattr(NanoWriter, "extend", spy)
    make_generator(oversample=FOLDS, chunk=50).run(source, tmp_path / "out.root")
    assert sizes == [48, 48, 24]


def test_oversampled_files_are_no_input(oversampled, make_generator, tmp_path):
    """The copies of an event would get the same noise."""
    with pytest.raises(InputFileError, match=r"out\.root: is oversampled already"):
        make_generator().run(oversampled, tmp_path / "again.root")


def test_an_input_without_weights_is_refused(source, make_generator, tmp_path):
    part = write_part(source, tmp_path / "in.root", 0, 2, leave_out=["genWeight"])
    make_generator().run(part, tmp_path / "one.root")
    with pytest.raises(InputFileError, match=r"in\.root: has no weight .*genWeight.*without --oversample"):
        make_generator(oversample=2).run(part, tmp_path / "two.root")


def test_a_recipe_must_name_weights(source, loaded_models, tmp_path):
    recipe = OutputRecipe.model_validate({"schema_version": 1, "copy": ["run", "gen*"]})
    with pytest.raises(RecipeError, match="no key 'oversampling'"):
        Generator(loaded_models, recipe, oversample=2).run(source, tmp_path / "out.root")


@pytest.mark.parametrize("folds", [0, -1, 65537])
def test_impossible_numbers_of_folds(make_generator, folds):
    with pytest.raises(ValueError, match=f"found {folds}"):
        make_generator(oversample=folds)


def test_coffea_reads_it(oversampled):
    from coffea.nanoevents import NanoAODSchema, NanoEventsFactory

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        factory = NanoEventsFactory.from_root({str(oversampled): "Events"}, schemaclass=NanoAODSchema)
        events = factory.events()
        assert events.fold.to_list() == list(range(FOLDS)) * EVENTS
        assert len(np.unique(np.asarray(events.genEventId))) == EVENTS
        assert np.asarray(events.genEventId).dtype == np.uint64
