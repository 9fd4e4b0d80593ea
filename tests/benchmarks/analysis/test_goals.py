from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.analysis.goals import goals
from benchmarks.analysis.page import render


def found(**steps):
    """Give a result whose signal has these ratios and errors in four passes."""
    flash = {"events": 400, "passes": 4, "cutflow": steps, "mass_width": [1.001, 0.004], "discriminant": None}
    return {
        "speed": {"vbf_hmumu/full": {"events": 100, "events_per_second": 60_000}},
        "agreement": {"vbf_hmumu": {"flash": flash}},
        "rare": {},
    }


def cutflow_goal(result):
    return next(goal for goal in goals(result) if "every step" in goal["goal"])


@pytest.mark.parametrize(
    ("ratio", "error", "passed"),
    [
        (1.01, 0.003, True),
        (0.98, 0.003, False),  # small, but three and more errors of one pass, which are twice this
        (1.04, 0.02, False),
        (1.04, 0.05, None),  # not known well enough
    ],
)
def test_steps_are_judged_where_they_are_known(ratio, error, passed):
    goal = cutflow_goal(found(jets=[ratio, error]))
    assert goal["passed"] is passed
    assert passed is None or f"jets {ratio:.3f}" in goal["found"]


def test_what_numpy_has_counted_can_be_written():
    result = found(jets=[np.float64(1.01), np.float64(0.003)])
    result["agreement"]["vbf_hmumu"]["flash"]["mass_width"] = [np.float64(1.0), np.float64(0.01)]
    assert json.loads(json.dumps(goals(result))) == goals(result)


def test_steps_that_are_not_known_are_named_beside_those_that_are():
    goal = cutflow_goal(found(jets=[1.01, 0.01], mjj=[1.2, 0.2]))
    assert goal["passed"]
    assert "1 of 1" in goal["found"]
    assert "not known as well: mjj 1.200" in goal["found"]


@pytest.mark.parametrize(("share", "ratio"), [(0.86, "1.050"), (0.84, "1.200")])
def test_many_passes_of_some_events_tell_of_steps_that_these_make(share, ratio):
    result = found(jets=[1.0, 0.01], mjj=[1.2, 0.2], SideBand=[1.0, 0.5])
    result["rare"]["vbf_hmumu"] = {
        "picked": 30,
        "times": 9,
        "picked_share": {"jets": 0.1, "mjj": share},
        "ratio": {"jets": [0.8, 0.001], "mjj": [1.05, 0.01], "SideBand": [1.01, 0.02]},
    }
    goal = cutflow_goal(result)
    assert f"mjj {ratio}" in goal["found"]
    assert "jets 0.800" not in goal["found"]
    assert goal["passed"] is not (share > 0.85)


def test_a_selection_that_finds_nothing_wrong_with_the_fast_detector_is_told():
    result = found(jets=[1.0, 0.01])
    signal = result["agreement"]["vbf_hmumu"]
    verdicts = []
    for ratio in (1.01, 1.1):
        signal["fast"] = signal["flash"] | {"cutflow": {"jets": [ratio, 0.01]}}
        verdicts += [goal["passed"] for goal in goals(result) if "fast detector" in goal["goal"]]
    assert verdicts == [False, True]


def test_the_page_shows_goals_ratios_and_the_command():
    result = found(jets=[1.01, 0.01])
    result["rare"]["vbf_hmumu"] = {
        "picked": 30,
        "times": 9,
        "picked_share": {"jets": 0.953},
        "ratio": {"jets": [1.02, 0.01], "SignalRegion": [1.03, 0.02]},
    }
    result |= {
        "goals": goals(result),
        "command": "made so",
        "machine": "here",
        "date": "today",
        "seconds": 90.0,
    }
    text = render(result)
    assert "made so" in text
    assert "| jets | 1.020 ± 0.010 (95.3%) |" in text
    assert "| SignalRegion | 1.030 ± 0.020 |" in text
    assert text.count("| yes |") == 3
