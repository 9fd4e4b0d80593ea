"""Corrections by columns are those of correctionlib."""

from __future__ import annotations

import json

import correctionlib
import numpy as np
import pytest

from flashsim.declarations.recipes import recipe_folder
from flashsim.transforms.payloads import simple_correction

ROWS = 5000


@pytest.mark.parametrize("run", ["run2", "run3"])
@pytest.mark.parametrize("jets", ["L1L2L3_AK4PFchs", "L2Relative_AK4PFPuppi", "L1L2L3_AK4PFPuppi"])
def test_shipped_corrections_are_as_correctionlib_has_them(run, jets):
    payload = (recipe_folder("reference") / "corrections" / f"{run}.json").read_text(encoding="utf-8")
    name = f"FlashSim_{run}_{jets}"
    rng = np.random.default_rng(1)
    inputs = {
        "JetA": rng.normal(0.5, 0.05, ROWS),
        "JetEta": rng.uniform(-5.1, 5.1, ROWS),
        "JetPt": rng.exponential(40.0, ROWS) + 5.0,
        "Rho": rng.exponential(20.0, ROWS),
    }
    content = correctionlib.CorrectionSet.from_string(payload)
    applied = content.compound[name] if name in content.compound else content[name]
    expected = applied.evaluate(*(inputs[i.name] for i in applied.inputs))
    np.testing.assert_allclose(simple_correction(payload, name).values(inputs, ROWS), expected, rtol=1e-12)


def test_other_kinds_are_left_to_correctionlib():
    data = {"nodetype": "category", "input": "syst", "content": [{"key": "up", "value": 1.1}]}
    payload = {"schema_version": 2, "corrections": [{"name": "jec", "data": data}]}
    assert simple_correction(json.dumps(payload), "jec") is None
    assert simple_correction(json.dumps(payload), "none") is None
