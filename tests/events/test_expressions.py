from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashsim.declarations.expressions import Names, names_of, parsed
from flashsim.events.expressions import evaluate
from flashsim.nanoaod.mantissa import round_mantissa

COLUMNS = {
    "pt": np.array([10.0, 20.0, 60.0]),
    "eta": np.array([-1.0, 0.0, 2.0]),
    "gen.pt": np.array([12.0, 18.0, 50.0]),
    "conditioning.rho": np.array([0.0, 10.0, 20.0]),
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2", [2, 2, 2]),
        ("pt / gen.pt - 1", [10 / 12 - 1, 20 / 18 - 1, 60 / 50 - 1]),
        ("-eta ** 2", [-1, 0, -4]),
        ("pt * cosh(eta)", (COLUMNS["pt"] * np.cosh(COLUMNS["eta"])).tolist()),
        ("where(conditioning.rho > 0 and pt < 50, 1, 0)", [0, 1, 0]),
        ("where(10 < pt <= 60 or eta < 0, max(pt, 30, eta), 0)", [30, 30, 60]),
        ("(pt > 15) - (pt > 30)", [0, 1, 0]),
        ("(pt > 15 and eta < 3) + (15 < pt < 90) + (pt > 30 or eta > 1)", [0, 2, 3]),
        ("hypot(3, 4) + abs(eta) + sqrt(4) + log(exp(1))", [9, 8, 10]),
        ("not (eta > 0)", [1, 1, 0]),
        ("rounding(eta, 8)", [2**-8, 0, 2**-7]),
    ],
)
def test_values(text, expected):
    assert evaluate(text, COLUMNS, 3) == pytest.approx(expected)


def test_what_has_no_value_is_not_finite():
    assert np.isposinf(evaluate("1 / conditioning.rho", COLUMNS, 3)[0])
    assert np.isnan(evaluate("log(eta)", COLUMNS, 3)[0])


@given(st.floats(2.0**-100, 2.0**100, width=32), st.integers(1, 23), st.sampled_from([-1.0, 1.0]))
def test_rounding_is_the_step_between_stored_numbers(size, bits, sign):
    stored = sign * round_mantissa(np.array([size], dtype=np.float32), bits).astype(np.float64)
    steps = np.abs(stored) / evaluate(f"rounding(x, {bits})", {"x": stored}, 1)
    assert steps == np.round(steps)
    assert 2**bits <= steps < 2 ** (bits + 1)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("__import__('os')", "is not understood"),
        ("pt.real", "is not understood"),
        ("gen.pt.real", "is not understood"),
        ("[pt]", "is not understood"),
        ("'a'", "is not understood"),
        ("lambda: 1", "is not understood"),
        ("min(pt, key=eta)", "is not understood"),
        ("where(pt, eta)", "where takes 3 values, found 2"),
        ("pt +", "is no expression"),
        ("1" + "+1" * 3000, "at most 4000 characters"),
        ("-" * 3000 + "1", "is no expression"),
    ],
)
def test_what_is_no_expression_is_said(text, problem):
    with pytest.raises(ValueError, match=problem):
        parsed(text)


def test_names():
    found = names_of("where(pt > gen.pt, conditioning.rho * pt, max(eta, 0))")
    assert found == Names(("pt", "eta"), ("pt",), ("rho",))


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_numbers_as_python_has_them(a, b):
    columns = {"a": np.array([a]), "b": np.array([b])}
    assert evaluate("a * b - a / (b ** 2 + 1)", columns, 1)[0] == pytest.approx(a * b - a / (b**2 + 1))
