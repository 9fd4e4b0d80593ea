"""The benchmark of the analysis."""

from __future__ import annotations

import pytest

from benchmarks.analysis import mean_cutflow


def draw(**steps):
    return {"dy": {"flash": {"cutflow": {step: list(found) for step, found in steps.items()}}}}


def test_draws_are_averaged_step_by_step():
    draws = [draw(muons=(1.0, 0.03), jets=(0.9, 0.1)), draw(muons=(1.02, 0.04), jets=(1.3, 0.1))]
    found = mean_cutflow(draws)["dy"]["flash"]
    assert found["muons"] == pytest.approx([1.01, 0.025])
    assert found["jets"] == pytest.approx([1.1, 0.0707], abs=1e-4)


def test_steps_that_a_draw_lacks_are_left_out():
    draws = [draw(muons=(1.0, 0.03), jets=(0.9, 0.1)), draw(muons=(1.02, 0.04))]
    assert list(mean_cutflow(draws)["dy"]["flash"]) == ["muons"]
