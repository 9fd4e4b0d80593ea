"""JSON that may be damaged."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashsim.text import json_ready, read_json

SOUND = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(SOUND)
def test_sound_json_is_read_as_always(content):
    assert read_json(json.dumps(content)) == content


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("NaN", "found NaN"),
        ("[-Infinity]", "found -Infinity"),
        ("1e999", "found 1e999"),
        ("18446744073709551616", "found 18446744073709551616"),
        ("-9223372036854775809", "found -9223372036854775809"),
        ("1" * 100_000, r"found 1{40}\.\.\."),
        ("[" * 200_000, "nested too deeply"),
        ('{"a": {"b": 1, "b": 2}}', "the key 'b' is given twice"),
        ("{", "Expecting"),
        ("", "Expecting value"),
        (b"\xff", "decode"),
    ],
    ids=lambda value: str(value)[:20].encode("unicode_escape").decode(),
)
def test_what_no_writer_writes_is_refused_in_a_line(text, fault):
    with pytest.raises(ValueError, match=fault) as refused:
        read_json(text)
    assert "\n" not in str(refused.value)


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_read_or_refused(data):
    try:
        content = read_json(data)
    except ValueError:
        return
    json.dumps(content, allow_nan=False)


def test_numbers_that_json_has_not_become_none():
    assert json_ready({"a": (math.nan, [math.inf, 1.5])}) == {"a": [None, [None, 1.5]]}
