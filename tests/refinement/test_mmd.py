from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flashsim.refinement.mmd import FourierFeatures, MixtureKernel, grouped_mmd, mmd

COLUMNS = 5


def normal(rows, seed, columns=COLUMNS, dtype=torch.float32):
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def naive(x, y, kernel, statistic="U", paired=True):
    """Double sum over pairs as the formula is written."""
    n, m = len(x), len(y)
    drop = statistic == "U"

    def mean(a, b, without_diagonal):
        k = kernel(a[:, None, :].expand(-1, len(b), -1), b[None, :, :].expand(len(a), -1, -1))
        if without_diagonal:
            k = k * (1.0 - torch.eye(len(a), len(b), dtype=k.dtype))
        return k.sum() / (len(a) * len(b) - (len(a) if without_diagonal else 0))

    assert (n == m) or not paired
    return mean(x, x, drop) + mean(y, y, drop) - 2.0 * mean(x, y, drop and paired)


@given(
    statistic=st.sampled_from(["U", "V"]),
    paired=st.booleans(),
    rows=st.integers(2, 300),
    shift=st.floats(-3.0, 3.0),
    widths=st.sampled_from([(4.0, 2.0, 1.0, 0.5, 0.25), (1.0,), (0.3, 5.0, 1.0)]),
)
@settings(max_examples=12, deadline=None)
def test_is_the_naive_double_sum(statistic, paired, rows, shift, widths):
    x, y = normal(rows, 1), normal(rows if paired else rows + 3, 2) + shift
    kernel = MixtureKernel.fit(y, widths=widths)
    found = mmd(x, y, kernel, statistic=statistic, paired=paired)
    exact = naive(x.double(), y.double(), kernel.double(), statistic, paired)
    assert float(found) == pytest.approx(float(exact), abs=1e-5)


@pytest.mark.parametrize("statistic", ["U", "V"])
def test_the_gradient_is_that_of_the_naive_double_sum(statistic):
    x, y = normal(300, 1, dtype=torch.float64), normal(300, 2, dtype=torch.float64) * 1.3
    kernel = MixtureKernel.fit(y)
    gradients = []
    for function in (mmd, naive):
        a, b = x.clone().requires_grad_(), y.clone().requires_grad_()
        function(a, b, kernel, statistic=statistic).backward()
        gradients.append((a.grad, b.grad))
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-9, atol=1e-14)


def test_rows_far_from_the_origin_are_as_exact():
    x, y = normal(200, 1) + 1000.0, normal(200, 2) + 1000.0
    kernel = MixtureKernel.fit(y)
    assert float(mmd(x, y, kernel)) == pytest.approx(float(naive(x.double(), y.double(), kernel)), abs=1e-4)


def test_the_u_statistic_is_unbiased_though_pairs_share_columns():
    """Without leaving out the paired diagonal the mean is many standard errors below zero."""
    kernel = MixtureKernel.fit(normal(2000, 0))
    found, biased = [], []
    for batch in range(60):
        shared = normal(128, 3 * batch)[:, :3]
        x, y = (torch.cat((shared, normal(128, 3 * batch + k)[:, :2]), 1) for k in (1, 2))
        found.append(mmd(x, y, kernel))
        biased.append(mmd(x, y, kernel, paired=False))
    mean, error = torch.stack(found).mean(), torch.stack(found).std() / len(found) ** 0.5
    assert abs(float(mean / error)) < 3.0
    assert float(torch.stack(biased).mean() / error) < -5.0


def test_the_v_statistic_is_never_negative_and_zero_for_equal_ensembles():
    x = normal(200, 1)
    kernel = MixtureKernel.fit(x)
    assert float(mmd(x, x, kernel, statistic="V")) == pytest.approx(0.0, abs=1e-6)
    assert float(mmd(x, normal(200, 2), kernel, statistic="V")) > 0.0


def test_fourier_features_approximate_the_kernel():
    x, y = normal(400, 1), 1.2 * normal(400, 2) + 0.3
    kernel = MixtureKernel.fit(y)
    features = FourierFeatures(kernel, 20_000, seed=3)
    products = (features(x) * features(y)).sum(1)
    assert float((products - kernel(x, y)).abs().max()) < 0.05
    for statistic in ("U", "V"):
        exact = float(mmd(x, y, kernel, statistic=statistic))
        assert float(mmd(x, y, features, statistic=statistic)) == pytest.approx(exact, abs=0.1 * exact + 2e-4)


def test_bandwidths_follow_units_not_columns():
    rows = normal(3000, 1)
    units = torch.tensor([1.0, 10.0, 0.01, 1.0, 1000.0])
    kernel, other = MixtureKernel.fit(rows), MixtureKernel.fit(rows * units)
    torch.testing.assert_close(other.scales, kernel.scales * units)
    torch.testing.assert_close(other.bandwidth, kernel.bandwidth)
    x, y = normal(100, 2), normal(100, 3) + 0.5
    torch.testing.assert_close(mmd(x, y, kernel), mmd(x * units, y * units, other))


def test_bandwidths_are_fixed_by_a_seed():
    rows = normal(5000, 1)
    first, again, other = (MixtureKernel.fit(rows, count=500, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first.scales, again.scales)
    assert not torch.equal(first.scales, other.scales)


def test_flags_that_are_rare_or_never_set_have_a_scale():
    rows = torch.cat((normal(1000, 1), torch.zeros(1000, 2)), 1)
    rows[:30, -1] = 1.0
    kernel = MixtureKernel.fit(rows)
    assert kernel.scales[-2:].tolist() == [1.0, 1.0]
    assert torch.isfinite(mmd(rows[:500], rows[500:], kernel))


def test_groups_are_weighted_with_their_shares():
    x, y = normal(300, 1), normal(300, 2) + 0.4
    groups = torch.tensor([0] * 200 + [5] * 99 + [4])
    kernel = MixtureKernel.fit(y)
    total, parts = grouped_mmd(x, y, groups, kernel)
    assert parts.keys() == {0, 5}  # one row alone says nothing
    expected = mmd(x[:200], y[:200], kernel) * 200 / 300 + mmd(x[200:299], y[200:299], kernel) * 99 / 300
    torch.testing.assert_close(total, expected)


@pytest.mark.parametrize(("rows", "others"), [(1, 1), (3, 4)])
def test_too_few_or_unequal_rows_are_refused(rows, others):
    with pytest.raises(ValueError, match=f"found {rows} and {others}"):
        mmd(normal(rows, 1), normal(others, 2), MixtureKernel.fit(normal(10, 3)))


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(lambda y: y + torch.tensor([0.3, 0, 0, 0, 0]), id="shift"),
        pytest.param(lambda y: y * torch.tensor([1.3, 1, 1, 1, 1]), id="width"),
        pytest.param(lambda y: torch.cat((y[:, :1] + 0.8 * y[:, 1:2], y[:, 1:]), 1), id="correlation"),
    ],
)
def test_differences_are_seen(changed):
    kernel = MixtureKernel.fit(normal(2000, 0))
    null = torch.stack([mmd(normal(512, 2 * k), normal(512, 2 * k + 1), kernel) for k in range(20)])
    seen = torch.stack([mmd(normal(512, 2 * k), changed(normal(512, 2 * k + 1)), kernel) for k in range(20)])
    assert float((seen.mean() - null.mean()) / null.std()) > 2.0


def test_subsets_see_a_wrong_shape_of_one_column_among_many_more_clearly():
    """Same mean, same variance, two peaks: a wide kernel of all columns hardly sees it."""
    columns = 11
    kernel = MixtureKernel.fit(normal(2000, 0, columns))
    batches = [(normal(256, 2 * k, columns), normal(256, 2 * k + 1, columns)) for k in range(12)]

    def peaks(rows):
        shaped = rows.clone()
        shaped[:, 4] = 0.9 * rows[:, 4].sign() + (1.0 - 0.9**2) ** 0.5 * rows[:, 4].roll(1)
        return shaped

    significance = []
    for subsets in ((), [(k,) for k in range(columns)]):
        features = FourierFeatures(kernel, 550, subsets=subsets)
        null = torch.stack([mmd(one, other, features) for one, other in batches])
        seen = torch.stack([mmd(one, peaks(other), features) for one, other in batches])
        significance.append(float((seen.mean() - null.mean()) / null.std()))
    assert significance[1] > max(2.0, 1.5 * significance[0])
