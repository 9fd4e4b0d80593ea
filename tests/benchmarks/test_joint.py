"""The joint table: columns, and what is marked."""

from __future__ import annotations

import pytest

from benchmarks.joint import columns, main, rows


def test_values_that_differ_by_errors_and_by_a_tenth_are_bold() -> None:
    found = {
        "CMS": {"a": (1.0, 0.01), "b": (2.0, 0.5), "c": (3.0, 0.1)},
        "same": {"a": (1.02, 0.01), "b": (1.0, 0.1)},
        "other": {"a": (0.7, 0.01), "b": (2.0, 0.1), "c": (3.0, 0.1)},
    }
    assert list(rows(found)) == [
        ["a", "1.000 ± 0.010", "1.020 ± 0.010", "**0.700 ± 0.010**"],
        ["b", "2.000 ± 0.500", "1.000 ± 0.100", "2.000 ± 0.100"],
        ["c", "3.000 ± 0.100", "-", "3.000 ± 0.100"],
    ]


@pytest.mark.parametrize("text", ["full", "=full.root", "full=", "full=none.root"])
def test_a_column_needs_a_name_and_files(text, capsys) -> None:
    with pytest.raises(ValueError, match="is not NAME=FILE"):
        columns([text])
    with pytest.raises(SystemExit):
        main([text])
    assert "is not NAME=FILE of a file that is there" in capsys.readouterr().err
