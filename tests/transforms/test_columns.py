from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import ndtri
from scipy.stats import kstest, norm

from flashsim.transforms.columns import SMALLEST_PROBABILITY, QuantileNormal, Standard

EXTREME = np.array([-40.0, -8.0, -5.0, 0.0, 5.0, 8.0, 40.0])

moderate = st.floats(-1e4, 1e4, width=32, allow_subnormal=False)
columns = hnp.arrays(np.float32, st.integers(1, 300), elements=moderate)


def normal_of(fitted, *columns, uniform):
    """What a flow sees of values, `uniform` in [0, 1] spreading the point masses."""
    low, high = fitted.bounds(*columns)
    return ndtri(np.clip(low + uniform * (high - low), SMALLEST_PROBABILITY, 1.0 - SMALLEST_PROBABILITY))


@st.composite
def columns_with_atoms(draw):
    """Columns as NanoAOD has them: point masses of any weight among continuous values."""
    continuous = draw(hnp.arrays(np.float64, st.integers(0, 200), elements=moderate))
    atoms = draw(st.lists(st.tuples(moderate, st.integers(1, 100)), max_size=4))
    repeated = [np.full(count, value) for value, count in atoms]
    column = np.concatenate([continuous, *repeated, [draw(moderate)]])
    return np.random.default_rng(0).permutation(column)


def mixed(rows=20_000, seed=1):
    """Continuous scores with an undefined value of -1, which every tenth object has."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(rows) < 0.1, -1.0, rng.beta(0.5, 2.0, rows)).astype(np.float32)


@given(column=columns_with_atoms())
def test_knots_have_nine_digits_and_atoms_and_ends_all_of_theirs(column):
    values = QuantileNormal.fit(column).values
    twice = np.isin(values, values[1:][values[1:] == values[:-1]])
    twice[[0, -1]] = True
    assert all(float(f"{value:.9g}") == value for value in values[~twice])
    assert np.isin(values[twice], np.asarray(column, dtype=np.float64)).all()
    assert (values[0], values[-1]) == (column.min(), column.max())


@settings(max_examples=60)
@given(column=columns_with_atoms(), discrete=st.booleans(), u=st.floats(0.01, 0.99))
def test_quantiles_go_back(column, discrete, u):
    transform = QuantileNormal.fit(column, discrete=discrete)
    back = transform.inverse(normal_of(transform, column, uniform=u))
    low, high = transform.bounds(column)
    level = np.flatnonzero(np.diff(transform.values) == 0.0)
    edges = transform.probabilities[np.concatenate((level, level + 1))]
    # A probability on the edge of an atom belongs to both sides.
    apart = np.abs((low + u * (high - low))[:, None] - edges).min(axis=1, initial=1.0) > 1e-6
    assert np.all((np.abs(back - column) <= 1e-4 * np.ptp(column)) | ~apart)
    assert np.all((back == column) | (low == high))
    if discrete:
        assert np.array_equal(back, column)


def test_quantiles_go_back_to_single_precision_and_exactly_at_atoms():
    column = mixed()
    transform = QuantileNormal.fit(column)
    uniform = np.random.default_rng(2).random(len(column))
    back = transform.inverse(normal_of(transform, column, uniform=uniform)).astype(np.float32)
    inner = (column > np.quantile(column, 0.101)) & (column < column.max())
    assert np.array_equal(back[column == -1.0], column[column == -1.0])
    assert np.allclose(back[inner], column[inner], rtol=2e-6, atol=0.0)


@given(
    column=columns_with_atoms(),
    discrete=st.booleans(),
    normal=hnp.arrays(np.float32, 20, elements=st.floats(-40, 40, width=32)),
)
def test_the_inverse_returns_only_values_of_the_column(column, discrete, normal):
    transform = QuantileNormal.fit(column, discrete=discrete)
    for noise in (normal, EXTREME):
        values = transform.inverse(noise)
        assert np.isfinite(values).all()
        assert np.all((values >= column.min()) & (values <= column.max()))
        if discrete:
            assert np.isin(values, column).all()


@given(column=columns_with_atoms(), normal=hnp.arrays(np.float64, 20, elements=st.floats(-10, 10)))
def test_the_inverse_keeps_the_order(column, normal):
    values = QuantileNormal.fit(column).inverse(np.sort(normal))
    assert np.all(np.diff(values) >= 0.0)


@given(
    column=columns_with_atoms(),
    discrete=st.booleans(),
    shift=st.floats(-0.5, 0.5),
    width=st.floats(0.5, 2.0),
)
def test_calibrated_draws_have_the_fitted_distribution(column, discrete, shift, width):
    transform = QuantileNormal.fit(column, discrete=discrete)
    draws = shift + width * np.random.default_rng(6).normal(size=3000)
    calibrated = transform.calibrated(draws)
    values = np.sort(calibrated.inverse(draws))
    below = np.searchsorted(values, transform.values, side="right") / len(draws)
    expected = transform.bounds(transform.values)[1]
    assert np.all(np.abs(below - expected) < 2.0 / len(draws))
    assert np.array_equal(calibrated.values, transform.values)


def test_calibration_needs_values():
    with pytest.raises(ValueError, match="at least one value"):
        QuantileNormal.fit(mixed()).calibrated(np.empty(0))


def test_no_value_falls_into_the_gap_beside_an_atom():
    values = QuantileNormal.fit(mixed()).inverse(np.random.default_rng(3).normal(size=100_000))
    assert not np.any((values > -1.0) & (values < 0.0))
    assert np.mean(values == -1.0) == pytest.approx(0.1, abs=0.01)


def test_rare_atoms_stay_atoms_when_they_are_named():
    column = np.concatenate([[-10.0, -10.0], np.random.default_rng(1).random(5000)])
    noise = np.linspace(-6.0, -3.0, 1000)
    assert set(QuantileNormal.fit(column, atoms=[-10.0]).inverse(noise)[:100]) == {-10.0}
    values = QuantileNormal.fit(column, atoms=[-10.0]).inverse(noise)
    assert not np.any((values > -10.0) & (values < 0.0))
    assert np.any(
        (QuantileNormal.fit(column).inverse(noise) > -10.0)
        & (QuantileNormal.fit(column).inverse(noise) < 0.0)
    )


@pytest.mark.parametrize("discrete", [False, True])
def test_forward_gives_a_standard_normal(discrete):
    rng = np.random.default_rng(4)
    column = rng.poisson(7.0, 20_000).astype(float) if discrete else mixed()
    normal = normal_of(QuantileNormal.fit(column, discrete=discrete), column, uniform=rng.random(len(column)))
    assert kstest(normal, norm.cdf).statistic < 0.015


def test_heavy_tails_keep_their_shape():
    column = np.random.default_rng(5).pareto(1.5, 200_000)
    values = QuantileNormal.fit(column).inverse(norm.ppf(np.array([0.999, 0.9995, 0.9999])))
    assert values == pytest.approx(np.quantile(column, [0.999, 0.9995, 0.9999]), rel=0.1)


def test_a_single_value_is_itself():
    transform = QuantileNormal.fit(np.array([3.0]))
    assert transform.inverse(EXTREME).tolist() == [3.0] * len(EXTREME)
    assert np.isfinite(normal_of(transform, np.array([2.0, 3.0, 4.0]), uniform=0.5)).all()


def test_values_that_were_never_seen_have_no_probability():
    transform = QuantileNormal.fit(np.repeat([1.0, 2.0, 4.0], [10, 20, 10]), discrete=True)
    low, high = transform.bounds(np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0]))
    assert low == pytest.approx([0.0, 0.0, 0.25, 0.75, 0.75, 1.0])
    assert high == pytest.approx([0.0, 0.25, 0.75, 0.75, 1.0, 1.0])


@pytest.mark.parametrize("column", [[], [1.0, np.nan], [1.0, np.inf]])
def test_what_has_no_distribution_is_refused(column):
    with pytest.raises(ValueError, match="only finite values"):
        QuantileNormal.fit(np.array(column))


@given(columns_with_atoms())
def test_quantiles_survive_json_bit_by_bit(column):
    transform = QuantileNormal.fit(column)
    back = QuantileNormal.from_json(json.loads(json.dumps(transform.to_json())))
    assert np.array_equal(back.values, transform.values)
    assert np.array_equal(back.probabilities, transform.probabilities)


@pytest.mark.parametrize(
    ("values", "probabilities"),
    [
        ([1.0, 0.0], [0.0, 1.0]),
        ([0.0, 1.0, 2.0], [0.0, 0.6, 0.5]),
        ([0.0, 1.0], [0.0, 0.9]),
        ([0.0, 1.0], [0.0, 0.5, 1.0]),
        ([0.0, np.nan], [0.0, 1.0]),
        ([0.0], [1.0]),
    ],
)
def test_knots_must_be_those_of_a_distribution(values, probabilities):
    with pytest.raises(ValueError, match="expected"):
        QuantileNormal.from_json({"values": values, "probabilities": probabilities})


@pytest.mark.parametrize("scale", ["linear", "abs", "log", "log1p"])
@given(column=columns)
def test_standard_values_stay_in_the_fitted_range(scale, column):
    if scale == "log" and not (column > 0).any():
        return
    if scale == "log1p" and not (column > -1).any():
        return
    transform = Standard.fit(column, scale)
    fitted = transform.forward(column)
    beyond = transform.forward(np.array([-np.inf, -1e30, -1.0, 0.0, 1e30, np.inf]))
    assert np.isfinite(fitted).all()
    assert np.all((beyond >= fitted.min() - 1e-12) & (beyond <= fitted.max() + 1e-12))


@pytest.mark.parametrize("scale", ["linear", "log", "log1p"])
@given(column=hnp.arrays(np.float64, st.integers(1, 100), elements=st.floats(0.5, 1e4)))
def test_standard_values_go_back(scale, column):
    transform = Standard.fit(column, scale)
    assert transform.inverse(transform.forward(column)) == pytest.approx(column, rel=1e-9, abs=1e-9)
    assert not transform.outside(column).any()


def test_standard_values_have_zero_mean_and_unit_variance():
    column = np.random.default_rng(1).lognormal(3.0, 1.0, 1000)
    values = Standard.fit(column, "log").forward(column)
    assert np.mean(values) == pytest.approx(0.0, abs=1e-12)
    assert np.std(values) == pytest.approx(1.0)


def test_what_has_no_logarithm_counts_as_the_smallest():
    transform = Standard.fit(np.array([0.0, 1.0, 10.0, 100.0]), "log")
    values = transform.forward(np.array([-5.0, 0.0, 1.0]))
    assert values[0] == values[1] == values[2]
    assert transform.outside(np.array([0.0, 1.0, 101.0])).tolist() == [True, False, True]


@pytest.mark.parametrize("scale", ["linear", "abs", "log", "log1p"])
def test_nan_is_not_hidden(scale):
    transform = Standard.fit(np.array([1.0, 2.0]), scale)
    assert np.isnan(transform.forward(np.array([np.nan]))).all()


def test_the_sign_does_not_matter_on_the_scale_abs():
    transform = Standard.fit(np.array([-2.0, 1.0, 3.0]), "abs")
    assert transform.forward(np.array([-2.0])) == transform.forward(np.array([2.0]))


def test_a_constant_column_becomes_zero():
    assert Standard.fit(np.full(10, 35.0), "linear").forward(np.array([35.0, 60.0])).tolist() == [0.0, 0.0]


@pytest.mark.parametrize(("column", "scale"), [([], "linear"), ([np.nan], "linear"), ([0.0, -1.0], "log")])
def test_a_column_without_a_finite_value_is_refused(column, scale):
    with pytest.raises(ValueError, match="at least one finite value"):
        Standard.fit(np.array(column), scale)


@settings(max_examples=20)
@given(columns)
def test_standards_survive_json(column):
    transform = Standard.fit(column, "linear")
    assert Standard.from_json(json.loads(json.dumps(transform.to_json()))) == transform


@pytest.mark.parametrize("knots", [2, 5, 300, 5000])
def test_the_inverse_finds_the_knots_that_a_search_finds(knots):
    rng = np.random.default_rng(knots)
    inner = np.concatenate((rng.random(knots), rng.integers(0, 2049, knots) / 2048, rng.random(3).repeat(2)))
    probabilities = np.sort(np.concatenate(([0.0, 0.0], inner, [1.0, 1.0])))
    transform = QuantileNormal(np.arange(len(probabilities), dtype=np.float64), probabilities)
    near = np.nextafter(probabilities[:, None], [0.0, 1.0]).ravel()
    u = np.concatenate((probabilities, near, rng.random(5000), [0.0, 1.0, 5e-324, 1.0 - 2.0**-53]))
    assert np.array_equal(transform._up_to(u), np.searchsorted(probabilities, u, side="right"))
