from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashsim.execution.executors import SerialExecutor, run_calls


class Work:
    """Fails the first few times that it is called with a number."""

    def __init__(self, failures):
        self.failures, self.calls = failures, Counter()

    def __call__(self, number):
        self.calls[number] += 1
        if self.calls[number] <= self.failures[number]:
            raise ValueError(number)
        return 10 * number


@given(failures=st.lists(st.integers(0, 4), max_size=6), retries=st.integers(0, 3))
def test_every_call_ends_once(failures, retries):
    work = Work(failures)
    with SerialExecutor() as executor:
        ended = list(run_calls(executor, work, [(k,) for k in range(len(failures))], retries=retries))
    assert sorted(e.number for e in ended) == list(range(len(failures)))
    for e in ended:
        assert e.attempts == work.calls[e.number] == min(failures[e.number], retries) + 1
        passed = failures[e.number] <= retries
        assert (e.result, e.error is None) == (10 * e.number if passed else None, passed)


def test_failures_that_stay_are_not_tried_again():
    work = Work([5])
    calls = run_calls(
        SerialExecutor(), work, [(0,)], retries=3, may_pass=lambda e: not isinstance(e, ValueError)
    )
    (ended,) = calls
    assert (ended.attempts, str(ended.error)) == (1, "0")


def test_calls_are_taken_when_earlier_ones_were_told():
    told = []

    def calls():
        for number in range(4):
            assert told == list(range(number))
            yield (number,)

    for ended in run_calls(SerialExecutor(), Work([0] * 4), calls()):
        told.append(ended.number)
    assert told == [0, 1, 2, 3]


def test_an_interruption_is_not_taken_for_a_failure():
    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(run_calls(SerialExecutor(), stop, [()], retries=1))
