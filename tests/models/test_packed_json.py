from __future__ import annotations

import zlib

import numpy as np
import pytest

from flashsim.models import packed_json as module
from flashsim.models.packed_json import packed_json, unpacked_json


def test_numbers_come_back_bit_by_bit():
    rng = np.random.default_rng(1)
    bits = rng.integers(0, 2**64, 3000, dtype=np.uint64).view(np.float64)
    numbers = [*bits[np.isfinite(bits)].tolist(), 0.0, -0.0, 5e-324]
    content = {"values": numbers, "none": None, "whole": [2**63 - 1, -3], "text": "ä"}
    again = unpacked_json(packed_json(content))
    assert again == content
    assert np.array(again["values"]).tobytes() == np.array(numbers).tobytes()
    assert np.array_equal(packed_json(content), packed_json(again))


def test_what_json_has_not_is_not_written():
    with pytest.raises(ValueError, match="not JSON compliant"):
        packed_json({"x": float("nan")})


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda packed: packed[:-1], "is cut or too long"),
        (lambda packed: packed[:0], "is cut or too long"),
        (lambda packed: np.append(packed, np.uint8(0)), "is cut or too long"),
        (lambda packed: packed[1:], "are no compressed JSON: Error"),
        (lambda packed: packed.astype(np.int16), r"as a row of bytes, found int16 of shape \(\d+,\)"),
        (lambda packed: packed[None], r"found uint8 of shape \(1, "),
        (lambda _: np.frombuffer(zlib.compress(b'{"x": NaN}'), np.uint8), "expected finite numbers"),
        (lambda _: np.frombuffer(zlib.compress(b'{"x": "\xff"}'), np.uint8), "utf-8"),
    ],
)
def test_damage_is_refused(change, fault):
    with pytest.raises(ValueError, match=fault):
        unpacked_json(change(packed_json({"x": [1.5, 2.5]})))


def test_a_few_bytes_do_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr(module, "_MOST_BYTES", 1000)
    with pytest.raises(ValueError, match="is cut or too long"):
        unpacked_json(packed_json([0] * 10_000))
