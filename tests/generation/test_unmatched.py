"""Unmatched objects of several sources, from a file of known truth to what is generated."""

from __future__ import annotations

from dataclasses import replace

import awkward as ak
import numpy as np
import pytest

from flashsim.declarations.objects import ObjectDeclaration
from flashsim.declarations.training import TrainingRecipe
from flashsim.errors import InputFileError
from flashsim.events.angles import wrap_angle
from flashsim.events.gen_chunk import gen_chunk
from flashsim.events.identity import event_keys
from flashsim.events.neighbours import closest
from flashsim.generation.simulate import ObjectSimulator
from flashsim.models.object_model import ObjectModel
from flashsim.nanoaod.branch import Branch
from flashsim.nanoaod.writing import NanoWriter
from flashsim.preprocessing.preprocess import preprocess
from flashsim.training.train import train

EVENTS = 1200
HARD = 40.0
PARTS = 0.6
"""Distance of the part that splits off every hard jet."""

PT = {"kind": "field", "name": "pt", "field": "pt", "scale": "log"}
ETA = {"kind": "field", "name": "eta", "field": "eta"}
NUMBER = {"kind": "event", "name": "nPU", "branch": "Pileup_nPU"}
DECLARATION = {
    "schema_version": 1,
    "name": "toys",
    "collection": "Jet",
    "gen": "GenJet",
    "match": "genJetIdx",
    "exclusive": 0.4,
    "gen_view": {
        "schema_version": 1,
        "collections": {"GenJet": {"branch": "GenJet", "fields": ["pt", "eta", "phi", "index"]}},
    },
    "conditioning": [PT, ETA],
    "targets": [
        {"branch": "pt", "relation": "excess", "threshold": 15.0, "width": 5.0},
        {"branch": "eta", "relation": "difference"},
        {"branch": "phi", "relation": "angle", "range": [-3.1415927410125732, 3.1415927410125732]},
        {"branch": "mass"},
    ],
    "unmatched": [
        {
            "name": "besideJet",
            "source": "reco.Jet",
            "cone": 0.8,
            "max_count": 2,
            "relations": {"eta": "difference", "phi": "angle"},
            "conditioning": [PT, ETA, {"kind": "number", "name": "nJet", "of": "reco.Jet"}],
        },
        {"name": "event", "source": "event", "max_count": 6, "conditioning": [NUMBER]},
    ],
}
PLACED = {
    "conditioning": [
        PT,
        ETA,
        {"kind": "categories", "name": "source", "field": "source", "categories": {"besideJet": [0]}},
        {"kind": "closest", "name": "jet", "of": "reco.Jet", "cone": 0.8, "values": {"mass": "linear"}},
        {"kind": "closest", "name": "other", "of": "placed", "cone": 1.0},
    ]
}
"""With it all else is drawn given the place, as here the mass."""

SCHEDULE = {"epochs": 40, "batch": 128, "learning_rate": 5.0e-3}
FLOW = {"layers": 1, "width": 24, "depth": 1, "bins": 8, "schedule": SCHEDULE}
RECIPE = {
    "schema_version": 1,
    "object": "toys",
    "efficiency": {"width": 16, "depth": 1, "schedule": SCHEDULE},
    "flow": FLOW,
    "unmatched": {"count": {"width": 16, "depth": 1, "schedule": SCHEDULE}, "flow": FLOW},
    "placed": {"flow": FLOW},
}


def mass(eta):
    """Give the mass of a jet, which follows from where it is."""
    return 20.0 + 4.0 * eta


def write_truth(path, events=EVENTS, seed=1):
    """Write gen jets, which are all found; of a hard one a part splits off; others stand anywhere else."""
    rng = np.random.default_rng(seed)
    pileup = rng.integers(5, 40, events)
    gen, reco = [], []
    for number in range(events):
        places = zip((30.0, 60.0), (-1.5, 1.5), rng.uniform(-3, 3, 2), strict=True)
        jets = list(places)
        found = [
            (pt * rng.normal(1, 0.05), eta + rng.normal(0, 0.02), phi, k)
            for k, (pt, eta, phi) in enumerate(jets)
        ]
        for pt, eta, phi, _ in list(found):
            if pt > HARD:
                soft = 20.0 + rng.exponential(5)
                found.append((soft, eta + PARTS * 0.6, wrap_angle(phi + PARTS * 0.8), -1))
        for _ in range(rng.poisson(pileup[number] / 20)):
            eta = rng.choice((-4.0, 4.0)) + rng.normal(0, 0.2)
            found.append((15.0 + rng.exponential(3), eta, rng.uniform(-3, 3), -1))
        gen.append(jets)
        reco.append([(*jet, mass(jet[1])) for jet in sorted(found, reverse=True)])

    def jagged(objects, column, dtype):
        flat = np.array([entry[column] for one in objects for entry in one], dtype=dtype)
        return ak.unflatten(flat, [len(one) for one in objects])

    arrays = {"run": np.ones(events, "u4"), "luminosityBlock": np.ones(events, "u4")}
    arrays |= {"event": np.arange(events, dtype="u8"), "Pileup_nPU": pileup.astype("i4")}
    for k, field in enumerate(("pt", "eta", "phi")):
        arrays |= {f"GenJet_{field}": jagged(gen, k, "f4"), f"Jet_{field}": jagged(reco, k, "f4")}
    arrays |= {"Jet_genJetIdx": jagged(reco, 3, "i4"), "Jet_mass": jagged(reco, 4, "f4")}
    branches = [
        Branch(name, ak.to_numpy(ak.flatten(values, axis=None)).dtype, collection)
        for name, values in ((name, ak.Array(values)) for name, values in arrays.items())
        for collection in (name.partition("_")[0] if values.ndim > 1 else None,)
    ]
    with NanoWriter(path) as writer:
        writer.tree("Events", branches)
        writer.extend("Events", arrays)
    return arrays


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    """Give a file of known truth: its path and its branches."""
    path = tmp_path_factory.mktemp("truth") / "full.root"
    return path, write_truth(path)


@pytest.fixture(scope="module", params=[None, PLACED], ids=["at once", "placed"])
def tables(truth, tmp_path_factory, request):
    """Give the folder of its tables with their description, as both ways of drawing need them."""
    folder = tmp_path_factory.mktemp("tables") / "t"
    declaration = ObjectDeclaration.model_validate(DECLARATION | {"placed": request.param})
    return folder, preprocess(declaration, [str(truth[0])], folder)


@pytest.fixture(scope="module")
def model(tables, tmp_path_factory):
    """Give a model that was trained on it."""
    path = tmp_path_factory.mktemp("model") / "toys.safetensors"
    train(tables[0], TrainingRecipe.model_validate(RECIPE), path, accelerator="cpu")
    return ObjectModel.load(path)


def simulated(model, arrays, rows=slice(None), folds=(0,)):
    """Collection that is drawn of some events, and of their gen jets."""
    chosen = {name: ak.Array(values)[rows] for name, values in arrays.items()}
    chunk = gen_chunk(model.declaration, chosen)
    return ObjectSimulator(model, seed=4).simulate(chunk, event_keys(chosen), folds=folds).collection


def test_tables_know_what_objects_come_from(truth, tables):
    _, description = tables
    arrays = truth[1]
    unmatched = int(ak.sum(arrays["Jet_genJetIdx"] < 0))
    hard = int(ak.sum((arrays["Jet_genJetIdx"] >= 0) & (arrays["Jet_pt"] > HARD)))
    by_source = {name: sum(rows.values()) for name, rows in description.unmatched.items()}
    assert by_source["besideJet"] == hard
    assert by_source["event"] == unmatched - hard
    assert sum(description.sources["besideJet"].values()) == int(ak.sum(arrays["Jet_genJetIdx"] >= 0))
    assert sum(description.sources["event"].values()) == EVENTS
    assert set(description.sourceless.values()) == {0}


def test_objects_stand_beside_what_they_come_from(model, truth):
    jets = simulated(model, truth[1])
    unmatched = jets.select(jets["genJetIdx"] < 0)
    hard = jets.select((jets["genJetIdx"] >= 0) & (jets["pt"] > HARD))
    central = unmatched.select(np.abs(unmatched["eta"]) < 3.0)
    assert len(central) == pytest.approx(len(hard), rel=0.05)
    partner = {row: k for k, row in enumerate(hard.event_rows)}
    rows = np.array([partner.get(row, -1) for row in central.event_rows])
    assert np.mean(rows < 0) < 0.05
    found = central.select(rows >= 0)
    rows = rows[rows >= 0]
    deta = found["eta"] - hard["eta"][rows]
    dphi = wrap_angle(found["phi"] - hard["phi"][rows])
    assert np.median(np.hypot(deta, dphi)) == pytest.approx(PARTS, abs=0.05)
    assert np.percentile(np.hypot(deta, dphi), (10, 90)) == pytest.approx((PARTS, PARTS), abs=0.15)
    expected = np.asarray(truth[1]["Pileup_nPU"]).sum() / 20
    assert len(unmatched) - len(central) == pytest.approx(expected, rel=0.1)


def test_objects_of_an_event_keep_out_of_the_cones_of_other_sources(model, truth):
    arrays = dict(truth[1])
    arrays["GenJet_eta"] = ak.where(arrays["GenJet_eta"] > 0, 4.0, -4.0)  # where events have objects
    alone = replace(model.unmatched["besideJet"], targets=None, flow=None)
    jets = simulated(replace(model, unmatched=model.unmatched | {"besideJet": alone}), arrays)
    matched, unmatched = jets.select(jets["genJetIdx"] >= 0), jets.select(jets["genJetIdx"] < 0)
    assert np.mean(np.abs(unmatched["eta"]) > 3.0) > 0.9
    assert closest(unmatched.directions, matched.directions, 1, 10.0)[1].min() >= 0.8


def test_all_else_knows_the_place(model, truth):
    if model.placed is None:
        pytest.skip("here each source draws all of its objects at once")
    jets = simulated(model, truth[1])
    unmatched = jets.select(jets["genJetIdx"] < 0)
    off = unmatched["mass"] - mass(unmatched["eta"])
    assert np.median(np.abs(off)) < 0.1 * np.std(unmatched["mass"])


def test_no_two_are_closer_than_declared(model, truth):
    jets = simulated(model, truth[1], folds=(0, 1))
    counts = jets.counts
    for event in np.flatnonzero(counts > 1):
        inside = slice(jets.offsets[event], jets.offsets[event + 1])
        eta, phi = jets["eta"][inside], jets["phi"][inside]
        first, second = np.triu_indices(len(eta), 1)
        apart = np.hypot(eta[first] - eta[second], wrap_angle(phi[first] - phi[second]))
        assert apart.min() >= 0.4


def test_chunks_and_folds_do_not_matter(model, truth):
    whole = simulated(model, truth[1], folds=(0, 1))
    part = simulated(model, truth[1], rows=slice(100, 130), folds=(1,))
    events = np.isin(whole.event_rows, 2 * np.arange(100, 130) + 1)
    for name, column in part.columns.items():
        assert np.array_equal(column, whole[name][events]), name


def test_values_that_are_no_numbers_are_named(model, truth):
    arrays = dict(truth[1])
    arrays["Pileup_nPU"] = np.where(np.arange(EVENTS) == 3, np.nan, arrays["Pileup_nPU"])
    with pytest.raises(InputFileError, match=r"'nPU', from which toys are simulated, is not a number in 1"):
        simulated(model, arrays)


def test_what_they_come_from_can_be_outside_of_the_training(model, truth):
    arrays = dict(truth[1])
    arrays["Pileup_nPU"] = np.where(np.arange(EVENTS) < 7, 500, arrays["Pileup_nPU"])
    chunk = gen_chunk(model.declaration, {name: ak.Array(values) for name, values in arrays.items()})
    simulator = ObjectSimulator(model, seed=4, flag_domain=True)
    drawn = simulator.simulate(chunk, event_keys({n: ak.Array(v) for n, v in arrays.items()}))
    assert set(drawn.outside_counts) == set(simulator.phase_spaces)
    count = drawn.outside_counts["events for unmatched Jet"]
    assert (count.outside, count.rows) == (7, EVENTS)
    jets = drawn.collection
    if model.placed is not None:  # places can be outside, too
        jets = jets.select(jets.event_rows < 7)
    of_events = (jets["genJetIdx"] < 0) & (np.abs(jets["eta"]) > 3.0)
    assert np.array_equal(jets["outsideDomain"][of_events] == 1.0, jets.event_rows[of_events] < 7)
