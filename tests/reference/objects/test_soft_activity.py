from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from flashsim.events.collection import Collection
from flashsim.reference.objects.soft_activity import SoftActivityRecipe, soft_activity
from flashsim.reference.particles.streams import Streams

RECIPE = SoftActivityRecipe(radius=0.4, dz=0.1, pt=1.0, thresholds=[2, 5, 10], stored=6)


def recorded(*rows):
    """One event of candidates given as (pt, eta, phi, charge, fromPV, dz)."""
    pt, eta, phi, charge, vertex, dz = np.array(rows, dtype=np.float64).T
    columns = {
        "pt": pt, "eta": eta, "phi": phi, "energy": pt * np.cosh(eta), "charge": charge.astype(int),
        "fromPV": vertex.astype(int), "dz": dz,
    }  # fmt: skip
    candidates = Collection.of_counts(np.array([len(pt)]), columns)
    return SimpleNamespace(
        candidates=candidates, keys=np.array([3], dtype=np.uint64), streams=Streams(1, "full")
    )


@pytest.mark.parametrize(
    ("charge", "vertex", "dz", "used"),
    [(1, 3, 0.5, True), (0, 3, 0.0, False), (1, 2, 0.05, True), (1, 2, 0.2, False), (-1, 1, 0.0, False)],
)
def test_charged_candidates_of_the_vertex_are_used(charge, vertex, dz, used):
    jets, values = soft_activity(
        recorded((7.0, 1.0, 0.0, charge, vertex, dz), (3.0, 1.1, 0.1, 1, 3, 0.0)), RECIPE
    )
    assert jets["pt"][0] == pytest.approx(10.0 if used else 3.0, rel=0.01)
    assert values["SoftActivityJetNjets5"][0] == used


def test_sums_are_of_all_jets_and_six_are_stored():
    pt = [1.5, 3.0, 4.0, 6.0, 8.0, 11.0, 20.0, 0.5]
    jets, values = soft_activity(
        recorded(*[(p, 2.0 * np.sin(k), 0.8 * k - 3.0, 1, 3, 0.0) for k, p in enumerate(pt)]), RECIPE
    )
    assert list(jets["pt"]) == pytest.approx([20.0, 11.0, 8.0, 6.0, 4.0, 3.0])
    assert values["SoftActivityJetHT"][0] == pytest.approx(53.5)
    for least, number, total in ((2, 6, 52.0), (5, 4, 45.0), (10, 2, 31.0)):
        assert values[f"SoftActivityJetNjets{least}"][0] == number
        assert values[f"SoftActivityJetHT{least}"][0] == pytest.approx(total)
