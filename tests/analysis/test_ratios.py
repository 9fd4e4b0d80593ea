"""Errors of efficiencies and ratios against what really fluctuates."""

from __future__ import annotations

import numpy as np
import pytest

from flashsim.analysis.ratios import (
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
from flashsim.errors import InputFileError


def counted(events, weights, folds=1, file="one.root"):
    """What the processor counts of a file."""
    sums = np.bincount(np.unique(events, return_inverse=True)[1], weights)
    mark = int(np.unique(events).astype(object).sum())
    squares = float((sums**2).sum())
    return {
        "events": len(events),
        "sumw": float(weights.sum()),
        "sumw2": squares,
        "files": {file: mark},
        "folds": {folds},
    }


def totals(events, weights, folds=1):
    return Totals.of(counted(events, weights, folds))


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


def in_passes(passing, weights, passes):
    """Bin of gen events that `passes` files hold, and of which `passing`, shape (passes, N), pass."""
    events = np.arange(passing.shape[1]).astype(np.uint64)
    files = [counted(events, weights, file=f"{k}.root") for k in range(passes)]
    found = {name: sum(f[name] for f in files) for name in ("events", "sumw", "sumw2")}
    found |= {"files": {k: v for f in files for k, v in f["files"].items()}, "folds": {1}}
    return binned(
        np.tile(events, passes)[passing.ravel()],
        np.tile(weights, passes)[passing.ravel()],
        np.zeros(passing.sum(), dtype=int),
        1,
        Totals.of(found),
    )


@pytest.mark.parametrize("passes", [(3, 3), (3, 1)])
def test_errors_of_several_passes_cover(passes):
    rng = np.random.default_rng(21)
    values, errors, efficiencies, own = [], [], [], []
    for _ in range(300):
        chance, weights = rng.beta(0.4, 0.4, 200), rng.uniform(0.5, 1.5, 200)
        one, other = (in_passes(rng.random((n, 200)) < chance, weights, n) for n in passes)
        assert share_gen_events(one.totals, other.totals)
        value, error = ratio(one, other)
        values.append(value[0])
        errors.append(error[0])
        efficiencies.append(one.efficiency[0])
        own.append(np.sqrt(one.variance[0]))
    assert np.std(values) == pytest.approx(np.mean(errors), rel=0.12)
    assert np.std(efficiencies) == pytest.approx(np.mean(own), rel=0.12)


def test_passes_are_counted_by_what_files_hold():
    events, weights = np.arange(1, 50).astype(np.uint64), np.ones(49)
    assert in_passes(np.ones((3, 50), dtype=bool), np.ones(50), 3).totals.passes == 3
    apart = counted(events, weights) | {"files": {"a": 5, "b": 6, "c": 0}}
    assert Totals.of(apart).passes == 1
    twice = counted(events, weights) | {"files": {"a": 5, "b": 6, "c": 5}}
    with pytest.raises(InputFileError, match=r"a: its gen events are in 2 files .* those of b in 1"):
        Totals.of(twice)


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
    width, error = central_width(rng.normal(125.0, 2.0, 4000), np.arange(4000).astype(np.uint64))
    assert abs(width - 2.0) < 4 * error
    assert error == pytest.approx(2.0 * 1.02 / np.sqrt(2 * 4000), rel=0.35)
    assert np.isnan(central_width(np.array([1.0]), np.array([7], dtype=np.uint64))[0])


def test_repeated_gen_events_make_a_width_no_better_known():
    values, events = np.random.default_rng(9).normal(size=500), np.arange(500).astype(np.uint64)
    once = central_width(values, events, resamples=400)
    repeated = central_width(np.tile(values, 4), np.tile(events, 4), resamples=400)
    assert repeated[0] == pytest.approx(once[0], rel=0.02)
    assert repeated[1] == pytest.approx(once[1], rel=0.15)
