from __future__ import annotations

import numpy as np
import pytest

from flashsim.analysis.statistics.classifier import two_sample_test


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
