from __future__ import annotations

import numpy as np
import pytest

from flashsim.analysis.statistics import classifier
from flashsim.analysis.statistics.classifier import two_sample_test
from flashsim.analysis.statistics.tagging import Scores, roc_area


def sample(rng, rows, shift=0.0):
    return {"x": rng.normal(shift, 1.0, rows), "y": rng.normal(0.0, 1.0, rows)}


def test_samples_of_one_distribution_cannot_be_told_apart():
    rng, event = np.random.default_rng(1), np.arange(3000) // 3
    found = two_sample_test(sample(rng, 3000), sample(rng, 3000), event, event)
    assert abs(found.auc - 0.5) < 4.0 * found.error
    assert found.error < 0.02


def test_a_shift_is_found_and_named():
    rng, event = np.random.default_rng(2), np.arange(1500)
    groups = {"x": ["x"], "y": ["y"]}
    found = two_sample_test(sample(rng, 1500), sample(rng, 1500, 3.0), event, event, groups=groups)
    assert found.auc > 0.95
    assert found.importance["x"] > 0.3
    assert found.importance["y"] == pytest.approx(0.0, abs=0.02)


def test_the_same_rows_give_nothing_away_when_folds_keep_events_together():
    """Rows that both samples share would otherwise be learnt by heart."""
    rng, event = np.random.default_rng(3), np.arange(2000)
    one = sample(rng, 2000)
    found = two_sample_test(one, one, event, event)
    assert found.auc == pytest.approx(0.5, abs=0.02)


def test_copies_of_an_event_give_nothing_away():
    """Four copies of each event, as oversampled files have: learnt by heart they would tell samples apart."""
    rng = np.random.default_rng(4)
    samples = [{n: np.repeat(c, 4) for n, c in sample(rng, 250).items()} for _ in range(2)]
    events = [np.repeat(np.arange(first, first + 250), 4) for first in (0, 250)]
    found = two_sample_test(*samples, *events)
    assert found.auc == pytest.approx(0.5, abs=4.0 * 0.5 / np.sqrt(250))


def test_the_error_is_at_least_that_of_equal_samples(monkeypatch):
    """Spread of the area of scores that are pure chance, with all rows of both samples."""
    monkeypatch.setattr(classifier, "_area", lambda *_: 0.5)
    rng, event = np.random.default_rng(5), np.arange(400)
    found = two_sample_test(sample(rng, 400), sample(rng, 200), event, event[:200])
    chance = [roc_area(Scores(rng.random(200), rng.random(400), event[:200], event)) for _ in range(2000)]
    assert found.error == pytest.approx(np.std(chance), rel=0.1)


def test_the_error_is_at_least_that_of_the_mean_of_the_folds(monkeypatch):
    areas = iter([0.5, 0.6, 0.7, 0.8, 0.9])
    monkeypatch.setattr(classifier, "_area", lambda *_: next(areas))
    rng, event = np.random.default_rng(6), np.arange(500)
    found = two_sample_test(sample(rng, 500), sample(rng, 500), event, event)
    assert found.auc == pytest.approx(0.7)
    assert found.error == pytest.approx(np.std([0.5, 0.6, 0.7, 0.8, 0.9], ddof=1) / np.sqrt(5))
