from __future__ import annotations

import numpy as np
import pytest

from flashsim.declarations.eras import load_era
from flashsim.declarations.pileup import load_profile
from flashsim.events.noise import event_hash
from flashsim.gen.pileup import pileup, vertex

N = 4000
RUN2, RUN3 = load_era("run2"), load_era("run3")


def keys(events):
    ones = np.ones(len(events), dtype=np.uint32)
    return event_hash(ones, ones, np.asarray(events, dtype=np.uint64))


@pytest.mark.parametrize("era", [RUN2, RUN3], ids=["run2", "run3"])
def test_depends_on_seed_and_event_only(era):
    whole = pileup(3, keys(range(1, 21)), era)
    part = pileup(3, keys(range(11, 21)), era)
    other = pileup(4, keys(range(1, 21)), era)
    for name, values in whole.items():
        np.testing.assert_array_equal(values[10:], part[name])
    assert np.any(whole["Pileup_nPU"] != other["Pileup_nPU"])


def test_distributions_are_those_of_2018():
    branches = pileup(1, keys(range(N)), RUN2)
    true, now = branches["Pileup_nTrueInt"], branches["Pileup_nPU"]
    assert np.all((true >= 5) & (true <= 75) & (true == np.floor(true)))
    assert abs(true.mean() - 32.6) < 0.7
    assert abs(true.std() - 10.8) < 0.7
    # The branch is truncated: the mean behind it is half a unit higher.
    assert abs(np.mean(now - true - 0.5)) < 0.3
    assert abs(np.var(now - true) / true.mean() - 1) < 0.12
    assert abs(branches["Pileup_sumEOOT"].mean() / (12 * (true.mean() + 0.5)) - 1) < 0.01
    assert abs(branches["Pileup_sumLOOT"].mean() / (3 * (true.mean() + 0.5)) - 1) < 0.01
    assert abs(branches["Pileup_pudensity"].mean() - 0.55) < 0.05
    assert abs(branches["Pileup_gpudensity"].mean() - 0.265) < 0.02


def test_density_counts_the_bin_of_the_vertex():
    numbers = keys(range(500))
    z = np.abs(vertex(1, numbers, RUN2)["GenVtx_z"])
    density = pileup(1, numbers, RUN2)["Pileup_gpudensity"]
    inner, outer = z < 1.7, z > 9
    counts = density[inner] * 2 * 17
    np.testing.assert_allclose(counts, np.round(counts), atol=1e-9)
    np.testing.assert_allclose(density[outer] * 60, np.round(density[outer] * 60), atol=1e-9)
    assert density[inner].mean() > density[~inner].mean()


def test_distributions_are_those_of_the_profile():
    branches = pileup(1, keys(range(N)), RUN3)
    true, profile = branches["Pileup_nTrueInt"], load_profile(RUN3.pileup)
    assert np.mean(true == np.floor(true)) < 0.01
    whole = np.floor(true).astype(int)
    probabilities = np.array(profile.probabilities) / sum(profile.probabilities)
    expected = N * np.add.reduceat(probabilities, [0, 30, 40, 45, 50, 55, 60])
    found = np.histogram(whole, [0, 30, 40, 45, 50, 55, 60, 1000])[0]
    assert np.all(np.abs(found - expected) < 5 * np.sqrt(expected))
    # A ttbar file of 2024 has means of 46.4 +- 0.6 and 45.9 +- 0.7.
    assert abs(branches["Pileup_nPU"].mean() - true.mean()) < 0.5


@pytest.mark.parametrize("era", [RUN2, RUN3], ids=["run2", "run3"])
def test_vertex_spread(era):
    places = vertex(5, keys(range(N)), era)
    for name, values in places.items():
        mean, width = getattr(era.beam_spot, name.removeprefix("GenVtx_"))
        assert abs(values.mean() - mean) < 5 * width / np.sqrt(N)
        assert abs(values.std() / width - 1) < 0.05
