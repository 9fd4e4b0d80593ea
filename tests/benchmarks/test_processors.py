"""The comparison of processors counts what differs, and judges it."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.processors import KINDS, compare, goals, render

SAME = {"branches": 3, "differ": 0, "lengths": 0, "median": 0.0, "largest": 0.0}
OTHER = SAME | {"differ": 2, "median": 1e-6, "largest": 1e-3}
MACHINE = {"cores": 2, "processor": "P", "kind": "k", "load": 0.1, "date": "2026-01-01"}


def test_differences_are_counted_by_branch():
    own = {"a": np.array([1.0, 2.0]), "b": np.array([3, 4]), "c": np.array([1.0])}
    other = {"a": np.array([1.0, 2.002]), "b": np.array([3, 4]), "c": np.array([1.0, 1.0])}
    found = compare(own, other)
    assert (found["branches"], found["differ"], found["lengths"]) == (3, 2, 1)
    assert found["largest"] == pytest.approx(0.001, rel=0.01)


def test_zero_of_another_sign_differs():
    found = compare({"a": np.array([0.0])}, {"a": np.array([-0.0])})
    assert (found["differ"], found["largest"]) == (1, 0.0)


@pytest.mark.parametrize(("part", "equal"), [(SAME, True), (OTHER, False)])
@pytest.mark.parametrize(("fused", "cheap"), [(0.95, True), (0.8, False)])
def test_goals(part, equal, fused, cheap):
    found = {
        "command": "c",
        "machine": MACHINE,
        "events": 100,
        "inputs": {"x.root": {"events": 1, "fused": OTHER} | {kind.name: part for kind in KINDS}},
        "seconds": {"separate": [1.0, 1.0, 1.0], "fused": [fused] * 3},
    }
    found["goals"] = goals(found)
    assert [goal["passed"] for goal in found["goals"]] == [equal, cheap]
    page = render(found)
    assert page.count("2 of 3") == (1 if equal else 1 + len(KINDS))
