"""What follows from linked objects, against the same computed from momenta."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flashsim.declarations.objects import load_object
from flashsim.events.collection import Collection
from flashsim.nanoaod.mantissa import round_mantissa
from flashsim.nanoaod.schema import mantissa_bits
from flashsim.reference.objects.clustering import Clustered
from flashsim.reference.objects.corrections import JetCorrections
from flashsim.reference.output.links import lepton_jets
from flashsim.transforms.linked import LinkedTests, linked_columns, linked_rows, linked_values

VERSION = "v9"
CHS, PUPPI = 0, 1


@pytest.fixture(scope="module")
def muons():
    return load_object("muons")


@pytest.fixture(scope="module")
def corrections():
    return JetCorrections.load("run2")


def drawn(seed, events=20):
    """Leptons and jets of some events, each lepton in a jet or in none, and the energy density."""
    rng = np.random.default_rng(seed)
    counts, jet_counts = rng.integers(0, 4, events), rng.integers(1, 5, events)
    jets = Collection.of_counts(jet_counts, {})
    n, m = counts.sum(), len(jets)
    jets = jets.with_columns(
        {
            "pt": rng.uniform(15.0, 200.0, m),
            "eta": rng.uniform(-2.8, 2.8, m),
            "phi": rng.uniform(-3.14, 3.14, m),
            "rawFactor": rng.uniform(-0.3, 0.3, m),
            "area": rng.uniform(0.3, 0.7, m),
            "nConstituents": rng.integers(1, 30, m),
        }
    )
    rows = np.repeat(np.arange(events), counts)
    index = rng.integers(-1, jet_counts[rows])
    jet = jets.offsets[rows] + np.maximum(index, 0)
    leptons = {
        "pt": rng.uniform(3.0, 150.0, n),
        "eta": jets["eta"][jet] + rng.normal(0.0, 0.1, n),
        "phi": jets["phi"][jet] + rng.choice([0.0, 2 * np.pi], n) + rng.normal(0.0, 0.1, n),
        "jetIdx": index,
        "jetRelIso": rng.uniform(0.0, 1.0, n),
        "jetPtRelv2": rng.uniform(0.0, 1.0, n),
    }
    # A lepton that is all of its jet, for the reference, has its momentum.
    alone = np.flatnonzero((index >= 0) & (jets["nConstituents"][jet] == 1))
    for field in ("eta", "phi"):
        leptons[field][alone] = jets[field][jet[alone]]
    leptons["pt"][alone] = (jets["pt"] * (1.0 - jets["rawFactor"]))[jet[alone]]
    return Collection.of_counts(counts, leptons), jets, {"rho": rng.uniform(3.0, 40.0, events)}


def of_reference(leptons, jets, events, corrections=None):
    """Give what the reference simulation makes of the same momenta, without candidates."""
    rows = linked_rows(leptons["jetIdx"], leptons, jets)
    l1 = np.ones(len(jets))
    if corrections is not None:
        raw = jets["pt"] * (1.0 - jets["rawFactor"])
        rho = events["rho"][jets.event_rows]
        l1, _ = corrections.factors("AK4PFchs", area=jets["area"], eta=jets["eta"], pt=raw, rho=rho)
    has = np.flatnonzero(rows >= 0)
    order = np.argsort(rows[has], kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(rows[has], minlength=len(jets)))])
    none = np.zeros(len(leptons))
    fields = ("pt", "eta", "phi", "charge", "fromPV", "dxy", "dz")
    candidates = leptons.with_columns(dict.fromkeys(fields, none) | {"track": np.full(len(none), -1)})
    return lepton_jets(
        leptons.with_columns({"_candidate": np.arange(len(leptons))}),
        Clustered(jets.with_columns({"_l1": l1}), offsets, has[order]),
        candidates,
        Collection(np.array([0, 1]), {f: np.zeros(1) for f in ("layers", "pixelHits", "chi2")}),
        leptons["jetRelIso"],
    )


@given(st.integers(0, 10_000), st.sampled_from([CHS, PUPPI]))
@settings(max_examples=50)
def test_leptons_follow_from_their_jets_as_in_the_reference(muons, corrections, seed, kind):
    leptons, jets, events = drawn(seed)
    expected = of_reference(leptons, jets, events, corrections if kind == CHS else None)
    linked = muons.linked[kind]
    rows = linked_rows(leptons["jetIdx"], leptons, jets)
    has = rows >= 0
    columns = linked_columns(linked, leptons, jets, events, rows)
    found = linked_values(linked, muons.targets, columns, int(has.sum()))
    assert found.keys() == {"jetRelIso", "jetPtRelv2"}
    np.testing.assert_allclose(found["jetRelIso"], expected["jetRelIso"][has], atol=1e-9)
    # The reference takes the difference of two squares, which loses half of the digits.
    np.testing.assert_allclose(found["jetPtRelv2"], expected["jetPtRelv2"][has], rtol=1e-6, atol=1e-4)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1), st.integers(0, 99))
def test_indices_count_inside_the_event(counts, seed):
    rng = np.random.default_rng(seed)
    source, to = (Collection.of_counts(np.array(c), {}) for c in zip(*counts, strict=True))
    index = rng.integers(-2, 5, len(source))
    rows = linked_rows(index, source, to)
    for row, i, event in zip(rows, index, source.event_rows, strict=True):
        known = 0 <= i < counts[event][1]
        assert row == (sum(n for _, n in counts[:event]) + i if known else -1)


def stored(collection, name):
    """Round what files hold rounded."""
    columns = dict(collection.columns)
    for field, values in columns.items():
        if field not in {"jetIdx", "nConstituents"}:
            bits = mantissa_bits(VERSION, f"{name}_{field}")
            exact = values.astype(np.float32)
            columns[field] = exact if bits is None else round_mantissa(exact, bits)
    return Collection(collection.offsets, columns)


@pytest.mark.parametrize("kind", [CHS, PUPPI])
def test_files_tell_which_of_two_formulas_they_have(muons, corrections, caplog, kind):
    tests = LinkedTests(muons, VERSION)
    for seed in range(3):
        leptons, jets, events = drawn(seed, 400)
        made = of_reference(leptons, jets, events, corrections if kind == CHS else None)
        leptons = leptons.with_columns({name: made[name] for name in ("jetRelIso", "jetPtRelv2")})
        for number in (CHS, PUPPI):
            tests.add(number, stored(leptons, "Muon"), stored(jets, "Jet"), events)
    (linked,) = tests.tested(muons).linked
    assert linked == muons.linked[kind]
    with caplog.at_level(logging.INFO):
        tests.report(logging.getLogger("flashsim"))
    assert caplog.text.count("left out, another is in its place") == 2
    assert {test.rows for test in tests.tests} == {tests.tests[0].rows}
    assert tests.tests[0].rows > 500


def test_branches_that_do_not_follow_are_drawn(muons, caplog):
    tests = LinkedTests(muons, VERSION)
    for number in (CHS, PUPPI):
        tests.add(number, *drawn(1))
    assert tests.tested(muons).linked == []
    tests.report(logging.getLogger("flashsim"))
    assert caplog.text.count("jetRelIso of the linked Jet': holds in ") == 2
    assert caplog.text.count("left out, the branch is drawn by itself") == 4
