from __future__ import annotations

from dataclasses import replace

import awkward as ak
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flashsim.errors import InputFileError, ModelFileError
from flashsim.events.angles import wrap_angle
from flashsim.events.collection import Collection
from flashsim.events.gen_chunk import gen_chunk
from flashsim.events.identity import event_keys
from flashsim.events.neighbours import closest, waves
from flashsim.events.noise import EVENT_IDS
from flashsim.generation.simulate import ObjectSimulator
from flashsim.nanoaod.reading import NanoFile


@pytest.fixture(scope="module")
def arrays(made_nanoaod):
    with NanoFile(made_nanoaod) as file:
        return file.read(
            [name for name in file.branches if name.startswith(("Gen", "Pileup"))] + [*EVENT_IDS]
        )


@pytest.fixture(scope="module")
def simulator(loaded_models):
    """Give the simulator of a collection, with any options."""

    def make(collection, **options):
        (model,) = (m for m in loaded_models if m.declaration.collection == collection)
        return ObjectSimulator(model, **{"seed": 1} | options)

    return make


def drawn(simulator, arrays, **options):
    """Draw objects of events with thirty good vertices, in which nothing else is drawn before."""
    chunk = gen_chunk(simulator.declaration, arrays)
    events = event_keys(arrays)
    total = len(events) * len(options.get("folds", (0,)))
    columns = {"fixedGridRhoFastjetAll": np.full(total, 20.0), "PV_npvsGood": np.full(total, 30.0)}
    columns |= {"PV_ndof": np.full(total, 100.0), "PV_score": np.full(total, 2.0e3)}
    before = {"Vertices": Collection(np.arange(total + 1), columns)}
    return simulator.simulate(chunk, events, simulated=before | options.pop("simulated", {}), **options)


def simulate(simulator, arrays, **options):
    return drawn(simulator, arrays, **options).collection


def tallied(simulator, arrays, **options):
    return drawn(simulator, arrays, **options).outside_counts


def changed(arrays, **columns):
    return arrays | columns


@pytest.mark.parametrize("collection", ["Jet", "Muon"])
def test_every_object_is_whole(simulator, arrays, collection):
    simulated = simulator(collection)
    objects = simulate(simulated, arrays)
    declaration = simulated.declaration
    assert objects.events == len(arrays["event"])
    assert len(objects) > objects.events / 4
    expected = {t.branch for t in declaration.targets} | {d.branch for d in declaration.derived}
    assert set(objects.columns) == expected | {declaration.match}
    for target in declaration.targets:
        values = objects[target.branch]
        assert np.all(np.isfinite(values)), target.branch
        if target.values is not None:
            assert set(np.unique(values)) <= set(target.values), target.branch
        if target.threshold is not None:
            assert values.min() >= target.threshold, target.branch
        if target.range is not None:
            inside = (values >= target.range[0]) & (values <= target.range[1])
            assert np.all(inside | np.isin(values, target.special)), target.branch


@pytest.mark.parametrize("collection", ["Jet", "Muon"])
def test_a_gen_object_gives_at_most_one(simulator, arrays, collection):
    simulated = simulator(collection)
    objects = simulate(simulated, arrays)
    declaration = simulated.declaration
    gen = gen_chunk(declaration, arrays).collections[declaration.gen]
    found = objects[declaration.match] >= 0
    pairs = np.stack((objects.event_rows[found], objects[declaration.match][found]), axis=1)
    assert len(np.unique(pairs, axis=0)) == len(pairs)
    known = set(zip(gen.event_rows.tolist(), gen["index"].tolist(), strict=True))
    assert {(int(event), int(index)) for event, index in pairs} <= known
    assert 0 < np.count_nonzero(found) < len(gen)
    assert np.any(~found)


def test_what_follows_from_gen_and_from_reco(simulator, arrays):
    simulated = simulator("Muon")
    muons = simulate(simulated, arrays)
    gen = gen_chunk(simulated.declaration, arrays).collections["GenMuon"]
    origin = dict(zip(zip(gen.event_rows, gen["index"], strict=True), gen["origin"], strict=True))
    keys = zip(muons.event_rows, muons["genPartIdx"], strict=True)
    expected = [origin.get((event, int(index)), 0) for event, index in keys]
    assert muons["genPartFlav"].tolist() == expected
    assert len(set(expected)) > 2
    assert np.array_equal(muons["pdgId"], -13 * muons["charge"])
    assert np.unique(muons["mass"]).tolist() == [pytest.approx(0.10566, rel=1e-3)]


def test_charges_follow_those_of_gen_but_can_flip(simulator, arrays):
    simulated = simulator("Muon")
    gen = gen_chunk(simulated.declaration, arrays).collections["GenMuon"]
    charge = dict(zip(zip(gen.event_rows, gen["index"], strict=True), gen["charge"], strict=True))
    muons = simulate(simulated, arrays)
    matched = muons["genPartIdx"] >= 0
    keys = zip(muons.event_rows[matched], muons["genPartIdx"][matched], strict=True)
    product = muons["charge"][matched] * [charge[event, int(index)] for event, index in keys]
    # The made detector gives charges at random; a model of it must give both signs.
    assert set(product) == {-1.0, 1.0}


@settings(deadline=None, max_examples=15)
@given(st.data())
@pytest.mark.parametrize("collection", ["Jet", "Muon"])
def test_any_part_of_the_events_gives_the_same_objects(simulator, arrays, collection, data):
    simulated = simulator(collection)
    whole = simulate(simulated, arrays)
    events = whole.events
    start = data.draw(st.integers(0, events - 1))
    stop = data.draw(st.integers(start + 1, min(events, start + 40)))
    part = simulate(simulated, {name: array[start:stop] for name, array in arrays.items()})
    rows = slice(whole.offsets[start], whole.offsets[stop])
    assert np.array_equal(part.counts, whole.counts[start:stop])
    for name, column in part.columns.items():
        assert column.tobytes() == whole[name][rows].tobytes(), name


def test_order_of_events_does_not_matter(simulator, arrays):
    simulated = simulator("Jet")
    whole = simulate(simulated, arrays)
    mirrored = simulate(simulated, {name: array[::-1] for name, array in arrays.items()})
    assert np.array_equal(mirrored.counts, whole.counts[::-1])
    assert np.array_equal(np.sort(mirrored["pt"]), np.sort(whole["pt"]))


def test_seeds_and_folds_differ(simulator, arrays):
    first = simulate(simulator("Jet"), arrays)
    again, fold = simulate(simulator("Jet"), arrays), simulate(simulator("Jet"), arrays, folds=[1])
    seed = simulate(simulator("Jet", seed=2), arrays)
    assert np.array_equal(first["pt"], again["pt"])
    for other in (fold, seed):
        assert not np.array_equal(other["pt"], first["pt"])
        assert not np.array_equal(other.counts, first.counts)


@settings(max_examples=8, deadline=None)
@given(folds=st.lists(st.integers(0, 30), min_size=1, max_size=4, unique=True))
@pytest.mark.parametrize("collection", ["Jet", "Muon"])
def test_a_fold_is_the_same_whichever_others_are_asked_for(simulator, arrays, collection, folds):
    few = {name: array[:30] for name, array in arrays.items()}
    simulated = simulator(collection)
    together = simulate(simulated, few, folds=folds)
    assert together.events == 30 * len(folds)
    for position, fold in enumerate(folds):
        alone = simulate(simulated, few, folds=[fold])
        of_fold = together.event_rows % len(folds) == position
        assert np.array_equal(together.counts[position :: len(folds)], alone.counts)
        for name, column in alone.columns.items():
            assert np.array_equal(together[name][of_fold], column), name


def test_what_is_outside_of_the_training_is_counted(simulator, arrays):
    simulated = simulator("Jet")
    before = tallied(simulated, arrays, folds=[0, 1])
    assert list(before) == list(simulated.phase_spaces)
    sources = simulated.declaration.unmatched
    assert len(before) == 1 + len(sources) + (simulated.model.placed is not None) > 2
    assert {f"{s.source} for unmatched Jet, {s.name}" for s in sources if not s.is_event} <= before.keys()
    # What they are drawn given can differ between folds, so each counts.
    assert before["GenJet for Jet"].rows == 2 * ak.sum(ak.num(arrays["GenJet_pt"]))
    assert before["events for unmatched Jet"].rows == 2 * len(arrays["event"])
    pileup = np.array(arrays["Pileup_nPU"])
    pileup[:7] = 400
    after = tallied(simulated, changed(arrays, Pileup_nPU=ak.Array(pileup)))
    in_seven = ak.sum(ak.num(arrays["GenJet_pt"][:7]))
    assert after["events for unmatched Jet"].variables["nPU"] == 7
    assert after["GenJet for Jet"].variables["nPU"] == in_seven
    assert after["GenJet for Jet"].outside >= in_seven


def test_objects_of_what_is_outside_are_flagged(simulator, arrays):
    hard = ak.Array(np.arange(len(arrays["event"])) % 3 == 0)
    before = arrays
    arrays = changed(arrays, GenJet_mass=ak.where(hard, arrays["GenJet_mass"] + 1e4, arrays["GenJet_mass"]))
    plain = simulate(simulator("Jet"), arrays, folds=[0, 1])
    jets = simulate(simulator("Jet", flag_domain=True), arrays, folds=[0, 1])
    assert {name: jets[name].tobytes() for name in plain.columns} == {
        name: column.tobytes() for name, column in plain.columns.items()
    }
    assert set(jets.columns) - set(plain.columns) == {"outsideDomain"}
    flagged, matched = jets["outsideDomain"] == 1.0, jets["genJetIdx"] >= 0
    in_hard = np.asarray(hard)[jets.event_rows // 2]
    assert flagged[matched & in_hard].all()
    # The others are some that nothing in the training is like, among them those without a gen jet.
    usual = simulate(simulator("Jet", flag_domain=True), before, folds=[0, 1])
    for with_gen in (True, False):
        as_usual = (usual["outsideDomain"] == 1.0)[(usual["genJetIdx"] >= 0) == with_gen].mean()
        some = (matched == with_gen) & ~in_hard
        assert flagged[some].mean() == pytest.approx(as_usual, abs=0.1)
        # Test models know a few dozen places, of which a new one is seldom between in all columns.
        assert as_usual < 0.5 or not with_gen


def test_a_flag_needs_a_model_that_knows_its_phase_space(loaded_models):
    (model,) = (m for m in loaded_models if m.declaration.collection == "Jet")
    unmatched = {name: replace(source, phase_space=None) for name, source in model.unmatched.items()}
    old = replace(
        model, phase_space=None, unmatched=unmatched, placed=replace(model.placed, phase_space=None)
    )
    assert ObjectSimulator(old, seed=1).phase_spaces == {}
    with pytest.raises(ModelFileError, match=r"jets does not know the domain .* train it again"):
        ObjectSimulator(old, seed=1, flag_domain=True)


def test_events_without_gen_objects(simulator, arrays):
    none = ak.Array(np.zeros((len(arrays["event"]), 0), dtype=np.float32))
    empty = changed(
        arrays,
        **{
            name: ak.values_astype(none, np.int32) if "Idx" in name or "Id" in name else none
            for name in arrays
            if name.startswith("Gen") and arrays[name].ndim > 1
        },
    )
    empty["GenPart_statusFlags"] = ak.values_astype(none, np.int32)
    jets = simulate(simulator("Jet"), empty)
    assert len(jets) > 0
    assert set(jets["genJetIdx"]) == {-1.0}


@pytest.mark.parametrize(
    ("branch", "value", "message"),
    [
        ("GenJet_mass", np.nan, r"x\.root: 'mass', from which jets are simulated, is not a number in 1 of"),
        ("GenJet_pt", np.inf, r"x\.root: 'pt', from which jets .* is not a number in 1 of \d+ rows; mend"),
        ("Pileup_nTrueInt", np.nan, r"x\.root: 'nTrueInt', from which jets"),
    ],
)
def test_input_that_is_no_number_is_named(simulator, arrays, branch, value, message):
    array = arrays[branch]
    flat = np.array(ak.flatten(array, axis=None))
    flat[3] = value
    bad = ak.unflatten(flat, ak.num(array)) if array.ndim > 1 else ak.Array(flat)
    with pytest.raises(InputFileError, match=message):
        simulate(simulator("Jet"), changed(arrays, **{branch: bad}), origin="x.root")


def test_jets_keep_their_distance(simulator, arrays):
    jets = simulate(simulator("Jet"), arrays, folds=[0, 1])
    assert simulator("Jet").declaration.exclusive == pytest.approx(0.4)
    matched = jets.select(jets["genJetIdx"] >= 0)
    row, _ = closest(matched.directions, matched.directions, 1, 0.4, same=True)
    gen = gen_chunk(simulator("Jet").declaration, arrays).collections["GenJet"]
    near, _ = closest(gen.directions, gen.directions, 1, 0.6, same=True)
    assert (near >= 0).sum() > 10  # some would have come close
    assert (row < 0).all()


def test_a_jet_is_drawn_given_its_harder_neighbour(simulator, arrays):
    """What is changed of one jet changes softer ones within reach, and no others."""
    jets = simulator("Jet")
    before = simulate(jets, arrays)
    muons = {field: np.zeros(0) for field in jets.declaration.reconstructed()["Muon"]}
    gen = gen_chunk(jets.declaration, arrays).collections["GenJet"]
    hardest = int(np.argmax(gen["pt"]))
    event, index = int(gen.event_rows[hardest]), int(gen.local_index[hardest])
    one = {name: np.array([gen[name][hardest]]) for name in ("pt", "eta", "phi")}
    muons = {name: np.ones(1) for name in muons} | one
    counts = np.zeros(before.events, dtype=np.int64)
    counts[event] = 1
    after = simulate(jets, arrays, simulated={"Muon": Collection.of_counts(counts, muons)})
    elsewhere = [c.select(c.event_rows != event) for c in (before, after)]
    for name, column in elsewhere[0].columns.items():
        assert np.array_equal(column, elsewhere[1][name])
    wave = waves(gen.directions, gen["pt"], 1.0)
    distance = np.hypot(gen["eta"] - one["eta"], wrap_angle(gen["phi"] - one["phi"]))
    first = np.flatnonzero((gen.event_rows == event) & (wave == 0) & (distance > 1.0))
    unmoved = set(gen["index"][first].tolist()) - {index}

    def of_event(collection):
        rows = np.flatnonzero(collection.event_rows == event)
        return {int(collection["genJetIdx"][r]): collection["pt"][r] for r in rows}

    one_by_one = of_event(before), of_event(after)
    assert one_by_one[0].get(index) != one_by_one[1].get(index)
    assert all(one_by_one[0].get(k) == one_by_one[1].get(k) for k in unmoved)


def test_what_is_left_out_of_a_crowd_is_rare(simulator, arrays):
    """Jets that stay too close after all attempts are lost; there are next to none."""
    jets = simulator("Jet")
    apart = len(simulate(jets, arrays).select(simulate(jets, arrays)["genJetIdx"] >= 0))
    jets.model = replace(
        jets.model, declaration=jets.model.declaration.model_copy(update={"exclusive": None})
    )
    free = simulate(jets, arrays)
    free = len(free.select(free["genJetIdx"] >= 0))
    assert free * 0.99 <= apart <= free * 1.01
