"""The realism table: what it counts as equal, and whether a small sample passes."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.realism.compare import Comparison, compare, compared
from benchmarks.realism.page import page

SIZE = 2000


def jets_like(seed, shift=0.0, zero=0.3):
    from benchmarks.realism.tables import CONTINUOUS, DISCRETE, POINT_MASSES

    random = np.random.default_rng(seed)
    columns = {name: random.normal(shift, 1.0, SIZE) for name in CONTINUOUS["jets"]}
    for name in set(POINT_MASSES) & set(columns):
        columns[name][random.uniform(size=SIZE) < zero] = POINT_MASSES[name]
    return columns | {name: random.choice(values, SIZE) for name, values in DISCRETE["jets"].items()}


def test_two_draws_of_one_distribution_pass():
    comparisons = list(compared("jets", "jets", jets_like(1), jets_like(2)))
    assert len(comparisons) > 100
    assert all(comparison.passes for comparison in comparisons)


@pytest.mark.parametrize("change", [{"shift": 0.8}, {"zero": 0.45}])
def test_another_distribution_does_not(change):
    comparisons = list(compared("jets", "jets", jets_like(1), jets_like(2, **change)))
    failing = {comparison.quantity for comparison in comparisons if not comparison.passes}
    assert {"chHEF", "qgl"} <= failing


def test_small_groups_are_left_out():
    few = {name: values[:40] for name, values in jets_like(1).items()}
    assert not list(compared("jets", "jets", few, jets_like(2)))


def test_page_says_what_fails():
    comparisons = [
        Comparison("b jets", "response", "50 %", 1.0, 1.3, 0.1, 60),
        Comparison("b jets", "mass", "50 %", 5.0, 5.1, 0.5, 60),
    ]
    text = page(comparisons, "`real.root`", 10, 20)
    assert "1 of 2 numbers pass (50.0%)" in text
    assert "| b jets | `response` | 50 % | 1 | 1.3 | 0.1 |" in text
    assert "**1 / 1.3**" in text


@pytest.mark.slow
def test_a_small_sample_is_realistic(nanoaod_dir, tmp_path):
    pytest.importorskip("pythia8mc")
    from benchmarks.realism.samples import real_sample, reference_sample
    from flashsim.interface.reference import simulate

    events = 600
    simulate("ttbar", tmp_path / "ttbar", events=events, seed=11, detectors={"full": "full"})
    real = real_sample(nanoaod_dir / "tt_2018_v5.root")
    comparisons = compare(real, reference_sample(tmp_path / "ttbar", "full", events, seed=1))
    assert len(comparisons) > 1500
    passed = np.mean([comparison.passes for comparison in comparisons])
    assert passed > 0.88
