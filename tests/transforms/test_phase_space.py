from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from flashsim.declarations.conditioning import Categories, Closest, EventValue, GenField
from flashsim.transforms.phase_space import CELLS, PROBABILITIES, Axis, OutsideCount, PhaseSpace

ROWS = 4000
CONDITIONING = [
    GenField(kind="field", name="pt", field="pt", scale="log"),
    GenField(kind="field", name="eta", field="eta"),
    GenField(kind="field", name="absEta", field="eta", scale="abs"),
    Categories(kind="categories", name="flavour", field="flavour", categories={"b": [5], "c": [4]}),
    Closest(kind="closest", name="muon", of="Muon", cone=0.7),
    EventValue(kind="event", name="nPU", branch="Pileup_nPU"),
]


def columns_of(rng, rows=ROWS):
    """Columns as features give them: jets are harder in the middle, and none is b and c."""
    eta = rng.uniform(-5.0, 5.0, rows)
    found = rng.random(rows) < 0.5
    return {
        "pt": 15.0 + rng.exponential(30.0, rows) * np.exp(-((eta / 2.0) ** 2)),
        "eta": eta,
        "absEta": eta,
        "flavour_b": (label := rng.integers(0, 4, rows)) == 1,
        "flavour_c": label == 2,
        "muon_found": found.astype(float),
        "muon_dr": np.where(found, rng.uniform(0.0, 0.7, rows), 0.7),
        "muon_deta": np.where(found, rng.uniform(-0.4, 0.4, rows), 0.0),
        "muon_dphi": np.where(found, rng.uniform(-0.4, 0.4, rows), 0.0),
        "muon_pt_share": np.where(found, rng.uniform(0.0, 1.0, rows), 0.0),
        "nPU": rng.integers(10, 60, rows),
    }


@pytest.fixture(scope="module")
def columns():
    return columns_of(np.random.default_rng(1))


@pytest.fixture(scope="module")
def phase_space(columns):
    # Tables keep single precision.
    return PhaseSpace.fit(CONDITIONING, {name: c.astype(np.float32) for name, c in columns.items()})


def one(columns, **changes):
    """One ordinary row, changed."""
    return {name: np.array([changes.get(name, np.median(c))]) for name, c in columns.items()}


def test_the_training_is_inside_of_its_domain(phase_space, columns):
    assert phase_space.outside(columns) == {}
    assert phase_space.rows == ROWS


def test_few_other_rows_of_the_same_kind_are_outside(phase_space):
    rows = 20_000
    masks = phase_space.outside(columns_of(np.random.default_rng(2), rows))
    # One in as many as were trained on is beyond each of a dozen limits, give or take.
    assert 0 < OutsideCount.of(masks, rows).outside < 30 / ROWS * rows


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, set()),
        ({"pt": 1000.0}, {"pt"}),
        ({"pt": 10.0}, {"pt"}),
        ({"pt": 0.0}, {"pt"}),
        ({"nPU": 80.0, "muon_dr": 0.9}, {"nPU", "muon_dr"}),
        ({"eta": -4.8, "absEta": -4.8}, set()),
        ({"absEta": -5.1, "eta": -5.1}, {"eta", "absEta"}),
    ],
)
def test_rows_beyond_a_limit(phase_space, columns, changes, expected):
    masks = phase_space.outside(one(columns, **changes))
    assert set(masks) == expected
    assert all(mask.tolist() == [True] for mask in masks.values())


def test_a_row_between_the_limits_where_no_training_was(phase_space, columns):
    hard = float(columns["pt"].max())
    assert set(phase_space.outside(one(columns, pt=hard, eta=4.9, absEta=4.9))) == {"pt, eta"}
    assert phase_space.outside(one(columns, pt=hard, eta=float(columns["eta"][columns["pt"].argmax()]))) == {}


def test_labels_that_a_training_had_in_other_places_only(columns):
    soft = columns["pt"] < 40.0
    columns = columns | {"flavour_b": columns["flavour_b"] & soft}
    phase_space = PhaseSpace.fit(CONDITIONING, columns)
    assert set(phase_space.outside(one(columns, pt=100.0, flavour_b=1.0))) == {"pt, flavour_b"}
    assert phase_space.outside(one(columns, pt=100.0, flavour_c=1.0)) == {}
    none = PhaseSpace.fit(CONDITIONING, columns | {"flavour_b": np.zeros(ROWS)})
    assert set(none.outside(one(columns, flavour_b=1.0))) == {"flavour_b"}


def test_densities_count_every_row_once(phase_space):
    assert {("pt", "eta"), ("pt", "nPU"), ("eta", "nPU"), ("pt", "flavour_b")} < set(phase_space.density)
    assert not any(
        "absEta" in pair or pair[0].startswith(("muon", "flavour")) for pair in phase_space.density
    )
    assert all(counts.sum() == ROWS for counts in phase_space.density.values())


def test_json(phase_space):
    again = PhaseSpace.from_json(json.loads(json.dumps(phase_space.to_json(), allow_nan=False)))
    assert (again.rows, again.axes) == (phase_space.rows, phase_space.axes)
    assert {pair: counts.tolist() for pair, counts in again.density.items()} == {
        pair: counts.tolist() for pair, counts in phase_space.density.items()
    }


values = st.floats(-1e6, 1e6, width=32)


@given(
    column=hnp.arrays(np.float32, st.integers(1, 50), elements=values),
    asked=hnp.arrays(np.float64, st.integers(1, 50), elements=st.floats(-2e6, 2e6)),
    scale=st.sampled_from(["linear", "abs", "log", "log1p"]),
)
def test_an_axis_knows_its_values(column, asked, scale):
    if scale.startswith("log"):
        column, asked = np.abs(column) + np.float32(1.0), np.abs(asked)
    axis = Axis.fit(column, scale)
    assert len(axis.quantiles) == len(PROBABILITIES)
    assert list(axis.quantiles) == sorted(axis.quantiles)
    assert not axis.outside(column).any()
    low, high = axis.limits
    sized = np.abs(asked) if scale == "abs" else asked
    assert np.array_equal(axis.outside(asked), (sized.astype("f4") < low) | (sized.astype("f4") > high))
    if axis.spreads:
        cells = axis.cells(np.concatenate((asked, column)))
        assert cells.min() >= 0
        assert cells.max() <= CELLS - 1
        assert axis.cells(np.array(axis.limits)).tolist() == [0, CELLS - 1]


@given(hnp.arrays(bool, (3, 20)), hnp.arrays(bool, (3, 20)))
def test_tallies_add_as_the_rows_do(first, second):
    def count(masks):
        named = {name: mask for name, mask in zip("abc", masks, strict=True) if mask.any()}
        return OutsideCount.of(named, masks.shape[1])

    assert count(first) + count(second) == count(np.concatenate((first, second), axis=1))
    assert count(first) + OutsideCount() == count(first)
    assert count(first).outside == np.count_nonzero(first.any(axis=0))
