from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flashsim.analysis.statistics.rates import EventSums, rates

EVENTS = 2000


def trials(rng, efficiency, event=None):
    event = np.repeat(np.arange(EVENTS), 2) if event is None else event
    passed = rng.random(len(event)) < efficiency
    return EventSums.of_trials(event, np.zeros(len(event), dtype=np.int64), passed, (EVENTS, 1))


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_rates_are_shares(seed):
    rng = np.random.default_rng(seed)
    event, bins, passed = rng.integers(0, 5, 40), rng.integers(-1, 3, 40), rng.random(40) < 0.5
    found = rates({"it": EventSums.of_trials(event, bins, passed, (5, 3))}, "it")["it"]
    for number in range(3):
        inside = bins == number
        assert found.trials[number] == inside.sum()
        if inside.any():
            assert found.value[number] == pytest.approx(passed[inside].mean())
        else:
            assert np.isnan(found.value[number])


def test_errors_are_binomial_where_trials_are_independent():
    event = np.arange(EVENTS)
    found = rates({"it": trials(np.random.default_rng(1), 0.3, event)}, "it")["it"]
    assert found.error[0] == pytest.approx(np.sqrt(0.3 * 0.7 / EVENTS), rel=0.3)


def test_trials_of_an_event_that_go_together_have_larger_errors():
    rng = np.random.default_rng(2)
    event, passed = np.repeat(np.arange(EVENTS), 4), np.repeat(rng.random(EVENTS) < 0.3, 4)
    together = EventSums.of_trials(event, np.zeros(len(event), dtype=np.int64), passed, (EVENTS, 1))
    apart = trials(rng, 0.3, event)
    found = rates({"together": together, "apart": apart}, "apart")
    assert found["together"].error[0] == pytest.approx(2.0 * found["apart"].error[0], rel=0.4)


def test_what_samples_share_is_not_in_the_error_of_their_difference():
    rng = np.random.default_rng(3)
    one = trials(rng, 0.5)
    found = rates({"one": one, "same": one, "other": trials(rng, 0.6)}, "one")
    assert found["same"].difference[0] == 0.0
    assert found["same"].difference_error[0] == 0.0
    assert found["other"].difference[0] == pytest.approx(0.1, abs=5.0 * found["other"].difference_error[0])
    assert found["other"].difference_error[0] > found["other"].error[0]


def test_events_without_anything_count_in_means():
    present = np.array([1, 1, 1, 0])
    sums = EventSums.per_event(np.array([0, 0, 1]), np.array([0, 0, 1]), present, (4, 2))
    assert rates({"it": sums}, "it")["it"].value.tolist() == pytest.approx([2.0 / 3.0, 1.0 / 3.0])
