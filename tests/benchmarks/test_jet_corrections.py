from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.jet_corrections import EDGES, closure, derive, offset_slopes, payload
from flashsim.reference.objects.corrections import JetCorrections


def simulated(number=60_000, seed=4, *, offset=True):
    """Gen jets whose raw jets have a known response and offset; of soft ones some are lost."""
    rng = np.random.default_rng(seed)
    gen = 10 * np.exp(rng.exponential(0.8, number))
    eta, rho = rng.uniform(-5, 5, number), rng.uniform(5, 40, number)
    area = rng.normal(0.5, 0.05, number)
    response = (0.95 - 0.8 / gen) * np.where(np.abs(eta) > 2.7, 0.9, 1.0)
    slope = np.where(np.abs(eta) > 2.7, 0.8, 0.5) * offset
    pt = gen * response * (1 + 0.08 * rng.normal(size=number)) + slope * area * rho
    pt *= rng.random(number) > 0.1 * np.exp(-(gen - 10) / 5)
    return {"genPt": gen, "eta": eta, "pt": pt, "area": area, "rho": rho}


@pytest.mark.parametrize("name", ["AK4PFchs", "AK4PFPuppi"])
def test_corrected_jets_have_the_pt_of_gen_jets(tmp_path, name):
    jets = simulated(offset=name == "AK4PFchs")
    path = tmp_path / "made.json"
    path.write_text(json.dumps(payload("Made", {name: derive(jets, name)})))
    for row in closure(jets, JetCorrections.load(str(path)), name):
        for cell in row[1:]:
            median, error = map(float, cell.split(" ± "))
            assert median == pytest.approx(1.0, abs=max(0.01, 3 * error))


def test_the_offset_is_the_slope_that_was_put_in():
    expected = np.where(np.array(EDGES[:-1]) >= 2.7, 0.8, 0.5)
    np.testing.assert_allclose(offset_slopes(simulated()), expected, atol=0.05)
