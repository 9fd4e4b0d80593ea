"""Tables as lines of text, and what can be written as JSON."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["json_ready", "text_table"]


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
