from __future__ import annotations

import awkward as ak
import hist
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flashsim.analysis import OversampledHistogram

AXIS = hist.axis.Regular(8, 0.0, 4.0, name="x")
FOLDS = 5


def made_events(rng, events, *, width=0.6, folds=FOLDS):
    """Columns of events in file order: gen value and, smeared anew in every fold, reconstructed value."""
    gen = rng.exponential(1.2, events)
    rows = np.repeat(np.arange(events), folds)
    weight = np.repeat(np.where(rng.random(events) < 0.2, -1.0, 1.5), folds) / folds
    kept = rng.random(len(rows)) < 0.7
    columns = {
        "gen_event": rows.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15),
        "fold": np.tile(np.arange(folds), events),
        "weight": weight,
        "x": gen[rows] + rng.normal(0.0, width, len(rows)),
    }
    return {name: column[kept] for name, column in columns.items()}


def filled(columns, *, axes=(AXIS,), folds=FOLDS, sample=""):
    histogram = OversampledHistogram(*axes, folds=folds, sample=sample)
    histogram.fill(**columns)
    return histogram


def direct(columns, folds=FOLDS):
    """Values, covariance and gain by loops over gen events."""
    bins = AXIS.index(columns["x"])
    inside = (bins >= 0) & (bins < AXIS.size)
    events = np.unique(columns["gen_event"])
    sums = np.zeros((len(events), AXIS.size))
    alone = np.zeros((len(events), folds, AXIS.size))
    for row in np.flatnonzero(inside):
        event = np.searchsorted(events, columns["gen_event"][row])
        sums[event, bins[row]] += columns["weight"][row]
        alone[event, columns["fold"][row], bins[row]] += columns["weight"][row]
    covariance = sums.T @ sums
    gain = folds * np.square(alone).sum(axis=(0, 1)) / covariance.diagonal()
    return sums.sum(axis=0), covariance, gain


def test_sums_are_made_for_each_gen_event_before_they_are_squared():
    columns = made_events(np.random.default_rng(1), 300)
    values, covariance, gain = direct(columns)
    histogram = filled(columns)
    assert histogram.values() == pytest.approx(values)
    assert histogram.covariance() == pytest.approx(covariance, abs=1e-12)
    assert histogram.variances() == pytest.approx(covariance.diagonal())
    assert histogram.effective_entries() == pytest.approx(values**2 / covariance.diagonal())
    assert histogram.gain() == pytest.approx(gain)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), data=st.data())
def test_where_chunks_end_and_in_which_order_they_come_changes_nothing(seed, data):
    columns = made_events(np.random.default_rng(seed), 12)
    entries = len(columns["x"])
    cuts = sorted(data.draw(st.sets(st.integers(0, entries), max_size=6)))
    parts = [slice(a, b) for a, b in zip([0, *cuts], [*cuts, entries], strict=True)]
    one_by_one = OversampledHistogram(AXIS, folds=FOLDS)
    added = OversampledHistogram(AXIS, folds=FOLDS)
    for part in data.draw(st.permutations(parts)):
        chunk = {name: column[part] for name, column in columns.items()}
        one_by_one.fill(**chunk)
        added = added + filled(chunk)
    whole = filled(columns)
    for histogram in (one_by_one, added):
        assert histogram.covariance() == pytest.approx(whole.covariance(), abs=1e-12)
        assert histogram.gain() == pytest.approx(whole.gain(), nan_ok=True)


def test_errors_are_those_of_a_bootstrap_over_gen_events():
    columns = made_events(np.random.default_rng(2), 2000)
    histogram = filled(columns)
    events, numbers = np.unique(columns["gen_event"], return_inverse=True)
    bins = AXIS.index(columns["x"])
    inside = (bins >= 0) & (bins < AXIS.size)
    sums = np.zeros((len(events), AXIS.size))
    np.add.at(sums, (numbers[inside], bins[inside]), columns["weight"][inside])
    # How often a gen event is drawn in a sample whose size fluctuates too.
    draws = np.random.default_rng(3).poisson(1.0, (4000, len(events)))
    bootstrap = np.cov((draws @ sums).T)
    scale = np.sqrt(np.outer(bootstrap.diagonal(), bootstrap.diagonal()))
    assert histogram.covariance() / scale == pytest.approx(bootstrap / scale, abs=0.08)
    naive = np.bincount(bins[inside], weights=columns["weight"][inside] ** 2, minlength=AXIS.size)
    assert np.all(naive < 0.7 * bootstrap.diagonal()), "the naive errors must be wrong for this to be a test"
    correlation = histogram.covariance()[2, 3] / np.sqrt(np.prod(histogram.variances()[2:4]))
    assert correlation > 0.15


def test_gain_is_large_where_the_resolution_decides_and_none_where_the_gen_event_does():
    rng = np.random.default_rng(4)
    by_detector = made_events(rng, 500, width=50.0)
    wide = hist.axis.Regular(2000, -200.0, 200.0, name="x")
    assert filled(by_detector, axes=(wide,)).overall_gain() == pytest.approx(FOLDS, rel=0.02)
    by_generator = made_events(rng, 500, width=0.0)
    by_generator["x"] = np.floor(by_generator["x"] * 2) / 2 + 0.25
    everything = {"gen_event": np.repeat(np.arange(50, dtype=np.uint64), FOLDS)}
    everything |= {"fold": np.tile(np.arange(FOLDS), 50), "weight": np.full(50 * FOLDS, 0.2)}
    histogram = filled(everything | {"x": np.repeat(rng.uniform(0, 4, 50), FOLDS)})
    assert histogram.overall_gain() == pytest.approx(1.0)
    assert histogram.effective_entries().sum() == pytest.approx(50)
    assert 1.0 < filled(by_generator).overall_gain() < 2.0, (
        "folds that fail the selection are a detector's doing"
    )


def test_one_fold_is_the_usual_histogram():
    columns = made_events(np.random.default_rng(5), 400, folds=1)
    usual = hist.Hist(AXIS, storage=hist.storage.Weight()).fill(columns["x"], weight=columns["weight"])
    histogram = filled(columns, folds=1)
    assert histogram.values() == pytest.approx(usual.values())
    assert histogram.variances() == pytest.approx(usual.variances())
    assert histogram.to_hist().view(flow=True)["variance"] == pytest.approx(usual.view(flow=True)["variance"])
    assert histogram.to_hist().view(flow=True)["value"] == pytest.approx(usual.view(flow=True)["value"])
    assert histogram.overall_gain() == pytest.approx(1.0)


def test_samples_are_independent_also_where_their_events_have_the_same_numbers():
    columns = made_events(np.random.default_rng(6), 3)
    a, b = filled(columns, sample="a"), filled(columns, sample="b")
    assert (a + b).covariance() == pytest.approx(2 * a.covariance())
    assert (a + b).values() == pytest.approx(2 * a.values())


def test_several_axes_and_several_entries_an_event():
    axes = (hist.axis.Regular(3, 0, 3, name="x"), hist.axis.IntCategory([1, 2], name="kind"))
    histogram = filled(
        {
            "gen_event": [5, 5, 6],
            "fold": [0, 1, 0],
            "weight": [0.5, 0.5, 0.5],
            "x": ak.Array([[0.5, 0.6], [], [2.5]]),
            "kind": ak.Array([[1, 1], [], [2]]),
        },
        axes=axes,
        folds=2,
    )
    assert histogram.values().tolist() == [[1.0, 0.0], [0.0, 0.0], [0.0, 0.5]]
    assert histogram.variances().tolist() == [[1.0, 0.0], [0.0, 0.0], [0.0, 0.25]]
    assert histogram.gain()[0, 0] == pytest.approx(2.0)
    assert np.isnan(histogram.gain()[1, 1])


def test_what_no_axis_takes_is_left_out():
    axis = hist.axis.Regular(2, 0, 2, name="x", flow=False)
    columns = {"gen_event": [1, 2], "fold": [0, 0], "weight": [1.0, 1.0], "x": [-1.0, 9.0]}
    assert filled(columns, axes=(axis,)).values().tolist() == [0.0, 0.0]


def test_no_entries():
    none = np.zeros(0)
    histogram = filled({"gen_event": none, "fold": none, "weight": none, "x": none})
    assert histogram.values().tolist() == [0.0] * AXIS.size
    assert np.isnan(histogram.overall_gain())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fold": [0, FOLDS]}, "expected folds 0 to 4, found 0 to 5"),
        ({"fold": [-1, 0]}, "expected folds 0 to 4"),
        ({"y": [1.0, 2.0]}, "expected values of x, found x, y"),
        ({"weight": [1.0]}, "differ in length"),
    ],
)
def test_mistakes(change, message):
    columns = {"gen_event": [1, 2], "fold": [0, 0], "weight": [1.0, 1.0], "x": [1.0, 2.0]}
    with pytest.raises(ValueError, match=message):
        filled(columns | change)


def test_histograms_that_cannot_be():
    with pytest.raises(ValueError, match="found 0 folds"):
        OversampledHistogram(AXIS, folds=0)
    with pytest.raises(ValueError, match="may not grow"):
        OversampledHistogram(hist.axis.IntCategory([], growth=True, name="x"), folds=2)
    with pytest.raises(ValueError, match="same axes"):
        OversampledHistogram(AXIS, folds=2) + OversampledHistogram(AXIS, folds=3)
