from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import vector
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from flashsim.declarations.conditioning import (
    RECO,
    Activity,
    Angle,
    Bits,
    Categories,
    Closest,
    Earlier,
    EventValue,
    GenField,
    Momentum,
    Number,
    TurnOn,
)
from flashsim.declarations.objects import load_object
from flashsim.declarations.optional import for_file
from flashsim.declarations.recipes import recipe_folder
from flashsim.events.collection import Collection
from flashsim.events.conditioning import conditioning_columns
from flashsim.events.gen_chunk import (
    GenChunk,
    conditioning_branches,
    gen_chunk,
    reconstructed_before,
    with_simulated,
)
from flashsim.events.sources import source_objects, with_drawn
from flashsim.nanoaod.reading import NanoFile
from flashsim.preprocessing.preprocess import needed_branches
from flashsim.transforms.codec import ConditioningCodec

SHIPPED = sorted(p.stem for p in recipe_folder("preprocessing").glob("*.yaml") if p.stem != "gen")

JETS = Collection(
    np.array([0, 2, 2, 3]),
    {
        "pt": np.array([50.0, 20.0, 30.0]),
        "eta": np.array([0.0, 0.0, 1.0]),
        "phi": np.array([3.1, -3.1, 0.0]),
        "mass": np.array([5.0, 4.0, 3.0]),
        "flavour": np.array([-5, 21, 0]),
        "statusFlags": np.array([0b1, 0b1000000000001, 0]),
    },
)
MUONS = Collection(
    np.array([0, 1, 2, 2]),
    {"pt": np.array([10.0, 7.0]), "eta": np.array([0.3, 0.0]), "phi": np.array([3.1, 0.0])},
)
CHUNK = GenChunk({"Jet": JETS, "Muon": MUONS}, {"nPU": np.array([30, 40, 50])}, 3)


def columns(entry, gen="Jet"):
    return {name: values.tolist() for name, values in conditioning_columns([entry], CHUNK, gen).items()}


def test_a_field_is_the_objects():
    assert columns(GenField(kind="field", name="m", field="mass")) == {"m": [5.0, 4.0, 3.0]}


def test_an_angle_has_no_seam():
    found = conditioning_columns([Angle(kind="angle", name="phi", field="phi")], CHUNK, "Jet")
    assert found["phi_cos"] == pytest.approx(np.cos(JETS["phi"]))
    assert found["phi_sin"] == pytest.approx(np.sin(JETS["phi"]))


@given(
    values=st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=5),
    threshold=st.floats(0, 100),
    width=st.floats(0.01, 10),
)
def test_turn_on_rises_through_one_half_at_the_threshold_of_the_magnitude(values, threshold, width):
    entry = TurnOn(kind="turn_on", name="edge", field="x", threshold=threshold, width=width)
    field = np.sort([*values, threshold, -threshold])
    chunk = GenChunk({"Jet": Collection(np.array([0, len(field)]), {"x": field})}, {}, 1)
    step = conditioning_columns([entry], chunk, "Jet")["edge"]
    assert ((step >= 0.0) & (step <= 1.0)).all()
    assert step[np.abs(field) == threshold] == pytest.approx(0.5)
    by_magnitude = step[np.argsort(np.abs(field), kind="stable")]
    assert (np.diff(by_magnitude) >= 0.0).all()


def test_categories_ignore_the_sign_and_may_leave_labels_out():
    entry = Categories(kind="categories", name="f", field="flavour", categories={"b": [5], "any": [5, 21]})
    assert columns(entry) == {"f_b": [1.0, 0.0, 0.0], "f_any": [1.0, 1.0, 0.0]}


def test_bits_are_named_flags():
    entry = Bits(kind="bits", name="flags", flags=["isPrompt", "isFirstCopy"])
    assert columns(entry) == {"isPrompt": [1.0, 1.0, 0.0], "isFirstCopy": [0.0, 1.0, 0.0]}


def test_an_event_value_is_the_same_for_all_objects_of_the_event():
    entry = EventValue(kind="event", name="pu", branch="nPU")
    assert columns(entry) == {"pu": [30.0, 30.0, 50.0]}
    assert columns(entry, gen=None) == {"pu": [30.0, 40.0, 50.0]}
    assert conditioning_branches([entry, entry]) == ["nPU"]


def test_the_closest_of_another_collection():
    entry = Closest(kind="closest", name="mu", of="Muon", cone=0.5)
    found = conditioning_columns([entry], CHUNK, "Jet")
    dphi = -6.2 + 2 * np.pi
    assert found["mu_found"].tolist() == [1.0, 1.0, 0.0]
    assert found["mu_dr"] == pytest.approx([0.3, np.hypot(0.3, dphi), 0.5])
    assert found["mu_deta"] == pytest.approx([-0.3, -0.3, 0.0])
    assert found["mu_dphi"] == pytest.approx([0.0, dphi, 0.0])
    assert found["mu_pt_share"] == pytest.approx([0.2, 0.5, 0.0])


def test_an_object_is_not_its_own_neighbour():
    entry = Closest(kind="closest", name="jet", of="Jet", cone=1.0, shares=["mass"])
    found = conditioning_columns([entry], CHUNK, "Jet")
    assert found["jet_found"].tolist() == [1.0, 1.0, 0.0]
    assert found["jet_mass_share"] == pytest.approx([4.0 / 50.0, 5.0 / 20.0, 0.0])


def test_the_second_closest():
    entry = Closest(kind="closest", name="jet", of="Jet", cone=1.0, rank=2)
    assert columns(entry)["jet_found"] == [0.0, 0.0, 0.0]


@given(
    pt=st.floats(3.0, 100.0),
    eta=st.floats(-2.4, 2.4),
    phi=st.floats(-3.1, 3.1),
    rest=st.floats(1.0, 200.0),
    away=st.floats(0.0, 0.25),
    direction=st.floats(0.0, 6.28),
)
def test_what_a_jet_holds_beside_its_muon(*, pt, eta, phi, rest, away, direction):
    muon = vector.obj(pt=pt, eta=eta, phi=phi, mass=0.0)
    other = vector.obj(
        pt=rest, eta=eta + away * np.cos(direction), phi=phi + away * np.sin(direction), mass=0.0
    )
    jet = muon + other
    chunk = GenChunk({"Muon": _single(muon), "Jet": _single(jet)}, {}, 1)
    entry = Closest(kind="closest", name="jet", of="Jet", cone=0.4, rest=True)
    found = conditioning_columns([entry], chunk, "Muon")
    assert list(found) == list(entry.columns())
    assert found["jet_rest_share"] == pytest.approx(rest / pt, rel=1e-6)
    assert found["jet_rest_dr"] == pytest.approx(away, abs=1e-6)


def test_leptons_in_the_jet_can_be_taken_out_of_the_rest():
    muon = vector.obj(pt=40.0, eta=1.0, phi=3.1, mass=0.0)
    other = vector.obj(pt=20.0, eta=1.1, phi=-3.1, mass=0.0)
    hadrons = vector.obj(pt=10.0, eta=0.9, phi=3.0, mass=0.0)
    leptons = Collection(
        np.array([0, 2]),
        {name: np.array([getattr(muon, name), getattr(other, name)]) for name in ("pt", "eta", "phi")},
    )
    collections = {"Muon": _single(muon), "Lepton": leptons, "Jet": _single(muon + other + hadrons)}
    chunk = GenChunk(collections, {}, 1)
    entry = Closest(kind="closest", name="jet", of="Jet", cone=0.4, rest=True, without="Lepton")
    found = conditioning_columns([entry], chunk, "Muon")
    assert found["jet_rest_share"] == pytest.approx(0.25)
    assert found["jet_rest_dr"] == pytest.approx(np.hypot(0.1, 0.1))


def test_a_muon_alone_has_no_rest():
    muon = vector.obj(pt=40.0, eta=1.0, phi=0.5, mass=0.0)
    far = vector.obj(pt=40.0, eta=-1.0, phi=0.5, mass=0.0)
    entry = Closest(kind="closest", name="jet", of="Jet", cone=0.4, rest=True)
    for jets in (_single(muon), _single(far), _single(far).select(np.array([False]))):
        found = conditioning_columns([entry], GenChunk({"Muon": _single(muon), "Jet": jets}, {}, 1), "Muon")
        assert found["jet_rest_share"] == pytest.approx(1e-3)
    assert found["jet_rest_dr"] == pytest.approx(0.8)


def _single(momentum):
    return Collection(
        np.array([0, 1]), {name: np.array([getattr(momentum, name)]) for name in ("pt", "eta", "phi")}
    )


def test_activity_of_the_event():
    entry = Activity(kind="activity", name="ht", of="Jet")
    assert columns(entry, gen=None) == {"ht": [70.0, 0.0, 30.0]}
    assert columns(entry) == {"ht": [70.0, 70.0, 30.0]}


def test_activity_in_a_ring():
    entry = Activity(kind="activity", name="near", of="Jet", inner=0.01, outer=0.5)
    assert columns(entry) == {"near": [20.0, 50.0, 0.0]}


def test_objects_that_look_at_a_field_see_only_those_that_have_its_value():
    muons = MUONS.with_columns({"isPFcand": np.array([0, 1])})
    chunk = replace(CHUNK, collections={"Jet": JETS, "reco.Muon": muons})
    one = Closest(kind="closest", name="m", of="reco.Muon", cone=0.5, where={"isPFcand": 1})
    assert conditioning_columns([one], chunk, "Jet")["m_found"].tolist() == [0.0, 0.0, 0.0]
    one = one.model_copy(update={"where": {"isPFcand": 0}, "values": {"pt": "log1p"}})
    found = conditioning_columns([one], chunk, "Jet")
    assert found["m_found"].tolist() == [1.0, 1.0, 0.0]
    assert found["m_pt"].tolist() == [10.0, 10.0, 0.0]
    number = Number(kind="number", name="n", of="reco.Muon", where={"isPFcand": 1})
    assert conditioning_columns([number], chunk)["n"].tolist() == [0, 1, 0]


def test_energy_of_massless_objects():
    entry = Activity(kind="activity", name="e", of="Muon", quantity="energy")
    expected = [10.0 * np.cosh(0.3), 7.0, 0.0]
    assert conditioning_columns([entry], CHUNK)["e"] == pytest.approx(expected)


def test_what_has_an_owner_counts_for_it_alone():
    jets = Collection(
        np.array([0, 2]), {"pt": np.array([50.0, 20.0]), "eta": np.array([0.0, 0.3]), "phi": np.zeros(2)}
    )
    muons = Collection(
        np.array([0, 3]),
        {"pt": np.array([5.0, 7.0, 9.0]), "eta": np.array([0.1, 0.2, 2.0]), "phi": np.zeros(3)},
    )
    chunk = GenChunk({"Jet": jets, "Muon": muons}, {}, 1)
    entry = Activity(kind="activity", name="m", of="Muon", outer=0.4, owned=True)
    assert conditioning_columns([entry], chunk, "Jet")["m"].tolist() == [5.0, 7.0]
    entry = entry.model_copy(update={"owned": False})
    assert conditioning_columns([entry], chunk, "Jet")["m"].tolist() == [12.0, 12.0]


def test_momenta_are_seen_from_the_axis_of_a_recoil():
    axis = np.array([0.0, np.pi / 2, 1.0])
    event = Collection(np.arange(4), {"MET_axis": axis})
    muons = Collection(
        np.array([0, 2, 3, 3]),
        {"pt": np.array([3.0, 4.0, 5.0]), "eta": np.zeros(3), "phi": np.array([0.0, np.pi / 2, np.pi / 2])},
    )
    chunk = GenChunk({"Event": event, "Muon": muons}, {}, 3)
    entry = Momentum(kind="momentum", name="muons", of="Muon", recoil="MET")
    found = conditioning_columns([entry], chunk, "Event")
    assert found["muons_along"] == pytest.approx([3.0, 5.0, 0.0])
    assert found["muons_across"] == pytest.approx([4.0, 0.0, 0.0])


def test_sums_of_expressions_of_the_objects_fields():
    event = Collection(np.arange(3), {"MET_axis": np.array([0.0, np.pi / 2])})
    jets = Collection(
        np.array([0, 2, 3]),
        {
            "pt": np.array([3.0, 4.0, 5.0], np.float32),
            "eta": np.array([0.0, 3.0, -3.0]),
            "phi": np.array([0.0, np.pi / 2, np.pi / 2]),
            "rawFactor": np.array([0.5, 0.1, -0.2]),
        },
    )
    chunk = GenChunk({"Event": event, "reco.Jet": jets}, {}, 2)
    squares = Activity(kind="activity", name="a", of="reco.Jet", value="pt**2")
    assert conditioning_columns([squares], chunk)["a"].tolist() == [25.0, 25.0]
    value = "where(abs(eta) > 2.5, pt * rawFactor, 0)"
    entry = Momentum(kind="momentum", name="m", of="reco.Jet", recoil="MET", value=value)
    assert entry.reads() == {"pt", "eta", "phi", "rawFactor"}
    found = conditioning_columns([entry], chunk, "Event")
    assert found["m_along"] == pytest.approx([0.0, -1.0])
    assert found["m_across"] == pytest.approx([0.4, 0.0])
    with pytest.raises(ValidationError, match="knows fields of its objects only"):
        Activity(kind="activity", name="a", of="Jet", value="gen.pt")


def test_a_reference_to_what_is_not_simulated_is_not_asked_for():
    entry = Activity(kind="activity", name="alone", of="reco.Muon", where={"jetIdx": -1})
    muons = Collection(np.array([0, 1, 3]), {"pt": np.array([3.0, 4.0, 5.0])})
    chunk = GenChunk({"reco.Muon": muons}, {}, 2)
    assert conditioning_columns([entry], chunk)["alone"].tolist() == [3.0, 9.0]


def test_an_object_knows_what_became_of_its_earlier_neighbour():
    nan = np.nan
    counterparts = {
        "pt": np.array([100.0, nan, nan]),
        "eta": np.array([0.1, nan, nan]),
        "phi": np.array([-3.1, nan, nan]),
        "area": np.array([0.5, nan, nan]),
    }
    entry = Earlier(kind="earlier", name="e", reach=0.4, values={"area": "linear"})
    chunk = replace(CHUNK, counterparts=counterparts)
    found = conditioning_columns([entry], chunk, "Jet")
    assert list(found) == list(entry.columns())
    assert found["e_found"].tolist() == [0.0, 1.0, 0.0]  # the second is softer and across the seam
    assert found["e_kept"].tolist() == [0.0, 1.0, 0.0]
    assert found["e_pt_share"].tolist() == [0.0, 2.5, 0.0]
    assert found["e_response"] == pytest.approx([0.0, np.log(2.0), 0.0])
    assert found["e_shift_eta"] == pytest.approx([0.0, 0.1, 0.0])
    assert found["e_shift_phi"] == pytest.approx([0.0, 2 * np.pi - 6.2, 0.0])
    assert found["e_reco_dr"] == pytest.approx([0.8, 0.1, 0.8])
    assert found["e_area"].tolist() == [0.0, 0.5, 0.0]
    lost = replace(CHUNK, counterparts=dict.fromkeys(counterparts, np.full(3, nan)))
    found = conditioning_columns([entry], lost, "Jet")
    assert found["e_found"].tolist() == [0.0, 1.0, 0.0]
    assert found["e_kept"].tolist() == [0.0, 0.0, 0.0]
    assert all(np.isfinite(column).all() for column in found.values())


@pytest.mark.parametrize("name", SHIPPED)
def test_chunks_without_events_or_objects_have_empty_columns(name):
    declaration = load_object(name)
    fields = {field for c in declaration.gen_view.collections.values() for field in c.fields}
    fields |= declaration.computed_fields() | {"pt"}
    fields |= {field for names in declaration.reconstructed().values() for field in names}
    fields |= set(declaration.own_fields())
    names = [*declaration.gen_view.collections, *(RECO + name for name in declaration.reconstructed())]
    for events in (0, 3):
        nothing = Collection(np.zeros(events + 1, dtype=np.int64), {field: np.zeros(0) for field in fields})
        values = dict.fromkeys(conditioning_branches(declaration.conditioning), np.ones(events))
        values |= {entry.key: np.ones(events) for entry in declaration.event_results()}
        chunk = GenChunk(dict.fromkeys(names, nothing), values, events, nothing.columns)
        assert all(
            len(c) == 0
            for c in conditioning_columns(declaration.conditioning, chunk, declaration.gen).values()
        )
        chunk = with_drawn(chunk, declaration.collection, nothing)
        for source in declaration.unmatched:
            found = source_objects(source, chunk)
            rows = events if source.is_event else 0
            assert all(len(column) == rows for column in found.conditioning.values())


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize(
    "sample",
    ["tt_2018_v5", "tt_2022_v12", pytest.param("tt_2024_v15", marks=pytest.mark.slow), "wjets_2015_v9"],
)
def test_shipped_conditioning_of_real_files(nanoaod_dir, name, sample):
    declaration = load_object(name)
    with NanoFile(nanoaod_dir / f"{sample}.root") as file:
        declaration, _ = for_file(declaration.with_branches(file.has), file.has)
        arrays = file.read(needed_branches(declaration))
    chunk = with_simulated(
        declaration, gen_chunk(declaration, arrays), reconstructed_before(declaration, arrays)
    )
    gen = chunk.collections[declaration.gen]
    nowhere = dict.fromkeys(declaration.own_fields(), np.full(len(gen), np.nan))
    chunk = replace(chunk, counterparts=nowhere)
    found = conditioning_columns(declaration.conditioning, chunk, declaration.gen)
    assert list(found) == [column for entry in declaration.conditioning for column in entry.columns()]
    rows = len(chunk.collections[declaration.gen])
    assert all(column.shape == (rows,) and np.isfinite(column).all() for column in found.values())
    matrix = ConditioningCodec.fit(declaration.conditioning, found).encode(found)
    assert np.isfinite(matrix).all()
    assert np.abs(matrix.mean(axis=0)).max() < 1e-3
    # Of unmatched objects as if all were matched.
    own = {} if declaration.per == "event" else {declaration.collection: declaration.drawn_fields()}
    for collection, fields in own.items():
        chunk = with_drawn(chunk, collection, Collection.of_branches(arrays, collection, fields))
    for source in declaration.unmatched:
        found = source_objects(source, chunk)
        assert list(found.conditioning) == source.columns
        for column in found.conditioning.values():
            assert column.shape == (len(found.objects),)
            assert np.isfinite(column).all()


@settings(max_examples=10, deadline=None)
@given(cut=st.integers(0, 3))
def test_columns_do_not_depend_on_chunks(cut):
    entries = [
        Closest(kind="closest", name="mu", of="Muon", cone=0.5),
        Activity(kind="activity", name="ht", of="Jet"),
        Activity(kind="activity", name="near", of="Jet", inner=0.01, outer=0.5),
        EventValue(kind="event", name="pu", branch="nPU"),
    ]

    def part(first, last):
        pieces = {}
        for name, whole in CHUNK.collections.items():
            a, b = whole.offsets[first], whole.offsets[last]
            fields = {field: values[a:b] for field, values in whole.columns.items()}
            pieces[name] = Collection(whole.offsets[first : last + 1] - a, fields)
        chunk = GenChunk(pieces, {"nPU": CHUNK.event_values["nPU"][first:last]}, last - first)
        return conditioning_columns(entries, chunk, "Jet")

    left, right, whole = part(0, cut), part(cut, 3), conditioning_columns(entries, CHUNK, "Jet")
    assert all(np.array_equal(np.concatenate((left[name], right[name])), whole[name]) for name in whole)
