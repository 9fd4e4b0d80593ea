from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flashsim.learning.perceptron import Perceptron, evaluate


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(1)
    return Perceptron(3, 2, width=16, depth=2, dropout=0.2).eval()


def rows(count):
    return np.random.default_rng(count).normal(size=(count, 3)).astype(np.float32)


def test_architecture_builds_the_same_network_again(network):
    twin = Perceptron(**network.architecture())
    twin.load_state_dict(network.state_dict())
    assert np.array_equal(evaluate(twin.eval(), rows(10)), evaluate(network, rows(10)))


@pytest.mark.parametrize(("depth", "layers"), [(0, 1), (1, 4), (3, 10)])
def test_depth_counts_hidden_layers(depth, layers):
    assert len(Perceptron(3, 1, depth=depth, dropout=0.1)) == layers


def test_evaluates_what_the_network_does(network):
    values = rows(100)
    with torch.no_grad():
        expected = network(torch.from_numpy(values)).numpy()
    assert evaluate(network, values, tile=32) == pytest.approx(expected, rel=1e-5, abs=1e-6)


@settings(max_examples=20)
@given(start=st.integers(0, 99), count=st.integers(1, 50))
def test_a_row_does_not_depend_on_the_others(network, start, count):
    values = rows(100)
    assert np.array_equal(
        evaluate(network, values[start : start + count], tile=64),
        evaluate(network, values, tile=64)[start : start + count],
    )


def test_the_number_of_threads_changes_nothing():
    """Wide enough for torch to share a product among threads, whose rounding then differs."""
    wide = Perceptron(40, 1, width=64).eval()
    values = np.random.default_rng(1).normal(size=(9000, 40)).astype(np.float32)
    threads, found = torch.get_num_threads(), []
    try:
        for number in (1, 2, 3, 5):
            torch.set_num_threads(number)
            found.append(evaluate(wide, values))
    finally:
        torch.set_num_threads(threads)
    assert all(np.array_equal(found[0], other) for other in found)


def test_no_rows_give_no_rows(network):
    assert evaluate(network, rows(0)).shape == (0, 2)


def test_starts_at_given_logits(network):
    fresh = Perceptron(3, 2)
    fresh.start_at(torch.tensor([1.5, -2.0]))
    assert evaluate(fresh.eval(), rows(5)) == pytest.approx(np.tile([1.5, -2.0], (5, 1)))


def test_the_first_step_leaves_the_start():
    fresh = Perceptron(3, 1)
    fresh.start_at(torch.tensor([0.5]))
    fresh(torch.from_numpy(rows(5))).sum().backward()
    assert torch.any(fresh[-1].weight.grad != 0.0)
