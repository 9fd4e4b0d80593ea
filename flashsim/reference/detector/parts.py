"""Parts of the objects of events, such as those with a gen object and those without, as one collection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flashsim.events.collection import Collection

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["together"]


def together(parts: Sequence[Collection]) -> Collection:
    """Join collections of the same events and columns, event by event."""
    rows = np.concatenate([part.event_rows for part in parts])
    order = np.argsort(rows, kind="stable")
    columns = {name: np.concatenate([part[name] for part in parts])[order] for name in parts[0].columns}
    counts = np.sum([part.counts for part in parts], axis=0)
    return Collection.of_counts(counts, columns)
