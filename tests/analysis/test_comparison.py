"""Errors of efficiencies and ratios against what really fluctuates."""

from __future__ import annotations

import numpy as np
import pytest

from flashsim.analysis.comparison import (
    Binned,
    Totals,
    binned,
    central_width,
    double_ratio,
    ratio,
    share_gen_events,
    step_counts,
    variation_ratio,
)


def totals(events, weights, folds=1, fingerprint=None):
    sums = np.bincount(np.unique(events, return_inverse=True)[1], weights)
    mark = int(np.unique(events).astype(object).sum()) if fingerprint is None else fingerprint
    return Totals(len(events), float(weights.sum()), float((sums**2).sum()), mark, folds)


def one_bin(events, weights, passing, **options):
    all_events = totals(events, weights, **options)
    return binned(events[passing], weights[passing], np.zeros(passing.sum(), dtype=int), 1, all_events)


def pair(rng, number, shared):
    """Two simulations of events that pass with a probability of their own, as phase space decides."""
    chance = rng.beta(0.5, 0.5, number)
    other = chance if shared else rng.beta(0.5, 0.5, number)
    first, second = np.arange(number), np.arange(number) + (0 if shared else number)
    ones = np.ones(number)
    return (
        one_bin(first.astype(np.uint64), ones, rng.random(number) < chance),
        one_bin(second.astype(np.uint64), ones, rng.random(number) < other),
    )


@pytest.mark.parametrize("shared", [True, False])
def test_errors_of_ratios_cover(shared):
    """Sharing gen events makes the error smaller, in truth and in what is quoted."""
    rng = np.random.default_rng(3)
    found = [ratio(*pair(rng, 400, shared)) for _ in range(400)]
    values, errors = (np.array(column).ravel() for column in zip(*found, strict=True))
    assert np.std(values) == pytest.approx(errors.mean(), rel=0.12)
    assert values.mean() == pytest.approx(1.0, abs=0.02)
    pulls = (values - 1.0) / errors
    assert 0.6 < np.mean(np.abs(pulls) < 1) < 0.76


def varied(rng, number, first):
    """A simulation whose events pass by chance, nominal and with the weights of a variation."""
    events = np.arange(first, first + number).astype(np.uint64)
    chance = rng.beta(0.5, 0.5, number)
    weights = 1.0 + 0.3 * chance + rng.normal(0.0, 0.2, number)
    everything = totals(events, np.ones(number))

    def simulate():
        passing = rng.random(number) < chance
        bins = np.zeros(passing.sum(), dtype=int)
        return tuple(binned(events[passing], w[passing], bins, 1, everything) for w in (weights, weights**0))

    return simulate


@pytest.mark.parametrize("shared", [True, False])
def test_errors_of_variations_cover(shared):
    rng = np.random.default_rng(10)
    found = []
    for _ in range(300):
        simulate = varied(rng, 400, 0)
        other = simulate if shared else varied(rng, 400, 400)
        pairs = simulate(), other()
        found.append((*variation_ratio(*pairs[0]), *double_ratio(*pairs)))
    values, errors, doubles, double_errors = np.array(found)[..., 0].T
    assert np.std(values) == pytest.approx(errors.mean(), rel=0.12)
    assert doubles.mean() == pytest.approx(1.0, abs=0.01)
    assert np.std(doubles) == pytest.approx(double_errors.mean(), rel=0.12)


def test_a_simulation_predicts_its_own_variation():
    pair = varied(np.random.default_rng(11), 100, 0)()
    value, error = double_ratio(pair, pair)
    assert (value[0], error[0]) == (pytest.approx(1.0), pytest.approx(0.0))
    assert variation_ratio(*pair)[1] > 0


def test_shared_gen_events_are_recognised():
    rng = np.random.default_rng(4)
    together, apart = pair(rng, 50, shared=True), pair(rng, 50, shared=False)
    assert share_gen_events(*(part.totals for part in together))
    assert not share_gen_events(*(part.totals for part in apart))
    assert ratio(*together)[1] < ratio(*apart)[1]


def test_the_same_has_a_ratio_without_error():
    part = pair(np.random.default_rng(5), 100, shared=True)[0]
    value, error = ratio(part, part)
    assert (value[0], error[0]) == (1.0, 0.0)


def test_efficiency_of_unweighted_events_is_binomial():
    passing = np.arange(200) < 50
    part = one_bin(np.arange(200).astype(np.uint64), np.ones(200), passing)
    assert part.efficiency[0] == 0.25
    assert part.variance[0] == pytest.approx(0.25 * 0.75 / 200)


def test_what_all_pass_has_no_error():
    weights = np.random.default_rng(6).uniform(0.5, 2.0, 100)
    part = one_bin(np.arange(100).astype(np.uint64), weights, np.ones(100, dtype=bool))
    assert part.efficiency[0] == pytest.approx(1.0)
    assert part.variance[0] == pytest.approx(0.0, abs=1e-15)


def test_errors_of_oversampled_events_cover():
    """Folds that the gen event decides on count once, those that the detector decides on separately."""
    rng = np.random.default_rng(7)
    found, folds, number = [], 5, 200
    for _ in range(300):
        chance = np.repeat(rng.beta(0.4, 0.4, number), folds)
        events = np.repeat(np.arange(number), folds).astype(np.uint64)
        weights = np.full(number * folds, 1.0 / folds)
        part = one_bin(events, weights, rng.random(number * folds) < chance, folds=folds)
        found.append((part.efficiency[0], np.sqrt(part.variance[0])))
    values, errors = np.array(found).T
    assert np.std(values) == pytest.approx(errors.mean(), rel=0.12)
    assert errors.mean() > 1.5 * np.sqrt(0.25 / (number * folds))


def test_empty_bins_have_no_ratio():
    part = Binned(*(getattr(one_bin(np.arange(3).astype(np.uint64), np.ones(3), np.zeros(3, dtype=bool)), n)
                    for n in ("events", "weights", "whole", "totals")))  # fmt: skip
    value, error = ratio(part, part)
    assert np.isnan([value[0], error[0]]).all()


def test_entries_outside_the_bins_are_left_out():
    events = np.arange(4).astype(np.uint64)
    part = binned(events, np.ones(4), np.array([-1, 0, 1, 2]), 2, totals(events, np.ones(4)))
    assert part.efficiency.tolist() == [0.25, 0.25]


def test_steps():
    rows, steps = step_counts(np.array([2, 0, 3]))
    assert rows.tolist() == [0, 0, 2, 2, 2]
    assert steps.tolist() == [0, 1, 0, 1, 2]


def test_central_width_of_a_normal_distribution():
    rng = np.random.default_rng(8)
    width, error = central_width(rng.normal(125.0, 2.0, 4000))
    assert abs(width - 2.0) < 4 * error
    assert error == pytest.approx(2.0 * 1.02 / np.sqrt(2 * 4000), rel=0.35)
    assert np.isnan(central_width(np.array([1.0]))[0])
