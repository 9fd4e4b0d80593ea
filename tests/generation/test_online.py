"""What the trigger sees of simulated objects."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from flashsim.declarations.trigger import Filter, OnlineObject
from flashsim.events.collection import Collection
from flashsim.generation.draws import Draws
from flashsim.generation.online import in_profile, passing, seen

KIND = OnlineObject(collection="Muon", scale=0.95, resolution=[(1.0, 0.02), (2.5, 0.06)], stochastic=0.3)
ASKED = Filter(
    of="muon",
    efficiency=[(1.0, 0.9), (2.0, 0.6)],
    given=[{"where": "loose == 0", "factor": 0.0}, {"where": "iso > 1", "factor": 0.5}],
)


def one_an_event(**columns):
    number = len(columns["pt"])
    return Collection.of_counts(np.ones(number, dtype=np.int64), {"phi": np.zeros(number), **columns})


def draws_of(number, seed=1):
    keys = np.arange(1, number + 1, dtype=np.uint64)
    return lambda name: Draws.of_folds(seed, name, keys, [0])


@pytest.mark.parametrize("eta", [0.5, -1.5])
@pytest.mark.parametrize("threshold", [20.0, 40.0])
def test_efficiency_against_pt_is_the_declared_turn_on(eta, threshold):
    number = 200_000
    pt = np.linspace(0.5, 1.8, number) * threshold
    muons = one_an_event(pt=pt, eta=np.full(number, eta), loose=np.ones(number), iso=np.zeros(number))
    online = seen("muon", KIND, muons, draws_of(number))
    fired = passing(ASKED, online) & (online.pt > threshold)
    width = np.hypot(in_profile(KIND.resolution, np.array([eta]))[0], KIND.stochastic / np.sqrt(pt))
    plateau = 0.9 if abs(eta) < 1 else 0.6
    expected = plateau * norm.cdf((KIND.scale * pt - threshold) / (width * pt))
    pulls = []
    for rows in np.array_split(np.arange(number), 40):
        n, p = len(rows), expected[rows].mean()
        pulls.append((fired[rows].mean() - p) / max(np.sqrt(p * (1 - p) / n), 1e-3))
    assert np.abs(pulls).max() < 4.5
    assert expected[0] < 0.01 < 0.98 * plateau < expected[-1]


@given(st.floats(1.0, 200.0), st.floats(1.0, 200.0), st.integers(0, 10**6))
def test_a_higher_threshold_fires_on_a_part_of_the_objects(one, other, seed):
    pt = np.geomspace(1.0, 300.0, 200)
    muons = one_an_event(pt=pt, eta=np.zeros(200), loose=np.ones(200), iso=np.zeros(200))
    online = seen("muon", KIND, muons, draws_of(200, seed))
    low, high = (online.pt > threshold for threshold in sorted((one, other)))
    assert np.all(low | ~high)


@pytest.mark.parametrize(("loose", "iso", "share"), [(1, 0, 0.9), (1, 2, 0.45), (0, 0, 0.0), (0, 2, 0.0)])
def test_objects_of_poor_quality_pass_less_often(loose, iso, share):
    number = 20_000
    muons = one_an_event(
        pt=np.full(number, 50.0), eta=np.zeros(number), loose=np.full(number, loose), iso=np.full(number, iso)
    )
    passed = passing(ASKED, seen("muon", KIND, muons, draws_of(number)))
    assert passed.mean() == pytest.approx(share, abs=0.015)


def test_beyond_the_acceptance_nothing_passes():
    muons = one_an_event(pt=np.full(9, 50.0), eta=np.full(9, 2.2), loose=np.ones(9), iso=np.zeros(9))
    assert not passing(ASKED, seen("muon", KIND, muons, draws_of(9))).any()
