from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flashsim.analysis.validation.lights import CHANCE, Difference, Found, light_of, severity
from flashsim.analysis.validation.recipe import Limits, load_validation

LIMITS = Limits(green=0.1, amber=0.3)
SIZES = st.floats(0.0, 10.0)


@settings(deadline=None)
@given(SIZES, SIZES, SIZES)
def test_what_chance_gives_is_green(floor, error, share):
    value = floor + CHANCE * error * min(share, 1.0)
    assert severity(Difference("ks", value, error, floor), LIMITS) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("beyond", "light"), [(0.09, "green"), (0.11, "amber"), (0.29, "amber"), (0.31, "red")]
)
def test_lights_change_at_the_limits(beyond, light):
    found = severity(Difference("ks", 0.5 + 3.0 * 0.2 + beyond, 0.2, 0.5), LIMITS)
    assert light_of(found) == light


@settings(deadline=None)
@given(SIZES, SIZES)
def test_a_larger_difference_is_no_less_severe(one, more):
    assert severity(Difference("ks", one + more, 0.0), LIMITS) >= severity(Difference("ks", one, 0.0), LIMITS)


def test_green_may_end_at_nothing():
    none = Limits(green=0.0, amber=1.0)
    assert severity(Difference("ks", 0.0, 0.0), none) == 0.0
    assert light_of(severity(Difference("ks", 0.1, 0.0), none)) == "amber"


def test_the_worst_of_each_kind_is_kept():
    lights = load_validation().lights
    differences = [
        Difference("ks", 0.5, 1.0, where="unsure"),
        Difference("ks", 0.4, 0.001, where="sure"),
        Difference("ks", math.nan, 0.0, where="empty"),
        Difference("median", 0.0, 0.0),
    ]
    found = Found.of(differences, lights)
    assert {kind: one.where for kind, one in found.differences.items()} == {"ks": "sure", "median": ""}
    assert found.light == "red"


def test_nothing_to_compare_has_no_light():
    assert Found.of([], load_validation().lights).light == "none"
