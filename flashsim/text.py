"""Tables as lines of text, and what can be written as JSON."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["json_ready", "read_json", "text_table"]

_LEAST_INTEGER, _LARGEST_INTEGER = -(2**63), 2**64 - 1
_LONGEST_NUMBER = 40
"""Digits and signs of a number, beyond which only its beginning is shown."""


def text_table(head: Sequence[str], rows: Sequence[Sequence[str]], *, texts: int = 1) -> str:
    """Lay out a table of any width in lines of text.

    Parameters
    ----------
    head
        Names of the columns.
    rows
        Entries, a row as long as the head.
    texts
        How many columns, from the left, are texts; the others are numbers.
    """
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = (
        "  ".join(
            text.ljust(width) if column < texts else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (head, *rows)
    )
    return "\n".join(lines)


def json_ready(content: Any) -> Any:
    """Turn arrays and tuples into lists, and numbers that JSON has not into None, however deep."""
    if isinstance(content, dict):
        return {key: json_ready(entry) for key, entry in content.items()}
    if isinstance(content, np.ndarray):
        return json_ready(content.tolist())
    if isinstance(content, list | tuple):
        return [json_ready(entry) for entry in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def read_json(text: str | bytes) -> Any:
    """Read JSON that may be damaged: every number finite and of at most 64 bits, every key given once.

    Raises
    ------
    ValueError
        If it is no such JSON, or nested too deeply: one line that says why.
    """
    try:
        return json.loads(
            text,
            parse_constant=_no_number,
            parse_float=_finite,
            parse_int=_integer,
            object_pairs_hook=_without_twins,
        )
    except RecursionError as error:
        msg = "it is nested too deeply"
        raise ValueError(msg) from error


def _no_number(text: str) -> Any:
    shown = text if len(text) <= _LONGEST_NUMBER else f"{text[:_LONGEST_NUMBER]}..."
    msg = f"expected finite numbers of at most 64 bits, found {shown}"
    raise ValueError(msg)


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else float(_no_number(text))


def _integer(text: str) -> int:
    # Its length first: Python refuses to read very long ones, with a sentence of its own.
    value = int(text) if len(text) <= _LONGEST_NUMBER else _LARGEST_INTEGER + 1
    return value if _LEAST_INTEGER <= value <= _LARGEST_INTEGER else int(_no_number(text))


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        twin = next(name for name in names if names.count(name) > 1)
        msg = f"the key '{twin}' is given twice"
        raise ValueError(msg)
    return content
