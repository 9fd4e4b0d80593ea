from __future__ import annotations

import numpy as np
import pytest

from flashsim.analysis.statistics.response import LEAST, responses, slices


def made(rng, width):
    gen = {"pt": np.repeat([10.0, 30.0], 2000), "flag": np.tile([0.0, 1.0], 2000)}
    return rng.normal(1.0, width, 4000), gen


def test_width_and_median_are_found_with_their_errors():
    rng = np.random.default_rng(1)
    samples = {"full": made(rng, 0.1), "flash": made(rng, 0.1), "fast": made(rng, 0.2)}
    wanted = slices({"pt": [0.0, 20.0, 40.0, 60.0]}, ["flag"])
    found = responses(samples, wanted, "full")
    assert [(row["column"], row["low"]) for row in found] == [("pt", 0.0), ("pt", 20.0), ("flag", 0.5)]
    for row in found:
        assert row["full"]["median"] == pytest.approx(1.0, abs=5.0 * row["full"]["median_error"])
        assert row["fast"]["width"] == pytest.approx(0.2, abs=5.0 * row["fast"]["width_error"])
        assert row["flash"]["p_value"] > 1e-3
        assert row["fast"]["p_value"] < 1e-6


def test_errors_of_quantiles_are_those_of_repeated_samples():
    rng = np.random.default_rng(2)
    wanted = slices({"pt": [0.0, 20.0]}, [])
    rows = [responses({"full": made(rng, 0.1)}, wanted, "full")[0]["full"] for _ in range(200)]
    for moment in ("median", "width"):
        spread = np.std([row[moment] for row in rows])
        assert rows[0][f"{moment}_error"] == pytest.approx(spread, rel=0.25)


def test_slices_with_few_objects_are_left_out():
    few = (np.ones(LEAST - 1), {"pt": np.ones(LEAST - 1)})
    assert responses({"full": few}, slices({"pt": [0.0, 2.0]}, []), "full") == []
