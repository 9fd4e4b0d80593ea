"""What tells two simulations apart: classifiers of objects, of neighbourhoods and of whole events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flashsim.analysis.statistics.classifier import TwoSample, two_sample_test
from flashsim.analysis.whole_events.content import event_content
from flashsim.analysis.whole_events.neighbourhoods import neighbourhoods

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flashsim.analysis.whole_events.neighbourhoods import Neighbourhoods
    from flashsim.analysis.whole_events.reading import WholeEvents

__all__ = ["LEAST", "Told", "tell_apart_events", "tell_apart_objects"]

Columns = dict[str, NDArray[np.float64]]
Told = dict[str, TwoSample]

LEAST = 200
"""Fewest objects of either sample that a classifier is trained on."""

_FEWEST_VALUES = 100
"""Fewest values of a column: where all are missing there is nothing to cut on."""

_VIEWS = ((False, ""), (True, " and neighbours"))
_KINDS = {True: "matched", False: "unmatched"}


def tell_apart_objects(
    reference: WholeEvents,
    other: WholeEvents,
    units: tuple[NDArray[np.int64], NDArray[np.int64]],
    fields: Mapping[str, Sequence[str]],
    *,
    most: int,
    importance: bool = False,
    alone: bool = True,
    collections: Sequence[str] | None = None,
) -> Told:
    """Train classifiers on the objects of each collection, alone and with their neighbours.

    Parameters
    ----------
    reference, other
        Samples as `comparable` gives them.
    units
        For each event of both, the number of the gen event that it was made of, shape (E,) each.
    fields
        Fields by collection that are looked at; see `comparable`.
    most
        Most objects of a sample that a classifier is given: those of the first events.
    importance
        Whether to measure what tells them apart.
    alone
        Whether to judge objects without their neighbours, too.
    collections
        Whose objects are judged; by default those of all fields.

    Returns
    -------
    Results by name, such as ``matched Jet`` and ``matched Jet and neighbours``; the unmatched ones apart.
    """
    found = {}
    for name in [name for name in fields if name != "Event"] if collections is None else collections:
        described = [neighbourhoods(sample, name, fields) for sample in (reference, other)]
        for matched, kind in _KINDS.items():
            rows = [_first(one, matched=matched, most=most) for one in described]
            if min(len(chosen) for chosen in rows) < LEAST:
                continue
            events = [u[one.event[r]] for u, one, r in zip(units, described, rows, strict=True)]
            for around, ending in _VIEWS[0 if alone else 1 :]:
                columns = [one.chosen(r, around=around) for one, r in zip(described, rows, strict=True)]
                found[f"{kind} {name}{ending}"] = _tested(columns, events, importance=importance)
    return found


def _first(objects: Neighbourhoods, *, matched: bool, most: int) -> NDArray[np.int64]:
    """Rows of the matched or the other objects of the first events, at most about so many."""
    rows = np.flatnonzero(objects.matched == matched)
    if len(rows) > most:
        rows = rows[objects.event[rows] < objects.event[rows[most]]]
    return rows


def tell_apart_events(
    reference: WholeEvents,
    other: WholeEvents,
    units: tuple[NDArray[np.int64], NDArray[np.int64]],
    fields: Mapping[str, Sequence[str]],
    *,
    importance: bool = False,
) -> TwoSample:
    """Train a classifier on the full content of events; parameters as of `tell_apart_objects`."""
    columns = [event_content(sample, fields) for sample in (reference, other)]
    return _tested(columns, list(units), importance=importance)


def _tested(
    columns: Sequence[Columns], events: Sequence[NDArray[np.int64]], *, importance: bool
) -> TwoSample:
    """Test with the columns that enough rows of both together have a value of."""
    there = {name: sum(np.count_nonzero(np.isfinite(one[name])) for one in columns) for name in columns[0]}
    names = [name for name, number in there.items() if number >= _FEWEST_VALUES]
    first, second = ({name: one[name] for name in names} for one in columns)
    groups = {name: [name] for name in names} if importance else None
    return two_sample_test(first, second, *events, groups=groups)
