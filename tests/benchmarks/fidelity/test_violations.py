from __future__ import annotations

import numpy as np

from benchmarks.fidelity.violations import violations
from flashsim.declarations.objects import Target


def test_values_that_a_branch_cannot_have_are_counted():
    targets = [
        Target(branch="tag", range=(0.0, 1.0), special=[-1.0]),
        Target(branch="level", values=[0.0, 4.0]),
        Target(branch="number", discrete=True, range=(0.0, 255.0)),
    ]
    columns = {
        "tag": np.array([0.5, -1.0, -0.5, np.nan, 1.2]),
        "level": np.array([0.0, 4.0, 3.0]),
        "number": np.array([3.0, 2.5]),
    }
    assert violations(targets, columns) == {
        "tag": {"checked": 5, "not_allowed": 3},
        "level": {"checked": 3, "not_allowed": 1},
        "number": {"checked": 2, "not_allowed": 0, "not_integer": 1},
    }
