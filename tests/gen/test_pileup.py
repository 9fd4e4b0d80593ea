from __future__ import annotations

import numpy as np

from flashsim.events.noise import event_hash
from flashsim.events.pileup import gen_vertex
from flashsim.gen.pileup import pileup

N = 4000


def keys(events):
    ones = np.ones(len(events), dtype=np.uint32)
    return event_hash(ones, ones, np.asarray(events, dtype=np.uint64))


def test_depends_on_seed_and_event_only():
    whole = pileup(3, keys(range(1, 21)))
    part = pileup(3, keys(range(11, 21)))
    other = pileup(4, keys(range(1, 21)))
    for name, values in whole.items():
        np.testing.assert_array_equal(values[10:], part[name])
    assert np.any(whole["Pileup_nPU"] != other["Pileup_nPU"])


def test_distributions_are_those_of_2018():
    branches = pileup(1, keys(range(N)))
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
    z = np.abs(gen_vertex(1, numbers)["GenVtx_z"])
    density = pileup(1, numbers)["Pileup_gpudensity"]
    inner, outer = z < 1.7, z > 9
    counts = density[inner] * 2 * 17
    np.testing.assert_allclose(counts, np.round(counts), atol=1e-9)
    np.testing.assert_allclose(density[outer] * 60, np.round(density[outer] * 60), atol=1e-9)
    assert density[inner].mean() > density[~inner].mean()


def test_vertex_spread():
    vertex = gen_vertex(5, keys(range(N)))
    assert abs(vertex["GenVtx_z"].std() - 3.5) < 0.15
    assert abs(vertex["GenVtx_x"].mean() - 0.0108) < 1e-4
