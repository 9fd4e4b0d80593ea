from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from flashsim.analysis.statistics.correlations import difference, spearman


def test_agrees_with_scipy():
    rows = np.random.default_rng(1).normal(size=(200, 4)) @ np.random.default_rng(2).normal(size=(4, 4))
    found = spearman(dict(enumerate(rows.round(1).T)))
    assert found == pytest.approx(spearmanr(rows.round(1)).statistic)


def test_a_constant_is_correlated_with_nothing():
    found = spearman({"a": np.ones(5), "b": np.arange(5.0)})
    assert found.tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_the_largest_difference_is_named():
    shifted = np.eye(3)
    shifted[0, 2] = shifted[2, 0] = 0.3
    assert difference(np.eye(3), shifted) == {
        "largest": 0.3,
        "mean": pytest.approx(0.1),
        "where": [0, 2],
    }
