from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flashsim.gen.soft_drop import soft_drop

fastjet = pytest.importorskip("fastjet", reason="fastjet is not installed (extra 'reference')")


def momenta(pt, eta, phi):
    """Momenta of pions, shape (N, 4)."""
    pt, eta, phi = map(np.asarray, (pt, eta, phi))
    return np.stack(
        [pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), np.hypot(pt * np.cosh(eta), 0.14)], axis=1
    )


def by_fastjet(particles, z_cut):
    """Subjets as fastjet's tree of the jet gives them."""
    jets = [fastjet.PseudoJet(*map(float, row)) for row in particles]
    definition = fastjet.JetDefinition(fastjet.cambridge_algorithm, 1000.0)
    sequence = fastjet.ClusterSequence(jets, definition)
    jet = sequence.inclusive_jets()[0]
    while True:
        hard, soft = fastjet.PseudoJet(), fastjet.PseudoJet()
        if not jet.has_parents(hard, soft):
            found = [jet]
            break
        if soft.pt() > hard.pt():
            hard, soft = soft, hard
        if soft.pt() > z_cut * (hard.pt() + soft.pt()):
            found = [hard, soft]
            break
        jet = hard
    return np.array([(one.px(), one.py(), one.pz(), one.e()) for one in found])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 60), min_size=1, max_size=4))
def test_agrees_with_fastjet(seed, sizes):
    rng = np.random.default_rng(seed)
    jets = [
        momenta(rng.exponential(4, n) + 0.1, rng.normal(-1, 0.3, n), rng.normal(np.pi, 0.3, n)) for n in sizes
    ]
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    counts, subjets = soft_drop(offsets, np.concatenate(jets), z_cut=0.1)
    expected = [by_fastjet(jet, 0.1) for jet in jets]
    assert counts.tolist() == [len(one) for one in expected]
    np.testing.assert_allclose(subjets, np.concatenate(expected), rtol=1e-9, atol=1e-9)


def test_soft_radiation_is_dropped_and_a_hard_pair_is_kept():
    pair = momenta([60, 40, 2], [0.0, 0.3, -0.4], [0.0, 0.0, 0.3])
    lone = momenta([100, 2], [1.0, 1.4], [0.0, 0.3])
    counts, subjets = soft_drop(np.array([0, 3, 5]), np.concatenate([pair, lone]), z_cut=0.1)
    assert counts.tolist() == [2, 1]
    np.testing.assert_allclose(subjets, [*pair[:2], lone[0]])


def test_no_jet_has_no_subjets():
    counts, subjets = soft_drop(np.array([0]), np.zeros((0, 4)), z_cut=0.1)
    assert counts.shape == (0,)
    assert subjets.shape == (0, 4)
