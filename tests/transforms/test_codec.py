from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri

from flashsim.declarations.conditioning import Angle, Closest, EventValue, GenField
from flashsim.declarations.objects import Target, load_object
from flashsim.declarations.recipes import recipe_folder
from flashsim.errors import TableError
from flashsim.nanoaod.mantissa import round_mantissa
from flashsim.nanoaod.schema import mantissa_bits
from flashsim.transforms.codec import ConditioningCodec, TargetCodec, allows, stored_bits
from flashsim.transforms.columns import SMALLEST_PROBABILITY, QuantileNormal

SHIPPED = sorted(p.stem for p in recipe_folder("preprocessing").glob("*.yaml") if p.stem != "gen")
ROWS = 2000


def normal_of(fitted, *columns, uniform):
    """What a flow sees of values, `uniform` in [0, 1] spreading the point masses."""
    low, high = fitted.bounds(*columns)
    return ndtri(np.clip(low + uniform * (high - low), SMALLEST_PROBABILITY, 1.0 - SMALLEST_PROBABILITY))


def values_of(target, rng, rows=ROWS):
    """Allowed values with everything that makes a column hard: atoms, special values, bounds, tails."""
    if target.values is not None:
        return rng.choice(target.values, rows)
    if target.discrete:
        return rng.poisson(12.0, rows).astype(np.float64)
    low, high = target.range or (-np.inf, np.inf)
    start = max(low, target.threshold or -np.inf, -3.0)
    values = np.clip(start + rng.lognormal(0.0, 1.5, rows), None, high)
    for special in [start, *target.special]:
        values = np.where(rng.random(rows) < 0.05, special, values)
    return values.astype(np.float32).astype(np.float64)


def gen_of(declaration, rng, rows=ROWS):
    made = {
        "pt": rng.exponential(30.0, rows),
        "eta": rng.normal(0.0, 2.0, rows),
        "phi": rng.uniform(-np.pi, np.pi, rows),
        "mass": rng.exponential(5.0, rows),
        "charge": rng.choice([-1.0, 1.0], rows),
    }
    made |= {f"GenVtx_{axis}": rng.normal(0.0, 3.0, rows) for axis in "xyz"}
    made |= dict.fromkeys(declaration.computed_fields(), rng.exponential(20.0, rows))
    columns = {name: made[name] for name in declaration.references()}
    # Energies of leptons: most jets have none.
    energies = np.where(rng.random(rows) < 0.2, rng.exponential(10.0, rows), 0.0)
    return columns | {f"conditioning.{name}": energies for name in declaration.related_conditioning()}


@pytest.fixture(scope="module", params=SHIPPED)
def fitted(request):
    """Codec, columns and gen values of one shipped object."""
    declaration, rng = load_object(request.param), np.random.default_rng(1)
    columns = {target.branch: values_of(target, rng) for target in declaration.targets}
    gen = gen_of(declaration, rng)
    return TargetCodec.fit(declaration.targets, columns, gen), columns, gen


def test_targets_go_back(fitted):
    codec, columns, gen = fitted
    uniform = np.random.default_rng(2).uniform(0.01, 0.99, (ROWS, len(codec.targets)))
    low, high = codec.bounds(columns, gen)
    back = codec.decode(normal_of(codec, columns, gen, uniform=uniform), gen)
    numbers = {column.name: number for number, column in enumerate(codec.columns)}
    for target in codec.targets:
        number = numbers[target.branch]
        value, original = back[target.branch], columns[target.branch]
        # What is relative to others moves with the few of them that do not go back.
        if target.to is None and (target.is_discrete or target.relation == "none"):
            atom = high[:, number] > low[:, number]
            assert np.array_equal(value[atom], original[atom]), target.branch
        if target.branch == "phi":
            value = original + (value - original + np.pi) % (2.0 * np.pi) - np.pi
        # The largest and smallest of a continuous column lie where probabilities are clipped.
        good = np.abs(value - original) <= 2e-6 * np.maximum(np.abs(original), np.abs(original).max() * 0.1)
        assert np.mean(good) > 0.995, target.branch


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), width=st.sampled_from([1.0, 6.0, 40.0]))
def test_any_noise_decodes_to_allowed_values(fitted, seed, width):
    codec, _, gen = fitted
    shape = (20, len(codec.targets))
    normal = np.random.default_rng(seed).uniform(-width, width, shape).astype(np.float32)
    normal[0], normal[1] = -40.0, 40.0
    some = {name: values[:20] for name, values in gen.items()}
    decoded = codec.decode(normal, some)
    assert all(allows(target, decoded[target.branch]).all() for target in codec.targets)


def test_targets_are_standard_normal(fitted):
    codec, columns, gen = fitted
    normal = normal_of(
        codec, columns, gen, uniform=np.random.default_rng(3).random((ROWS, len(codec.targets)))
    )
    assert np.abs(normal.mean(axis=0)).max() < 0.1
    assert np.abs(normal.std(axis=0) - 1.0).max() < 0.1


def test_unmatched_objects_go_without_gen(fitted):
    codec, columns, _ = fitted
    targets = [target.alone() for target in codec.targets]
    normal = normal_of(TargetCodec.fit(targets, columns, {}), columns, {}, uniform=0.5)
    assert np.isfinite(normal).all()


@pytest.mark.parametrize("name", SHIPPED)
def test_conditioning_survives_json_and_is_finite(name):
    declaration, rng = load_object(name), np.random.default_rng(1)
    names = [column for entry in declaration.conditioning for column in entry.columns()]
    columns = {column: rng.exponential(10.0, ROWS) for column in names}
    codec = ConditioningCodec.fit(declaration.conditioning, columns)
    back = ConditioningCodec.from_json(json.loads(json.dumps(codec.to_json())))
    matrix = codec.encode(columns)
    assert matrix.shape == (ROWS, len(names))
    assert matrix.dtype == np.float32
    assert list(back.transforms) == names
    assert np.array_equal(back.encode(columns), matrix)
    extreme = {column: np.array([-np.inf, -1e30, 0.0, 1e30, np.inf]) for column in names}
    assert np.isfinite(codec.encode(extreme)).all()


def test_conditioning_stands_in_the_declared_order():
    entries = [
        Angle(kind="angle", name="phi", field="phi"),
        EventValue(kind="event", name="nPU", branch="Pileup_nPU"),
        Closest(kind="closest", name="jet", of="GenJet", cone=0.4, shares=[]),
    ]
    names = ["phi_cos", "phi_sin", "nPU", "jet_found", "jet_dr", "jet_deta", "jet_dphi"]
    columns = {name: np.array([0.0, 1.0]) * (k + 1) for k, name in enumerate(reversed(names))}
    assert list(ConditioningCodec.fit(entries, columns).transforms) == names


def test_nan_shows_in_the_matrix():
    codec = ConditioningCodec.fit(
        [GenField(kind="field", name="pt", field="pt", scale="log")], {"pt": np.ones(3)}
    )
    assert np.isnan(codec.encode({"pt": np.array([np.nan])})).all()


def test_columns_that_cannot_be_fitted_are_named():
    entry = GenField(kind="field", name="pt", field="pt", scale="log")
    with pytest.raises(TableError, match="conditioning variable 'pt'"):
        ConditioningCodec.fit([entry], {"pt": np.zeros(3)})
    with pytest.raises(TableError, match="target 'pt'"):
        TargetCodec.fit([Target(branch="pt")], {"pt": np.array([np.nan])}, {})


def test_a_scale_is_the_unit_of_a_relation():
    rng = np.random.default_rng(5)
    gen, error = rng.exponential(30.0, ROWS), rng.choice([0.01, 1.0], ROWS)
    columns = {"pt": gen + error * rng.uniform(-1.0, 1.0, ROWS), "ptErr": error}
    targets = [
        Target(branch="pt", relation="difference", scale="ptErr"),
        Target(branch="ptErr", values=[0.01, 1.0]),
    ]
    codec = TargetCodec.fit(targets, columns, {"pt": gen})
    assert [column.name for column in codec.columns] == ["ptErr", "pt"]
    # Of both errors, noise of one value is as many errors off.
    normal = np.tile([[-3.0, 0.3], [3.0, 0.3]], (ROWS // 2, 1))
    back = codec.decode(normal, {"pt": gen})
    pulls = (back["pt"] - gen) / back["ptErr"]
    assert set(back["ptErr"]) == {0.01, 1.0}
    assert pulls == pytest.approx(pulls[0], abs=1e-6)
    again = codec.decode(normal_of(codec, columns, {"pt": gen}, uniform=0.5), {"pt": gen})
    assert again["pt"] == pytest.approx(columns["pt"], abs=1e-4)


def test_a_scale_without_a_value_loses_nothing():
    target = Target(branch="pt", relation="difference", to="0", scale="gen.pt / 0")
    columns, gen = {"pt": np.linspace(1.0, 2.0, ROWS)}, {"pt": np.zeros(ROWS)}
    codec = TargetCodec.fit([target], columns, gen)
    back = codec.decode(normal_of(codec, columns, gen, uniform=0.5), gen)
    assert np.isfinite(back["pt"]).all()


def test_as_many_transforms_as_targets():
    transform = QuantileNormal.fit(np.arange(5.0))
    with pytest.raises(ValueError, match="expected 1 transforms of targets, found 2"):
        TargetCodec((Target(branch="pt"),), (transform, transform))


def test_generation_snaps_to_the_nearest_allowed_value():
    targets = [Target(branch="id", values=[0, 3, 7]), Target(branch="tag", range=(0, 1), special=[-1])]
    columns = {"id": np.array([4.0, 6.0, 3.0] * 20), "tag": np.array([-1.0, 0.5, -2.0] * 20)}
    codec = TargetCodec.fit(targets, columns, {})
    back = codec.decode(normal_of(codec, columns, {}, uniform=0.5), {})
    assert back["id"][:3].tolist() == [3.0, 7.0, 3.0]
    assert back["tag"][:3] == pytest.approx([-1.0, 0.5, 0.0])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), bits=st.integers(5, 14))
def test_rounded_values_go_back_once_rounded_again(seed, bits):
    """A flow sees some value of the interval that a stored one stands for; output is rounded again."""
    rng = np.random.default_rng(seed)
    gen = {"pt": rng.exponential(30.0, ROWS) + 5.0, "eta": rng.normal(0.0, 2.0, ROWS)}
    targets = [
        Target(branch="pt", relation="ratio", gen_field="pt", dequantise=True),
        Target(branch="eta", relation="difference", gen_field="eta", dequantise=True),
        Target(branch="tag", range=(0, 1), special=[-1], dequantise=True),
    ]
    tag = np.where(rng.random(ROWS) < 0.1, -1.0, np.where(rng.random(ROWS) < 0.1, 0.0, rng.random(ROWS)))
    exact = {
        "pt": gen["pt"] * rng.normal(1.0, 0.1, ROWS),
        "eta": gen["eta"] + rng.normal(0.0, 1e-3, ROWS),
        "tag": tag,
    }
    columns = {name: round_mantissa(values.astype(np.float32), bits) for name, values in exact.items()}
    codec = TargetCodec.fit(targets, columns, gen, [bits] * 3)
    back = codec.decode(normal_of(codec, columns, gen, uniform=rng.uniform(0.02, 0.98, (ROWS, 3))), gen)
    for name, values in columns.items():
        again = round_mantissa(back[name].astype(np.float32), bits)
        assert np.mean(again == values) > 0.99, name
    assert np.array_equal(back["tag"][tag <= 0.0], tag[tag <= 0.0])


def test_rounding_leaves_no_trace():
    """Differences to gen of values that are rounded more coarsely than they are measured."""
    rng = np.random.default_rng(4)
    gen = {"eta": rng.uniform(0.5, 1.0, ROWS)}
    columns = {"eta": round_mantissa((gen["eta"] + rng.normal(0.0, 1e-3, ROWS)).astype(np.float32), 6)}
    target = Target(branch="eta", relation="difference", gen_field="eta", dequantise=True)
    rounded = TargetCodec.fit([target], columns, gen, [6])
    plain = TargetCodec.fit([target], columns, gen)
    uniform = rng.random((ROWS, 1))

    def distinct(codec):
        back = codec.decode(normal_of(codec, columns, gen, uniform=uniform), gen)["eta"]
        return len(np.unique(np.round(back, 7)))

    assert distinct(plain) < 0.1 * ROWS
    assert distinct(rounded) > 0.9 * ROWS
    low, high = rounded.bounds(columns, gen)
    assert (low < high).all()


@pytest.mark.parametrize("spread", [False, True])
def test_values_that_are_rounded_again_have_the_shares_of_the_stored_ones(spread):
    """Of a spectrum whose stored values are about as far apart as knots, and of a point mass at its end."""
    rows = 200_000
    pt = (15.0 + np.random.default_rng(7).exponential(3.0, rows)).astype(np.float32)
    pt[::20] = 15.0
    stored = round_mantissa(pt, 10)
    codec = TargetCodec.fit([Target(branch="pt", dequantise=spread)], {"pt": stored}, {}, [10])
    normal = ndtri((np.arange(rows) + 0.5) / rows)[:, None]
    drawn = round_mantissa(codec.decode(normal, {})["pt"].astype(np.float32), 10)
    shares = [np.histogram(values, np.arange(15.0, 24.0, 0.25))[0] / rows for values in (drawn, stored)]
    np.testing.assert_allclose(shares[0], shares[1], rtol=0, atol=4e-4)
    # What is spread has no point mass that is not said to be one.
    assert spread or np.mean(drawn == 15.0) == pytest.approx(np.mean(stored == 15.0), abs=1e-4)


def test_only_what_says_so_is_spread_in_training():
    columns = {"pt": round_mantissa(np.linspace(15.0, 20.0, ROWS).astype(np.float32), 12)}
    for spread in (False, True):
        codec = TargetCodec.fit([Target(branch="pt", dequantise=spread)], columns, {}, [12])
        low, high = codec.bounds(columns, {})
        assert (high > low).all() == spread
        assert (high == low).all() != spread


def test_bits_are_those_that_branches_are_stored_with():
    targets = [Target(branch="eta"), Target(branch="pt"), Target(branch="unknown")]
    assert stored_bits(targets, "Muon", "v9") == [
        mantissa_bits("v9", "Muon_eta"),
        mantissa_bits("v9", "Muon_pt"),
        None,
    ]


def test_allows():
    tag = Target(branch="tag", range=(0, 1), special=[-1])
    assert allows(tag, np.array([-1.0, -0.5, 0.0, 1.0, 1.1, np.nan])).tolist() == [1, 0, 1, 1, 0, 0]
    flag = Target(branch="flag", values=[0, 1])
    assert allows(flag, np.array([0, 1, 2], dtype=np.uint8)).tolist() == [True, True, False]
    pt = Target(branch="pt", relation="excess", threshold=15.0)
    assert allows(pt, np.array([14.9, 15.0, np.inf])).tolist() == [False, True, False]


def test_what_follows_from_a_linked_object_is_learnt_where_there_is_none():
    rng = np.random.default_rng(3)
    linked = rng.random(ROWS) < 0.7
    values = {"jetRelIso": np.where(linked, 50.0, rng.uniform(0.0, 1.0, ROWS))}
    codec = TargetCodec.fit([Target(branch="jetRelIso")], values, {"linked.jetRelIso": linked})
    assert codec.transforms[0].values.max() <= 1.0
    low, high = codec.bounds(values, {"linked.jetRelIso": linked})
    assert (low[linked] == 0.0).all()
    assert (high[linked] == 1.0).all()
    assert np.array_equal(low[~linked], high[~linked])
