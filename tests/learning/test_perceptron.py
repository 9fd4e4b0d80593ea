from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flashsim.execution.threads import number_of_threads, set_threads
from flashsim.learning.perceptron import Perceptron
from flashsim.learning.perceptron_module import PerceptronModule


@pytest.fixture(scope="module")
def module():
    torch.manual_seed(1)
    return PerceptronModule(3, 2, width=16, depth=2, dropout=0.2).eval()


@pytest.fixture(scope="module")
def network(module):
    return module.trained()


def rows(count):
    return np.random.default_rng(count).normal(size=(count, 3)).astype(np.float32)


def test_architecture_builds_the_same_network_again(module, network):
    twin = PerceptronModule(**network.architecture)
    twin.load_state_dict(module.state_dict())
    assert np.array_equal(twin.trained().logits(rows(10)), network.logits(rows(10)))


@pytest.mark.parametrize(("depth", "layers"), [(0, 1), (1, 4), (3, 10)])
def test_depth_counts_hidden_layers(depth, layers):
    assert len(PerceptronModule(3, 1, depth=depth, dropout=0.1)) == layers


@pytest.mark.parametrize(
    "sizes",
    [
        {"inputs": 3, "outputs": 2, "width": 16, "depth": 2, "dropout": 0.2},
        {"inputs": 3, "outputs": 1, "width": 7, "depth": 0},
        {"inputs": 3, "outputs": 21, "width": 5, "depth": 1},
        {"inputs": 3, "outputs": 1, "width": 130, "depth": 4},
    ],
)
def test_evaluates_what_the_module_does(sizes):
    torch.manual_seed(1)
    module, values = PerceptronModule(**sizes).eval(), rows(300)
    with torch.no_grad():
        expected = module(torch.from_numpy(values)).numpy()
    assert module.trained().logits(values) == pytest.approx(expected, rel=1e-5, abs=1e-6)


@settings(max_examples=20)
@given(start=st.integers(0, 299), count=st.integers(1, 150))
def test_a_row_does_not_depend_on_the_others(network, start, count):
    values = rows(300)
    alone = network.logits(values[start : start + count])
    assert np.array_equal(alone, network.logits(values)[start : start + count])


def test_the_number_of_threads_changes_nothing():
    wide = PerceptronModule(40, 1, width=64).trained()
    values = np.random.default_rng(1).normal(size=(20_000, 40)).astype(np.float32)
    threads, found = number_of_threads(), []
    try:
        for number in (1, 2, 3, 5):
            set_threads(number)
            found.append(wide.logits(values))
    finally:
        set_threads(threads)
    assert all(np.array_equal(found[0], other) for other in found)


def test_no_rows_give_no_rows(network):
    assert network.logits(rows(0)).shape == (0, 2)


def test_rows_of_another_width_are_refused(network):
    with pytest.raises(ValueError, match=r"rows of shape \(N, 3\), found \(5, 2\)"):
        network.logits(rows(5)[:, :2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 8}, r"tensor \S+ has shape .*, its architecture needs"),
        ({"depth": 3}, "is missing"),
        ({"dropout": 0.0}, "is missing"),
        ({"colour": 1}, "unknown entry 'colour'"),
    ],
)
def test_tensors_that_do_not_belong(network, change, message):
    with pytest.raises(ValueError, match=message):
        Perceptron({**network.architecture, **change}, network.tensors)


def test_starts_at_given_logits():
    fresh = PerceptronModule(3, 2)
    fresh.start_at(torch.tensor([1.5, -2.0]))
    assert fresh.trained().logits(rows(5)) == pytest.approx(np.tile([1.5, -2.0], (5, 1)))


def test_the_first_step_leaves_the_start():
    fresh = PerceptronModule(3, 1)
    fresh.start_at(torch.tensor([0.5]))
    fresh(torch.from_numpy(rows(5))).sum().backward()
    assert torch.any(fresh[-1].weight.grad != 0.0)
